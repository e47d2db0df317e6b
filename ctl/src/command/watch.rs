//! `capprofctl watch`

use crate::exit::Exit;
use crate::live::{self, Stream};
use crate::{output, process, render};
use anyhow::bail;
use capprof_profile::Capability;
use capprof_profile::live::{Class, Progress};
use capprof_store::recording::Directory;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How often it is looked for news.
const INTERVAL: Duration = Duration::from_millis(500);

/// The recording in progress that is meant.
///
/// # Errors
/// There is none, or several.
pub(crate) fn recording(state: &Path, wanted: &str) -> anyhow::Result<Directory> {
    match live::find(state, wanted)? {
        Some(directory) => Ok(directory),
        None => bail!(
            "no recording of \"{wanted}\" is in progress: `capprofctl observe {wanted}` begins one, `capprofctl ps` shows all"
        ),
    }
}

/// Prints a line for each capability that is used or refused for the first time, until the recording ends, nothing new has come for so long,
/// or somebody wants it to end.
///
/// # Errors
/// There is no such recording, or `capprof-hook` could not be run.
pub(crate) fn run(state: &Path, wanted: &str, quiet: Option<Duration>) -> anyhow::Result<Exit> {
    let directory = recording(state, wanted)?;
    let interrupted = process::interrupted()?;
    let stream = Stream::start(state, std::slice::from_ref(&directory), INTERVAL)?;
    let mut told = BTreeSet::new();
    let mut last_new = Instant::now();
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        match stream.next(Duration::from_millis(100)) {
            Ok(progress) => {
                for line in news(&progress?, &mut told) {
                    last_new = Instant::now();
                    output::print(&line)?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Success),
        }
        if quiet.is_some_and(|quiet| last_new.elapsed() >= quiet) {
            return Ok(Exit::Success);
        }
    }
}

/// What is told once: a capability that is used, a capability that is refused to a program.
type Told = BTreeSet<(Class, Capability, String)>;

/// A line for each thing that had not been told.
fn news(progress: &Progress, told: &mut Told) -> Vec<String> {
    let mut lines = Vec::new();
    let name = live::name(&progress.profile);
    for row in &progress.rows {
        let (program, what) = match row.class {
            Class::Used => (String::new(), "used"),
            Class::Refused => (row.program.clone(), "refused"),
            Class::Dismissed => continue,
        };
        if told.insert((row.class, row.capability, program)) {
            lines.push(
                render::printable(&format!(
                    "{} {name} {what} {} {}: {}",
                    capprof_store::time::now(),
                    row.capability,
                    row.program,
                    match row.syscall.as_str() {
                        "" => "-",
                        syscall => syscall,
                    },
                )) + "\n",
            );
        }
    }
    lines
}
