//! The table of profiles.

use super::names::{short_id, shortened};
use super::styles::{Styles, styled};
use anstyle::Style;
use capprof_profile::verification::Verdict;
use capprof_store::profiles::Summary;

/// The heading of the table.
const HEADING: [&str; 6] = ["RECORDING", "CONTAINER", "NAME", "IMAGE", "STATE", "NEEDS"];

/// The table of `capprofctl list`, newest first, each line with a newline; empty for no profiles.
pub(crate) fn list(summaries: &[Summary], styles: &Styles) -> String {
    if summaries.is_empty() {
        return String::new();
    }
    let heading = HEADING.map(str::to_owned);
    let mut widths = HEADING.map(str::len);
    // Twice, because the cells of a hundred thousand rows take more memory than the table.
    for summary in summaries {
        for (width, cell) in widths.iter_mut().zip(&cells(summary)) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    write_row(&mut text, &heading, &widths, |_| styles.faint);
    for summary in summaries {
        write_row(&mut text, &cells(summary), &widths, |cell| match cell {
            "INCOMPLETE" | "NOT VERIFIED" => styles.warning,
            _ => Style::new(),
        });
    }
    text
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

/// What the table says of a profile.
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
