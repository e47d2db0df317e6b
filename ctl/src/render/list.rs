//! The table of profiles.

use super::printable::printable;
use super::shortened::{short_id, shortened};
use super::styles::{Styles, styled};
use anstyle::Style;
use capprof_profile::verification::Verdict;
use capprof_store::profiles::Summary;
use std::borrow::Cow;

/// The heading of the table.
const HEADING: [&str; 6] = ["RECORDING", "CONTAINER", "NAME", "IMAGE", "STATE", "NEEDS"];

/// The table of `capprofctl list`, row by row.
#[derive(Default)]
pub(crate) struct List {
    /// The width of the widest cell in each column, in characters; zero if there is no row yet.
    widths: [usize; 6],
}

impl List {
    /// Makes the columns wide enough for a profile.
    pub(crate) fn measure(&mut self, summary: &Summary) {
        let cells = cells(summary);
        let widths = cells.iter().map(|cell| cell.chars().count());
        let heading = HEADING.iter().map(|cell| cell.len());
        for (known, (width, heading)) in self.widths.iter_mut().zip(widths.zip(heading)) {
            *known = width.max(heading).max(*known);
        }
    }

    /// Makes the columns as wide as those of another part of the table.
    pub(crate) fn include(&mut self, part: &Self) {
        for (known, width) in self.widths.iter_mut().zip(part.widths) {
            *known = width.max(*known);
        }
    }

    /// The line above all rows; empty if there are no rows.
    pub(crate) fn heading(&self, styles: &Styles) -> String {
        let mut text = String::new();
        if self.widths != [0; 6] {
            let heading = HEADING.map(Cow::Borrowed);
            write_row(&mut text, &heading, &self.widths, |_| styles.faint);
        }
        text
    }

    /// Adds a profile's line, with a newline, to `text`.
    pub(crate) fn write_row(&self, text: &mut String, summary: &Summary, styles: &Styles) {
        write_row(text, &cells(summary), &self.widths, |cell| match cell {
            "INCOMPLETE" | "NOT VERIFIED" => styles.warning,
            _ => Style::new(),
        });
    }
}

fn write_row(
    text: &mut String,
    cells: &[Cow<'_, str>; 6],
    widths: &[usize; 6],
    style: impl Fn(&str) -> Style,
) {
    for (cell, width) in cells.iter().zip(widths) {
        let style = style(cell);
        match style.is_plain() {
            true => text.push_str(&printable(cell)),
            false => text.push_str(&styled(cell, style)),
        }
        let padding = width.saturating_sub(cell.chars().count()) + 2;
        text.extend(std::iter::repeat_n(' ', padding));
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// Returns the row of a profile.
fn cells(summary: &Summary) -> [Cow<'_, str>; 6] {
    let workload = &summary.workload;
    let in_pod = match (&summary.name, &workload.pod, &workload.container) {
        (None, Some(pod), Some(container)) => Some(format!("{pod}/{container}")),
        _ => None,
    };
    let name = match in_pod {
        Some(name) => shortened(&name, 40).into_owned().into(),
        None => {
            let name = summary.name.as_deref().or(workload.container.as_deref());
            shortened(name.unwrap_or("-"), 40)
        }
    };
    let verdict = summary.verification.as_ref().map(|it| it.verdict);
    let state = match (summary.complete, verdict) {
        (false, _) => "INCOMPLETE",
        (true, None) => "complete",
        (true, Some(Verdict::Verified)) => "verified",
        (true, Some(Verdict::StartedOnly)) => "started only",
        (true, Some(Verdict::NotVerified)) => "NOT VERIFIED",
    };
    let needs: Vec<String> = summary
        .answer
        .iter()
        .map(|capability| capability.short_name())
        .collect();
    [
        summary.recording_id.as_str().into(),
        short_id(&summary.container_id),
        name,
        shortened(workload.image.as_deref().unwrap_or("-"), 40),
        match summary.exit.filter(|exit| exit.is_failure()) {
            Some(exit) => format!("{state}, {exit}").into(),
            None => state.into(),
        },
        match needs.is_empty() {
            true => "nothing".into(),
            false => needs.join(" ").into(),
        },
    ]
}
