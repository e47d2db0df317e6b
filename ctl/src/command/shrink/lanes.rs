//! Runs that go on at the same time, a thread each.

use super::judge::{Judge, Lane, RunResult};
use super::plan::{Ask, Next};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// What the runs tell, and where they run.
pub(super) struct Lanes<'scope, 'env> {
    pub(super) busy: HashMap<Lane, Busy<'scope>>,
    pub(super) news: Sender<News>,
    pub(super) receiver: Receiver<News>,
    pub(super) scope: &'scope Scope<'scope, 'env>,
}

/// A run that goes on.
pub(super) struct Busy<'scope> {
    pub(super) next: Next,
    /// It has told what it came to; its container is being removed.
    pub(super) judged: bool,
    pub(super) thread: ScopedJoinHandle<'scope, anyhow::Result<()>>,
    /// Set when it is of no use.
    stop: Arc<AtomicBool>,
}

/// What a run tells.
pub(super) struct News {
    pub(super) lane: Lane,
    pub(super) what: Told,
}

/// How far a run has come.
pub(super) enum Told {
    /// What it came to, `None` if it was stopped; and after how long.
    Verdict(Option<RunResult>, Duration),
    /// Nothing of it is left.
    Ended,
}

/// Tells of the end, also of a thread that panics.
struct End {
    lane: Lane,
    news: Sender<News>,
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.news.send(News {
            lane: self.lane,
            what: Told::Ended,
        });
    }
}

impl<'scope> Lanes<'scope, '_> {
    /// Begins a run.
    pub(super) fn begin<'judge: 'scope>(&mut self, judge: &'judge Judge<'judge>, next: Next) {
        let Some(lane) = (0..).map(Lane).find(|lane| !self.busy.contains_key(lane)) else {
            return;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (set, stopped, news) = (next.ask.set, Arc::clone(&stop), self.news.clone());
        let thread = self.scope.spawn(move || {
            let end = End { lane, news };
            let started = Instant::now();
            judge.run(set, lane, &stopped, |verdict| {
                let what = Told::Verdict(verdict, started.elapsed());
                let _ = end.news.send(News { lane, what });
            })
        });
        self.busy.insert(
            lane,
            Busy {
                next,
                judged: false,
                thread,
                stop,
            },
        );
    }

    /// Waits until a run tells something.
    pub(super) fn next(&self) -> Option<News> {
        self.receiver.recv().ok()
    }

    /// The runs whose outcome is not known yet.
    pub(super) fn running(&self) -> HashSet<Ask> {
        let running = self.busy.values().filter(|busy| !busy.judged);
        running.map(|busy| busy.next.ask).collect()
    }

    /// How many containers are only being removed.
    pub(super) fn ending(&self) -> usize {
        self.busy.values().filter(|busy| busy.judged).count()
    }

    /// Stops runs of no use.
    pub(super) fn keep(&self, useful: &HashSet<Ask>) {
        for busy in self.busy.values() {
            if !useful.contains(&busy.next.ask) {
                busy.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    /// What the runs are for, in words.
    pub(super) fn what(&self) -> String {
        let running = self.busy.values().filter(|busy| !busy.judged);
        let what: Vec<&str> = running.map(|busy| busy.next.what.as_str()).collect();
        what.join("; ")
    }
}
