//! The report that a person reads in ten seconds.

use super::names::{first_few, shortened};
use super::observed;
use super::page::Page;
use super::printable::printable;
use super::styles::{Styles, styled};
use super::verdict::verdict;
use super::why::{purpose, why, would_do};
use anstyle::Style;
use capprof_profile::profile::{CheckSummary, Profile};
use capprof_profile::recording::Mode;
use capprof_profile::verification::Verdict;
use std::fmt::Write;

/// The report of one profile, each line with a newline.
pub(crate) fn text(profile: &Profile, styles: &Styles) -> String {
    let mut report = Page::new(styles);
    incomplete(&mut report, profile);
    head(&mut report, profile);
    verification(&mut report, profile);
    needs(&mut report, profile);
    report.beyond(profile.privileges.as_ref(), profile.answer().0);
    report.blind_spots(profile.findings.blind_spots.iter());
    optional(&mut report, profile);
    refused(&mut report, profile);
    dismissed(&mut report, profile);
    notes(&mut report, profile);
    report.forms(profile);
    report.text
}

fn incomplete(page: &mut Page<'_>, profile: &Profile) {
    if profile.complete {
        return;
    }
    let reasons = profile.incomplete_because.join("; ");
    let line = styled(
        &format!("INCOMPLETE: {reasons}. Capabilities may be missing below: record again."),
        page.styles.warning,
    );
    page.styled(&line);
}

fn head(page: &mut Page<'_>, profile: &Profile) {
    let what = profile
        .origin
        .name
        .as_deref()
        .or(profile.origin.workload.container.as_deref())
        .unwrap_or(&profile.origin.container_id);
    let mut line = styled(what, page.styles.heading);
    if !profile.origin.process.args.is_empty() {
        let args = printable(&profile.origin.process.args.join(" "));
        let _ = write!(line, ": {}", shortened(&args, 60));
    }
    if let Some(image) = &profile.origin.workload.image {
        let _ = write!(line, " ({})", printable(image));
    }
    page.styled(&line);
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
        page.styles.faint,
    );
    page.styled(&line);
    page.text.push('\n');
    let had = profile.conditions.original.bounding.len();
    let (line, more) = match (profile.conditions.mode, profile.findings.minimized.len()) {
        (Mode::Observe, _) => observed::headline(profile),
        (_, 0) => (
            format!("needs no capabilities (the engine gave {had})"),
            vec![],
        ),
        (_, 1) => (
            format!("needs 1 capability (the engine gave {had})"),
            vec![],
        ),
        (_, number) => (
            format!("needs {number} capabilities (the engine gave {had})"),
            vec![],
        ),
    };
    let line = styled(&line, page.styles.heading);
    page.styled(&line);
    more.iter().for_each(|line| page.line(line));
    other_user(page, profile);
    ended(page, profile);
    shrunk(page, profile);
}

/// That a process which is not root holds nothing effective, and what it failed without.
fn other_user(page: &mut Page<'_>, profile: &Profile) {
    let uid = profile.origin.process.uid;
    if uid == 0 || !profile.conditions.original.ambient.is_empty() {
        return;
    }
    page.line(&format!(
        "user {uid} holds none effective today: what is used, set-user-ID programs and file capabilities took from the bounding set"
    ));
    if !profile.denied_needs.is_empty() && profile.conditions.mode != Mode::Observe {
        let names: Vec<String> = profile
            .denied_needs
            .iter()
            .map(|need| format!("{} ({})", need.capability, first_few(&need.programs)))
            .collect();
        page.line(&format!(
            "refused to user {uid}, and made system calls fail: {}",
            names.join(", ")
        ));
    }
}

/// How it ended, unless well: what did not work may not have used what it needs.
fn ended(page: &mut Page<'_>, profile: &Profile) {
    if let Some(exit) = profile.exit.filter(|exit| exit.is_failure()) {
        let line = styled(
            &format!("the container failed ({exit}): what it did not get to do was not seen"),
            page.styles.warning,
        );
        page.styled(&line);
    }
}

fn shrunk(page: &mut Page<'_>, profile: &Profile) {
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
    let line = styled(&line, page.styles.heading);
    page.styled(&line);
    if !shrunk.left_out.is_empty() {
        page.line(&format!("  does without: {}", shrunk.left_out));
    }
    if !shrunk.added.is_empty() {
        page.line(&format!(
            "  needs, though it was not seen: {}",
            shrunk.added
        ));
    }
}

fn verification(page: &mut Page<'_>, profile: &Profile) {
    let Some(verification) = &profile.verification else {
        return;
    };
    for (index, line) in verdict(verification).lines().enumerate() {
        let style = match (index, verification.verdict) {
            (0, Verdict::Verified) => page.styles.capability,
            (0, Verdict::StartedOnly | Verdict::NotVerified) => page.styles.warning,
            _ => Style::new(),
        };
        let line = styled(line, style);
        page.styled(&line);
    }
    page.text.push('\n');
}

fn needs(page: &mut Page<'_>, profile: &Profile) {
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
                match need.unclear {
                    Some(_) => format!("unclear, {}", why(need)),
                    None => why(need),
                },
            ];
            (row, notes)
        })
        .collect();
    page.table(
        &["CAPABILITY", "PROGRAM", "SYSCALL", "COUNT", "WHY"],
        3,
        rows,
    );
}

fn optional(page: &mut Page<'_>, profile: &Profile) {
    let optional: Vec<&CheckSummary> = profile
        .findings
        .dismissed
        .iter()
        .filter(|entry| entry.optional && entry.rule != capprof_profile::classify::HARD_LINK)
        .collect();
    if optional.is_empty() {
        return;
    }
    page.heading("works without, but does less");
    for entry in optional {
        page.line(&format!(
            "  {} ({}): {}",
            entry.capability,
            first_few(&entry.programs),
            entry.explanation
        ));
    }
}

fn refused(page: &mut Page<'_>, profile: &Profile) {
    let refused: Vec<&CheckSummary> = profile
        .findings
        .denied
        .iter()
        .filter(|entry| ["refused", "initial-namespace"].contains(&entry.rule.as_str()))
        .collect();
    if refused.is_empty() {
        return;
    }
    page.heading("asked for and refused while recording");
    for entry in refused {
        page.line(&format!(
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

fn dismissed(page: &mut Page<'_>, profile: &Profile) {
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
    page.text.push('\n');
    let line = styled(
        &format!("asked and not needed: {}", dismissed.join(", ")),
        page.styles.faint,
    );
    page.styled(&line);
}

fn notes(page: &mut Page<'_>, profile: &Profile) {
    if !profile.conditions.relaxed.is_empty() {
        page.heading("relaxed while recording, for this would have hidden uses");
        for relaxation in &profile.conditions.relaxed {
            page.line(&format!("  {}: {}", relaxation.pointer, relaxation.change));
        }
    }
    if !profile.findings.notes.is_empty() {
        page.heading("notes");
        for note in &profile.findings.notes {
            page.line(&format!("  {note}"));
        }
    }
}
