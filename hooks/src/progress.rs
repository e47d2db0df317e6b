//! Recordings in progress: prints their interim results, or stores them so that they survive a power cut.

use crate::recorders::ArmedRecorders;
use crate::{ebpf, finish, results};
use anyhow::{Context, bail};
use capprof_profile::classify;
use capprof_profile::error::line;
use capprof_profile::live::{Progress, rows};
use capprof_profile::recorded_profile;
use capprof_profile::recording::Recording;
use capprof_store::recording::{ARMED, Directory};
use capprof_store::time;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Returns the interim result of a recording; `None` if nothing is armed for it yet.
///
/// # Errors
/// Its files cannot be read.
pub fn progress(directory: &Directory) -> anyhow::Result<Option<(Recording, Progress)>> {
    let recording = directory.load()?;
    if !directory.is_armed()? {
        return Ok(None);
    }
    let armed: ArmedRecorders = directory.load_json(ARMED)?;
    let evidence: Vec<_> = armed
        .collect(&recording)
        .into_iter()
        .map(|(recorder, collection)| (recorder, collection.evidence))
        .collect();
    let now = jiff::Timestamp::now();
    let created: jiff::Timestamp = recording
        .created
        .parse()
        .context("read when the recording began")?;
    let rows = rows(&evidence, &classify::Context::from(&recording));
    let profile = recorded_profile::profile(
        &recording,
        armed.reports(),
        evidence,
        time::rfc3339(now),
        finish::host(),
    );
    let elapsed = now.duration_since(created).as_millis();
    let progress = Progress {
        elapsed_ms: u64::try_from(elapsed).unwrap_or(0),
        rows,
        profile: profile.so_far(),
    };
    Ok(Some((recording, progress)))
}

/// The chosen recordings: these, else all of the state directory.
fn chosen(state: &Path, named: &[Directory]) -> anyhow::Result<Vec<Directory>> {
    match named {
        [] => Ok(Directory::list(state, None)?),
        named => Ok(named.to_vec()),
    }
}

/// Prints the interim result of each recording, a line of JSON each ([`Progress`]). With an interval it goes on, with a line for each recording
/// that has changed, until none of the named ones is left, or standard output is closed.
///
/// # Errors
/// The state directory cannot be listed, or a named recording cannot be read.
pub fn tell(state: &Path, named: &[Directory], every: Option<Duration>) -> anyhow::Result<()> {
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    let mut output = io::stdout().lock();
    loop {
        let directories = chosen(state, named)?;
        let activity = match every {
            Some(_) => ebpf::activity()?,
            None => BTreeMap::new(),
        };
        let mut present = 0;
        for directory in directories {
            let Some(id) = directory.id() else { continue };
            if !directory.exists()? {
                continue;
            }
            present += 1;
            let count = activity.get(&id).copied().unwrap_or_default();
            if known.get(&id) == Some(&count) {
                continue;
            }
            match progress(&directory) {
                Ok(Some((_, progress))) => {
                    let line = serde_json::to_string(&progress)? + "\n";
                    if output.write_all(line.as_bytes()).is_err() || output.flush().is_err() {
                        return Ok(());
                    }
                    known.insert(id, count);
                }
                Ok(None) => {}
                // It may have ended in the meantime.
                Err(_) if !directory.exists()? => {}
                Err(error) if !named.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        let Some(every) = every else { return Ok(()) };
        if !named.is_empty() && present == 0 {
            return Ok(());
        }
        if is_closed() {
            return Ok(());
        }
        std::thread::sleep(every);
    }
}

/// Returns true if no process reads standard output any more.
fn is_closed() -> bool {
    let stdout = io::stdout();
    let mut fds = [nix::poll::PollFd::new(
        std::os::fd::AsFd::as_fd(&stdout),
        nix::poll::PollFlags::empty(),
    )];
    nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO).is_ok_and(|count| count > 0)
        && fds.iter().any(|fd| {
            fd.revents()
                .is_some_and(|events| events.contains(nix::poll::PollFlags::POLLERR))
        })
}

/// Stores the interim result of each recording under the recording's id; the final result replaces it. Prints a line for each.
///
/// # Errors
/// All errors, joined on one line.
pub fn snapshot(state: &Path, named: &[Directory]) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    let mut output = io::stdout().lock();
    for directory in chosen(state, named)? {
        // Another process may be finishing the recording.
        let Some(_lock) = finish::lock(&directory)? else {
            continue;
        };
        match progress(&directory) {
            Ok(Some((recording, progress))) if recording.verifies().is_none() => {
                match results::store_so_far(&directory, &recording, &progress.profile) {
                    Ok(()) => {
                        let _ = writeln!(
                            output,
                            "stored the interim result of recording {}",
                            recording.id
                        );
                    }
                    Err(error) => problems.push(line(error.as_ref())),
                }
            }
            Ok(_) => {}
            Err(error) => problems.push(format!(
                "{}: {}",
                directory.path().display(),
                line(error.as_ref())
            )),
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => bail!(problems.join("; ")),
    }
}

/// Attaches to the subject of a recording: a running container, or a service.
///
/// # Errors
/// It cannot be recorded. Then the recording is removed, and nothing stays armed.
pub fn attach(directory: &Directory) -> anyhow::Result<()> {
    let recording = directory.load()?;
    let init = match recording.unit {
        Some(_) => recording.shim,
        None => recording
            .attached
            .context("attach: the recording is of a container that had not started")?,
    };
    let result = crate::prestart::arm(directory, &recording, init);
    if result.is_err() {
        directory.remove()?;
    }
    result
}
