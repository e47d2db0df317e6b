//! Finds out what capprof can record on this host, and the reasons for what it cannot.

use crate::recorders::RECORDERS;
use capprof_store::recording::{self, Directory};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Prints one JSON object: `{"version": …, "recorders": {"ebpf": …, "selinux": …}, "recordings": N, "in_progress": ["RECORDING: CONTAINER"],
/// "pending": ["RECORDING: PROBLEM"]}`.
///
/// # Errors
/// Standard output is closed.
pub fn run(state: &Path) -> anyhow::Result<()> {
    let recorders: BTreeMap<&str, Value> = RECORDERS
        .into_iter()
        .map(|recorder| (recorder.name().name(), recorder.probe(state)))
        .collect();
    let pending: Vec<String> = recording::pending(state)
        .unwrap_or_default()
        .iter()
        .map(|(directory, pending)| format!("{}: {}", directory.path().display(), pending.problem))
        .collect();
    let recordings = Directory::list(state, None).unwrap_or_default();
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "recorders": recorders,
        "recordings": recordings.len(),
        "in_progress": in_progress(&recordings),
        "pending": pending,
    });
    let mut output = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, &report)?;
    writeln!(output)?;
    Ok(())
}

/// A line for each recording: its id and its container.
fn in_progress(recordings: &[Directory]) -> Vec<String> {
    recordings
        .iter()
        .filter_map(|directory| {
            let recording = directory.load().ok()?;
            let how = match recording.attached {
                Some(_) => ", attached to while it ran",
                None => "",
            };
            Some(format!(
                "{}: container {}{how}",
                recording.id, recording.container.id
            ))
        })
        .collect()
}
