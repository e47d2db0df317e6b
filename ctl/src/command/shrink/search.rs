//! The search under way: its runs, how many there may be, and what is shown of it.

use super::judge::{Judge, Lane, RunResult};
use super::state::{Run, State};
use crate::output;
use crate::shrink::{self, Question};
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use capprof_store::file;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What ends a search early.
pub(super) enum Stop {
    Interrupted,
    Budget,
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

/// What a search comes to.
pub(super) enum Conclusion {
    Found(CapabilitySet),
    Stopped(CapabilitySet, Stop),
    FullFails(String),
    EmptyPasses,
    Unstable(CapabilitySet, String),
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
pub(super) fn promise(profile: &Profile, empty_fails: bool) -> usize {
    let count = |set: CapabilitySet| set.len() as usize;
    let unseen = unseen(profile);
    let plain = 1 + shrink::bound(count(profile.findings.minimized));
    let with_unseen = match unseen.is_empty() {
        true => 0,
        false => 2 + shrink::bound(count(profile.findings.minimized.union(unseen))),
    };
    plain.max(with_unseen) + usize::from(empty_fails) + 1
}

/// How many runs a search may make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The largest number in all, if the user gave one besides what is promised.
    pub(super) runs: Option<usize>,
    /// At the same time.
    pub(super) jobs: usize,
}

/// A search under way.
pub(super) struct Search<'a> {
    pub(super) judge: &'a Judge<'a>,
    pub(super) state: State,
    path: PathBuf,
    /// How many runs there may be.
    budget: usize,
    /// How many of them at the same time.
    jobs: usize,
    pub(super) bar: ProgressBar,
    /// Whether the bar is shown; plain lines are otherwise.
    terminal: bool,
}

impl<'a> Search<'a> {
    /// Makes a search whose state is kept in the file `path`.
    pub(super) fn new(judge: &'a Judge<'a>, state: State, path: PathBuf, limits: Limits) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let budget = limits.runs.unwrap_or(usize::MAX).min(state.promised);
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
            jobs: limits.jobs,
            bar,
            terminal,
        }
    }

    /// Says what is going to happen, the number of runs above all.
    pub(super) fn announce(&self, profile: &Profile) -> anyhow::Result<()> {
        for message in self.judge.prepare(CapabilitySet::EMPTY, Lane(0))?.messages {
            output::message(&message);
        }
        let engine = self.judge.launch.engine();
        let known = match self.state.made() {
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
        self.bar.set_position(self.state.made() as u64);
        if self.terminal {
            self.bar.enable_steady_tick(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Writes the state.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        Ok(file::write_json(&self.path, &self.state)?)
    }

    /// The verdict on a set that is known.
    fn known(&self, set: CapabilitySet) -> Option<RunResult> {
        let mut runs = self.state.runs.iter();
        let run = runs.find(|run| run.set == set && !run.again)?;
        Some(RunResult {
            passed: run.passed,
            why: run.why.clone(),
        })
    }

    /// The verdict on a set: known, or by a run.
    fn test(&mut self, set: CapabilitySet, what: &str, left: usize) -> Result<RunResult, Stop> {
        if let Some(known) = self.known(set) {
            return Ok(known);
        }
        self.expect(left);
        self.run(&[(set, what.to_owned())], false)
    }

    /// The verdict on a set of the search, with runs at the same time of those that are asked about next if it fails. What of these turns out
    /// to be of no use is no run more than was promised.
    fn test_ahead(&mut self, question: &Question, full: CapabilitySet) -> Result<RunResult, Stop> {
        if let Some(known) = self.known(question.set) {
            return Ok(known);
        }
        self.expect(question.left + 1);
        // If it passes: this run, those after it, and the last one once more.
        let spare = self
            .budget
            .saturating_sub(self.state.made() + 1 + question.if_passes + 1);
        let others = question.ahead.iter().copied();
        let sets: Vec<(CapabilitySet, String)> = std::iter::once(question.set)
            .chain(
                others
                    .filter(|other| self.known(*other).is_none())
                    .take(spare.min(self.jobs - 1)),
            )
            .map(|set| (set, format!("without {}", full.difference(set))))
            .collect();
        self.run(&sets, false)
    }

    /// What is left falls faster than runs are made.
    fn expect(&self, left: usize) {
        let length = self.budget.min(self.state.made() + left);
        self.bar.set_length(length as u64);
    }

    /// Runs containers with these sets at the same time, and returns the verdict on the first. If that one passes, it does not wait for the others.
    fn run(&mut self, sets: &[(CapabilitySet, String)], again: bool) -> Result<RunResult, Stop> {
        if self.judge.interrupted.load(Ordering::Relaxed) {
            return Err(Stop::Interrupted);
        }
        if self.state.made() + sets.len() > self.budget {
            return Err(Stop::Budget);
        }
        let what: Vec<&str> = sets.iter().map(|(_, what)| what.as_str()).collect();
        self.bar.set_message(what.join("; "));
        self.bar.tick();
        // On disk before there is a container that a successor would have to remove.
        self.state.running = true;
        self.save()?;
        let mut results = self.run_all(sets);
        self.state.running = false;
        let first = match results.remove(0) {
            Ok(Some((verdict, elapsed))) => {
                self.add(&sets[0], &verdict, elapsed, again);
                verdict
            }
            Ok(None) => {
                self.save()?;
                return Err(Stop::Interrupted);
            }
            Err(error) => return Err(error.into()),
        };
        for (asked, result) in sets[1..].iter().zip(results) {
            match result {
                Ok(Some((verdict, elapsed))) => self.add(asked, &verdict, elapsed, again),
                // Stopped, or not started: nothing is known, and it counts as a run.
                Ok(None) | Err(_) => self.state.stopped += 1,
            }
        }
        self.save()?;
        self.bar.set_position(self.state.made() as u64);
        Ok(first)
    }

    fn run_all(
        &self,
        sets: &[(CapabilitySet, String)],
    ) -> Vec<anyhow::Result<Option<(RunResult, Duration)>>> {
        let judge = self.judge;
        let (never, useless) = (AtomicBool::new(false), AtomicBool::new(false));
        let run = |number: usize, set: CapabilitySet| {
            let stop = if number == 0 { &never } else { &useless };
            let started = Instant::now();
            let verdict = judge.run(set, Lane(number), stop);
            if number == 0 && !matches!(&verdict, Ok(Some(verdict)) if !verdict.passed) {
                useless.store(true, Ordering::Relaxed);
            }
            Ok(verdict?.map(|verdict| (verdict, started.elapsed())))
        };
        std::thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> = sets
                .iter()
                .enumerate()
                .map(|(number, (set, _))| scope.spawn(move || run(number, *set)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("a run of the container panicked")))
                })
                .collect()
        })
    }

    fn add(
        &mut self,
        (set, what): &(CapabilitySet, String),
        verdict: &RunResult,
        elapsed: Duration,
        again: bool,
    ) {
        self.state.runs.push(Run {
            set: *set,
            passed: verdict.passed,
            why: verdict.why.clone(),
            milliseconds: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            again,
        });
        if !self.terminal {
            output::message(&format!(
                "run {} of at most {}: {what}: {}: {} ({:.1} s)",
                self.state.made(),
                self.bar.length().unwrap_or_default(),
                if verdict.passed { "passes" } else { "fails" },
                verdict.why,
                elapsed.as_secs_f64()
            ));
        }
    }

    /// The smallest set, and whether it passed a second time; with what it was found from.
    pub(super) fn find(
        &mut self,
        profile: &Profile,
        empty_fails: bool,
    ) -> Result<Conclusion, Stop> {
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
            return Ok(Conclusion::FullFails(first.why));
        }
        if empty_fails {
            let left = 2 + shrink::bound(full.len() as usize);
            if self
                .test(CapabilitySet::EMPTY, "no capability at all", left)?
                .passed
            {
                return Ok(Conclusion::EmptyPasses);
            }
        }
        let searched = shrink::shrink(full, |question| {
            self.test_ahead(question, full)
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
                    Some(run) => RunResult {
                        passed: run.passed,
                        why: run.why.clone(),
                    },
                    None => match self.run(&[(set, format!("{set} once more"))], true) {
                        Ok(verdict) => verdict,
                        Err(stop) => return Ok(Conclusion::Stopped(set, stop)),
                    },
                };
                Ok(match again.passed {
                    true => Conclusion::Found(set),
                    false => Conclusion::Unstable(set, again.why),
                })
            }
            Err(stopped) => Ok(Conclusion::Stopped(stopped.smallest, stopped.error)),
        }
    }
}
