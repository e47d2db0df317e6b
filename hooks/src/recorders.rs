//! All recorders, and the file in a recording's directory that they share between the two hooks.

use crate::ebpf::Ebpf;
use crate::journal;
use crate::recorder::{self, Collection, Recorder};
use crate::selinux::Selinux;
use capprof_profile::error::line;
use capprof_profile::observation;
use capprof_profile::profile::RecorderReport;
use capprof_profile::recording::{Process, Recording};
use capprof_store::recording::Directory;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The recorders, in the order in which they are armed.
pub const RECORDERS: [&dyn Recorder; 2] = [&Selinux, &Ebpf];

/// The content of [`ARMED`](capprof_store::recording::ARMED).
#[derive(Debug, Serialize, Deserialize)]
pub struct ArmedRecorders {
    /// The container's first process.
    pub init: Process,
    /// A report for each recorder that was wanted; empty if the hook was interrupted while arming.
    pub recorders: Vec<recorder::ArmedRecorder>,
}

impl ArmedRecorders {
    /// The content for a container with this first process, before anything is armed.
    pub fn new(init: Process) -> Self {
        Self {
            init,
            recorders: Vec::new(),
        }
    }

    /// Returns each recorder's report for the profile.
    pub fn reports(&self) -> Vec<RecorderReport> {
        self.recorders
            .iter()
            .map(|armed| armed.report.clone())
            .collect()
    }

    /// Collects the evidence of each armed recorder.
    pub fn collect(&self, recording: &Recording) -> Vec<(observation::RecorderName, Collection)> {
        self.armed()
            .map(|(recorder, state)| (recorder.name(), recorder.collect(recording, state)))
            .collect()
    }

    /// Restores what the recorders changed on the host. Returns the errors, a line each.
    pub fn release(&self, directory: &Directory, recording: &Recording) -> Vec<String> {
        let mut errors = Vec::new();
        for (recorder, state) in self.armed() {
            match recorder.release(recording, directory, state) {
                Ok(lines) => lines.iter().for_each(|line| journal::warning(line)),
                Err(error) => errors.push(line(error.as_ref())),
            }
        }
        errors
    }

    /// Returns a function for each recorder, which makes it forget evidence that another process has collected.
    pub fn forget_each(&self) -> Vec<Box<dyn FnOnce() -> anyhow::Result<()> + '_>> {
        self.armed()
            .map(
                |(recorder, state)| -> Box<dyn FnOnce() -> anyhow::Result<()>> {
                    Box::new(move || recorder.forget(state))
                },
            )
            .collect()
    }

    fn armed(&self) -> impl Iterator<Item = (&'static dyn Recorder, &serde_json::Value)> {
        self.recorders.iter().filter_map(|armed| {
            let recorder = RECORDERS
                .into_iter()
                .find(|recorder| recorder.name() == armed.report.recorder)?;
            Some((recorder, armed.state.as_ref()?))
        })
    }
}

/// Makes the chosen recorders clean up after recordings of a state directory that are gone. Returns a line for each action, and the errors.
pub fn sweep(
    state: &Path,
    is_wanted: impl Fn(&'static dyn Recorder) -> bool,
) -> (Vec<String>, Vec<String>) {
    let live: Vec<String> = match Directory::list(state, None) {
        Ok(directories) => directories.iter().filter_map(Directory::id).collect(),
        Err(error) => return (Vec::new(), vec![error.to_string()]),
    };
    for_each(|recorder| match is_wanted(recorder) {
        true => recorder.sweep(state, &live),
        false => Ok(Vec::new()),
    })
}

/// Removes everything that the recorders keep on the host between recordings. Returns a line for each action, and the errors.
pub fn unload() -> (Vec<String>, Vec<String>) {
    for_each(Recorder::unload)
}

fn for_each(
    work: impl Fn(&'static dyn Recorder) -> anyhow::Result<Vec<String>>,
) -> (Vec<String>, Vec<String>) {
    let mut done = Vec::new();
    let mut errors = Vec::new();
    for recorder in RECORDERS {
        match work(recorder) {
            Ok(lines) => done.extend(lines),
            Err(error) => errors.push(line(error.as_ref())),
        }
    }
    (done, errors)
}
