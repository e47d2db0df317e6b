//! `capprofctl ps` and `capprofctl snapshot`

use crate::cli::ListFormat;
use crate::exit::Exit;
use crate::{hook, live, output, render};
use capprof_profile::live::{Progress, RowClass};
use capprof_profile::recording::Mode;
use capprof_store::recording::Directory;
use std::path::Path;

/// Shows the recordings in progress.
///
/// # Errors
/// `capprof-hook` could not be run, or failed.
pub(crate) fn run(state: &Path, format: ListFormat) -> anyhow::Result<Exit> {
    let recordings = live::so_far(state, &[])?;
    match format {
        ListFormat::Json => output::print_json(&recordings)?,
        ListFormat::Text => output::print(&render::columns(
            &[
                "RECORDING",
                "CONTAINER",
                "MODE",
                "SINCE",
                "USED",
                "REFUSED",
                "LAST NEW",
            ],
            &recordings.iter().map(row).collect::<Vec<_>>(),
            &output::styles(),
        ))?,
    }
    Ok(Exit::Success)
}

fn row(progress: &Progress) -> Vec<String> {
    let profile = &progress.profile;
    let findings = &profile.findings;
    let last_new = findings.needed.iter().map(|need| need.first_ms).max();
    let refused = progress
        .rows
        .iter()
        .filter(|row| row.class == RowClass::Refused)
        .map(|row| row.capability)
        .collect::<capprof_profile::CapabilitySet>();
    vec![
        profile.origin.recording_id.clone(),
        live::name(profile),
        mode(profile.conditions.mode).to_owned(),
        age(progress.elapsed_ms),
        format!(
            "{} of {}",
            findings.minimized.len(),
            profile.conditions.granted.bounding.len()
        ),
        refused.len().to_string(),
        last_new.map_or_else(
            || "-".to_owned(),
            |first| format!("{} ago", age(progress.elapsed_ms.saturating_sub(first))),
        ),
    ]
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Profile => "profile",
        Mode::Enforce => "enforce",
        Mode::Verify => "verify",
        Mode::Observe => "observe",
    }
}

/// A time in the largest unit of which it is at least one: `42s`, `7m`, `3h`, `12d`.
pub(crate) fn age(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// Stores the interim results of recordings in progress.
///
/// # Errors
/// There is no such recording, or `capprof-hook` failed.
pub(crate) fn snapshot(state: &Path, wanted: &[String]) -> anyhow::Result<Exit> {
    let directories = wanted
        .iter()
        .map(|wanted| super::watch::recording(state, wanted))
        .collect::<anyhow::Result<Vec<Directory>>>()?;
    let arguments = live::arguments("snapshot", state, &directories);
    output::print_raw(&hook::quiet(&arguments)?)?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_the_largest_unit_that_fits() {
        for (milliseconds, expected) in [
            (999, "0s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (3_600_000, "1h"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(age(milliseconds), expected);
        }
    }
}
