//! The first step: the user's own command line, with capprof as the runtime.

use crate::launch::{By, Launch, Launcher, Prepared};
use crate::trial::{self, CheckTime, Observed, Quiet, Streams, Trial};
use crate::{hook, output};
use anyhow::{Context, bail};
use capprof_profile::profile::Profile;
use capprof_profile::verification::Check;
use capprof_store::profiles::{self, Store};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time between two looks for the profile.
const INTERVAL: Duration = Duration::from_millis(20);

/// The time limit of the profile after the container is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time to wait for the poststop hook before looking whether it will never come.
const RECOVER_AFTER: Duration = Duration::from_secs(3);

/// The time that a program has to end after it is asked to. Capabilities that it needs while it ends count too.
const GRACE: Duration = Duration::from_secs(10);

/// Longer than any user waits.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Runs the user's command line once, with everything granted.
pub(super) struct FirstRun<'a> {
    pub(super) launch: &'a Launch,
    pub(super) store: &'a Store,
    /// The state directory, which has the recordings in progress.
    pub(super) state: &'a Path,
    /// A shell command that succeeds if the workload works.
    pub(super) check: Option<&'a str>,
    /// The time for which the container is used, if the user gave one.
    pub(super) duration: Option<Duration>,
    /// The time without news after which the run ends, if the user gave one.
    pub(super) until_quiet: Option<Duration>,
    /// The time limit of the check.
    pub(super) timeout: Duration,
    pub(super) interrupted: &'a AtomicBool,
}

/// The result of the first step.
pub(super) struct Recorded {
    /// The profile.
    pub(super) profile: Profile,
    /// The status of a program that ended by itself, as the engine's command reported it.
    pub(super) status: Option<u8>,
    /// The result of the check.
    pub(super) check: Option<Check>,
    /// True if the user wanted to stop.
    pub(super) was_interrupted: bool,
}

impl FirstRun<'_> {
    /// Runs the container to its end and returns its profile. Nothing is left running.
    ///
    /// # Errors
    /// The engine cannot be started, or the container left no profile.
    pub(super) fn run(&self) -> anyhow::Result<Recorded> {
        let directory = tempfile::Builder::new()
            .prefix("capprofctl-")
            .tempdir()
            .context("create temporary directory")?;
        let copy = directory.path().join("profile");
        fs::create_dir(&copy).context("create temporary directory")?;
        let by = By::Recording {
            binary: &crate::command::install::runtime()?,
            name: "capprof",
            output: &copy,
        };
        let prepared = self.launch.prepare(by, &directory.path().join("id"))?;
        output::message(&format!("running: {}", shown(&prepared)));
        for message in &prepared.messages {
            output::message(message);
        }
        match (self.check, self.duration, self.until_quiet) {
            (None, None, None) => {
                output::message("use it now; the run ends with the program");
            }
            (_, _, Some(time)) => output::message(&format!(
                "use it now; the run ends when nothing new has come for {} s",
                time.as_secs()
            )),
            _ => {}
        }
        let before = prepared.container.id().and_then(|id| self.newest_of(&id));
        let observed = Trial {
            prepared: &prepared,
            check: self
                .check
                .map(|check| (check, CheckTime::WhileRunning(self.state))),
            timeout: match self.check {
                Some(_) => self.timeout,
                None => self.duration.unwrap_or(FOR_EVER),
            },
            quiet: self.until_quiet.map(|time| Quiet {
                time,
                state: self.state,
            }),
            interrupted: &[self.interrupted],
            streams: Streams::Shown,
            removes_ended: true,
            grace: GRACE,
        }
        .run()?;
        let profile = self.wait_for_profile(&observed, &copy, before.as_deref())?;
        Ok(Recorded {
            profile,
            status: match observed.end {
                trial::TrialEnd::Itself(status) => status,
                _ => None,
            },
            check: observed.check,
            was_interrupted: self.interrupted.load(Ordering::Relaxed),
        })
    }

    /// The id of the container's newest recording in the store.
    fn newest_of(&self, container: &str) -> Option<String> {
        let profile = self.store.find(container).ok()?.profile;
        (profile.origin.container_id == container).then_some(profile.origin.recording_id)
    }

    /// Waits until the poststop hook has written the profile.
    fn wait_for_profile(
        &self,
        observed: &Observed,
        copy: &Path,
        before: Option<&str>,
    ) -> anyhow::Result<Profile> {
        let started = Instant::now();
        let mut recovery = started + RECOVER_AFTER;
        loop {
            let container = observed.container.as_deref();
            // This comes first: the recording is removed only after its result has been stored.
            let is_over = container.is_some_and(|container| {
                !crate::command::verify::is_recorded(self.state, container)
            });
            let copied = copy.join(profiles::PROFILE);
            let recording = match profiles::load(copied) {
                Ok(found) => Some(found.profile.origin.recording_id),
                Err(_) => container
                    .and_then(|container| self.newest_of(container))
                    .filter(|id| Some(id.as_str()) != before),
            };
            if let Some(id) = recording
                && let Ok(found) = self.store.find(&id)
            {
                return Ok(found.profile);
            }
            let patience = match container {
                Some(_) => PATIENCE,
                None => 2 * RECOVER_AFTER,
            };
            if is_over || started.elapsed() > patience {
                let hint = match self.launch.engine() {
                    Launcher::Docker => {
                        "; docker must know the runtime: capprofctl install --engine docker"
                    }
                    _ => "",
                };
                bail!("the container left no profile: {}{hint}", observed.status);
            }
            if recovery < Instant::now() {
                let words = [
                    OsStr::new("recover"),
                    OsStr::new("--state"),
                    self.state.as_os_str(),
                ];
                hook::run(&words)?;
                recovery += RECOVER_AFTER;
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

/// The command line as a user would type it.
fn shown(prepared: &Prepared) -> String {
    let variables = prepared
        .environment
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let words = prepared
        .words
        .iter()
        .map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: char| byte.is_ascii_alphanumeric() || "-_=/.,:@%+".contains(byte);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
