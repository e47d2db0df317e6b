//! Runs the container with one set, and finds out if it works.

use crate::launch::{By, Launch, Prepared, RunMode};
use crate::process;
use crate::trial::{CheckTime, Observed, Streams, Trial, TrialEnd};
use capprof_profile::CapabilitySet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunResult {
    /// True if it did what it should.
    pub(super) passed: bool,
    /// The grounds.
    pub(super) why: String,
}

/// Finds out if a container does what it should.
///
/// Without a check the program has to end by itself with status 0. With one, the check has to succeed while the container runs, or when it has
/// ended with status 0; until then it is repeated.
#[derive(Debug)]
pub(super) struct SetRunner<'a> {
    /// The engine's command line.
    pub(super) launch: &'a Launch,
    /// The profile's recording.
    pub(super) profile: &'a str,
    /// A command for `sh -c`, in whose environment CAPPROF_CONTAINER_ID is the container's id.
    pub(super) check: Option<&'a str>,
    /// The time limit of a run.
    pub(super) timeout: Duration,
    /// `capprof`.
    pub(super) binary: &'a Path,
    /// The name under which docker knows capprof.
    pub(super) runtime: &'a str,
    /// True if the engine's own options give the set, without capprof.
    pub(super) engine_options: bool,
    /// The profile's directory, where the engine writes the containers' ids and output goes.
    pub(super) directory: &'a Path,
    /// Set when the user wants to stop.
    pub(super) interrupted: &'a AtomicBool,
}

/// The number of a run among those in progress. It has files of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker(pub(super) usize);

impl Worker {
    fn file(self, directory: &Path, what: &str) -> PathBuf {
        directory.join(match self.0 {
            0 => format!("shrink.{what}"),
            number => format!("shrink.{number}.{what}"),
        })
    }
}

impl SetRunner<'_> {
    /// The file into which the engine writes the container's id.
    fn id_file(&self, worker: Worker) -> PathBuf {
        worker.file(self.directory, "id")
    }

    /// The destination of the last run's output.
    pub(super) fn log(&self, worker: Worker) -> PathBuf {
        worker.file(self.directory, "log")
    }

    /// The command that runs the container with this set.
    ///
    /// # Errors
    /// The engine has no options for the set.
    pub(super) fn prepare(&self, set: CapabilitySet, worker: Worker) -> anyhow::Result<Prepared> {
        let id_file = self.id_file(worker);
        if self.engine_options {
            return self.launch.prepare(By::Engine(set), &id_file);
        }
        let run_mode = RunMode {
            mode: "enforce",
            profile: Some(self.profile.to_owned()),
            capabilities: Some(set),
        };
        let by = By::Capprof {
            run_mode: &run_mode,
            binary: self.binary,
            name: self.runtime,
        };
        // The engine makes its seccomp filter from its own options.
        let launch = self.launch.clone().with_options(set);
        launch.prepare(by, &id_file)
    }

    /// Runs the container, passes the result to `judged`, and removes the container in any case. The result is `None` if `stop` was set, or if the
    /// user wants to stop.
    ///
    /// # Errors
    /// The engine or the check cannot be started; then `judged` is not called.
    pub(super) fn run(
        &self,
        set: CapabilitySet,
        worker: Worker,
        stop: &AtomicBool,
        judged: impl FnOnce(Option<RunResult>),
    ) -> anyhow::Result<()> {
        let (id_file, log) = (self.id_file(worker), self.log(worker));
        let _ = fs::remove_file(&id_file);
        let prepared = self.prepare(set, worker)?;
        let trial = Trial {
            prepared: &prepared,
            check: self.check.map(|check| (check, CheckTime::FromTheBeginning)),
            timeout: self.timeout,
            quiet: None,
            interrupted: &[self.interrupted, stop],
            streams: Streams::Log(&log),
            removes_ended: true,
            grace: Duration::ZERO,
        };
        let observed = trial.run_and_tell(|observed| judged(self.verdict(observed, &log)));
        let _ = fs::remove_file(&id_file);
        observed.map(|_| ())
    }

    fn verdict(&self, observed: &Observed, log: &Path) -> Option<RunResult> {
        let passed = observed.check.as_ref().is_none_or(|check| check.passed);
        let seconds = self.timeout.as_secs();
        let (passed, why) = match observed.end {
            TrialEnd::Interrupted => return None,
            TrialEnd::CheckPassed => (true, "the check passed".to_owned()),
            TrialEnd::TimedOut | TrialEnd::Quiet if self.check.is_some() => {
                (false, format!("the check did not pass in {seconds} s"))
            }
            TrialEnd::TimedOut | TrialEnd::Quiet => {
                (false, format!("it did not end in {seconds} s"))
            }
            TrialEnd::Itself(Some(0)) if self.check.is_none() => {
                (true, "it ended with status 0".to_owned())
            }
            TrialEnd::Itself(Some(0)) => {
                let how = if passed { "passed" } else { "failed" };
                (
                    passed,
                    format!("it ended with status 0 and the check {how}"),
                )
            }
            TrialEnd::Itself(status) => {
                let status = status.map_or(128, i32::from);
                let line = last_line(log);
                (false, format!("it ended with status {status}{line}"))
            }
        };
        Some(RunResult { passed, why })
    }

    /// Removes the containers that an earlier call of this program left running when it was killed.
    pub(super) fn remove_left_over(&self) -> anyhow::Result<()> {
        for worker in (0..WORKERS).map(Worker) {
            let container = self.prepare(CapabilitySet::EMPTY, worker)?.container;
            if let Some(id) = container.id() {
                process::remove(&container, &id);
            }
            let _ = fs::remove_file(self.id_file(worker));
        }
        Ok(())
    }
}

/// The most runs at the same time.
pub(super) const WORKERS: usize = 16;

/// The last line of output, which has the error of the engine or of capprof.
fn last_line(log: &Path) -> String {
    let content = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&content).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(String::new, |line| {
        let shown: String = line.chars().take(200).collect();
        format!(": {}", shown.trim())
    })
}
