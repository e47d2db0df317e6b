//! The end of a recording, whoever brings it about: the poststop hook, or recovery for a container whose hook never ran.

use crate::{ebpf, journal, selinux};
use anyhow::Context;
use capprof_profile::file;
use capprof_profile::observation::{Evidence, Recorder};
use capprof_profile::recording::{Directory, Mode, Process, Recording, restore_configuration};
use capprof_profile::result::{HostReport, Profile, RecorderReport};
use capprof_profile::verification::{self, Outside};
use capprof_profile::{assemble, store};
use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The prestart hook's file in the recording's directory.
pub(crate) const ARMED: &str = "armed.json";

/// What the recorders brought home, kept until a result has been written somewhere.
const EVIDENCE: &str = "evidence.json";

/// How long to wait for somebody else who is finishing the same recording. Engines give a hook some seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the prestart hook knows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Armed {
    /// The container's first process.
    pub(crate) init: Process,
    /// The eBPF recorder's own, if it was armed.
    pub(crate) ebpf: Option<ebpf::Armed>,
    /// The SELinux recorder's own, if it was armed.
    pub(crate) selinux: Option<selinux::Armed>,
    /// What became of each recorder; empty if the hook was interrupted while arming.
    pub(crate) reports: Vec<RecorderReport>,
}

impl Armed {
    /// Gives back whatever is armed; gives the errors, a line each.
    pub(crate) fn release(&self, directory: &Directory, recording: &Recording) -> Vec<String> {
        let mut errors = Vec::new();
        if let Some(state) = &self.selinux {
            match selinux::release(recording, directory, state) {
                Ok(changes) => {
                    for change in changes {
                        journal::warning(&change);
                    }
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        if let Some(state) = &self.ebpf
            && let Err(error) = ebpf::release(state)
        {
            errors.push(error.to_string());
        }
        errors
    }
}

/// One recorder's evidence, as it is kept in the recording's directory.
#[derive(Debug, Serialize, Deserialize)]
struct Collected {
    finished: String,
    evidence: Vec<(Recorder, Evidence)>,
}

/// Finishes a recording: collects, classifies, minimizes, writes, restores config.json, gives back what was armed, removes the recording.
///
/// An error of one step does not stop the others. A recording that somebody else finishes meanwhile, or has finished, is left alone.
/// If no result could be written, the recording stays with its evidence, and recovery tries again.
///
/// # Errors
/// All that went wrong, joined on one line.
pub(crate) fn finish(directory: &Directory) -> anyhow::Result<()> {
    let Some(_lock) = lock(directory)? else {
        return Ok(());
    };
    if !directory.path().join("recording.json").exists() {
        // The shim was killed before it had written what this recording is of; it rewrites config.json only afterwards.
        return Ok(directory.remove()?);
    }
    let recording = directory.load()?;
    let mut errors = Vec::new();
    let armed = match directory.path().join(ARMED).exists() {
        true => directory.load_json::<Armed>(ARMED).map(Some),
        false => Ok(None),
    };
    let armed = armed.unwrap_or_else(|error| {
        errors.push(error.to_string());
        None
    });

    let mut keep = false;
    if let Some(armed) = &armed {
        let collected = match directory.load_json::<Collected>(EVIDENCE) {
            Ok(collected) => collected,
            Err(_) => {
                let collected = collect(&recording, armed);
                // On disk before the recorders forget it.
                if let Err(error) = directory.save_json(EVIDENCE, &collected) {
                    errors.push(error.to_string());
                }
                collected
            }
        };
        errors.extend(armed.release(directory, &recording));
        let profile = assemble::profile(
            &recording,
            armed.reports.clone(),
            collected.evidence,
            collected.finished,
            host(),
        );
        let (written, failures) = match recording.verifies() {
            None => write(directory, &recording, &profile),
            Some(verified) => write_verdict(directory, &recording, verified, &profile),
        };
        errors.extend(failures);
        keep = written == 0;
    }
    if let Err(error) = restore_configuration(directory, &recording) {
        errors.push(error.to_string());
        keep = true;
    }
    if !keep && let Err(error) = directory.remove() {
        errors.push(error.to_string());
    }
    if recording.mode == Mode::Enforce {
        // Nothing was armed, and a user other than root may have run it.
        return joined(&errors);
    }
    // A prestart hook that was killed while arming has written down no lease, and may hold one.
    match selinux::sweep(selinux::state_of(directory)) {
        Ok(lines) => lines.iter().for_each(|line| journal::warning(line)),
        Err(error) => errors.push(error.to_string()),
    }
    joined(&errors)
}

fn joined(errors: &[String]) -> anyhow::Result<()> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(anyhow::anyhow!(errors.join("; ")))
    }
}

/// Takes the recording for this process alone; `None` if it is gone, or is so after somebody else has let it go.
///
/// Who is refused waits, for an engine removes the bundle as soon as the poststop hook is back, and the result must lie there first.
fn lock(directory: &Directory) -> anyhow::Result<Option<Flock<OwnedFd>>> {
    match file::lock_directory(directory.path(), PATIENCE) {
        Ok(lock) => Ok(directory.path().exists().then_some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("lock {}", directory.path().display())),
    }
}

fn collect(recording: &Recording, armed: &Armed) -> Collected {
    let mut evidence = Vec::new();
    if let Some(state) = &armed.selinux {
        evidence.push((Recorder::Selinux, selinux::collect(recording, state)));
    }
    if let Some(state) = &armed.ebpf {
        evidence.push((Recorder::Ebpf, ebpf::collect(recording, state)));
    }
    Collected {
        finished: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        evidence,
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

/// Writes the result to the store, beside the bundle's config.json, and where an annotation asks for it.
/// Gives how many of the places have it, and the errors of the others.
fn write(directory: &Directory, recording: &Recording, profile: &Profile) -> (usize, Vec<String>) {
    let files = match files(directory, profile) {
        Ok(files) => files,
        Err(error) => return (0, vec![capprof_profile::error::line(error.as_ref())]),
    };
    let mut errors = Vec::new();
    let mut note = |result: Result<(), store::Error>| match result {
        Ok(()) => 1,
        Err(error) => {
            errors.push(error.to_string());
            0
        }
    };
    let mut written =
        note(store::Store::at(&recording.store).add(profile, &files, recording.retention));
    // The bundle may be gone already, and that is the engine's right.
    if recording.bundle.is_dir() {
        written += note(match written {
            0 => files.write_to(&recording.bundle),
            _ => files.copy_to(&recording.bundle),
        });
    }
    if let Some(output) = &recording.output {
        written += note(files.write_to(output));
    }
    (written, errors)
}

fn files(directory: &Directory, profile: &Profile) -> anyhow::Result<store::Files> {
    let original = file::read(&directory.original_configuration())
        .map_err(anyhow::Error::from)
        .and_then(|content| Ok(serde_json::from_slice(&content)?))
        .context("read the engine's configuration")?;
    let minimized = assemble::minimized_configuration(original, profile);
    Ok(store::Files::new(profile, &minimized)?)
}

/// Writes what came of a run with a profile's set into that profile, and the run itself where an annotation asks for it.
/// Gives how many of the places have it, and the errors of the others.
fn write_verdict(
    directory: &Directory,
    recording: &Recording,
    verified: &str,
    run: &Profile,
) -> (usize, Vec<String>) {
    let store = store::Store::at(&recording.store);
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
        Err(error @ store::Error::NotFound { .. }) => {
            written += 1;
            errors.push(error.to_string());
        }
        Err(error) => errors.push(error.to_string()),
    }
    if let Some(output) = &recording.output {
        let result = files(directory, run).and_then(|files| Ok(files.write_to(output)?));
        match result {
            Ok(()) => written += 1,
            Err(error) => errors.push(capprof_profile::error::line(error.as_ref())),
        }
    }
    (written, errors)
}
