//! What can be recorded on this host, and why not what cannot.

use crate::recorders::RECORDERS;
use capprof_store::recording::{self, Directory};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Prints one JSON object: `{"version": …, "recorders": {"ebpf": …, "selinux": …}, "recordings": N, "pending": ["RECORDING: PROBLEM"]}`.
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
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "recorders": recorders,
        "recordings": Directory::list(state, None).map_or(0, |list| list.len()),
        "pending": pending,
    });
    let mut output = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, &report)?;
    writeln!(output)?;
    Ok(())
}
