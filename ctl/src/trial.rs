//! One run of a container to its end: its program ends, its check succeeds, or its time is over. For `verify`, `shrink` and `profile`.

use crate::launch::Prepared;
use crate::live::{self, News, Stream};
use crate::{output, process};
use anyhow::{Context, bail};
use capprof_profile::recording::Mode;
use capprof_profile::verification::Check;
use capprof_store::recording::{Directory, is_in_runtime_state};
use std::fs;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time between two looks for a change.
const TICK: Duration = Duration::from_millis(50);

/// The time to wait before a check that failed is run again.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);

/// The time between two looks for news of a recording.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// The least time limit of a check that is started just before the time is over.
const LAST_CHECK: Duration = Duration::from_secs(1);

/// The first of the statuses by which engines say that they failed themselves (docker-run(1), "Exit Status").
const ENGINE_FAILED: u8 = 125;

/// The standard streams of the engine's program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Streams<'a> {
    /// The streams of this program: the user sees the container's output.
    Inherited,
    /// The streams of this program, but the container's output goes to this program's standard error: its standard output is for the answer.
    Shown,
    /// Nothing is read, and the output goes to this file.
    Log(&'a Path),
}

/// The time at which the check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckTime<'a> {
    /// While the container's program runs; the recording in this state directory shows when.
    WhileRunning(&'a Path),
    /// From the moment when the engine reports the container's id, and once more after the program has ended with status 0.
    FromTheBeginning,
}

/// The conditions under which a run has shown enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet<'a> {
    /// The time for which nothing new has come.
    pub(crate) time: Duration,
    /// The state directory, which has the recordings in progress.
    pub(crate) state: &'a Path,
}

/// A run of a container that is about to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial<'a> {
    /// The engine's command.
    pub(crate) prepared: &'a Prepared,
    /// A command for `sh -c` that succeeds if the container does what it should.
    pub(crate) check: Option<(&'a str, CheckTime<'a>)>,
    /// The time limit.
    pub(crate) timeout: Duration,
    /// The end for lack of news; `None` if it does not end for that reason.
    pub(crate) quiet: Option<Quiet<'a>>,
    /// One of these is set when it is to stop.
    pub(crate) interrupted: &'a [&'a AtomicBool],
    /// The standard streams of its program.
    pub(crate) streams: Streams<'a>,
    /// True if a container that has ended by itself is removed too, like one that was stopped.
    pub(crate) removes_ended: bool,
    /// The time that a program has to end after it is asked to, before its container is removed.
    pub(crate) grace: Duration,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrialEnd {
    /// The program ended by itself, with this status as far as the engine reports one.
    Itself(Option<u8>),
    /// The check succeeded, and the container was stopped.
    CheckPassed,
    /// The time was over, and the container was stopped.
    TimedOut,
    /// Nothing new came for long enough, and the container was stopped.
    Quiet,
    /// The user wanted to stop.
    Interrupted,
}

/// The result of watching a run.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// The container's id, if the engine reported it in time.
    pub(crate) container: Option<String>,
    /// How it ended.
    pub(crate) end: TrialEnd,
    /// How the engine's command ended, in words; empty if it was stopped.
    pub(crate) status: String,
    /// The result of the check.
    pub(crate) check: Option<Check>,
}

impl Trial<'_> {
    /// Runs the container. Nothing is left running, even after an error.
    ///
    /// # Errors
    /// The engine or the check cannot be started, or the engine does not report the container's id.
    pub(crate) fn run(&self) -> anyhow::Result<Observed> {
        self.run_and_tell(|_| ())
    }

    /// The same, but calls `seen` with the result before it removes the container, because removal takes an engine as long as a start.
    ///
    /// # Errors
    /// As for [`Self::run`]; then `seen` is not called.
    pub(crate) fn run_and_tell(&self, seen: impl FnOnce(&Observed)) -> anyhow::Result<Observed> {
        let mut client = self.start()?;
        let mut run = Run {
            trial: self,
            deadline: Instant::now() + self.timeout,
            container: None,
            waiter: None,
            check: self.check.map(|(command, _)| Check {
                command: command.to_owned(),
                passed: false,
                tries: 0,
                last: "the container did not live long enough for it".to_owned(),
                baseline: false,
            }),
            next_check: Instant::now(),
            news: None,
        };
        let end = run.watch(&mut client);
        if let Some(waiter) = &mut run.waiter {
            process::end(waiter);
        }
        let ended_by_itself = matches!(end, Ok((TrialEnd::Itself(_), _)));
        let observed = end.map(|(end, status)| Observed {
            container: run.container.clone(),
            end,
            status,
            check: run.check.take(),
        });
        if let Ok(observed) = &observed {
            seen(observed);
        }
        if !ended_by_itself && !self.grace.is_zero() {
            process::ask_to_end(self.prepared, &mut client, &mut run.container, self.grace);
        }
        match ended_by_itself {
            false => process::stop(self.prepared, &mut client, &mut run.container),
            true if self.removes_ended => self.remove_ended(&observed, run.container.as_deref()),
            true => {}
        }
        let _ = client.wait();
        Ok(Observed {
            container: run.container,
            ..observed?
        })
    }

    /// Removes a container whose program has ended, unless its engine removes it, which an engine does only for a container that was started.
    fn remove_ended(&self, observed: &anyhow::Result<Observed>, id: Option<&str>) {
        let container = &self.prepared.container;
        let was_started = matches!(observed, Ok(Observed { end: TrialEnd::Itself(Some(status)), .. }) if *status < ENGINE_FAILED);
        let id = id.map(str::to_owned).or_else(|| container.id());
        if let Some(id) = id.filter(|_| !(container.removes_itself && was_started)) {
            process::remove(container, &id);
        }
    }

    fn start(&self) -> anyhow::Result<Child> {
        let mut command = self.prepared.command();
        match self.streams {
            // A program that reads a terminal must be in its foreground process group (termios(3)).
            Streams::Inherited | Streams::Shown if std::io::stdin().is_terminal() => {}
            // Only this program gets Ctrl-C; it then removes the container.
            Streams::Inherited | Streams::Shown => {
                command.process_group(0);
            }
            Streams::Log(path) => {
                let log =
                    fs::File::create(path).with_context(|| format!("write {}", path.display()))?;
                let errors = log.try_clone().context("duplicate a descriptor")?;
                command
                    .process_group(0)
                    .stdin(Stdio::null())
                    .stdout(log)
                    .stderr(errors);
            }
        }
        if let Streams::Shown = self.streams {
            let errors = std::io::stderr().as_fd().try_clone_to_owned();
            command.stdout(errors.context("duplicate a descriptor")?);
        }
        command.spawn().with_context(|| {
            let program = self.prepared.words.first().cloned().unwrap_or_default();
            format!("run {}", program.to_string_lossy())
        })
    }
}

/// A run in progress.
struct Run<'a> {
    trial: &'a Trial<'a>,
    deadline: Instant,
    container: Option<String>,
    /// The command that waits for the end of a container in the background.
    waiter: Option<Child>,
    check: Option<Check>,
    next_check: Instant,
    /// The recording's messages, once there is one.
    news: Option<(Stream, News)>,
}

impl Run<'_> {
    /// Waits until the program has ended, the check has succeeded, or the time is over; returns also how the engine's command ended.
    fn watch(&mut self, client: &mut Child) -> anyhow::Result<(TrialEnd, String)> {
        loop {
            if self.is_interrupted() {
                return Ok((TrialEnd::Interrupted, "interrupted".to_owned()));
            }
            if let Some((status, words)) = self.ended(client)? {
                let afterwards = matches!(self.trial.check, Some((_, CheckTime::FromTheBeginning)));
                if status == Some(0) && afterwards && !self.is_interrupted() {
                    self.run_check(None)?;
                }
                return Ok((TrialEnd::Itself(status), words));
            }
            if Instant::now() >= self.deadline {
                let seconds = self.trial.timeout.as_secs();
                return Ok((TrialEnd::TimedOut, format!("stopped after {seconds} s")));
            }
            if let Some(quiet) = self.trial.quiet
                && self.is_quiet(quiet)?
            {
                let seconds = quiet.time.as_secs();
                return Ok((
                    TrialEnd::Quiet,
                    format!("stopped, {seconds} s without news"),
                ));
            }
            if let Some((_, time)) = self.trial.check
                && self.next_check <= Instant::now()
                && let Some(pid) = self.process(time)
            {
                if self.run_check(pid)? {
                    // If the program is just ending, that end counts, not the stop. A check from the beginning may have passed before the program started.
                    if let CheckTime::WhileRunning(_) = time {
                        std::thread::sleep(TICK);
                        if self.waiter.is_none() && client.try_wait()?.is_some() {
                            continue;
                        }
                    }
                    let words = "stopped when the check had succeeded".to_owned();
                    return Ok((TrialEnd::CheckPassed, words));
                }
                self.next_check = Instant::now() + PAUSE;
            }
            std::thread::sleep(TICK);
        }
    }

    /// Returns true if nothing new has come for long enough; what is new is shown.
    fn is_quiet(&mut self, quiet: Quiet<'_>) -> anyhow::Result<bool> {
        let Some((stream, news)) = &mut self.news else {
            if self.process(CheckTime::WhileRunning(quiet.state)).is_some()
                && let Some(id) = &self.container
                && let Some(directory) = live::find(quiet.state, id)?
            {
                let stream = Stream::start(quiet.state, &[directory], LOOK)?;
                self.news = Some((stream, News::new()));
            }
            return Ok(false);
        };
        while let Ok(progress) = stream.next(Duration::ZERO) {
            for row in news.of(&progress?) {
                output::message(&format!("new: {}", live::told(row)));
            }
        }
        Ok(news.quiet_for(quiet.time))
    }

    fn is_interrupted(&self) -> bool {
        let mut stops = self.trial.interrupted.iter();
        stops.any(|stop| stop.load(Ordering::Relaxed))
    }

    /// The status of a program that has ended, if it is known, and how the engine's command ended; `None` while the program runs.
    fn ended(&mut self, client: &mut Child) -> anyhow::Result<Option<(Option<u8>, String)>> {
        let container = &self.trial.prepared.container;
        self.container = self.container.take().or_else(|| container.id());
        if let Some(waiter) = &mut self.waiter {
            let status = waiter.try_wait().context("wait for the container")?;
            return Ok(status.map(|status| (reported(waiter), status.to_string())));
        }
        let Some(status) = client.try_wait().context("wait for the engine")? else {
            return Ok(None);
        };
        // The engine may have reported the id just before it ended.
        self.container = self.container.take().or_else(|| container.id());
        if !container.detached || !status.success() {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(Some((code, status.to_string())));
        }
        // The engine's command only started the container, so another command waits for its end.
        let Some(id) = &self.container else {
            bail!("run the container: the engine did not report its id");
        };
        let mut wait = container.wait(id);
        wait.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        self.waiter = Some(wait.spawn().context("wait for the container")?);
        Ok(None)
    }

    /// The container's first process, if it is time for the check: its id in the initial pid namespace if that is known.
    fn process(&self, time: CheckTime<'_>) -> Option<Option<i32>> {
        // The check gets the id in its environment; without it, the check would look at another container.
        let id = self.container.as_ref()?;
        let CheckTime::WhileRunning(state) = time else {
            return Some(None);
        };
        Directory::list(state, None)
            .ok()?
            .iter()
            .find_map(|directory| {
                let recording = directory.load().ok()?;
                if recording.container.id != *id {
                    return None;
                }
                match recording.mode {
                    Mode::Profile | Mode::Verify | Mode::Observe => {
                        let init = directory.armed().ok()??.init;
                        let runs = capprof_store::process::exists(init) && is_the_program(init.pid);
                        runs.then_some(Some(init.pid))
                    }
                    // Nothing was armed, so no hook has written the process down.
                    Mode::Enforce => is_in_runtime_state(&recording).then_some(None),
                }
            })
    }

    /// Runs the check once. Returns true if it succeeded. A check that takes too long has failed; it is ended with all its children.
    fn run_check(&mut self, pid: Option<i32>) -> anyhow::Result<bool> {
        let Some(command) = self.check.as_ref().map(|check| check.command.clone()) else {
            return Ok(false);
        };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]);
        if let Some(id) = &self.container {
            shell.env("CAPPROF_CONTAINER_ID", id);
        }
        if let Some(pid) = pid {
            shell.env("CAPPROF_CONTAINER_PID", pid.to_string());
        }
        if let Streams::Log(_) = self.trial.streams {
            shell.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let status = status_of_check(shell, self.deadline, self.trial.interrupted)?;
        if let Some(check) = &mut self.check {
            tried(check, status);
        }
        Ok(status.is_some_and(|status| status.success()))
    }
}

/// Runs a check to its end; `None` if it took too long or the user wants to stop. Then it is ended with all its children.
///
/// # Errors
/// The check cannot be started.
pub(crate) fn status_of_check(
    mut shell: Command,
    deadline: Instant,
    interrupted: &[&AtomicBool],
) -> anyhow::Result<Option<ExitStatus>> {
    let deadline = deadline.max(Instant::now() + LAST_CHECK);
    let mut child = shell
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .context("run the check")?;
    loop {
        let status = child.try_wait().context("wait for the check");
        if let Ok(Some(status)) = status {
            return Ok(Some(status));
        }
        let is_over = Instant::now() >= deadline
            || interrupted.iter().any(|stop| stop.load(Ordering::Relaxed));
        if is_over || status.is_err() {
            process::end(&mut child);
            return status;
        }
        std::thread::sleep(TICK / 5);
    }
}

/// Counts a try of a check that ended with this status.
pub(crate) fn tried(check: &mut Check, status: Option<ExitStatus>) {
    check.tries += 1;
    check.passed = status.is_some_and(|status| status.success());
    check.last = match status {
        Some(_) if check.passed => "success".to_owned(),
        Some(status) => status.to_string(),
        None => "did not end in time".to_owned(),
    };
}

/// Returns true if a container's first process is already the container's program, and no longer the runtime that executes it: it has another root
/// directory than this process or, if the bundle has no root of its own, another name than a runtime.
fn is_the_program(pid: i32) -> bool {
    let identity = |path: &str| fs::metadata(path).map(|root| (root.dev(), root.ino())).ok();
    let root = identity(&format!("/proc/{pid}/root/"));
    if root.is_some() && root != identity("/") {
        return true;
    }
    // runc calls itself `runc:[2:INIT]`; crun, where it executes a copy of itself, is named like a descriptor's number.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim();
    let is_runtime = ["runc", "crun", "capprof", "exe"]
        .iter()
        .any(|runtime| name.starts_with(runtime));
    !name.is_empty() && !is_runtime && name.parse::<u32>().is_err()
}

/// The status that `docker wait` and similar commands print.
fn reported(waiter: &mut Child) -> Option<u8> {
    let mut text = String::new();
    waiter.stdout.as_mut()?.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
