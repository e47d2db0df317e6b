//! Ends a recording: in the poststop hook, or in recovery if a container's hook never ran.

use crate::recorder::Recorder;
use crate::recorders::{self, ArmedRecorders};
use crate::{journal, results};
use anyhow::{Context, bail};
use capprof_profile::error::line;
use capprof_profile::observation::{self, Evidence};
use capprof_profile::profile::{HostReport, RecorderReport};
use capprof_profile::recorded_profile;
use capprof_profile::recording::{Mode, Recording};
use capprof_store::file;
use capprof_store::recording::{ARMED, Directory};
use capprof_store::time;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::time::Duration;

/// The evidence of the recorders, kept until the result is in the store.
const EVIDENCE: &str = "evidence.json";

/// The time to wait for another process that is finishing the same recording. Engines give a hook some seconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The evidence of a recording at its end, as the recording's directory keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Collected {
    finished: String,
    reports: Vec<RecorderReport>,
    evidence: Vec<(observation::RecorderName, Evidence)>,
}

/// Finishes a recording: collects the evidence, releases the recorders, writes the result, removes the recording.
///
/// A recording that another process is finishing, or has finished, is left alone. An error of one step does not stop the others, but the recording
/// is removed only if its result is in the store. Else it stays with its evidence and the reason ([`Directory::pending`]), and recovery tries
/// again.
///
/// # Errors
/// All errors, joined on one line.
pub fn finish(directory: &Directory) -> anyhow::Result<()> {
    finish_known(directory, None)
}

/// As [`finish()`]; `recording` is the description in the directory, if the caller has already read it.
pub(crate) fn finish_known(
    directory: &Directory,
    recording: Option<Recording>,
) -> anyhow::Result<()> {
    let Some(_lock) = lock(directory)? else {
        return Ok(());
    };
    if !directory.is_described()? {
        // The shim was killed before it had described the recording, or another process was killed while it removed the recording.
        return Ok(directory.remove()?);
    }
    // The shim's file never changes.
    let recording = match recording {
        Some(recording) => recording,
        None => directory.load()?,
    };
    let mut problems = Vec::new();
    let is_stored = conclude(directory, &recording, &mut problems).unwrap_or_else(|error| {
        problems.push(line(error.as_ref()));
        false
    });
    if is_stored {
        problems.extend(directory.remove().err().map(|error| error.to_string()));
    } else {
        keep(directory, &mut problems);
    }
    // A recording that enforces has armed nothing, and a user other than root may have run the container.
    if recording.mode != Mode::Enforce {
        // A prestart hook that was killed while arming may have switched something without writing it down.
        let (lines, failures) = recorders::sweep(directory.state(), Recorder::switches_host);
        lines.iter().for_each(|line| journal::warning(line));
        problems.extend(failures);
    }
    match problems.is_empty() {
        true => Ok(()),
        false => bail!(problems.join("; ")),
    }
}

/// Locks the recording for this process; `None` if it is gone, or if another process removed it before it released the lock.
///
/// A process that does not get the lock waits: an engine removes the bundle as soon as the poststop hook returns, and the result must be there by then.
pub(crate) fn lock(directory: &Directory) -> anyhow::Result<Option<File>> {
    match file::lock_directory(directory.path(), LOCK_TIMEOUT) {
        Ok(lock) => Ok(directory.exists()?.then_some(lock)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("lock {}", directory.path().display())),
    }
}

/// Collects the evidence, releases the recorders, and writes the result. Returns true if the store has it, or if there is none to have.
///
/// # Errors
/// The prestart hook's file cannot be read; then nothing was done.
fn conclude(
    directory: &Directory,
    recording: &Recording,
    problems: &mut Vec<String>,
) -> anyhow::Result<bool> {
    if !directory.is_armed()? {
        return Ok(true);
    }
    let armed = load_armed(directory, problems)?;
    let Taken {
        collected,
        is_kept,
        forget,
    } = take(directory, recording, armed.as_ref(), problems)?;
    if let Some(armed) = &armed {
        problems.extend(armed.release(directory, recording));
    }
    let has_run = has_run(&collected);
    let profile = recorded_profile::profile(
        recording,
        collected.reports,
        collected.evidence,
        collected.finished,
        host(),
    );
    let is_stored = match recording.verifies() {
        Some(verified) if !has_run => {
            problems.push(format!(
                "the program of run {} was never started: profile {verified} stays as it is",
                recording.id
            ));
            true
        }
        _ => results::write(directory, recording, &profile, problems),
    };
    if is_kept || is_stored {
        problems.extend(
            forget
                .into_iter()
                .filter_map(|forget| forget().err())
                .map(|error| line(error.as_ref())),
        );
    }
    Ok(is_stored)
}

/// Reads the prestart hook's file; `None` if another version wrote it. Then a sweep releases the recorders that it armed.
///
/// # Errors
/// It cannot be read.
fn load_armed(
    directory: &Directory,
    problems: &mut Vec<String>,
) -> anyhow::Result<Option<ArmedRecorders>> {
    match directory.load_json(ARMED) {
        Ok(armed) => Ok(Some(armed)),
        Err(error) if error.source.kind() == io::ErrorKind::InvalidData => {
            problems.push(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The collected evidence, and the steps that are left.
struct Taken<'armed> {
    collected: Collected,
    /// True if it is in the recording's directory.
    is_kept: bool,
    /// Functions that make the recorders forget it.
    forget: Vec<Box<dyn FnOnce() -> anyhow::Result<()> + 'armed>>,
}

/// Returns the evidence that was collected before, or collects it.
///
/// # Errors
/// It was collected before and cannot be read.
fn take<'armed>(
    directory: &Directory,
    recording: &Recording,
    armed: Option<&'armed ArmedRecorders>,
    problems: &mut Vec<String>,
) -> anyhow::Result<Taken<'armed>> {
    match directory.load_json(EVIDENCE) {
        Ok(collected) => {
            return Ok(Taken {
                collected,
                is_kept: true,
                forget: armed.map_or_else(Vec::new, ArmedRecorders::forget_each),
            });
        }
        Err(error) => match error.source.kind() {
            // The file was not written yet, or another version wrote it.
            io::ErrorKind::NotFound | io::ErrorKind::InvalidData => {}
            _ => return Err(error.into()),
        },
    }
    let mut evidence = Vec::new();
    let mut forget: Vec<Box<dyn FnOnce() -> anyhow::Result<()>>> = Vec::new();
    for (recorder, collection) in armed.map_or_else(Vec::new, |armed| armed.collect(recording)) {
        evidence.push((recorder, collection.evidence));
        forget.push(collection.forget);
    }
    let collected = Collected {
        evidence,
        reports: armed.map_or_else(Vec::new, ArmedRecorders::reports),
        finished: time::now(),
    };
    let saved = directory.save_json(EVIDENCE, &collected);
    let is_kept = saved.is_ok();
    problems.extend(saved.err().map(|error| error.to_string()));
    Ok(Taken {
        collected,
        is_kept,
        forget,
    })
}

/// Returns false if the container's program is known to have never started: such a run proves nothing about a set. A program whose execution was
/// refused for lack of a capability counts as started.
fn has_run(collected: &Collected) -> bool {
    let never_started =
        |evidence: &Evidence| evidence.executed == Some(false) && evidence.observations.is_empty();
    // If there is no report, the prestart hook was interrupted.
    !collected.reports.is_empty()
        && !collected
            .evidence
            .iter()
            .any(|(_, evidence)| never_started(evidence))
}

/// Leaves the recording for recovery, and adds that to the problems.
fn keep(directory: &Directory, problems: &mut Vec<String>) {
    let problem = problems.join("; ");
    if let Err(error) = directory.set_pending(&problem) {
        problems.push(error.to_string());
    }
    problems.push(format!(
        "the recording is kept in {}: remove the cause, then run capprofctl recover",
        directory.path().display()
    ));
}

pub(crate) fn host() -> HostReport {
    let name = nix::sys::utsname::uname().ok();
    let text = |value: Option<&std::ffi::OsStr>| {
        value.map_or_else(String::new, |value| value.to_string_lossy().into_owned())
    };
    HostReport {
        kernel: text(name.as_ref().map(|name| name.release())),
        architecture: text(name.as_ref().map(|name| name.machine())),
        capprof: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
