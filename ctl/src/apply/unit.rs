//! Units: `.container` (podman-systemd.unit(5)) and `.service` (systemd.exec(5)).

use super::edited::Edited;
use crate::render::Parts;

/// Puts an answer into a `.container` unit.
pub(super) fn quadlet(text: &str, parts: &Parts) -> Edited {
    let mut unit = Unit::parse(text, "Container");
    unit.take_word("PodmanArgs", "--privileged");
    let mut lines = vec!["DropCapability=all".to_owned()];
    if !parts.set.is_empty() {
        lines.push(format!("AddCapability={}", parts.names().join(" ")));
    }
    unit.exchange(&["DropCapability", "AddCapability"], lines);
    for (path, access) in &parts.devices {
        unit.add("AddDevice", &format!("{path}:{path}:{access}"), path);
    }
    for rule in &parts.rules {
        let argument = format!("\"--device-cgroup-rule={rule}\"");
        unit.add("PodmanArgs", &argument, &argument);
    }
    for (name, value) in &parts.sysctls {
        let assignment = match value.contains(' ') {
            true => format!("\"{name}={value}\""),
            false => format!("{name}={value}"),
        };
        unit.add("Sysctl", &assignment, &format!("{name}="));
    }
    for (name, value) in &parts.limits {
        unit.add("Ulimit", &format!("{name}={value}"), &format!("{name}="));
    }
    unit.finish(text, parts)
}

/// Puts an answer into a `.service` unit.
pub(super) fn systemd(text: &str, parts: &Parts) -> Edited {
    let mut unit = Unit::parse(text, "Service");
    let full = |set: capprof_profile::CapabilitySet| {
        set.iter()
            .map(|capability| capability.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    // An empty assignment means the empty set.
    let mut lines = vec![format!("CapabilityBoundingSet={}", full(parts.set))];
    if !parts.ambient.is_empty() {
        lines.push(format!("AmbientCapabilities={}", full(parts.ambient)));
    }
    unit.exchange(&["CapabilityBoundingSet", "AmbientCapabilities"], lines);
    for (name, value) in &parts.limits {
        unit.add(name, value, "=");
    }
    unit.finish(text, parts)
}

/// A unit, by logical lines: a line that ends with a backslash goes on.
struct Unit {
    /// The logical lines, each with the line breaks inside it.
    lines: Vec<String>,
    section: &'static str,
}

impl Unit {
    fn parse(text: &str, section: &'static str) -> Self {
        let mut lines: Vec<String> = Vec::new();
        let mut goes_on = false;
        for line in text.lines() {
            match lines.last_mut() {
                Some(last) if goes_on => {
                    last.push('\n');
                    last.push_str(line);
                }
                _ => lines.push(line.to_owned()),
            }
            let comment = line.trim_start().starts_with(['#', ';']);
            goes_on = (goes_on || !comment) && line.ends_with('\\');
        }
        let mut unit = Self { lines, section };
        if !unit.lines.iter().any(|line| line.trim() == unit.header()) {
            if unit.lines.last().is_some_and(|line| !line.is_empty()) {
                unit.lines.push(String::new());
            }
            let header = unit.header();
            unit.lines.push(header);
        }
        unit
    }

    fn header(&self) -> String {
        format!("[{}]", self.section)
    }

    /// The numbers of the lines in the section that assign to one of these keys.
    fn assignments(&self, keys: &[&str]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut inside = false;
        for (number, line) in self.lines.iter().enumerate() {
            if line.trim_start().starts_with('[') {
                inside = line.trim() == self.header();
            } else if inside
                && let Some((key, _)) = line.split_once('=')
                && keys.contains(&key.trim())
            {
                found.push(number);
            }
        }
        found
    }

    /// The end of the section, after its last line that is not empty.
    fn end(&self) -> usize {
        let header = self.header();
        let start = self
            .lines
            .iter()
            .rposition(|line| line.trim() == header)
            .unwrap_or_default();
        let next = self
            .lines
            .iter()
            .skip(start + 1)
            .position(|line| line.trim_start().starts_with('['))
            .map_or(self.lines.len(), |more| start + 1 + more);
        (start + 1..next)
            .rev()
            .find(|number| {
                self.lines
                    .get(*number)
                    .is_some_and(|line| !line.trim().is_empty())
            })
            .map_or(start + 1, |last| last + 1)
    }

    /// Replaces all assignments to these keys by new lines, at the place of the first.
    fn exchange(&mut self, keys: &[&str], lines: Vec<String>) {
        let old = self.assignments(keys);
        for number in old.iter().rev() {
            self.lines.remove(*number);
        }
        let at = old.first().copied().unwrap_or_else(|| self.end());
        self.lines.splice(at..at, lines);
    }

    /// Adds an assignment unless an existing one contains `known`.
    fn add(&mut self, key: &str, value: &str, known: &str) {
        let there = self
            .assignments(&[key])
            .iter()
            .filter_map(|number| self.lines.get(*number))
            .any(|line| line.contains(known));
        if !there {
            let at = self.end();
            self.lines.insert(at, format!("{key}={value}"));
        }
    }

    /// Removes a word from all assignments to a key, and an assignment that is then empty.
    fn take_word(&mut self, key: &str, word: &str) {
        for number in self.assignments(&[key]).into_iter().rev() {
            let Some(line) = self.lines.get_mut(number) else {
                continue;
            };
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            let has = |one: &str| one == word || one == format!("{word}=true");
            if !value.split_whitespace().any(has) {
                continue;
            }
            let rest: Vec<&str> = value
                .split_whitespace()
                .filter(|one| !has(one) && *one != "\\")
                .collect();
            match rest.is_empty() {
                true => drop(self.lines.remove(number)),
                false => *line = format!("{name}={}", rest.join(" ")),
            }
        }
    }

    fn finish(self, original: &str, parts: &Parts) -> Edited {
        let end = match original.ends_with('\n') || original.is_empty() {
            true => "\n",
            false => "",
        };
        Edited {
            text: self.lines.join("\n") + end,
            notes: parts.caveats.clone(),
        }
    }
}
