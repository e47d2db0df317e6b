//! The report that a user reads in ten seconds: the answer, the form to paste, and the reasons.

use super::answer;
use super::evidence::{Use, uses};
use super::page::Page;
use super::shortened::first_few;
use super::styles::Styles;
use super::verdict::verdict;
use anstyle::Style;
use capprof_profile::profile::{CheckSummary, Profile};
use capprof_profile::verification::Verdict;

/// The detail of a report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Detail {
    /// True if it also shows kernel functions, checks that do not count, and relaxations.
    pub(crate) verbose: bool,
    /// True if it shows the form of every engine instead of only the one that was used.
    pub(crate) all_forms: bool,
}

/// The report of one profile, each line with a newline.
pub(crate) fn text(profile: &Profile, detail: Detail, styles: &Styles) -> String {
    let mut page = Page::new(styles);
    head(&mut page, profile);
    page.forms(profile, detail.all_forms);
    why(&mut page, profile, detail);
    page.beyond(profile.privileges.as_ref(), profile.answer().0);
    page.blind_spots(profile.findings.blind_spots.iter());
    optional(&mut page, profile);
    refused(&mut page, profile);
    verification(&mut page, profile);
    let kubernetes = profile.origin.workload.engine.as_deref() == Some("kubernetes");
    if kubernetes || detail.all_forms || detail.verbose {
        page.heading("Pod Security Standards");
        page.item(&answer::pod_security(profile), Style::new());
    }
    if detail.verbose {
        dismissed(&mut page, profile);
        relaxed(&mut page, profile);
    }
    if !profile.findings.notes.is_empty() {
        page.heading("notes");
        for note in &profile.findings.notes {
            page.item(note, Style::new());
        }
    }
    foot(&mut page, profile, detail);
    page.text
}

fn head(page: &mut Page<'_>, profile: &Profile) {
    for warning in answer::warnings(profile) {
        page.paragraph(&warning, page.styles.warning);
    }
    let mut title = answer::name(profile);
    let command = answer::command(profile);
    if !command.is_empty() {
        title.push_str(&format!(": {command}"));
    }
    if let Some(image) = &profile.origin.workload.image {
        title.push_str(&format!(" ({image})"));
    }
    page.paragraph(&title, Style::new());
    page.paragraph(&answer::headline(profile), page.styles.heading);
    for remark in answer::remarks(profile) {
        page.paragraph(&remark, Style::new());
    }
}

fn why(page: &mut Page<'_>, profile: &Profile, detail: Detail) {
    let uses = uses(profile);
    if uses.is_empty() {
        return;
    }
    page.heading("why");
    let width = uses
        .iter()
        .map(|one| one.need.capability.to_string().len())
        .max()
        .unwrap_or_default();
    for one in &uses {
        member(page, one, width, detail);
    }
}

fn member(page: &mut Page<'_>, one: &Use<'_>, width: usize, detail: Detail) {
    let label = format!(
        "{:width$}  {:8}",
        one.need.capability.to_string(),
        one.risk.word()
    );
    let sentence = one.full_sentence(first_few);
    let styles = *page.styles;
    page.labelled(&label, &sentence, styles.capability);
    let indent = label.chars().count().saturating_add(4);
    page.hanging(indent, &one.when, styles.faint);
    for note in &one.notes {
        page.hanging(indent, note, styles.faint);
    }
    if detail.verbose {
        for line in &one.details {
            page.hanging(indent, line, styles.faint);
        }
    }
}

fn optional(page: &mut Page<'_>, profile: &Profile) {
    let optional = answer::optional(profile);
    if optional.is_empty() {
        return;
    }
    page.heading("works without, but does less");
    for entry in optional {
        page.item(
            &format!(
                "{} ({}): {}",
                entry.capability,
                first_few(&entry.programs),
                entry.explanation
            ),
            Style::new(),
        );
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
        let calls = match entry.syscalls.is_empty() {
            true => String::new(),
            false => format!(": {}", first_few(&entry.syscalls)),
        };
        page.item(
            &format!(
                "{} ({}{calls}, {}x): {}",
                entry.capability,
                first_few(&entry.programs),
                entry.count,
                entry.explanation
            ),
            Style::new(),
        );
    }
}

fn verification(page: &mut Page<'_>, profile: &Profile) {
    let Some(verification) = &profile.verification else {
        return;
    };
    let styles = *page.styles;
    page.heading("tried out");
    for (index, line) in verdict(verification).lines().enumerate() {
        let style = match (index, verification.verdict) {
            (0, Verdict::Verified) => styles.capability,
            (0, Verdict::StartedOnly | Verdict::NotVerified) => styles.warning,
            _ => Style::new(),
        };
        page.item(line, style);
    }
}

fn dismissed(page: &mut Page<'_>, profile: &Profile) {
    let dismissed: Vec<&CheckSummary> = profile
        .findings
        .dismissed
        .iter()
        .filter(|entry| !entry.optional)
        .collect();
    if dismissed.is_empty() {
        return;
    }
    page.heading("asked and not needed");
    for entry in dismissed {
        page.item(
            &format!(
                "{} ({}, {}x): {} [{}]",
                entry.capability,
                first_few(&entry.programs),
                entry.count,
                entry.explanation,
                entry.rule
            ),
            Style::new(),
        );
    }
}

fn relaxed(page: &mut Page<'_>, profile: &Profile) {
    if profile.conditions.relaxed.is_empty() {
        return;
    }
    page.heading("relaxed while recording, because this would have hidden uses");
    for relaxation in &profile.conditions.relaxed {
        page.item(
            &format!("{}: {}", relaxation.pointer, relaxation.change),
            Style::new(),
        );
    }
}

/// The circumstances of the recording, and the omissions of the report.
fn foot(page: &mut Page<'_>, profile: &Profile, detail: Detail) {
    page.text.push('\n');
    let faint = page.styles.faint;
    page.paragraph(&answer::recorded(profile), faint);
    let mut more = Vec::new();
    if !detail.verbose {
        let hidden = profile
            .findings
            .dismissed
            .iter()
            .filter(|entry| !entry.optional)
            .count();
        more.push(match hidden {
            0 => "--verbose: the kernel's side".to_owned(),
            1 => "--verbose: the kernel's side, and 1 kind of check that does not count".to_owned(),
            _ => format!(
                "--verbose: the kernel's side, and {hidden} kinds of checks that do not count"
            ),
        });
    }
    if !detail.all_forms {
        more.push("--all-forms: for other engines".to_owned());
    }
    if !more.is_empty() {
        page.paragraph(&more.join("; "), faint);
    }
}
