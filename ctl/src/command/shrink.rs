//! `capprofctl shrink`

use crate::exit::Exit;
use crate::judge::{Judge, Verdict};
use crate::launch::Launch;
use crate::shrink;
use crate::{output, process};
use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use capprof_profile::minimize;
use capprof_profile::profile::{Profile, Shrunk};
use capprof_store::config_json;
use capprof_store::file::{self, Attributes};
use capprof_store::profiles::{self, Found, Store};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is known so far, beside the profile.
const STATE: &str = "shrink.json";

/// The value of [`State::schema`].
const SCHEMA: &str = "capprof.shrink/v1";

/// The configuration with the shrunk sets, beside the minimized one.
const CONFIGURATION: &str = "config.shrunk.json";

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

/// What a search is made of: with another one, old verdicts say nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    command: Vec<String>,
    check: Option<String>,
    timeout: u64,
    engine_options: bool,
}

/// The state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    schema: String,
    recording: String,
    question: Question,
    /// How many runs there will be at most.
    promised: usize,
    /// A container may be running that nobody has removed.
    running: bool,
    /// The search has come to its end.
    finished: bool,
    runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    set: CapabilitySet,
    passed: bool,
    why: String,
    milliseconds: u64,
    /// To see whether the same comes out again: no answer to be used for the search.
    again: bool,
}

/// What ends a search early.
enum Stop {
    Interrupted,
    Budget,
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
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
    let promised = promise(&found.profile, options);
    let state = State::begin(&directory, &recording, question, promised, options.resume)?;
    let mut search = Search::new(&judge, state, directory.join(STATE), options.max_runs);
    if search.state.running {
        judge.remove_left_over()?;
    }
    search.announce(&found.profile)?;
    let outcome = search.find(&found.profile, options);
    search.bar.finish_and_clear();
    search.conclude(&mut found, outcome)
}

/// Blind spots that name a capability, which the profile could not know to be needed.
fn unseen(profile: &Profile) -> CapabilitySet {
    let named: CapabilitySet = profile
        .findings
        .blind_spots
        .iter()
        .filter_map(|spot| spot.capability)
        .collect();
    named.difference(profile.findings.minimized)
}

/// The most runs that there can be: the profile's set; if that fails, with the blind spots; none, if asked; the search; its result again.
fn promise(profile: &Profile, options: &Options) -> usize {
    let count = |set: CapabilitySet| set.len() as usize;
    let unseen = unseen(profile);
    let plain = 1 + shrink::bound(count(profile.findings.minimized));
    let with_unseen = match unseen.is_empty() {
        true => 0,
        false => 2 + shrink::bound(count(profile.findings.minimized.union(unseen))),
    };
    plain.max(with_unseen) + usize::from(options.empty_fails) + 1
}

impl State {
    fn begin(
        directory: &Path,
        recording: &str,
        question: Question,
        promised: usize,
        resume: bool,
    ) -> anyhow::Result<Self> {
        let path = directory.join(STATE);
        let fresh = |promised| Self {
            schema: SCHEMA.to_owned(),
            recording: recording.to_owned(),
            question: question.clone(),
            promised,
            running: false,
            finished: false,
            runs: Vec::new(),
        };
        let known: Option<Self> = match path.exists() {
            true => Some(
                serde_json::from_slice(&file::read(&path)?)
                    .with_context(|| format!("read {}: remove it to begin anew", path.display()))?,
            ),
            false => None,
        };
        match (known, resume) {
            (None, true) => bail!("nothing to resume: {recording} has not been shrunk yet"),
            (None, false) => Ok(fresh(promised)),
            (Some(known), true) => {
                if known.question != question {
                    bail!(
                        "cannot resume: it was begun with another command, check or timeout: {} --check {:?} --timeout {}",
                        known.question.command.join(" "),
                        known.question.check.unwrap_or_default(),
                        known.question.timeout
                    );
                }
                // A promise that was given is not raised.
                let promised = known.promised;
                Ok(Self {
                    promised,
                    finished: false,
                    ..known
                })
            }
            (Some(known), false) if !known.finished && !known.runs.is_empty() => bail!(
                "{recording} is being shrunk and was interrupted after {} runs: --resume goes on; remove {} to begin anew",
                known.runs.len(),
                path.display()
            ),
            (Some(known), false) => Ok(Self {
                running: known.running,
                ..fresh(promised)
            }),
        }
    }
}

/// A search under way.
struct Search<'a> {
    judge: &'a Judge<'a>,
    state: State,
    path: PathBuf,
    /// How many runs there may be.
    budget: usize,
    bar: ProgressBar,
    /// Whether the bar is shown; plain lines are otherwise.
    terminal: bool,
}

impl<'a> Search<'a> {
    fn new(judge: &'a Judge<'a>, state: State, path: PathBuf, max_runs: Option<usize>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let budget = max_runs.unwrap_or(usize::MAX).min(state.promised);
        let length = u64::try_from(budget).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(
            Some(length),
            match terminal {
                true => ProgressDrawTarget::stderr(),
                false => ProgressDrawTarget::hidden(),
            },
        );
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:24} {pos} of at most {len} runs, {elapsed}  {wide_msg}",
        ) {
            bar.set_style(style);
        }
        Self {
            judge,
            state,
            path,
            budget,
            bar,
            terminal,
        }
    }

    /// Says what is going to happen, the number of runs above all.
    fn announce(&self, profile: &Profile) -> anyhow::Result<()> {
        for message in self.judge.prepare(CapabilitySet::EMPTY)?.messages {
            output::message(&message);
        }
        let engine = self.judge.launch.engine();
        let known = match self.state.runs.len() {
            0 => String::new(),
            runs => format!(", of which {runs} are done"),
        };
        output::message(&format!(
            "shrinking {} ({} of {}) with {engine}: at most {} runs of up to {} s each{known}",
            profile.findings.minimized,
            profile.findings.minimized.len(),
            profile.origin.recording_id,
            self.budget,
            self.judge.timeout.as_secs()
        ));
        // Not before: it stands in the line that has been begun last.
        self.bar.set_position(self.state.runs.len() as u64);
        if self.terminal {
            self.bar.enable_steady_tick(Duration::from_secs(1));
        }
        Ok(())
    }

    fn save(&self) -> anyhow::Result<()> {
        let content = serde_json::to_vec_pretty(&self.state)?;
        Ok(file::write(&self.path, &content, Attributes::Mode(0o600))?)
    }

    /// The verdict on a set: known, or by a run.
    fn test(&mut self, set: CapabilitySet, what: &str, left: usize) -> Result<Verdict, Stop> {
        let known = self
            .state
            .runs
            .iter()
            .find(|run| run.set == set && !run.again);
        if let Some(run) = known {
            return Ok(Verdict {
                passed: run.passed,
                why: run.why.clone(),
            });
        }
        // What is left falls faster than runs are made.
        let length = self.budget.min(self.state.runs.len() + left);
        self.bar.set_length(length as u64);
        self.run(set, what, false)
    }

    fn run(&mut self, set: CapabilitySet, what: &str, again: bool) -> Result<Verdict, Stop> {
        if self.judge.interrupted.load(Ordering::Relaxed) {
            return Err(Stop::Interrupted);
        }
        if self.state.runs.len() >= self.budget {
            return Err(Stop::Budget);
        }
        self.bar.set_message(what.to_owned());
        self.bar.tick();
        // On disk before there is a container that a successor would have to remove.
        self.state.running = true;
        self.save()?;
        let started = Instant::now();
        let verdict = self.judge.run(set)?;
        self.state.running = false;
        let Some(verdict) = verdict else {
            self.save()?;
            return Err(Stop::Interrupted);
        };
        let elapsed = started.elapsed();
        self.state.runs.push(Run {
            set,
            passed: verdict.passed,
            why: verdict.why.clone(),
            milliseconds: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            again,
        });
        self.save()?;
        self.bar.set_position(self.state.runs.len() as u64);
        if !self.terminal {
            output::message(&format!(
                "run {} of at most {}: {what}: {}: {} ({:.1} s)",
                self.state.runs.len(),
                self.bar.length().unwrap_or_default(),
                if verdict.passed { "passes" } else { "fails" },
                verdict.why,
                elapsed.as_secs_f64()
            ));
        }
        Ok(verdict)
    }

    /// The smallest set, and whether it passed a second time; with what it was found from.
    fn find(&mut self, profile: &Profile, options: &Options) -> Result<Outcome, Stop> {
        let mut full = profile.findings.minimized;
        let whole = self.state.promised;
        let mut first = self.test(full, "the profile's set", whole)?;
        let unseen = unseen(profile);
        if !first.passed && !unseen.is_empty() {
            full = full.union(unseen);
            let verdict = self.test(full, &format!("with its blind spots {unseen}"), whole - 1)?;
            if verdict.passed {
                first = verdict;
            }
        }
        if !first.passed {
            return Ok(Outcome::FullFails(first.why));
        }
        if options.empty_fails {
            let left = 2 + shrink::bound(full.len() as usize);
            if self
                .test(CapabilitySet::EMPTY, "no capability at all", left)?
                .passed
            {
                return Ok(Outcome::EmptyPasses);
            }
        }
        let searched = shrink::shrink(full, |candidate, left| {
            let without = full.difference(candidate);
            self.test(candidate, &format!("without {without}"), left + 1)
                .map(|verdict| verdict.passed)
        });
        match searched {
            Ok(set) => {
                let again = self
                    .state
                    .runs
                    .iter()
                    .find(|run| run.set == set && run.again);
                let again = match again {
                    Some(run) => Verdict {
                        passed: run.passed,
                        why: run.why.clone(),
                    },
                    None => match self.run(set, &format!("{set} once more"), true) {
                        Ok(verdict) => verdict,
                        Err(stop) => return Ok(Outcome::Stopped(set, stop)),
                    },
                };
                Ok(match again.passed {
                    true => Outcome::Found(set),
                    false => Outcome::Unstable(set, again.why),
                })
            }
            Err(stopped) => Ok(Outcome::Stopped(stopped.smallest, stopped.error)),
        }
    }

    /// Says and keeps what came out.
    fn conclude(
        &mut self,
        found: &mut Found,
        outcome: Result<Outcome, Stop>,
    ) -> anyhow::Result<Exit> {
        let runs = self.state.runs.len();
        let log = self.judge.log.display();
        let (set, stop) = match outcome {
            Ok(Outcome::Found(set)) => (set, None),
            Ok(Outcome::Stopped(set, stop)) => (set, Some(stop)),
            Err(stop) => (found.profile.findings.minimized, Some(stop)),
            Ok(Outcome::FullFails(why)) => {
                self.state.finished = true;
                self.save()?;
                bail!("the profile's own set does not pass: {why}; output in {log}");
            }
            Ok(Outcome::EmptyPasses) => {
                self.state.finished = true;
                self.save()?;
                bail!(
                    "it passes without any capability: nothing is needed, or the check does not look at what is"
                );
            }
            Ok(Outcome::Unstable(set, why)) => {
                self.state.finished = true;
                self.save()?;
                bail!(
                    "{set} passed once and failed once ({why}): the check or the program is not reliable; nothing was changed"
                );
            }
        };
        let left_out = found.profile.findings.minimized.difference(set);
        match stop {
            Some(Stop::Error(error)) => {
                self.save()?;
                Err(error)
            }
            Some(stop) => {
                self.save()?;
                let why = match stop {
                    Stop::Interrupted => "interrupted",
                    _ => "stopped by --max-runs",
                };
                output::print(&format!(
                    "minimal so far: {set}\n{}",
                    explain(&found.profile, left_out)
                ))?;
                output::message(&format!(
                    "{why} after {runs} runs: not proved minimal, the profile is as it was; --resume goes on"
                ));
                Ok(match stop {
                    Stop::Interrupted => Exit::Interrupted,
                    _ => Exit::Incomplete,
                })
            }
            None => {
                found.profile.shrunk = Some(Shrunk {
                    set,
                    sets: found.profile.sets_of(set),
                    left_out,
                    added: set.difference(found.profile.findings.minimized),
                    check: self.state.question.check.clone(),
                    command: self.state.question.command.clone(),
                    runs,
                    finished: jiff::Timestamp::now()
                        .strftime("%Y-%m-%dT%H:%M:%SZ")
                        .to_string(),
                });
                write_configuration(found)?;
                profiles::update(found)?;
                self.state.finished = true;
                self.save()?;
                let _ = fs::remove_file(&self.judge.log);
                output::print(&format!(
                    "needed: {set}\n{}found in {runs} runs, of at most {} that were promised; without any of these it fails\n",
                    explain(&found.profile, left_out),
                    self.state.promised
                ))?;
                Ok(Exit::Success)
            }
        }
    }
}

/// What a search comes to.
enum Outcome {
    Found(CapabilitySet),
    Stopped(CapabilitySet, Stop),
    FullFails(String),
    EmptyPasses,
    Unstable(CapabilitySet, String),
}

/// Why what was left out had looked needed, a line each.
fn explain(profile: &Profile, left_out: CapabilitySet) -> String {
    let mut text = String::new();
    for need in &profile.findings.needed {
        if !left_out.contains(need.capability) {
            continue;
        }
        let mut line = format!(
            "not needed: {}, which had looked so: {}",
            need.capability,
            minimize::describe(need.reason)
        );
        if let Some(program) = need.programs.first() {
            line.push_str(&format!(" by {program}"));
        }
        if let Some(syscall) = need.syscalls.first() {
            line.push_str(&format!(" in {syscall}"));
        }
        line.push_str(&match need.count {
            1 => ", once".to_owned(),
            count => format!(", {count} times"),
        });
        for note in &need.notes {
            line.push_str("; ");
            line.push_str(note);
        }
        text.push_str(&line.replace(char::is_control, "?"));
        text.push('\n');
    }
    text
}

/// The engine's configuration with the shrunk sets, from the one with the minimized sets.
fn write_configuration(found: &Found) -> anyhow::Result<()> {
    let directory = found.path.parent().unwrap_or(Path::new("."));
    let minimized = directory.join(profiles::CONFIGURATION);
    let Ok(content) = file::read(&minimized) else {
        return Ok(());
    };
    let mut value: serde_json::Value = serde_json::from_slice(&content)
        .with_context(|| format!("read {}", minimized.display()))?;
    if let Some(process) = value
        .get_mut("process")
        .and_then(serde_json::Value::as_object_mut)
    {
        config_json::set_capabilities(process, &found.profile.answer().1.named());
    }
    let mut content = serde_json::to_vec_pretty(&value)?;
    content.push(b'\n');
    Ok(file::write(
        &directory.join(CONFIGURATION),
        &content,
        Attributes::Mode(0o600),
    )?)
}
