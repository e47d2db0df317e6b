//! The table of profiles.

use super::names::{short_id, shortened};
use super::page::widths;
use super::styles::{Styles, styled};
use anstyle::Style;
use capprof_profile::verification::Verdict;
use capprof_store::profiles::Summary;

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
            .answer
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
