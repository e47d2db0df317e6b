//! The table of profiles.

use super::shortened::{short_id, shortened};
use super::styles::{Styles, styled};
use anstyle::Style;
use capprof_profile::verification::Verdict;
use capprof_store::profiles::Summary;

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

    /// The line above all rows; empty if there are no rows.
    pub(crate) fn heading(&self, styles: &Styles) -> String {
        let mut text = String::new();
        if self.widths != [0; 6] {
            let heading = HEADING.map(str::to_owned);
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
    cells: &[String; 6],
    widths: &[usize; 6],
    style: impl Fn(&str) -> Style,
) {
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&styled(cell, style(cell)));
        let padding = width.saturating_sub(cell.chars().count()) + 2;
        text.extend(std::iter::repeat_n(' ', padding));
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// Returns the row of a profile.
fn cells(summary: &Summary) -> [String; 6] {
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
        .answer
        .iter()
        .map(|capability| capability.short_name())
        .collect::<Vec<_>>();
    [
        summary.recording_id.clone(),
        short_id(&summary.container_id),
        shortened(&name, 40),
        shortened(workload.image.as_deref().unwrap_or("-"), 40),
        match (summary.complete, &summary.verification) {
            (false, _) => "INCOMPLETE".to_owned(),
            (true, None) => "complete".to_owned(),
            (true, Some(standing)) => match standing.verdict {
                Verdict::Verified => "verified".to_owned(),
                Verdict::StartedOnly => "started only".to_owned(),
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
    ]
}
