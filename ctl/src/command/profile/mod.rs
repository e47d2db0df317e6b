//! `capprofctl profile`: from a command line to a verified answer.

mod first_run;
mod next_step;
mod program;
mod step_display;

use crate::cli::{DetailOptions, ProfileOptions, ShrinkOptions};
use crate::exit::Exit;
use crate::launch::{Launch, without_sudo};
use crate::{output, process};
use anyhow::Context;
use capprof_profile::profile::Profile;
use capprof_store::profiles::Store;
use first_run::{FirstRun, Recorded};
use program::Program;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use step_display::StepDisplay;

/// How much longer than while it was profiled a program is given.
const LONGER: u32 = 3;

/// The least time that a program is given which ended by itself when it was profiled.
const LEAST: Duration = Duration::from_secs(30);

/// The least time that a check is given in the search, in which most runs fail, each at the end of its time.
const LEAST_IN_SEARCH: Duration = Duration::from_secs(10);

/// Profiles a container, runs it again with nothing but what it used, leaves out what is doubtful if it does without, and prints one answer.
///
/// # Errors
/// The command line is not understood, or the container left no profile.
pub(crate) fn run(store: &Store, state: &Path, options: &ProfileOptions) -> anyhow::Result<Exit> {
    let program = Program::of(without_sudo(&options.command)?)?;
    let command = match &program {
        Some(program) => &program.command,
        None => &options.command,
    };
    let launch = Launch::parse(command)?;
    let interrupted = process::interrupted()?;
    let log = tempfile::Builder::new()
        .prefix("capprofctl-")
        .tempdir()
        .context("create temporary directory")?;
    let mut course = Course {
        store,
        state,
        options,
        command,
        launch: &launch,
        interrupted: &interrupted,
        log: &log.path().join("log"),
        progress: StepDisplay::new(),
    };
    let recorded = course.record()?;
    let id = recorded.profile.origin.recording_id.clone();
    let exit = course.judge(&recorded);
    course.progress.finish();
    let detail = DetailOptions {
        verbose: false,
        all_forms: false,
    };
    super::report::run(store, state, &id, (options.format, false), &detail)?;
    let profile = store.find(&id)?.profile;
    let exit = match exit {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&error.context(format!("profiled as {id}, but not verified")));
            Exit::Error
        }
    };
    if exit != Exit::Success {
        output::message(&next_step::line(&profile, &recorded, options, exit));
    }
    Ok(exit)
}

/// The steps from a command line to an answer.
struct Course<'a> {
    store: &'a Store,
    state: &'a Path,
    options: &'a ProfileOptions,
    /// The command line of an engine.
    command: &'a [OsString],
    launch: &'a Launch,
    interrupted: &'a AtomicBool,
    /// The destination of the container's output in later runs.
    log: &'a Path,
    progress: StepDisplay,
}

impl Course<'_> {
    /// The first step: the user's own command line, with capprof as the runtime.
    fn record(&mut self) -> anyhow::Result<Recorded> {
        let recorder = FirstRun {
            launch: self.launch,
            store: self.store,
            state: self.state,
            check: self.options.check.as_deref(),
            duration: self.options.duration,
            until_quiet: self.options.until_quiet,
            timeout: self.options.timeout,
            interrupted: self.interrupted,
        };
        self.progress.step("profiling");
        recorder.run()
    }

    /// The further steps.
    fn judge(&mut self, recorded: &Recorded) -> anyhow::Result<Exit> {
        let profile = &recorded.profile;
        if recorded.was_interrupted {
            return Ok(Exit::Interrupted);
        }
        // A set that something may be missing from need not be tried, nor one by a check that looks at something else.
        if !profile.complete || recorded.check.as_ref().is_some_and(|check| !check.passed) {
            return Ok(Exit::NotVerified);
        }
        let tries_today = profile.todays_set() != profile.findings.minimized;
        let shrinks = !self.options.no_shrink
            && is_judged(recorded)
            && !next_step::doubtful(profile).is_empty();
        self.progress.last = 2 + usize::from(tries_today) + 2 * usize::from(shrinks);
        if tries_today {
            match self.verify(profile, true)? {
                Exit::Success | Exit::NotVerified => {}
                other => return Ok(other),
            }
        }
        let exit = self.verify(&self.again(profile)?, false)?;
        if exit != Exit::Success || !shrinks {
            return self.standing(profile, exit);
        }
        let before = self.again(profile)?.answer().0;
        match self.shrink(profile)? {
            Exit::Success => {}
            other => return Ok(other),
        }
        let shrunk = self.again(profile)?;
        let exit = match shrunk.answer().0 == before {
            true => exit,
            // What is printed is what was verified.
            false => self.verify(&shrunk, false)?,
        };
        self.standing(profile, exit)
    }

    /// The profile as it is in the store by now.
    fn again(&self, profile: &Profile) -> anyhow::Result<Profile> {
        Ok(self.store.find(&profile.origin.recording_id)?.profile)
    }

    /// What a run that passed comes to: one that only started has not been asked for anything.
    fn standing(&self, profile: &Profile, exit: Exit) -> anyhow::Result<Exit> {
        Ok(match exit {
            Exit::Success if !next_step::is_verified(&self.again(profile)?) => Exit::NotVerified,
            other => other,
        })
    }

    /// The time limit of a later run.
    fn limit(&self, profile: &Profile) -> Duration {
        match (&self.options.check, self.options.duration) {
            (Some(_), _) => self.options.timeout,
            (None, Some(duration)) => duration,
            // As long as there was something to see, and the quiet time after it.
            (None, None) if self.options.until_quiet.is_some() => {
                next_step::lasted(profile).unwrap_or(self.options.timeout)
            }
            (None, None) => next_step::lasted(profile)
                .map_or(self.options.timeout, |lasted| (lasted * LONGER).max(LEAST)),
        }
    }

    /// The time limit of a run of the search. A check that took a second does not succeed after a minute.
    fn limit_in_search(&self, profile: &Profile) -> Duration {
        let limit = self.limit(profile);
        match (&self.options.check, next_step::lasted(profile)) {
            (Some(_), Some(lasted)) => limit.min((lasted * LONGER).max(LEAST_IN_SEARCH)),
            _ => limit,
        }
    }

    /// Runs it with the answer, or with what of it the engine gives today.
    fn verify(&mut self, profile: &Profile, today: bool) -> anyhow::Result<Exit> {
        let set = match today {
            true => profile.todays_set(),
            false => profile.answer().0,
        };
        self.progress.step(&format!("running with {set}"));
        let timeout = self.limit(profile);
        self.progress.wait(timeout);
        let exit = super::verify::run(
            self.store,
            self.state,
            &super::verify::Options {
                profile: &profile.origin.recording_id,
                check: self.options.check.as_deref(),
                timeout,
                baseline: false,
                strict: false,
                today,
                anyway: false,
                command: self.command,
                log: Some(self.log),
            },
        );
        self.progress.finish();
        exit
    }

    fn shrink(&mut self, profile: &Profile) -> anyhow::Result<Exit> {
        self.progress
            .step(&format!("trying without {}", next_step::doubtful(profile)));
        let options = ShrinkOptions {
            check: self.options.check.clone(),
            timeout: self.limit_in_search(profile).as_secs().clamp(1, 86_400),
            ..ShrinkOptions::default()
        };
        super::shrink::run(
            self.store,
            &profile.origin.recording_id,
            &options,
            self.command,
            // Standard output is for the answer.
            output::print_error,
        )
    }
}

/// Returns true if a run can be judged: a check passed, or the program ended by itself with status 0.
fn is_judged(recorded: &Recorded) -> bool {
    match &recorded.check {
        Some(check) => check.passed,
        None => recorded.status == Some(0),
    }
}
