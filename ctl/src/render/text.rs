//! The report that a person reads in ten seconds.

use super::engine::Engine;
use super::form::{Workload, form};
use super::printable::printable;
use super::privileged;
use crate::merge::Merged;
use anstyle::{AnsiColor, Style};
use capprof_profile::atlas::{self, Site};
use capprof_profile::observation::BlindSpot;
use capprof_profile::privileges::Privileges;
use capprof_profile::profile::{CheckSummary, Need, Profile, Reason};
use capprof_profile::verification::{Compared, Verdict, Verification};
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::profiles::Summary;
use std::fmt::Write;

/// How the parts of a report are set off. The default has no escape sequences, for files and pipes; [`Styles::coloured`] for terminals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Styles {
    heading: Style,
    capability: Style,
    warning: Style,
    faint: Style,
}

impl Styles {
    /// The style of headings.
    pub(super) fn heading(&self) -> Style {
        self.heading
    }

    /// ANSI escape sequences.
    pub(crate) fn coloured() -> Self {
        Self {
            heading: Style::new().bold(),
            capability: AnsiColor::Green.on_default().bold(),
            warning: AnsiColor::Red.on_default().bold(),
            faint: Style::new().dimmed(),
        }
    }
}

/// How many frames of a call site a table shows.
const FRAMES: usize = 2;

/// How many purposes of a function that asks for several are named.
const PURPOSES: usize = 2;

/// The report of one profile, each line with a newline.
pub(crate) fn text(profile: &Profile, styles: &Styles) -> String {
    let mut report = Report {
        text: String::new(),
        styles,
    };
    report.incomplete(profile);
    report.head(profile);
    report.verification(profile);
    report.needs(profile);
    report.beyond(profile.privileges.as_ref(), profile.answer().0);
    report.blind_spots(profile.findings.blind_spots.iter());
    report.optional(profile);
    report.refused(profile);
    report.dismissed(profile);
    report.notes(profile);
    report.forms(profile);
    report.text
}

/// The report of a merged profile, each line with a newline.
pub(crate) fn merged(merged: &Merged, styles: &Styles) -> String {
    let mut report = Report {
        text: String::new(),
        styles,
    };
    report.merged_head(merged);
    report.table(
        &[
            "CAPABILITY",
            "RUNS",
            "FIRST SEEN",
            "PROGRAM",
            "SYSCALL",
            "WHY",
        ],
        1,
        merged
            .needed
            .iter()
            .map(|need| {
                let mut notes = Vec::new();
                if !merged.minimized.contains(need.capability) {
                    notes.push(format!(
                        "not in the set: {} does as well",
                        need.alternatives.intersection(merged.minimized)
                    ));
                } else if !need.alternatives.is_empty() {
                    notes.push(would_do(need.alternatives.iter()));
                }
                let row = vec![
                    need.capability.to_string(),
                    need.runs.to_string(),
                    need.first_seen.clone(),
                    first_few(&need.programs.iter().cloned().collect::<Vec<_>>()),
                    first_few(&need.syscalls.iter().cloned().collect::<Vec<_>>()),
                    reason(need.reason).to_owned(),
                ];
                (row, notes)
            })
            .collect(),
    );
    report.beyond(merged.privileges.as_ref(), merged.minimized);
    report.blind_spots(merged.blind_spots.iter());
    report.forms(merged);
    report.text
}

struct Report<'a> {
    text: String,
    styles: &'a Styles,
}

impl Report<'_> {
    /// A line whose parts are known to be printable, styles included.
    fn styled(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn line(&mut self, line: &str) {
        self.styled(&printable(line));
    }

    fn heading(&mut self, heading: &str) {
        let line = styled(heading, self.styles.heading);
        self.text.push('\n');
        self.styled(&line);
    }

    fn incomplete(&mut self, profile: &Profile) {
        if profile.complete {
            return;
        }
        let reasons = profile.incomplete_because.join("; ");
        let line = styled(
            &format!("INCOMPLETE: {reasons}. Capabilities may be missing below: record again."),
            self.styles.warning,
        );
        self.styled(&line);
    }

    fn head(&mut self, profile: &Profile) {
        let what = profile
            .origin
            .name
            .as_deref()
            .or(profile.origin.workload.container.as_deref())
            .unwrap_or(&profile.origin.container_id);
        let mut line = styled(what, self.styles.heading);
        if !profile.origin.process.args.is_empty() {
            let args = printable(&profile.origin.process.args.join(" "));
            let _ = write!(line, ": {}", shortened(&args, 60));
        }
        if let Some(image) = &profile.origin.workload.image {
            let _ = write!(line, " ({})", printable(image));
        }
        self.styled(&line);
        let witnesses = profile
            .conditions
            .recorders
            .iter()
            .filter(|report| report.recorded)
            .map(|report| format!("{} ({})", report.recorder.display_name(), report.method))
            .collect::<Vec<_>>()
            .join(" and ");
        let by = if witnesses.is_empty() {
            String::new()
        } else {
            format!(" by {witnesses}")
        };
        let line = styled(
            &format!(
                "recorded {}{by}, run by {} on Linux {}; {}",
                profile.origin.started,
                profile.origin.runtime.name,
                profile.origin.host.kernel,
                profile.origin.recording_id
            ),
            self.styles.faint,
        );
        self.styled(&line);
        self.text.push('\n');
        let had = profile.conditions.original.bounding.len();
        let line = match profile.findings.minimized.len() {
            0 => format!("needs no capabilities (the engine gave {had})"),
            1 => format!("needs 1 capability (the engine gave {had})"),
            number => format!("needs {number} capabilities (the engine gave {had})"),
        };
        let line = styled(&line, self.styles.heading);
        self.styled(&line);
        self.other_user(profile);
        self.ended(profile);
        self.shrunk(profile);
    }

    /// That a process which is not root holds nothing effective, and what it failed without.
    fn other_user(&mut self, profile: &Profile) {
        let uid = profile.origin.process.uid;
        if uid == 0 || !profile.conditions.original.ambient.is_empty() {
            return;
        }
        self.line(&format!(
            "user {uid} holds none effective today: what is used, set-user-ID programs and file capabilities took from the bounding set"
        ));
        if !profile.denied_needs.is_empty() {
            let names: Vec<String> = profile
                .denied_needs
                .iter()
                .map(|need| format!("{} ({})", need.capability, first_few(&need.programs)))
                .collect();
            self.line(&format!(
                "refused to user {uid}, and made system calls fail: {}",
                names.join(", ")
            ));
        }
    }

    /// How it ended, unless well: what did not work may not have used what it needs.
    fn ended(&mut self, profile: &Profile) {
        if let Some(exit) = profile.exit.filter(|exit| exit.is_failure()) {
            let line = styled(
                &format!("the container failed ({exit}): what it did not get to do was not seen"),
                self.styles.warning,
            );
            self.styled(&line);
        }
    }

    fn shrunk(&mut self, profile: &Profile) {
        let Some(shrunk) = &profile.shrunk else {
            return;
        };
        let by = match &shrunk.check {
            Some(check) => format!("`{check}`"),
            None => "its exit status".to_owned(),
        };
        let line = format!(
            "shrunk {} in {} runs, judged by {by}, to: {}",
            shrunk.finished, shrunk.runs, shrunk.set
        );
        let line = styled(&line, self.styles.heading);
        self.styled(&line);
        if !shrunk.left_out.is_empty() {
            self.line(&format!("  does without: {}", shrunk.left_out));
        }
        if !shrunk.added.is_empty() {
            self.line(&format!(
                "  needs, though it was not seen: {}",
                shrunk.added
            ));
        }
    }

    fn merged_head(&mut self, merged: &Merged) {
        let runs = merged.runs.len();
        if !merged.complete {
            let line = styled(
                &format!(
                    "INCOMPLETE: {} of {runs} runs lost something: {}",
                    merged.incomplete_runs.len(),
                    first_few(&merged.incomplete_runs)
                ),
                self.styles.warning,
            );
            self.styled(&line);
        }
        let names = first_few(&merged.names.iter().cloned().collect::<Vec<_>>());
        let images: Vec<String> = merged
            .workloads
            .iter()
            .filter_map(|workload| workload.image.clone())
            .collect();
        let line = styled(&names, self.styles.heading);
        let line = match images.is_empty() {
            true => line,
            false => format!("{line} ({})", printable(&first_few(&images))),
        };
        self.styled(&line);
        let mut line = match runs {
            1 => "1 run".to_owned(),
            number => format!("{number} runs"),
        };
        if let (Some(first), Some(last)) = (
            merged.runs.values().map(|run| &run.started).min(),
            merged.runs.values().map(|run| &run.started).max(),
        ) {
            let _ = write!(line, " from {first} to {last}");
        }
        if let Some(last) = &merged.last_new {
            let _ = write!(
                line,
                "; the last new capability appeared at {last}, {} complete runs since",
                merged.runs_since_last_new
            );
        }
        let line = styled(&line, self.styles.faint);
        self.styled(&line);
        self.text.push('\n');
        let line = match merged.minimized.len() {
            0 => "needs no capabilities".to_owned(),
            1 => "needs 1 capability".to_owned(),
            number => format!("needs {number} capabilities"),
        };
        let line = styled(&line, self.styles.heading);
        self.styled(&line);
    }

    fn verification(&mut self, profile: &Profile) {
        let Some(verification) = &profile.verification else {
            return;
        };
        for (index, line) in verdict(verification).lines().enumerate() {
            let style = match (index, verification.verdict) {
                (0, Verdict::Verified) => self.styles.capability,
                (0, Verdict::NotVerified) => self.styles.warning,
                _ => Style::new(),
            };
            let line = styled(line, style);
            self.styled(&line);
        }
        self.text.push('\n');
    }

    fn needs(&mut self, profile: &Profile) {
        let rows = profile
            .findings
            .needed
            .iter()
            .map(|need| {
                let mut notes = need.notes.clone();
                notes.extend(purpose(need).map(|(_, without)| without));
                if !need.alternatives.is_empty() {
                    notes.push(would_do(need.alternatives.iter().copied()));
                }
                let row = vec![
                    need.capability.to_string(),
                    first_few(&need.programs),
                    first_few(&need.syscalls),
                    need.count.to_string(),
                    why(need),
                ];
                (row, notes)
            })
            .collect();
        self.table(
            &["CAPABILITY", "PROGRAM", "SYSCALL", "COUNT", "WHY"],
            3,
            rows,
        );
    }

    /// Rows with their notes below; the column of numbers to the right.
    fn table(&mut self, titles: &[&str], numbers: usize, rows: Vec<(Vec<String>, Vec<String>)>) {
        if rows.is_empty() {
            return;
        }
        let titles = titles.iter().map(|title| (*title).to_owned()).collect();
        let rows: Vec<(Vec<String>, Vec<String>)> =
            [(titles, Vec::new())].into_iter().chain(rows).collect();
        let widths = widths(rows.iter().map(|(row, _)| row));
        for (index, (row, notes)) in rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                let style = match (index, column) {
                    (0, _) => self.styles.faint,
                    (_, 0) => self.styles.capability,
                    _ => Style::new(),
                };
                let cell = styled(cell, style);
                let _ = match column == numbers {
                    true => write!(line, " {padding}{cell} "),
                    false if column + 1 == row.len() => write!(line, " {cell}"),
                    false => write!(line, " {cell}{padding} "),
                };
            }
            self.styled(&line);
            for note in notes {
                let note = styled(&format!("      {note}"), self.styles.faint);
                self.styled(&note);
            }
        }
    }

    /// What else of `--privileged` was used.
    fn beyond(&mut self, privileges: Option<&Privileges>, set: CapabilitySet) {
        let lines =
            privileges.map_or_else(Vec::new, |privileges| privileged::section(privileges, set));
        if lines.is_empty() {
            return;
        }
        self.heading("beyond capabilities: what else of --privileged was used");
        for line in lines {
            self.line(&format!("  {line}"));
        }
    }

    fn blind_spots<'b>(&mut self, spots: impl ExactSizeIterator<Item = &'b BlindSpot>) {
        if spots.len() == 0 {
            return;
        }
        self.heading("what could not be seen");
        let mut grouped: Vec<(&str, Vec<String>)> = Vec::new();
        for spot in spots {
            let name = spot
                .capability
                .map_or_else(|| "any".to_owned(), |capability| capability.to_string());
            match grouped
                .iter_mut()
                .find(|(reason, _)| *reason == spot.reason)
            {
                Some((_, names)) => names.push(name),
                None => grouped.push((&spot.reason, vec![name])),
            }
        }
        for (reason, mut names) in grouped {
            names.dedup();
            self.line(&format!("  {}: {reason}", names.join(", ")));
        }
    }

    fn optional(&mut self, profile: &Profile) {
        let optional: Vec<&CheckSummary> = profile
            .findings
            .dismissed
            .iter()
            .filter(|entry| entry.optional && entry.rule != capprof_profile::classify::HARD_LINK)
            .collect();
        if optional.is_empty() {
            return;
        }
        self.heading("works without, but does less");
        for entry in optional {
            self.line(&format!(
                "  {} ({}): {}",
                entry.capability,
                first_few(&entry.programs),
                entry.explanation
            ));
        }
    }

    fn refused(&mut self, profile: &Profile) {
        let refused: Vec<&CheckSummary> = profile
            .findings
            .denied
            .iter()
            .filter(|entry| ["refused", "initial-namespace"].contains(&entry.rule.as_str()))
            .collect();
        if refused.is_empty() {
            return;
        }
        self.heading("asked for and refused while recording");
        for entry in refused {
            self.line(&format!(
                "  {} ({}{}, {}x): {}",
                entry.capability,
                first_few(&entry.programs),
                match entry.syscalls.is_empty() {
                    true => String::new(),
                    false => format!(": {}", first_few(&entry.syscalls)),
                },
                entry.count,
                entry.explanation
            ));
        }
    }

    fn dismissed(&mut self, profile: &Profile) {
        let dismissed: Vec<String> = profile
            .findings
            .dismissed
            .iter()
            .filter(|entry| !entry.optional)
            .map(|entry| format!("{} {}x ({})", entry.capability, entry.count, entry.rule))
            .collect();
        if dismissed.is_empty() {
            return;
        }
        self.text.push('\n');
        let line = styled(
            &format!("asked and not needed: {}", dismissed.join(", ")),
            self.styles.faint,
        );
        self.styled(&line);
    }

    fn notes(&mut self, profile: &Profile) {
        if !profile.conditions.relaxed.is_empty() {
            self.heading("relaxed while recording, for this would have hidden uses");
            for relaxation in &profile.conditions.relaxed {
                self.line(&format!("  {}: {}", relaxation.pointer, relaxation.change));
            }
        }
        if !profile.findings.notes.is_empty() {
            self.heading("notes");
            for note in &profile.findings.notes {
                self.line(&format!("  {note}"));
            }
        }
    }

    fn forms<'b>(&mut self, workload: impl Into<Workload<'b>>) {
        let workload = workload.into();
        for engine in Engine::ALL {
            let heading = match engine {
                Engine::Kubernetes => "Kubernetes".to_owned(),
                Engine::Quadlet => "Quadlet".to_owned(),
                other => other.to_string(),
            };
            self.heading(&heading);
            match form(engine, workload.clone()) {
                Ok(form) => {
                    for line in form.lines() {
                        self.line(&format!("  {line}"));
                    }
                }
                Err(unable) => self.line(&format!("  # {}", unable.reason)),
            }
        }
    }
}

/// The verdict on a minimized set and what it rests on, each line with a newline.
pub(crate) fn verdict(verification: &Verification) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&printable(&line));
        text.push('\n');
    };
    line(match verification.verdict {
        Verdict::Verified => format!("verified {}", verification.date),
        Verdict::NotVerified => format!("NOT VERIFIED {}", verification.date),
    });
    for failure in &verification.failures {
        line(format!("  failed: {failure}"));
    }
    if !verification.suggested.is_empty() {
        let names: Vec<String> = verification
            .suggested
            .iter()
            .map(|capability| capability.to_string())
            .collect();
        line(format!("  add: {}", names.join(", ")));
    }
    for comparison in &verification.compared {
        if !comparison.passed {
            continue;
        }
        let what = match comparison.what {
            Compared::Exit => "the program: ",
            Compared::Check => "check: ",
            Compared::Denied => "",
        };
        let before = match &comparison.profiled {
            Some(before) if *before == comparison.verified => ", as when profiled".to_owned(),
            Some(before) => format!(" (when profiled: {before})"),
            None => String::new(),
        };
        line(format!("  {what}{}{before}", comparison.verified));
    }
    for note in &verification.notes {
        line(format!("  note: {note}"));
    }
    if !verification.command.is_empty() {
        line(format!("  run by: {}", verification.command.join(" ")));
    }
    text
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Used => "used",
        Reason::EnforcingSilent => "used, asked silently",
        Reason::PreExec => "to start the program",
        Reason::FileCapability => "file capability",
        Reason::CapsetCompatibility => "set by capset(2)",
        Reason::SeccompFilter => "seccomp filter",
    }
}

fn would_do(others: impl Iterator<Item = Capability>) -> String {
    let others: Vec<String> = others.map(|other| other.to_string()).collect();
    format!("{} would do instead", others.join(" or "))
}

fn why(need: &Need) -> String {
    let reason = reason(need.reason);
    if let Some((plain, _)) = purpose(need) {
        return format!("{reason}: {plain}");
    }
    let site = need.sites.first().map(|site| {
        site.split(" < ")
            .filter(|frame| !is_wrapper(frame))
            .take(FRAMES)
            .collect::<Vec<_>>()
            .join(" < ")
    });
    match site.filter(|site| !site.is_empty()) {
        Some(site) => format!("{reason}: {site}"),
        None => reason.to_owned(),
    }
}

/// What the first place was asked for, as the atlas has it: in plain words, and what it is like without, with the function that asks.
fn purpose(need: &Need) -> Option<(String, String)> {
    let functions = need.sites.first()?.split(" < ").map(function);
    let places = atlas::asked(need.capability, functions);
    let unique = |text: fn(&Site) -> &'static str| {
        let mut texts: Vec<&str> = places.iter().map(|place| text(place)).collect();
        texts.dedup();
        match texts.len() > PURPOSES {
            true => format!("{}, …", texts.get(..PURPOSES)?.join(", or ")).into(),
            false => Some(texts.join(", or ")),
        }
    };
    let place = places.first()?;
    let without = format!(
        "{}: {} ({})",
        place.class.meaning(),
        unique(|place| place.without)?,
        place.function
    );
    Some((unique(|place| place.plain)?, without))
}

/// A frame's function: without offset, module and the suffixes of copies.
fn function(frame: &str) -> &str {
    frame.split(['.', '+', ' ']).next().unwrap_or(frame)
}

/// The functions through which everybody asks say nothing.
fn is_wrapper(frame: &str) -> bool {
    [
        "capable",
        "ns_capable",
        "ns_capable_noaudit",
        "ns_capable_setid",
        "file_ns_capable",
        "has_capability_noaudit",
        "has_ns_capability_noaudit",
        "has_ns_capability",
        "capable_wrt_inode_uidgid",
        "sockopt_ns_capable",
        "sockopt_capable",
    ]
    .contains(&frame)
}

fn first_few(names: &[String]) -> String {
    match names {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one}, {two}"),
        [one, two, rest @ ..] => format!("{one}, {two}, +{}", rest.len()),
    }
}

fn widths<'a>(rows: impl Iterator<Item = &'a Vec<String>> + Clone) -> Vec<usize> {
    let columns = rows.clone().map(Vec::len).max().unwrap_or_default();
    (0..columns)
        .map(|column| {
            rows.clone()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect()
}

fn styled(text: &str, style: Style) -> String {
    format!("{style}{}{style:#}", printable(text))
}

fn shortened(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// An id as docker and podman show it, where it is one of theirs.
fn short_id(id: &str) -> String {
    match id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => id.chars().take(12).collect(),
        false => shortened(id, 24),
    }
}

/// The table of `capprofctl list`, newest first, each line with a newline; empty for no profiles.
pub(crate) fn list(summaries: &[Summary], styles: &Styles) -> String {
    if summaries.is_empty() {
        return String::new();
    }
    let mut rows = vec![
        ["RECORDING", "CONTAINER", "NAME", "IMAGE", "STATE", "NEEDS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for summary in summaries {
        let workload = &summary.workload;
        let name = summary
            .name
            .clone()
            .or_else(|| match (&workload.pod, &workload.container) {
                (Some(pod), Some(container)) => Some(format!("{pod}/{container}")),
                (_, container) => container.clone(),
            })
            .unwrap_or_else(|| "-".to_owned());
        let needs = summary
            .minimized
            .iter()
            .map(|capability| capability.short_name())
            .collect::<Vec<_>>();
        rows.push(vec![
            summary.recording_id.clone(),
            short_id(&summary.container_id),
            shortened(&name, 40),
            shortened(workload.image.as_deref().unwrap_or("-"), 40),
            match (summary.complete, &summary.verification) {
                (false, _) => "INCOMPLETE".to_owned(),
                (true, None) => "complete".to_owned(),
                (true, Some(standing)) => match standing.verdict {
                    Verdict::Verified => "verified".to_owned(),
                    Verdict::NotVerified => "NOT VERIFIED".to_owned(),
                },
            } + &summary
                .exit
                .filter(|exit| exit.is_failure())
                .map_or_else(String::new, |exit| format!(", {exit}")),
            match needs.is_empty() {
                true => "nothing".to_owned(),
                false => needs.join(" "),
            },
        ]);
    }
    let widths = widths(rows.iter());
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let style = match (index, cell.as_str()) {
                (0, _) => styles.faint,
                (_, "INCOMPLETE" | "NOT VERIFIED") => styles.warning,
                _ => Style::new(),
            };
            line.push_str(&styled(cell, style));
            line.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::assemble::profile;
    use capprof_profile::fixtures;
    use snapbox::assert_data_eq;

    fn full() -> Profile {
        profile(
            &fixtures::recording("web-1", "20261123T150102Z-1a2b3c4d"),
            fixtures::reports(),
            fixtures::full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            fixtures::host(),
        )
    }

    #[test]
    fn the_report_of_a_profile_with_everything() {
        assert_data_eq!(
            text(&full(), &Styles::default()),
            snapbox::str![[r#"
INCOMPLETE: eBPF: 2 checks lost: map full. Capabilities may be missing below: record again.
web: nginx -g daemon off; (docker.io/library/nginx:1.27)
recorded 2026-11-23T15:01:02Z by eBPF (tp_btf/cap_capable), run by runc on Linux 6.12.117+deb13-amd64; 20261123T150102Z-1a2b3c4d

needs 4 capabilities (the engine gave 2)
the container failed (exit status 3): what it did not get to do was not seen
  CAPABILITY            PROGRAM         SYSCALL  COUNT  WHY
  CAP_DAC_READ_SEARCH   program         openat       1  used: read or pass through another user's directory, or read another user's file
      seen by eBPF alone; SELinux did not: unexplained
      refused without: listing or passing through a directory against its mode: EACCES, or reading a file against its mode: EACCES (generic_permission)
      CAP_DAC_OVERRIDE would do instead
  CAP_SETUID            nginx           capset       1  set by capset(2)
      may not be needed, which only a run without it tells: many programs list what they find that they hold, or ignore a refusal
  CAP_NET_BIND_SERVICE  nginx, program  bind         2  used: bind to a port below 1024
      refused without: bind(2) to a port below net.ipv4.ip_unprivileged_port_start: EACCES (__inet_bind)
  CAP_NET_RAW           ping            -            1  file capability
      file capability of /usr/bin/ping, which cannot be executed without

what could not be seen
  any: kernel functions could not be named
  CAP_DAC_OVERRIDE: program made hard links to files that it may not both read and write by their mode: fails without, or without CAP_FOWNER, for files of other users; which files these were was not seen

asked for and refused while recording
  CAP_SYS_TIME (program: adjtimex, 1x): asked of the initial user namespace, and the container lives in another: no capability set can grant it

asked and not needed: CAP_SYS_ADMIN 1x (overcommit)

relaxed while recording, for this would have hidden uses
  /linux/seccomp: default action SCMP_ACT_ERRNO now SCMP_ACT_ALLOW

docker
  # NET_BIND_SERVICE is needed with the host's network alone: in a container's own, docker lets everybody bind ports below 1024
  docker run --cap-drop=all --cap-add=DAC_READ_SEARCH --cap-add=SETUID --cap-add=NET_BIND_SERVICE --cap-add=NET_RAW docker.io/library/nginx:1.27

podman
  podman run --cap-drop=all --cap-add=DAC_READ_SEARCH --cap-add=SETUID --cap-add=NET_BIND_SERVICE --cap-add=NET_RAW docker.io/library/nginx:1.27

Kubernetes
  securityContext:
    capabilities:
      drop: ["ALL"]
      add: ["DAC_READ_SEARCH", "SETUID", "NET_BIND_SERVICE", "NET_RAW"]

compose
  # NET_BIND_SERVICE is needed with the host's network alone: in a container's own, docker lets everybody bind ports below 1024
  services:
    web:
      cap_drop: ["ALL"]
      cap_add: ["DAC_READ_SEARCH", "SETUID", "NET_BIND_SERVICE", "NET_RAW"]

Quadlet
  [Container]
  DropCapability=all
  AddCapability=DAC_READ_SEARCH SETUID NET_BIND_SERVICE NET_RAW

systemd
  [Service]
  CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SETUID CAP_NET_BIND_SERVICE CAP_NET_RAW

"#]]
        );
    }

    #[test]
    fn an_incomplete_profile_says_so_first() {
        let mut profile = full();
        let report = text(&profile, &Styles::default());
        assert!(report.starts_with("INCOMPLETE: eBPF: 2 checks lost: map full."));
        profile.complete = true;
        assert!(!text(&profile, &Styles::default()).contains("INCOMPLETE"));
    }

    #[test]
    fn nothing_from_the_container_reaches_the_terminal_as_an_escape_sequence() {
        let mut profile = full();
        profile.findings.needed[0].programs = vec!["\u{1b}[2Jevil\n".to_owned()];
        profile.origin.process.args = vec!["\u{1b}]0;title\u{7}".to_owned()];
        profile.findings.notes = vec!["\u{1b}[31m".to_owned()];
        profile.findings.blind_spots[0].reason = "\u{1b}c".to_owned();
        assert!(!text(&profile, &Styles::default()).contains('\u{1b}'));
        // Colours are escape sequences of our own.
        assert!(text(&profile, &Styles::coloured()).contains("\u{1b}[1m"));
    }

    #[test]
    fn the_report_of_a_merged_profile() {
        let mut merge = crate::merge::Merge::default();
        let mut other = full();
        other.origin.recording_id = "20261201T000000Z-00000002".to_owned();
        other.complete = true;
        other.findings.needed.truncate(1);
        for profile in [&full(), &other] {
            merge.add(&serde_json::to_vec(profile).unwrap()).unwrap();
        }
        let report = merged(&merge.finish(false).unwrap(), &Styles::default());
        let (table, _) = report.split_once("\ndocker\n").unwrap();
        assert_data_eq!(
            table,
            snapbox::str![[r#"
INCOMPLETE: 1 of 2 runs lost something: 20261123T150102Z-1a2b3c4d
web (docker.io/library/nginx:1.27)
2 runs from 2026-11-23T15:01:02Z to 2026-11-23T15:01:02Z; the last new capability appeared at 2026-11-23T15:01:02Z, 0 complete runs since

needs 4 capabilities
  CAPABILITY            RUNS  FIRST SEEN            PROGRAM         SYSCALL  WHY
  CAP_DAC_READ_SEARCH      2  2026-11-23T15:01:02Z  program         openat   used
      CAP_DAC_OVERRIDE would do instead
  CAP_SETUID               1  2026-11-23T15:01:02Z  nginx           capset   set by capset(2)
  CAP_NET_BIND_SERVICE     1  2026-11-23T15:01:02Z  nginx, program  bind     used
  CAP_NET_RAW              1  2026-11-23T15:01:02Z  ping            -        file capability

what could not be seen
  any: kernel functions could not be named
  CAP_DAC_OVERRIDE: program made hard links to files that it may not both read and write by their mode: fails without, or without CAP_FOWNER, for files of other users; which files these were was not seen

"#]]
        );
    }

    #[test]
    fn the_list() {
        let summary = Summary {
            schema: capprof_profile::profile::SCHEMA.to_owned(),
            recording_id: "20261123T150102Z-1a2b3c4d".to_owned(),
            container_id: "0123456789abcdef".repeat(4),
            name: None,
            workload: capprof_profile::recording::Workload {
                image: Some("docker.io/library/nginx:1.27".to_owned()),
                pod: Some("web-0".to_owned()),
                container: Some("nginx".to_owned()),
                ..Default::default()
            },
            finished: "2026-11-23T15:02:00Z".to_owned(),
            complete: false,
            exit: None,
            minimized: [capprof_profile::Capability::CHOWN].into_iter().collect(),
            verification: None,
        };
        assert_data_eq!(
            list(&[summary], &Styles::default()),
            snapbox::str![[r#"
RECORDING                  CONTAINER     NAME         IMAGE                         STATE       NEEDS
20261123T150102Z-1a2b3c4d  0123456789ab  web-0/nginx  docker.io/library/nginx:1.27  INCOMPLETE  CHOWN

"#]]
        );
        assert_eq!(list(&[], &Styles::default()), "");
    }
}
