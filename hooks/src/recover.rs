//! Finishes recordings whose container is gone and whose poststop hook never ran: crun after a failed create, a killed runtime, a killed engine.

use crate::{collect, ebpf, journal, selinux};
use capprof_profile::error::line;
use capprof_profile::recording::{Directory, has_ended, is_abandoned};
use std::io::Write;
use std::path::Path;

/// Finishes every abandoned recording (with `stopped` also those of containers that have ended and that nobody has deleted yet), gives back what recordings that are gone had armed, and says what was done, a line each.
///
/// # Errors
/// All that went wrong, joined on one line; nothing stops at the first.
pub(crate) fn run(state: &Path, stopped: bool, unload: bool) -> anyhow::Result<()> {
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for directory in Directory::list(state, None)? {
        if !(is_abandoned(&directory) || stopped && has_ended(&directory)) {
            continue;
        }
        let name = directory.path().display().to_string();
        match collect::finish(&directory) {
            Ok(()) => done.push(format!("finished abandoned recording {name}")),
            Err(error) => errors.push(format!("{name}: {}", line(error.as_ref()))),
        }
    }
    let live: Vec<String> = Directory::list(state, None)?
        .iter()
        .filter_map(|directory| Some(directory.load().ok()?.id))
        .collect();
    match selinux::sweep(state) {
        Ok(lines) => {
            for line in &lines {
                journal::warning(line);
            }
            done.extend(lines);
        }
        Err(error) => errors.push(error.to_string()),
    }
    match ebpf::sweep(&live) {
        Ok(lines) => done.extend(lines),
        Err(error) => errors.push(error.to_string()),
    }
    if unload && live.is_empty() {
        match ebpf::unload() {
            Ok(true) => done.push("unloaded the eBPF programs".to_owned()),
            Ok(false) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    let mut output = std::io::stdout().lock();
    for line in done {
        // Nobody may be listening: the sweep that the shim starts has no standard output.
        let _ = writeln!(output, "{line}");
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(anyhow::anyhow!(errors.join("; ")))
    }
}
