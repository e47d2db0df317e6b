//! Sections that are common to the report of one run and that of many.

use super::answer;
use super::form::{FormInput, form};
use super::form_kind::FormKind;
use super::page::{Page, WIDTH};
use super::privileged;
use anstyle::Style;
use capprof_profile::CapabilitySet;
use capprof_profile::observation::BlindSpot;
use capprof_profile::privileges::Privileges;

impl Page<'_> {
    /// The other privileges of `--privileged` that it used.
    pub(super) fn beyond(&mut self, privileges: Option<&Privileges>, set: CapabilitySet) {
        let lines =
            privileges.map_or_else(Vec::new, |privileges| privileged::section(privileges, set));
        if lines.is_empty() {
            return;
        }
        self.heading("beyond capabilities: what else of --privileged was used");
        for line in lines {
            self.item(&line, Style::new());
        }
    }

    /// The blind spots of the recorders.
    pub(super) fn blind_spots<'b>(&mut self, spots: impl Iterator<Item = &'b BlindSpot>) {
        let spots = answer::blind_spots(spots);
        if spots.is_empty() {
            return;
        }
        self.heading("what could not be seen");
        for (names, reason) in spots {
            self.item(&format!("{names}: {reason}"), Style::new());
        }
    }

    /// The answer in the syntax of the engine that was used, or of all engines.
    pub(super) fn forms<'b>(&mut self, workload: impl Into<FormInput<'b>>, all: bool) {
        let workload = workload.into();
        for engine in workload.engines(all) {
            self.heading(engine.title());
            self.form(engine, &workload);
        }
    }

    fn form(&mut self, engine: FormKind, workload: &FormInput<'_>) {
        match form(engine, workload.clone()) {
            Ok(form) => {
                for caveat in &form.caveats {
                    self.comment(caveat);
                }
                for line in form.body.lines() {
                    match engine.syntax() {
                        "sh" => self.command(line),
                        _ => self.line(&format!("  {line}")),
                    }
                }
            }
            Err(unable) => self.comment(&unable.reason),
        }
    }

    /// A command over as many lines as it needs, to be pasted as it stands.
    fn command(&mut self, command: &str) {
        for line in continued(command) {
            self.line(&line);
        }
    }
}

/// A command broken before its options, each line but the last with the backslash by which a shell joins them.
fn continued(command: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from("  ");
    for part in parts(command) {
        // Space for the blank and the backslash is included.
        if line.len() + part.len() + 3 > WIDTH && !line.trim().is_empty() {
            lines.push(format!("{line} \\"));
            line = format!("    {part}");
        } else {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(part);
        }
    }
    lines.push(line);
    lines
}

/// The parts of a command between which a line may end: a value in quotes stays whole.
fn parts(command: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, letter) in command.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                parts.extend(command.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(command.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_broken_where_a_shell_joins_it() {
        let command = format!(
            "docker run --cap-drop=all {} --sysctl='a=1 2 3' IMAGE",
            "--cap-add=NET_BIND_SERVICE ".repeat(5).trim()
        );
        let lines = continued(&command);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        let joined = lines.join("\n").replace(" \\\n   ", "");
        assert_eq!(joined.trim(), command);
    }
}
