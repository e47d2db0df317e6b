//! `capprofctl verify`

use crate::exit::Exit;
use crate::launch::{By, Launch, Prepared, Wish};
use crate::render;
use crate::{hook, output, process};
use anyhow::{Context, bail};
use capprof_profile::profile::Profile;
use capprof_profile::recording::Mode;
use capprof_profile::verification::{self, Check, End, Outside, Verdict};
use capprof_store::profiles::Store;
use capprof_store::recording::{Directory, is_in_runtime_state};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often to look whether something has changed.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long to wait before the check is run again.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the record of a run may be in coming when the container is gone: a guest under emulation is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for the poststop hook before looking whether it will never come.
const RECOVER_AFTER: Duration = Duration::from_secs(3);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options<'a> {
    /// The profile.
    pub(crate) profile: &'a str,
    /// A shell command that succeeds if the workload works.
    pub(crate) check: Option<&'a str>,
    /// How long the program, or the check, is given.
    pub(crate) timeout: Duration,
    /// Whether to see first that the check succeeds with everything granted.
    pub(crate) baseline: bool,
    /// Whether nothing may be refused, even if the program goes on.
    pub(crate) strict: bool,
    /// The engine's command line.
    pub(crate) command: &'a [OsString],
}

/// Runs a workload with nothing but its minimized set, and writes what came of it into the profile.
///
/// # Errors
/// There is no such profile, the command line is not understood, or the run left no record. The profile is as it was then.
pub(crate) fn run(store: &Store, state: &Path, options: &Options<'_>) -> anyhow::Result<Exit> {
    let wanted = store.find(options.profile)?.profile.origin.recording_id;
    // What the runtime will find by that id.
    let profile = store.find_complete(&wanted)?.profile;
    let id = profile.origin.recording_id.as_str();
    let launch = Launch::parse(options.command)?;
    launch.check()?;
    let interrupted = process::interrupted()?;
    let launcher = Launcher {
        launch: launch.clone(),
        binary: super::install::runtime()?,
        state,
        timeout: options.timeout,
        interrupted: &interrupted,
    };
    if options.baseline
        && let Some(check) = options.check
    {
        let everything = Wish {
            mode: "enforce",
            profile: None,
            capabilities: Some(profile.conditions.granted.bounding),
        };
        output::message("first run, with everything granted");
        let seen = launcher.run(&everything, Some(check))?;
        if interrupted.load(Ordering::Relaxed) {
            output::message("interrupted in the first run: the profile is as it was");
            return Ok(Exit::Interrupted);
        }
        if !seen.check.as_ref().is_some_and(|check| check.passed) {
            bail!(
                "the check fails even with everything granted: {}",
                seen.check.map_or_else(String::new, |check| check.last)
            );
        }
    }
    let before = store.run_of(id)?.map(|run| run.origin.recording_id);
    let former = profile.verification.clone();
    let wish = Wish {
        mode: "verify",
        profile: Some(id.to_owned()),
        capabilities: None,
    };
    let launcher = Launcher {
        launch: launch.with_options(profile.answer().0),
        ..launcher
    };
    let seen = launcher.run(&wish, options.check)?;
    let interrupted = interrupted.load(Ordering::Relaxed);
    let run = match wait_for_run(store, id, state, before.as_deref(), &seen) {
        Err(error) if interrupted => {
            output::error(&error.context("interrupted"));
            return Ok(Exit::Interrupted);
        }
        run => run?,
    };
    let outside = Outside {
        command: seen.words,
        end: seen.end,
        check: seen.check.map(|check| Check {
            baseline: options.baseline,
            ..check
        }),
        strict: options.strict,
    };
    let verification = verification::judge(&profile, &run, &outside);
    if interrupted {
        // The hook has judged a run that nobody let come to its end.
        store.set_verification(id, former.as_ref())?;
        let so_far: Vec<&str> = verification
            .compared
            .iter()
            .map(|comparison| comparison.verified.as_str())
            .collect();
        output::message(&format!(
            "interrupted, the profile is as it was; until then: {}",
            match so_far.is_empty() {
                true => "nothing to be seen".to_owned(),
                false => so_far.join("; "),
            }
        ));
        return Ok(Exit::Interrupted);
    }
    store.set_verification(id, Some(&verification))?;
    output::print(&render::verdict(&verification))?;
    Ok(match verification.verdict {
        Verdict::Verified => Exit::Success,
        Verdict::NotVerified => Exit::NotVerified,
    })
}

/// The record that the poststop hook left of a run; it is complete when the profile has the hook's own verdict on it.
fn wait_for_run(
    store: &Store,
    profile: &str,
    state: &Path,
    before: Option<&str>,
    seen: &Seen,
) -> anyhow::Result<Profile> {
    let started = Instant::now();
    let mut recovery = started + RECOVER_AFTER;
    loop {
        // Asked first: the recording goes after its result has been stored.
        let is_over = seen
            .container
            .as_ref()
            .is_some_and(|container| !is_recorded(state, container));
        if let Some(run) = store.run_of(profile)?
            && Some(run.origin.recording_id.as_str()) != before
            && seen
                .container
                .as_ref()
                .is_none_or(|container| *container == run.origin.container_id)
            && store
                .find(profile)?
                .profile
                .verification
                .is_some_and(|verification| verification.run == run.origin.recording_id)
        {
            return Ok(run);
        }
        if is_over {
            bail!(
                "{}: the container's program was never started: {} (the profile is as it was)",
                seen.words.first().map_or("", String::as_str),
                seen.status
            );
        }
        // podman removes the file with the id together with the container, which may be gone before anybody has read it; or there was none.
        let patience = match seen.container {
            Some(_) => PATIENCE,
            None => 2 * RECOVER_AFTER,
        };
        if started.elapsed() > patience {
            bail!(
                "{}: the container left no record: {}",
                seen.words.first().map_or("", String::as_str),
                seen.status
            );
        }
        if recovery < Instant::now() {
            // crun runs no poststop hook where the program could not be started.
            let arguments = [
                OsStr::new("recover"),
                OsStr::new("--state"),
                state.as_os_str(),
            ];
            hook::run(&arguments)?;
            recovery += RECOVER_AFTER;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Returns true if a recording of the container is in progress, or if that is not known.
fn is_recorded(state: &Path, container: &str) -> bool {
    Directory::list(state, None).map_or(true, |directories| {
        directories.iter().any(|directory| {
            directory
                .load()
                .map_or(true, |recording| recording.container.id == container)
        })
    })
}

/// What was seen of a run from outside.
struct Seen {
    words: Vec<String>,
    container: Option<String>,
    end: End,
    check: Option<Check>,
    /// How the engine's command ended, in words.
    status: String,
}

/// Runs the container, with the check beside it.
struct Launcher<'a> {
    launch: Launch,
    /// capprof.
    binary: PathBuf,
    /// Where recordings in progress are kept.
    state: &'a Path,
    timeout: Duration,
    /// Set when somebody wants to stop.
    interrupted: &'a AtomicBool,
}

impl Launcher<'_> {
    fn run(&self, wish: &Wish, check: Option<&str>) -> anyhow::Result<Seen> {
        let directory = tempfile::Builder::new()
            .prefix("capprofctl-")
            .tempdir()
            .context("create temporary directory")?;
        let by = By::Capprof {
            wish,
            binary: &self.binary,
            name: "capprof",
        };
        let prepared = self.launch.prepare(by, &directory.path().join("id"))?;
        for message in &prepared.messages {
            output::message(message);
        }
        let words: Vec<String> = prepared
            .words
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut child = prepared
            .command()
            .spawn()
            .with_context(|| format!("run {}", words.first().map_or("", String::as_str)))?;
        let mut container = None;
        let result = self.watch(&prepared, &mut child, check, &mut container);
        // Whatever went wrong, nothing is left running.
        if matches!(&result, Ok((End::Stopped, _, _)) | Err(_)) {
            process::stop(&prepared, &mut child, &mut container);
        }
        let _ = child.wait();
        let (end, check, status) = result?;
        Ok(Seen {
            words,
            container,
            end,
            check,
            status,
        })
    }

    /// Until the program has ended, the check has succeeded, or the time is over.
    fn watch(
        &self,
        prepared: &Prepared,
        child: &mut Child,
        check: Option<&str>,
        container: &mut Option<String>,
    ) -> anyhow::Result<(End, Option<Check>, String)> {
        let started = Instant::now();
        let mut check = check.map(|command| Check {
            command: command.to_owned(),
            passed: false,
            tries: 0,
            last: "the container did not live long enough for it".to_owned(),
            baseline: false,
        });
        let mut next = started;
        let mut waiting: Option<Child> = None;
        loop {
            *container = container.take().or_else(|| prepared.container.id());
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok((End::Stopped, check, "interrupted".to_owned()));
            }
            if let Some(status) = child.try_wait().context("wait for the engine")? {
                // It may have said the id just before.
                *container = container.take().or_else(|| prepared.container.id());
                match (&mut waiting, container.clone()) {
                    // It only started the container.
                    (None, Some(id)) if prepared.container.detached && status.success() => {
                        let wait = prepared.container.wait(&id).stdout(Stdio::piped()).spawn();
                        waiting = Some(wait.context("wait for the container")?);
                    }
                    (Some(_), _) => {}
                    (None, _) => {
                        let code = status.code().and_then(|code| u8::try_from(code).ok());
                        return Ok((End::Itself(code), check, status.to_string()));
                    }
                }
            }
            if let Some(wait) = &mut waiting
                && let Some(status) = wait.try_wait().context("wait for the container")?
            {
                return Ok((End::Itself(reported(wait)), check, status.to_string()));
            }
            if started.elapsed() > self.timeout {
                let status = format!("stopped after {} s", self.timeout.as_secs());
                return Ok((End::Stopped, check, status));
            }
            if let Some(check) = &mut check
                && next <= Instant::now()
                && let Some(id) = container.clone()
                && let Some(pid) = self.process(&id)
            {
                let left = self.timeout.saturating_sub(started.elapsed());
                let status = carry_out(&check.command, &id, pid, left, self.interrupted)?;
                check.tries += 1;
                check.passed = status.is_some_and(|status| status.success());
                check.last = match status {
                    Some(status) if status.success() => "success".to_owned(),
                    Some(status) => status.to_string(),
                    None => "did not end in time".to_owned(),
                };
                if check.passed {
                    // A program that ends just then has an end of its own.
                    std::thread::sleep(INTERVAL);
                    if child.try_wait().context("wait for the engine")?.is_none()
                        || waiting.is_some()
                    {
                        return Ok((
                            End::Stopped,
                            Some(check.clone()),
                            "stopped when the check had succeeded".to_owned(),
                        ));
                    }
                    continue;
                }
                next = Instant::now() + PAUSE;
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// The container's first process, if its program may be running.
    fn process(&self, id: &str) -> Option<i32> {
        let directories = Directory::list(self.state, None).ok()?;
        directories.iter().find_map(|directory| {
            let recording = directory.load().ok()?;
            if recording.container.id != id {
                return None;
            }
            let pid = match recording.mode {
                Mode::Profile | Mode::Verify => {
                    let init = directory.armed().ok()??.init;
                    capprof_store::process::exists(init).then_some(init.pid)?
                }
                // Nothing was armed, so nobody wrote it down.
                Mode::Enforce => is_in_runtime_state(&recording).then_some(0)?,
            };
            Some(pid)
        })
    }
}

/// The status that `wait` printed.
fn reported(wait: &mut Child) -> Option<u8> {
    let mut text = String::new();
    std::io::Read::read_to_string(wait.stdout.as_mut()?, &mut text).ok()?;
    text.trim().parse().ok()
}

/// Runs the check once; `None` if it did not end in time.
fn carry_out(
    command: &str,
    container: &str,
    pid: i32,
    patience: Duration,
    interrupted: &AtomicBool,
) -> anyhow::Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .env("CAPPROF_CONTAINER_ID", container)
        .stdin(Stdio::null());
    if pid > 0 {
        shell.env("CAPPROF_CONTAINER_PID", pid.to_string());
    }
    let mut child = shell.spawn().context("run the check")?;
    loop {
        if let Some(status) = child.try_wait().context("wait for the check")? {
            return Ok(Some(status));
        }
        if started.elapsed() > patience || interrupted.load(Ordering::Relaxed) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        std::thread::sleep(INTERVAL);
    }
}
