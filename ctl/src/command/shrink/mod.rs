//! `capprofctl shrink`

mod conclusion;
mod judge;
mod search;
mod state;

use crate::exit::Exit;
use crate::launch::Launch;
use crate::process;
use anyhow::bail;
use capprof_store::profiles::Store;
use judge::Judge;
use search::Search;
use state::{Question, STATE, State};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// How to judge, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A command for sh that succeeds if the container does what it should
    ///
    /// It is repeated until it succeeds or time is up; CAPPROF_CONTAINER_ID is the container's id. Without it, the program has to end by itself with status 0.
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,

    /// How long one run may take, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,

    /// Stop after so many runs, with what is minimal so far
    #[arg(long, value_name = "NUMBER")]
    max_runs: Option<usize>,

    /// Go on where an earlier call was interrupted
    #[arg(long)]
    resume: bool,

    /// Make sure first that nothing works without any capability
    #[arg(long)]
    empty_fails: bool,

    /// Give capabilities by the engine's own options, without capprof as its runtime
    ///
    /// For docker before 24, which has no annotations. What a user other than root gets is then what the engine gives: with docker, nothing ambient.
    #[arg(long)]
    engine_options: bool,

    /// The name under which docker knows capprof
    #[arg(long, default_value = "capprof", value_name = "NAME")]
    runtime: String,
}

/// Finds a smaller set that still passes, and writes it into the profile.
///
/// # Errors
/// The profile, the command line or the check cannot be used; the profile's own set does not pass.
pub(crate) fn run(
    store: &Store,
    wanted: &str,
    options: &Options,
    command: &[OsString],
) -> anyhow::Result<Exit> {
    let mut found = store.find(wanted)?;
    let recording = found.profile.origin.recording_id.clone();
    // What enforces it finds it by its recording, in the store.
    if store.find_complete(&recording)?.path != found.path {
        bail!(
            "{}: not in the store, from which capprof takes what it enforces",
            found.path.display()
        );
    }
    let directory = found.path.parent().unwrap_or(Path::new(".")).to_owned();
    let launch = Launch::parse(command)?;
    if !options.engine_options {
        launch.check()?;
    }
    let binary = super::install::runtime()?;
    let interrupted = process::interrupted()?;
    let judge = Judge {
        launch: &launch,
        profile: &recording,
        check: options.check.as_deref(),
        timeout: Duration::from_secs(options.timeout),
        binary: &binary,
        runtime: &options.runtime,
        engine_options: options.engine_options,
        id_file: directory.join("shrink.id"),
        log: directory.join("shrink.log"),
        interrupted: &interrupted,
    };
    let question = Question {
        command: command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        check: options.check.clone(),
        timeout: options.timeout,
        engine_options: options.engine_options,
    };
    let promised = search::promise(&found.profile, options.empty_fails);
    let known = State::begin(&directory, &recording, question, promised, options.resume)?;
    let mut search = Search::new(&judge, known, directory.join(STATE), options.max_runs);
    if search.state.running {
        judge.remove_left_over()?;
    }
    search.announce(&found.profile)?;
    let outcome = search.find(&found.profile, options.empty_fails);
    search.bar.finish_and_clear();
    conclusion::conclude(&mut search, &mut found, outcome)
}
