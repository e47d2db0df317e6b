//! The report of many runs in one.

use super::names::first_few;
use super::page::Page;
use super::printable::printable;
use super::styles::{Styles, styled};
use super::why::{reason, would_do};
use crate::merge::Merged;
use std::fmt::Write;

/// The report of a merged profile, each line with a newline.
pub(crate) fn merged(merged: &Merged, styles: &Styles) -> String {
    let mut report = Page::new(styles);
    head(&mut report, merged);
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

/// Of what it is, and how many capabilities it needs.
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
    let line = styled(&line, page.styles.faint);
    page.styled(&line);
    page.text.push('\n');
    let line = match merged.minimized.len() {
        0 => "needs no capabilities".to_owned(),
        1 => "needs 1 capability".to_owned(),
        number => format!("needs {number} capabilities"),
    };
    let line = styled(&line, page.styles.heading);
    page.styled(&line);
}
