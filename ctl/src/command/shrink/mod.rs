//! `capprofctl shrink`

mod conclusion;
mod parallel_runs;
mod plan;
mod runner;
mod search;
mod state;

use crate::cli::ShrinkOptions;
use crate::exit::Exit;
use crate::launch::Launch;
use crate::process;
use anyhow::bail;
use capprof_store::profiles::Store;
use runner::SetRunner;
use search::{Limits, Search};
use state::{STATE, SearchInput, SearchState};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// Finds a smaller set that still passes, writes it into the profile, and prints the result.
///
/// # Errors
/// The profile, the command line or the check cannot be used; the profile's own set does not pass.
pub(crate) fn run(
    store: &Store,
    wanted: &str,
    options: &ShrinkOptions,
    command: &[OsString],
    tell: fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let mut found = store.find(wanted)?;
    let recording = found.profile.origin.recording_id.clone();
    // capprof looks up the enforced profile in the store, by its recording.
    if store.find_complete(&recording)?.path != found.path {
        bail!(
            "{}: not in the store, from which capprof takes what it enforces",
            found.path.display()
        );
    }
    let directory = found.path.parent().unwrap_or(Path::new(".")).to_owned();
    let launch =
        Launch::parse(command)?.with_form(&found.profile, found.profile.findings.minimized);
    if !options.engine_options {
        launch.check()?;
    }
    if options.jobs > 1 {
        launch.refuse_to_run_twice()?;
    }
    let binary = super::install::runtime()?;
    let interrupted = process::interrupted()?;
    let runner = SetRunner {
        launch: &launch,
        profile: &recording,
        check: options.check.as_deref(),
        timeout: Duration::from_secs(options.timeout),
        binary: &binary,
        runtime: &options.runtime,
        engine_options: options.engine_options,
        directory: &directory,
        interrupted: &interrupted,
    };
    let question = SearchInput {
        command: command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        check: options.check.clone(),
        timeout: options.timeout,
        engine_options: options.engine_options,
    };
    let course = search::course(&found.profile, options.empty_fails);
    let known = SearchState::begin(
        &directory,
        &recording,
        question,
        course.promise(),
        options.resume,
    )?;
    let mut search = Search::new(
        &runner,
        known,
        directory.join(STATE),
        Limits {
            runs: options.max_runs,
            jobs: usize::from(options.jobs),
        },
    );
    if search.state.running {
        runner.remove_left_over()?;
    }
    search.announce(&found.profile)?;
    let outcome = search.find(&course);
    search.bar.finish_and_clear();
    conclusion::conclude(&mut search, store, &mut found, outcome, tell)
}
