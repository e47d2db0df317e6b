//! `capprofctl verify`

use crate::cli::VerifyOptions;
use crate::exit::Exit;
use crate::launch::{By, Launch, RunMode};
use crate::render;
use crate::trial::{self, CheckTime, Observed, Streams, Trial};
use crate::{hook, output, process};
use anyhow::{Context, bail};
use capprof_profile::part::{self, Today};
use capprof_profile::profile::Profile;
use capprof_profile::verification::{Check, Outside, RunEnd, Verdict, Verification};
use capprof_profile::{CapabilitySet, verify};
use capprof_store::profiles::Store;
use capprof_store::recording::Directory;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time between two looks for a change.
const INTERVAL: Duration = Duration::from_millis(50);

/// The time limit of a run's record after the container is gone. A guest under emulation is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time to wait for the poststop hook before looking whether it will never come.
const RECOVER_AFTER: Duration = Duration::from_secs(3);

/// The parsed command line.
#[derive(Clone, Debug)]
pub(crate) struct Options<'a> {
    /// The profile.
    pub(crate) profile: &'a str,
    /// A shell command that succeeds if the workload works.
    pub(crate) check: Option<&'a str>,
    /// The time limit of the program or the check.
    pub(crate) timeout: Duration,
    /// True if a first run shows that the check succeeds with everything granted.
    pub(crate) baseline: bool,
    /// True if it runs with no more than it has today.
    pub(crate) today: bool,
    /// True if a run of another image, command or user is judged.
    pub(crate) anyway: bool,
    /// True if nothing may be refused, even if the program goes on.
    pub(crate) strict: bool,
    /// The engine's command line.
    pub(crate) command: &'a [OsString],
    /// The file for the container's output; then the verdict is not printed either. `None` if both are shown.
    pub(crate) log: Option<&'a Path>,
}

impl<'a> From<&'a VerifyOptions> for Options<'a> {
    fn from(options: &'a VerifyOptions) -> Self {
        Self {
            profile: &options.profile,
            check: options.check.as_deref(),
            timeout: Duration::from_secs(options.timeout),
            baseline: options.baseline,
            today: options.today,
            anyway: options.anyway,
            strict: options.strict,
            command: &options.command,
            log: None,
        }
    }
}

/// Runs a workload with nothing but its minimized set, and writes the verdict into the profile.
///
/// # Errors
/// There is no such profile, the command line is not understood, the run was of another workload, or it left no record. Then the profile is
/// unchanged.
pub(crate) fn run(store: &Store, state: &Path, options: &Options<'_>) -> anyhow::Result<Exit> {
    let profile = store.find(options.profile)?.profile;
    let id = profile.origin.recording_id.as_str();
    let launch = Launch::parse(options.command)?;
    launch.check()?;
    let answer = profile.answer().0;
    let set = match options.today {
        true => profile.todays_set(),
        false => launch.set_of(&profile, answer),
    };
    if options.today && set == profile.findings.minimized {
        output::print("it asks for nothing beyond what it has today: there is nothing to try\n")?;
        return Ok(Exit::Success);
    }
    let interrupted = process::interrupted()?;
    let runner = Runner {
        launch: launch.clone(),
        binary: super::install::runtime()?,
        state,
        log: options.log,
        timeout: options.timeout,
        interrupted: &interrupted,
    };
    if options.baseline
        && let Some(check) = options.check
        && !see_baseline(&runner, &profile, check)?
    {
        return Ok(Exit::Interrupted);
    }
    let before = store.run_of(id)?.map(|run| run.origin.recording_id);
    let run_mode = RunMode {
        mode: "verify",
        profile: Some(id.to_owned()),
        // The recording alone lacks the needs of the other recordings of its workload.
        capabilities: (set != answer || !profile.united.is_empty()).then_some(set),
    };
    let runner = Runner {
        launch: launch.with_form(&profile, set).with_options(set),
        ..runner
    };
    let seen = runner.run(&run_mode, options.check)?;
    let interrupted = interrupted.load(Ordering::Relaxed);
    let run = match wait_for_run(store, id, state, before.as_deref(), &seen) {
        Err(error) if interrupted => {
            output::error(&error.context("interrupted"));
            return Ok(Exit::Interrupted);
        }
        run => run?,
    };
    let verification = verify::judge(&profile, &run, &seen.outside(options));
    let others = verify::differences(&profile, &run);
    if interrupted {
        tell_interrupted(&verification);
        return Ok(Exit::Interrupted);
    }
    if !others.is_empty() && !options.anyway {
        bail!(
            "verify {id}: {} (--anyway judges it all the same; the profile is as it was)",
            others.join("; ")
        );
    }
    match options.today {
        true => settle(store, &profile, set, &verification)?,
        false => store.set_verification(id, Some(&verification))?,
    }
    if options.log.is_none() {
        output::print(&render::verdict(&verification))?;
    }
    Ok(exit(verification.verdict))
}

fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Verified | Verdict::StartedOnly => Exit::Success,
        Verdict::NotVerified => Exit::NotVerified,
    }
}

/// Makes sure that the check succeeds with everything granted. Returns false if the user wants to stop.
fn see_baseline(runner: &Runner<'_>, profile: &Profile, check: &str) -> anyhow::Result<bool> {
    let everything = RunMode {
        mode: "enforce",
        profile: None,
        capabilities: Some(profile.conditions.granted.bounding),
    };
    output::message("first run, with everything granted");
    let seen = runner.run(&everything, Some(check))?;
    if runner.interrupted.load(Ordering::Relaxed) {
        output::message("interrupted in the first run: the profile is as it was");
        return Ok(false);
    }
    match seen.observed.check {
        Some(check) if check.passed => Ok(true),
        check => bail!(
            "the check fails even with everything granted: {}",
            check.map_or_else(String::new, |check| check.last)
        ),
    }
}

fn tell_interrupted(verification: &Verification) {
    let so_far: Vec<&str> = verification
        .compared
        .iter()
        .map(|comparison| comparison.verified.as_str())
        .collect();
    output::message(&format!(
        "interrupted, the profile is as it was; until then: {}",
        match so_far.is_empty() {
            true => "nothing was compared".to_owned(),
            false => so_far.join("; "),
        }
    ));
}

/// Stores the result of a run with what the workload has today. A program that only started may not work.
fn settle(
    store: &Store,
    profile: &Profile,
    set: CapabilitySet,
    verification: &Verification,
) -> anyhow::Result<()> {
    let rest = profile.findings.minimized.difference(set);
    match verification.verdict {
        Verdict::StartedOnly => {
            output::message(&format!(
                "it starts without {rest}, which does not show that it works: give a check (the profile is as it was)"
            ));
            return Ok(());
        }
        Verdict::Verified => output::message(&format!("it works without {rest}, as today")),
        Verdict::NotVerified => {
            output::message(&format!(
                "it needs some of what it does not have today: {rest}"
            ));
        }
    }
    Ok(store.settle(
        &profile.origin.recording_id,
        &Today {
            passed: verification.verdict == Verdict::Verified,
            by: part::TriedBy::Verified,
            set,
            run: verification.run.clone(),
            date: verification.date.clone(),
            failures: verification.failures.clone(),
        },
    )?)
}

/// Waits for the record that the poststop hook leaves of a run.
fn wait_for_run(
    store: &Store,
    profile: &str,
    state: &Path,
    before: Option<&str>,
    seen: &Ran,
) -> anyhow::Result<Profile> {
    let started = Instant::now();
    let mut recovery = started + RECOVER_AFTER;
    loop {
        // This comes first: the recording is removed only after its result has been stored.
        let is_over = seen
            .observed
            .container
            .as_ref()
            .is_some_and(|container| !is_recorded(state, container));
        if let Some(run) = store.run_of(profile)?
            && Some(run.origin.recording_id.as_str()) != before
            && seen
                .observed
                .container
                .as_ref()
                .is_none_or(|container| *container == run.origin.container_id)
        {
            return Ok(run);
        }
        if is_over {
            bail!(
                "{}: the container's program was never started: {} (the profile is as it was)",
                seen.words.first().map_or("", String::as_str),
                seen.observed.status
            );
        }
        // podman removes the file with the id together with the container, maybe before this program has read it; or there was no container.
        let patience = match seen.observed.container {
            Some(_) => PATIENCE,
            None => 2 * RECOVER_AFTER,
        };
        if started.elapsed() > patience {
            bail!(
                "{}: the container left no record: {}",
                seen.words.first().map_or("", String::as_str),
                seen.observed.status
            );
        }
        if recovery < Instant::now() {
            // crun runs no poststop hook if the program could not be started.
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
pub(super) fn is_recorded(state: &Path, container: &str) -> bool {
    Directory::list(state, None).map_or(true, |directories| {
        directories.iter().any(|directory| {
            directory
                .load()
                .map_or(true, |recording| recording.container.id == container)
        })
    })
}

/// Runs a workload through capprof, with the check next to it.
struct Runner<'a> {
    launch: Launch,
    /// capprof.
    binary: PathBuf,
    /// The state directory, which has the recordings in progress.
    state: &'a Path,
    /// As [`Options::log`]; with it, a container that has ended by itself is removed.
    log: Option<&'a Path>,
    timeout: Duration,
    /// Set when the user wants to stop.
    interrupted: &'a AtomicBool,
}

/// A run that has come to its end.
struct Ran {
    /// The engine's command line.
    words: Vec<String>,
    observed: Observed,
}

impl Ran {
    /// Facts about the run that this program saw, besides the run's record.
    fn outside(&self, options: &Options<'_>) -> Outside {
        Outside {
            command: self.words.clone(),
            end: match self.observed.end {
                trial::TrialEnd::Itself(status) => RunEnd::Itself(status),
                _ => RunEnd::Stopped,
            },
            check: self.observed.check.clone().map(|check| Check {
                baseline: options.baseline,
                ..check
            }),
            strict: options.strict,
            anyway: options.anyway,
            today: options.today,
        }
    }
}

impl Runner<'_> {
    fn run(&self, run_mode: &RunMode, check: Option<&str>) -> anyhow::Result<Ran> {
        let directory = tempfile::Builder::new()
            .prefix("capprofctl-")
            .tempdir()
            .context("create temporary directory")?;
        let by = By::Capprof {
            run_mode,
            binary: &self.binary,
            name: "capprof",
        };
        let prepared = self.launch.prepare(by, &directory.path().join("id"))?;
        for message in &prepared.messages {
            output::message(message);
        }
        let trial = Trial {
            prepared: &prepared,
            check: check.map(|check| (check, CheckTime::WhileRunning(self.state))),
            timeout: self.timeout,
            quiet: None,
            interrupted: &[self.interrupted],
            streams: self.log.map_or(Streams::Inherited, Streams::Log),
            removes_ended: self.log.is_some(),
            grace: Duration::ZERO,
        };
        let observed = trial.run()?;
        Ok(Ran {
            words: prepared
                .words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            observed,
        })
    }
}
