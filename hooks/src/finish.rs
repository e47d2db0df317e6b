//! The end of a recording: in the poststop hook, or in recovery for a container whose hook never ran.

use crate::journal;
use crate::recorders::{self, ArmedRecorders};
use anyhow::Context;
use capprof_profile::assemble;
use capprof_profile::error::line;
use capprof_profile::observation::{Evidence, Recorder};
use capprof_profile::profile::{HostReport, Profile};
use capprof_profile::recording::{Mode, Recording};
use capprof_profile::verification::{self, Outside};
use capprof_store::file;
use capprof_store::recording::{ARMED, Directory};
use capprof_store::{config_json, profiles};
use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What the recorders saw, kept until a result has been written.
const EVIDENCE: &str = "evidence.json";

/// How long to wait for another process that is finishing the same recording. Engines give a hook some seconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The recorders' evidence, as it is kept in the recording's directory.
#[derive(Debug, Serialize, Deserialize)]
struct Collected {
    finished: String,
    evidence: Vec<(Recorder, Evidence)>,
}

/// Finishes a recording: collects, classifies, minimizes, writes, restores config.json, gives back what was armed, removes the recording.
///
/// An error of one step does not stop the others. A recording that another process finishes meanwhile, or has finished, is left alone.
/// If no result could be written, the recording stays with its evidence, and recovery tries again.
///
/// # Errors
/// All that went wrong, joined on one line.
pub fn finish(directory: &Directory) -> anyhow::Result<()> {
    let Some(_lock) = lock(directory)? else {
        return Ok(());
    };
    if !directory.is_described()? {
        // The shim was killed before it had written what this recording is of; it rewrites config.json only afterwards.
        return Ok(directory.remove()?);
    }
    let recording = directory.load()?;
    let mut errors = Vec::new();
    let armed = directory.is_armed().and_then(|is_armed| match is_armed {
        true => directory.load_json::<ArmedRecorders>(ARMED).map(Some),
        false => Ok(None),
    });
    let armed = armed.unwrap_or_else(|error| {
        errors.push(error.to_string());
        None
    });
    let mut keep = match &armed {
        Some(armed) => !conclude(directory, &recording, armed, &mut errors),
        None => false,
    };
    if let Err(error) = config_json::put_back(directory, &recording) {
        errors.push(error.to_string());
        keep = true;
    }
    if !keep && let Err(error) = directory.remove() {
        errors.push(error.to_string());
    }
    // Nothing is armed to enforce, and a user other than root may have run the container.
    if recording.mode != Mode::Enforce {
        // A prestart hook that was killed while arming has written down nothing, and may have armed something.
        let (lines, failures) = recorders::sweep(directory.state());
        lines.iter().for_each(|line| journal::warning(line));
        errors.extend(failures);
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(anyhow::anyhow!(errors.join("; "))),
    }
}

/// Collects the evidence, gives back what was armed, and writes the result. Returns true if the result has been written.
fn conclude(
    directory: &Directory,
    recording: &Recording,
    armed: &ArmedRecorders,
    errors: &mut Vec<String>,
) -> bool {
    let collected = directory.load_json(EVIDENCE).unwrap_or_else(|_| {
        let collected = collect(recording, armed);
        // On disk before the recorders forget it.
        if let Err(error) = directory.save_json(EVIDENCE, &collected) {
            errors.push(error.to_string());
        }
        collected
    });
    errors.extend(armed.release(directory, recording));
    let profile = assemble::profile(
        recording,
        armed.reports(),
        collected.evidence,
        collected.finished,
        host(),
    );
    let (written, failures) = match recording.verifies() {
        None => write(directory, recording, &profile),
        Some(verified) => write_verdict(directory, recording, verified, &profile),
    };
    errors.extend(failures);
    written > 0
}

/// Takes the recording for this process alone; `None` if it is gone, or is gone once another process has let it go.
///
/// A process that is refused waits, for an engine removes the bundle as soon as the poststop hook is back, and the result must lie there first.
fn lock(directory: &Directory) -> anyhow::Result<Option<Flock<OwnedFd>>> {
    match file::lock_directory(directory.path(), LOCK_TIMEOUT) {
        Ok(lock) => Ok(directory.exists()?.then_some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("lock {}", directory.path().display())),
    }
}

fn collect(recording: &Recording, armed: &ArmedRecorders) -> Collected {
    Collected {
        evidence: armed.collect(recording),
        finished: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
    }
}
fn host() -> HostReport {
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

/// Writes the result to the store, next to the bundle's config.json, and where an annotation asks for it.
/// Returns how many of the places have it, and the errors of the others.
fn write(directory: &Directory, recording: &Recording, profile: &Profile) -> (usize, Vec<String>) {
    let files = match files(directory, profile) {
        Ok(files) => files,
        Err(error) => return (0, vec![line(error.as_ref())]),
    };
    let mut errors = Vec::new();
    let mut note = |result: Result<(), profiles::Error>| match result {
        Ok(()) => 1,
        Err(error) => {
            errors.push(error.to_string());
            0
        }
    };
    let mut written = note(profiles::Store::at(&recording.results.store).add(
        profile,
        &files,
        recording.results.retention,
    ));
    // The bundle may be gone already, and that is the engine's right.
    if recording.container.bundle.is_dir() {
        written += note(match written {
            0 => files.write_to(&recording.container.bundle),
            _ => files.copy_to(&recording.container.bundle),
        });
    }
    if let Some(output) = &recording.results.output {
        written += note(files.write_to(output));
    }
    (written, errors)
}

fn files(directory: &Directory, profile: &Profile) -> anyhow::Result<profiles::Files> {
    let original = file::read(&directory.original_configuration())
        .map_err(anyhow::Error::from)
        .and_then(|content| Ok(serde_json::from_slice(&content)?))
        .context("read the engine's configuration")?;
    let minimized = config_json::minimized_configuration(original, profile);
    Ok(profiles::Files::new(profile, &minimized)?)
}

/// Writes what came of a run with a profile's set into that profile, and the run itself where an annotation asks for it.
/// Returns how many of the places have it, and the errors of the others.
fn write_verdict(
    directory: &Directory,
    recording: &Recording,
    verified: &str,
    run: &Profile,
) -> (usize, Vec<String>) {
    let store = profiles::Store::at(&recording.results.store);
    let mut written = 0;
    let mut errors = Vec::new();
    let judged = store.find(verified).and_then(|found| {
        store.add_run(verified, run)?;
        let verdict = verification::judge(&found.profile, run, &Outside::nothing());
        store.set_verification(verified, Some(&verdict))
    });
    match judged {
        Ok(()) => written += 1,
        // Retention took it while the container ran: there is nothing left to say it of.
        Err(error @ profiles::Error::NotFound { .. }) => {
            written += 1;
            errors.push(error.to_string());
        }
        Err(error) => errors.push(error.to_string()),
    }
    if let Some(output) = &recording.results.output {
        let result = files(directory, run).and_then(|files| Ok(files.write_to(output)?));
        match result {
            Ok(()) => written += 1,
            Err(error) => errors.push(line(error.as_ref())),
        }
    }
    (written, errors)
}
