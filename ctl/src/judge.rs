//! One run of a container with a set, and whether it did what it should.

use crate::launch::{By, Launch, Prepared, Wish};
use crate::process;
use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a container is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long a check that failed is not repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it did what it should.
    pub(crate) passed: bool,
    /// By what this was seen.
    pub(crate) why: String,
}

/// Who tells whether a container does what it should.
///
/// Without a check the program has to end by itself with status 0. With one, the check has to succeed while the container runs, or when it has ended with
/// status 0; until then it is repeated.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) launch: &'a Launch,
    /// The profile's recording.
    pub(crate) profile: &'a str,
    /// A command for `sh -c`, in whose environment CAPPROF_CONTAINER_ID is the container's id.
    pub(crate) check: Option<&'a str>,
    /// How long a run may take.
    pub(crate) timeout: Duration,
    /// `capprof`.
    pub(crate) binary: &'a Path,
    /// The name under which docker knows capprof.
    pub(crate) runtime: &'a str,
    /// Whether the engine's own options give the set, without capprof.
    pub(crate) engine_options: bool,
    /// Where the engine writes the container's id.
    pub(crate) id_file: PathBuf,
    /// Where the last run's output goes.
    pub(crate) log: PathBuf,
    /// Set when somebody wants to stop.
    pub(crate) interrupted: &'a AtomicBool,
}

impl Judge<'_> {
    /// The command that runs the container with this set.
    ///
    /// # Errors
    /// The engine cannot be told.
    pub(crate) fn prepare(&self, set: CapabilitySet) -> anyhow::Result<Prepared> {
        if self.engine_options {
            return self.launch.prepare(By::Engine(set), &self.id_file);
        }
        let wish = Wish {
            mode: "enforce",
            profile: Some(self.profile.to_owned()),
            capabilities: Some(set),
        };
        let by = By::Capprof {
            wish: &wish,
            binary: self.binary,
            name: self.runtime,
        };
        self.launch.prepare(by, &self.id_file)
    }

    /// Runs the container, judges, and removes it whatever happened. `None` if somebody wants to stop.
    ///
    /// # Errors
    /// The engine or the check cannot be started.
    pub(crate) fn run(&self, set: CapabilitySet) -> anyhow::Result<Option<Verdict>> {
        let _ = fs::remove_file(&self.id_file);
        let prepared = self.prepare(set)?;
        let log =
            fs::File::create(&self.log).with_context(|| format!("write {}", self.log.display()))?;
        let errors = log.try_clone().context("duplicate a descriptor")?;
        let mut client = prepared
            .command()
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C is for this program, which then removes the container.
            .process_group(0)
            .spawn()
            .with_context(|| format!("run {}", prepared.words[0].to_string_lossy()))?;
        let verdict = self.watch(&prepared, &mut client);
        process::stop(&prepared, &mut client, &mut None);
        let _ = fs::remove_file(&self.id_file);
        verdict
    }

    /// Removes what an earlier call of this program, which was killed, has left running.
    pub(crate) fn remove_left_over(&self) -> anyhow::Result<()> {
        let container = self.prepare(CapabilitySet::EMPTY)?.container;
        if let Some(id) = container.id() {
            process::remove(&container, &id);
        }
        let _ = fs::remove_file(&self.id_file);
        Ok(())
    }

    fn watch(&self, prepared: &Prepared, client: &mut Child) -> anyhow::Result<Option<Verdict>> {
        let deadline = Instant::now() + self.timeout;
        let verdict = |passed, why: String| Ok(Some(Verdict { passed, why }));
        // Of a container in the background, what waits for its end.
        let mut waiter: Option<Child> = None;
        let mut last_check: Option<Instant> = None;
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                if let Some(waiter) = &mut waiter {
                    process::end(waiter);
                }
                return Ok(None);
            }
            let ended = match &mut waiter {
                Some(waiter) => waiter.try_wait()?.map(|_| background_status(waiter)),
                None => client
                    .try_wait()?
                    .map(|status| status.code().unwrap_or(128)),
            };
            if let (Some(0), true, None) = (ended, prepared.container.detached, &waiter) {
                let Some(id) = prepared.container.id() else {
                    bail!(
                        "{}: the engine did not say the container's id",
                        self.id_file.display()
                    );
                };
                let command = &mut prepared.container.wait(&id);
                waiter = Some(
                    command
                        .stdin(Stdio::null())
                        .stdout(Stdio::piped())
                        .stderr(Stdio::null())
                        .process_group(0)
                        .spawn()
                        .context("wait for the container")?,
                );
                continue;
            }
            match (ended, self.check) {
                (Some(status), _) if status != 0 => {
                    return verdict(
                        false,
                        format!("it ended with status {status}{}", self.last_line()),
                    );
                }
                (Some(_), None) => return verdict(true, "it ended with status 0".to_owned()),
                (Some(_), Some(check)) => {
                    let passed = self.check(check, prepared, deadline)?;
                    let how = if passed { "passed" } else { "failed" };
                    return verdict(
                        passed,
                        format!("it ended with status 0 and the check {how}"),
                    );
                }
                (None, Some(check)) if last_check.is_none_or(|at| at.elapsed() >= PAUSE) => {
                    if self.check(check, prepared, deadline)? {
                        if let Some(waiter) = &mut waiter {
                            process::end(waiter);
                        }
                        return verdict(true, "the check passed".to_owned());
                    }
                    last_check = Some(Instant::now());
                }
                (None, _) => {}
            }
            if Instant::now() >= deadline {
                if let Some(waiter) = &mut waiter {
                    process::end(waiter);
                }
                let seconds = self.timeout.as_secs();
                return verdict(
                    false,
                    match self.check {
                        Some(_) => format!("the check did not pass in {seconds} s"),
                        None => format!("it did not end in {seconds} s"),
                    },
                );
            }
            std::thread::sleep(TICK);
        }
    }

    /// Runs the check once; one that takes too long has failed.
    fn check(&self, check: &str, prepared: &Prepared, deadline: Instant) -> anyhow::Result<bool> {
        let mut command = Command::new("/bin/sh");
        command.args([OsStr::new("-c"), OsStr::new(check)]);
        if let Some(id) = prepared.container.id() {
            command.env("CAPPROF_CONTAINER_ID", id);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("run the check")?;
        // One last check of a container that has ended at its deadline gets a moment.
        let deadline = deadline.max(Instant::now() + Duration::from_secs(1));
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if Instant::now() >= deadline || self.interrupted.load(Ordering::Relaxed) {
                process::end(&mut child);
                return Ok(false);
            }
            std::thread::sleep(TICK / 5);
        }
    }

    /// The last thing that was written, for an error that the engine or capprof had.
    fn last_line(&self) -> String {
        let content = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&content).into_owned();
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        line.map_or_else(String::new, |line| {
            let shown: String = line.chars().take(200).collect();
            format!(": {}", shown.trim())
        })
    }
}

/// What `docker wait` and its likes print.
fn background_status(waiter: &mut Child) -> i32 {
    use std::io::Read;
    let mut text = String::new();
    if let Some(output) = &mut waiter.stdout {
        let _ = output.read_to_string(&mut text);
    }
    text.trim().parse().unwrap_or(128)
}
