//! Finishes recordings whose container is gone and whose poststop hook never ran: crun after a failed create, a killed runtime, a killed engine.

use crate::{finish, journal, recorders, unit};
use capprof_profile::error::line;
use capprof_store::recording::{Directory, has_ended, is_abandoned};
use std::io::Write;
use std::path::Path;

/// Finishes every abandoned recording, cleans up after recordings that are gone, and prints a line for each action.
///
/// With `stopped` it also finishes recordings of containers that have ended and are not deleted yet. With `unload` it removes everything that the
/// recorders keep on the host, if no recording is left.
///
/// # Errors
/// All errors, joined on one line. An error does not stop the steps that follow.
pub fn run(state: &Path, stopped: bool, unload: bool) -> anyhow::Result<()> {
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for directory in Directory::list(state, None)? {
        if !(is_abandoned(&directory) || stopped && has_ended(&directory)) {
            continue;
        }
        let name = directory.path().display().to_string();
        match finish::finish(&directory) {
            Ok(()) => done.push(format!("finished abandoned recording {name}")),
            Err(error) => errors.push(format!("{name}: {}", line(error.as_ref()))),
        }
    }
    let (lines, failures) = recorders::sweep(state, |_| true);
    for line in &lines {
        journal::warning(line);
    }
    done.extend(lines);
    errors.extend(failures);
    let (lines, failures) = unit::sweep();
    done.extend(lines);
    errors.extend(failures);
    if unload && Directory::list(state, None)?.is_empty() {
        let (lines, failures) = recorders::unload();
        done.extend(lines);
        errors.extend(failures);
    }
    let mut output = std::io::stdout().lock();
    for line in done {
        // If the shim starts this, there is no standard output, so an error does not matter.
        let _ = writeln!(output, "{line}");
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(anyhow::anyhow!(errors.join("; "))),
    }
}
