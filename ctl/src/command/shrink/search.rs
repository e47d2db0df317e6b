//! The search under way: its runs, how many there may be, and what is shown of it.

use super::judge::{Judge, Verdict};
use super::state::{Run, State};
use crate::output;
use crate::shrink;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use capprof_store::file;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
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

/// A search under way.
pub(super) struct Search<'a> {
    pub(super) judge: &'a Judge<'a>,
    pub(super) state: State,
    path: PathBuf,
    /// How many runs there may be.
    budget: usize,
    pub(super) bar: ProgressBar,
    /// Whether the bar is shown; plain lines are otherwise.
    terminal: bool,
}

impl<'a> Search<'a> {
    /// Makes a search of at most `max_runs` runs, whose state is kept in the file `path`.
    pub(super) fn new(
        judge: &'a Judge<'a>,
        state: State,
        path: PathBuf,
        max_runs: Option<usize>,
    ) -> Self {
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
    pub(super) fn announce(&self, profile: &Profile) -> anyhow::Result<()> {
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

    /// Writes the state.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        Ok(file::write_json(&self.path, &self.state)?)
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
