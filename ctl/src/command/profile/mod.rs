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

/// The factor by which a later run may take longer than the profiled one.
const LONGER: u32 = 3;

/// The least time limit for a program that ended by itself when it was profiled.
const LEAST: Duration = Duration::from_secs(30);

/// The least time limit of a check in the search. Most runs of a search fail, and each of these takes its whole time.
const LEAST_IN_SEARCH: Duration = Duration::from_secs(10);

/// Profiles a container, runs it again with only the capabilities that it used, leaves out doubtful ones if it works without, and prints one answer.
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
        // It is no use to try a set that may lack something, or to try it with a check that failed even with everything granted.
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
            // The answer is printed only after exactly that set was verified.
            false => self.verify(&shrunk, false)?,
        };
        self.standing(profile, exit)
    }

    /// Reads the profile from the store again, with its latest results.
    fn again(&self, profile: &Profile) -> anyhow::Result<Profile> {
        Ok(self.store.find(&profile.origin.recording_id)?.profile)
    }

    /// The exit status after a run that passed. If the workload only started, it got no request, so nothing is verified.
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
            // As long as news came in the profiled run, and the quiet time after that.
            (None, None) if self.options.until_quiet.is_some() => {
                next_step::lasted(profile).unwrap_or(self.options.timeout)
            }
            (None, None) => next_step::lasted(profile)
                .map_or(self.options.timeout, |lasted| (lasted * LONGER).max(LEAST)),
        }
    }

    /// The time limit of a run of the search. A check that took a second will not succeed only after a minute.
    fn limit_in_search(&self, profile: &Profile) -> Duration {
        let limit = self.limit(profile);
        match (&self.options.check, next_step::lasted(profile)) {
            (Some(_), Some(lasted)) => limit.min((lasted * LONGER).max(LEAST_IN_SEARCH)),
            _ => limit,
        }
    }

    /// Runs it with the answer, or with the part of the answer that the engine gives today.
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
