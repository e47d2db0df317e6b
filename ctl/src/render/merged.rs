//! The report of many runs in one.

use super::object;
use super::page::Page;
use super::printable::printable;
use super::risk::words;
use super::shortened::first_few;
use super::styles::{Styles, styled};
use super::why::{reason, would_do};
use crate::merge::Merged;
use capprof_profile::profile::Reason;
use std::fmt::Write;

/// The report of a merged profile, each line with a newline.
pub(crate) fn merged(merged: &Merged, all_forms: bool, styles: &Styles) -> String {
    let mut report = Page::new(styles);
    head(&mut report, merged);
    needs(&mut report, merged);
    report.beyond(merged.privileges.as_ref(), merged.minimized);
    report.blind_spots(merged.blind_spots.iter());
    report.forms(merged, all_forms);
    report.text
}

/// Each capability that a run needed, with the number of runs.
fn needs(page: &mut Page<'_>, merged: &Merged) {
    if merged.needed.is_empty() {
        return;
    }
    page.heading("why");
    let width = merged
        .needed
        .iter()
        .map(|need| need.capability.to_string().len())
        .max()
        .unwrap_or_default();
    let styles = *page.styles;
    for need in &merged.needed {
        let known = words(need.capability);
        let label = format!(
            "{:width$}  {:8}",
            need.capability.to_string(),
            known.risk.word()
        );
        let programs: Vec<String> = need.programs.iter().cloned().collect();
        let sentence = match need.reason {
            Reason::Used | Reason::EnforcingSilent => {
                format!("lets {} {}", first_few(&programs), known.does)
            }
            other => format!("{}: {}", first_few(&programs), reason(other)),
        };
        let sentence = match &need.first_object {
            Some(first) => format!("{sentence}: {}", object::with_program(&first.object)),
            None => sentence,
        };
        page.labelled(&label, &sentence, styles.capability);
        let indent = label.chars().count().saturating_add(4);
        let runs = merged.runs.len();
        let line = format!("in {} of {runs} runs, first {}", need.runs, need.first_seen);
        page.hanging(indent, &line, styles.faint);
        let note = if !merged.minimized.contains(need.capability) {
            format!(
                "not in the set: {} does as well",
                need.alternatives.intersection(merged.minimized)
            )
        } else if !need.alternatives.is_empty() {
            would_do(need.alternatives.iter())
        } else {
            continue;
        };
        page.hanging(indent, &note, styles.faint);
    }
}

/// The workload, and the number of capabilities that it needs.
fn head(page: &mut Page<'_>, merged: &Merged) {
    let runs = merged.runs.len();
    if !merged.complete {
        let line = styled(
            &format!(
                "INCOMPLETE: {} of {runs} runs lost something: {}",
                merged.incomplete_runs.len(),
                first_few(&merged.incomplete_runs)
            ),
            page.styles.warning,
        );
        page.styled(&line);
    }
    let names = first_few(&merged.names.iter().cloned().collect::<Vec<_>>());
    let images: Vec<String> = merged
        .workloads
        .iter()
        .filter_map(|workload| workload.image.clone())
        .collect();
    let line = styled(&names, page.styles.heading);
    let line = match images.is_empty() {
        true => line,
        false => format!("{line} ({})", printable(&first_few(&images))),
    };
    page.styled(&line);
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
    page.paragraph(&line, page.styles.faint);
    page.text.push('\n');
    let line = match merged.minimized.len() {
        0 => "needs no capabilities".to_owned(),
        1 => "needs 1 capability".to_owned(),
        number => format!("needs {number} capabilities"),
    };
    let line = styled(&line, page.styles.heading);
    page.styled(&line);
}
