//! `capprofctl watch`

use crate::exit::Exit;
use crate::live::{self, News, Stream};
use crate::{output, process};
use anyhow::bail;
use capprof_store::recording::Directory;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The time between two looks for news.
const INTERVAL: Duration = Duration::from_millis(500);

/// Finds the recording in progress that the user means.
///
/// # Errors
/// There is none, or several.
pub(crate) fn recording(state: &Path, wanted: &str) -> anyhow::Result<Directory> {
    match live::find(state, wanted)? {
        Some(directory) => Ok(directory),
        None => bail!(
            "no recording of \"{wanted}\" is in progress: `capprofctl observe {wanted}` starts one, `capprofctl ps` shows all"
        ),
    }
}

/// Prints a line for each capability that is used or refused for the first time, until the recording ends, nothing new has come for the time
/// `quiet`, or the user wants to stop.
///
/// # Errors
/// There is no such recording, or `capprof-hook` could not be run.
pub(crate) fn run(state: &Path, wanted: &str, quiet: Option<Duration>) -> anyhow::Result<Exit> {
    let directory = recording(state, wanted)?;
    let interrupted = process::interrupted()?;
    let stream = Stream::start(state, std::slice::from_ref(&directory), INTERVAL)?;
    let mut news = News::new();
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        match stream.next(Duration::from_millis(100)) {
            Ok(progress) => {
                let progress = progress?;
                let name = live::name(&progress.profile);
                for row in news.of(&progress) {
                    let now = capprof_store::time::now();
                    output::print(&format!("{now} {name} {}\n", live::told(row)))?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Success),
        }
        if quiet.is_some_and(|quiet| news.quiet_for(quiet)) {
            return Ok(Exit::Success);
        }
    }
}
