//! A search in progress: its runs, their limit, and the display.

use super::parallel_runs::{Message, ParallelRuns, RunEvent};
use super::plan::{Ask, Course, Next, Room, SearchOutcome, Step};
use super::runner::{RunResult, SetRunner, Worker};
use super::state::{SearchRun, SearchState};
use crate::output;
use anyhow::anyhow;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use capprof_store::file;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

/// The reasons to end a search early.
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

/// The result of a search.
pub(super) enum Conclusion {
    Found(CapabilitySet),
    Stopped(CapabilitySet, Stop),
    FullFails(String),
    EmptyPasses,
    Unstable(CapabilitySet, String),
}

/// Returns the sets with which a search of this profile begins.
pub(super) fn course(profile: &Profile, empty_fails: bool) -> Course {
    let findings = &profile.findings;
    let named: CapabilitySet = findings
        .blind_spots
        .iter()
        .filter_map(|spot| spot.capability)
        .collect();
    let unclear = findings.needed.iter().filter(|need| need.unclear.is_some());
    Course {
        minimized: findings.minimized,
        unseen: named.difference(findings.minimized),
        unclear: unclear.map(|need| need.capability).collect(),
        empty_fails,
    }
}

/// The number of runs that a search may make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The largest total, if the user gave one.
    pub(super) runs: Option<usize>,
    /// The number of runs at the same time.
    pub(super) jobs: usize,
}

/// A search under way.
pub(super) struct Search<'a> {
    pub(super) runner: &'a SetRunner<'a>,
    pub(super) state: SearchState,
    path: PathBuf,
    /// The largest number of runs.
    budget: usize,
    /// The number of runs at the same time.
    jobs: usize,
    /// Runs that could not be made.
    failed: HashMap<Ask, anyhow::Error>,
    pub(super) bar: ProgressBar,
    /// True if the bar is shown; otherwise the search prints plain lines.
    terminal: bool,
}

impl<'a> Search<'a> {
    /// Makes a search whose state is kept in the file `path`.
    pub(super) fn new(
        runner: &'a SetRunner<'a>,
        state: SearchState,
        path: PathBuf,
        limits: Limits,
    ) -> Self {
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
            runner,
            state,
            path,
            budget,
            jobs: limits.jobs,
            failed: HashMap::new(),
            bar,
            terminal,
        }
    }

    /// Announces the search, above all the number of runs.
    pub(super) fn announce(&self, profile: &Profile) -> anyhow::Result<()> {
        for message in self
            .runner
            .prepare(CapabilitySet::EMPTY, Worker(0))?
            .messages
        {
            output::message(&message);
        }
        let engine = self.runner.launch.engine();
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
            self.runner.timeout.as_secs()
        ));
        // Only now, because the bar is drawn in the last line that was begun.
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

    /// Makes runs until the result of the search is known.
    pub(super) fn find(&mut self, course: &Course) -> Result<Conclusion, Stop> {
        let (messages, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            let mut runs = ParallelRuns {
                busy: HashMap::new(),
                messages,
                receiver,
                scope,
            };
            let conclusion = self.go_on(course, &mut runs);
            runs.keep(&HashSet::new());
            while !runs.busy.is_empty() {
                self.wait(&mut runs);
            }
            self.state.running = false;
            conclusion
        })
    }

    fn go_on<'scope>(
        &mut self,
        course: &Course,
        runs: &mut ParallelRuns<'scope, '_>,
    ) -> Result<Conclusion, Stop>
    where
        'a: 'scope,
    {
        loop {
            let known = self.known();
            let next = match course.step(&known) {
                Step::Done(outcome) => return Ok(self.conclusion(course, outcome)),
                Step::Run(next) => next,
            };
            let early = |stop| Ok(Conclusion::Stopped(next.smallest, stop));
            if self.runner.interrupted.load(Ordering::Relaxed) {
                return early(Stop::Interrupted);
            }
            if let Some(error) = self.failed.remove(&next.ask) {
                return early(Stop::Error(error));
            }
            let room = Room {
                jobs: self.jobs,
                ending: runs.ending(),
                runs: self.budget.saturating_sub(self.state.made()),
            };
            let plan = course.plan(&known, &runs.running(), room);
            runs.keep(&plan.useful);
            for next in plan.begin {
                // The error of a run counts only when the search waits for that run.
                if !self.failed.contains_key(&next.ask) {
                    self.begin(next, runs)?;
                }
            }
            if runs.busy.is_empty() {
                return early(Stop::Budget);
            }
            self.expect(next.left);
            self.wait(runs);
            self.save()?;
        }
    }

    /// The results of all runs so far.
    fn known(&self) -> HashMap<Ask, bool> {
        let runs = self.state.runs.iter();
        runs.map(|run| (run.ask(), run.passed)).collect()
    }

    fn conclusion(&self, course: &Course, outcome: SearchOutcome) -> Conclusion {
        let why = |set: CapabilitySet, again: bool| {
            let mut runs = self.state.runs.iter();
            let run = runs.find(|run| run.ask() == Ask { set, again });
            run.map(|run| run.why.clone()).unwrap_or_default()
        };
        match outcome {
            SearchOutcome::Found(set) => Conclusion::Found(set),
            SearchOutcome::FullFails => Conclusion::FullFails(why(course.minimized, false)),
            SearchOutcome::EmptyPasses => Conclusion::EmptyPasses,
            SearchOutcome::Unstable(set) => Conclusion::Unstable(set, why(set, true)),
        }
    }

    /// Adapts the bar: the number of possible further runs falls faster than runs are made.
    fn expect(&self, left: usize) {
        let length = self.budget.min(self.state.made() + left);
        self.bar.set_length(length as u64);
    }

    fn begin<'scope>(&mut self, next: Next, runs: &mut ParallelRuns<'scope, '_>) -> Result<(), Stop>
    where
        'a: 'scope,
    {
        // On disk before there is a container that a successor would have to remove.
        if !self.state.running {
            self.state.running = true;
            self.save()?;
        }
        runs.begin(self.runner, next);
        self.bar.set_message(runs.what());
        self.bar.tick();
        Ok(())
    }

    /// Waits for the next message of a run, and stores its result.
    fn wait(&mut self, runs: &mut ParallelRuns<'_, '_>) {
        let Some(Message { worker, what }) = runs.next() else {
            return;
        };
        let Some(busy) = runs.busy.get_mut(&worker) else {
            return;
        };
        match what {
            RunEvent::Verdict(verdict, elapsed) => {
                busy.judged = true;
                match verdict {
                    Some(verdict) => self.add(&busy.next, &verdict, elapsed),
                    // It was stopped because the search no longer needs it: there is no result, but it counts as a run.
                    None if !self.runner.interrupted.load(Ordering::Relaxed) => {
                        self.state.stopped += 1;
                    }
                    None => {}
                }
            }
            RunEvent::Ended => {
                let Some(busy) = runs.busy.remove(&worker) else {
                    return;
                };
                let ended = busy.thread.join();
                let ended =
                    ended.unwrap_or_else(|_| Err(anyhow!("a run of the container panicked")));
                if !busy.judged {
                    self.state.stopped += 1;
                }
                if let Err(error) = ended {
                    self.failed.insert(busy.next.ask, error);
                }
            }
        }
        self.bar.set_position(self.state.made() as u64);
    }

    fn add(&mut self, next: &Next, verdict: &RunResult, elapsed: Duration) {
        self.state.runs.push(SearchRun {
            set: next.ask.set,
            passed: verdict.passed,
            why: verdict.why.clone(),
            milliseconds: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            again: next.ask.again,
        });
        if !self.terminal {
            output::message(&format!(
                "run {} of at most {}: {}: {}: {} ({:.1} s)",
                self.state.made(),
                self.bar.length().unwrap_or_default(),
                next.what,
                if verdict.passed { "passes" } else { "fails" },
                verdict.why,
                elapsed.as_secs_f64()
            ));
        }
    }
}
