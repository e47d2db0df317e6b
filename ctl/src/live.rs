//! Reads recordings in progress from `capprof-hook`.

use crate::hook;
use anyhow::{Context, bail};
use capprof_profile::Capability;
use capprof_profile::live::{Progress, Row, RowClass};
use capprof_profile::profile::Profile;
use capprof_store::recording::Directory;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Returns the interim results of all recordings in progress, or of these.
///
/// # Errors
/// `capprof-hook` could not be run, or failed.
pub(crate) fn so_far(state: &Path, directories: &[Directory]) -> anyhow::Result<Vec<Progress>> {
    hook::quiet(&arguments("so-far", state, directories))?
        .lines()
        .map(read)
        .collect()
}

/// The arguments of a subcommand of `capprof-hook` for these recordings in progress; for all of them if none is named.
pub(crate) fn arguments<'a>(
    subcommand: &'a str,
    state: &'a Path,
    directories: &'a [Directory],
) -> Vec<&'a OsStr> {
    let mut arguments = vec![
        OsStr::new(subcommand),
        OsStr::new("--state"),
        state.as_os_str(),
    ];
    arguments.extend(
        directories
            .iter()
            .map(|directory| directory.path().as_os_str()),
    );
    arguments
}

/// One line of `capprof-hook so-far`.
///
/// # Errors
/// It is of another version.
fn read(line: &str) -> anyhow::Result<Progress> {
    serde_json::from_str(line).context("read the output of capprof-hook so-far")
}

/// The container's name for users.
pub(crate) fn name(profile: &Profile) -> String {
    let origin = &profile.origin;
    let name = match (
        &origin.name,
        &origin.workload.pod,
        &origin.workload.container,
    ) {
        (Some(name), _, _) => name.clone(),
        (None, Some(pod), Some(container)) => format!("{pod}/{container}"),
        (None, _, Some(container)) => container.clone(),
        (None, _, None) => origin.container_id.chars().take(12).collect(),
    };
    crate::render::printable(&name)
}

/// Finds the recording in progress with this id, container's id, beginning of one of these, or name.
///
/// # Errors
/// There are several.
pub(crate) fn find(state: &Path, wanted: &str) -> anyhow::Result<Option<Directory>> {
    let mut found = Vec::new();
    // A user who may not read the state directory gets the store's profile.
    for directory in Directory::list(state, None).unwrap_or_default() {
        let Ok(recording) = directory.load() else {
            continue;
        };
        let container = &recording.container;
        let names = [
            Some(recording.id.as_str()),
            Some(container.id.as_str()),
            container.name.as_deref(),
            container.workload.container.as_deref(),
            container.workload.pod.as_deref(),
        ];
        let begins = wanted.len() >= 6 && container.id.starts_with(wanted);
        if names.contains(&Some(wanted)) || begins {
            found.push((recording.id, directory));
        }
    }
    match found.as_slice() {
        [_, _, ..] => bail!(
            "\"{wanted}\" is recorded several times now: {}: name one of these",
            found
                .iter()
                .map(|(id, _)| id.clone())
                .collect::<Vec<_>>()
                .join(", ")
        ),
        _ => Ok(found.pop().map(|(_, directory)| directory)),
    }
}

/// The interim results of recordings in progress, after each change. The helper that prints them ends with this process, because its pipe then has no
/// reader.
pub(crate) struct Stream {
    child: Child,
    lines: Receiver<String>,
}

impl Stream {
    /// Starts the stream for all recordings, or for these; `every` is the time between two looks.
    ///
    /// # Errors
    /// `capprof-hook` could not be run.
    pub(crate) fn start(
        state: &Path,
        directories: &[Directory],
        every: Duration,
    ) -> anyhow::Result<Self> {
        let mut command = hook::command()?;
        command
            .args([
                OsStr::new("so-far"),
                OsStr::new("--state"),
                state.as_os_str(),
            ])
            .args(["--every", &every.as_millis().to_string()])
            .args(directories.iter().map(Directory::path))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("run capprof-hook")?;
        let stream = child.stdout.take().context("read from capprof-hook")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// The next news; [`RecvTimeoutError::Disconnected`] if no more will come.
    pub(crate) fn next(
        &self,
        patience: Duration,
    ) -> Result<anyhow::Result<Progress>, RecvTimeoutError> {
        self.lines.recv_timeout(patience).map(|line| read(&line))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The news of a recording, which are capabilities that it uses, or that a program is refused, for the first time; and the time of the last news.
pub(crate) struct News {
    known: BTreeSet<(RowClass, Capability, String)>,
    last: Instant,
}

impl News {
    /// Begins without news; the quiet time counts from now on.
    pub(crate) fn new() -> Self {
        Self {
            known: BTreeSet::new(),
            last: Instant::now(),
        }
    }

    /// Returns the rows that are new.
    pub(crate) fn of<'a>(&mut self, progress: &'a Progress) -> Vec<&'a Row> {
        let mut new = Vec::new();
        for row in &progress.rows {
            let program = match row.class {
                RowClass::Used => String::new(),
                RowClass::Refused => row.program.clone(),
                RowClass::Dismissed => continue,
            };
            if self.known.insert((row.class, row.capability, program)) {
                self.last = Instant::now();
                new.push(row);
            }
        }
        new
    }

    /// Returns true if nothing new has come for this time.
    pub(crate) fn quiet_for(&self, time: Duration) -> bool {
        self.last.elapsed() >= time
    }
}

/// A row of [`News`] in words: `used CAP_CHOWN nginx: chown`.
pub(crate) fn told(row: &Row) -> String {
    let what = match row.class {
        RowClass::Used => "used",
        RowClass::Refused => "refused",
        RowClass::Dismissed => "dismissed",
    };
    let syscall = match row.syscall.as_str() {
        "" => "-",
        syscall => syscall,
    };
    crate::render::printable(&format!(
        "{what} {} {}: {syscall}",
        row.capability, row.program
    ))
}
