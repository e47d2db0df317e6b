//! Parallel runs, each in a thread.

use super::plan::{Ask, Next};
use super::runner::{RunResult, SetRunner, Worker};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// The runs in progress, and their messages.
pub(super) struct ParallelRuns<'scope, 'env> {
    pub(super) busy: HashMap<Worker, Busy<'scope>>,
    pub(super) messages: Sender<Message>,
    pub(super) receiver: Receiver<Message>,
    pub(super) scope: &'scope Scope<'scope, 'env>,
}

/// A run in progress.
pub(super) struct Busy<'scope> {
    pub(super) next: Next,
    /// True if its result is known and its container is being removed.
    pub(super) judged: bool,
    pub(super) thread: ScopedJoinHandle<'scope, anyhow::Result<()>>,
    /// Set when the search no longer needs the run.
    stop: Arc<AtomicBool>,
}

/// A message of a run.
pub(super) struct Message {
    pub(super) worker: Worker,
    pub(super) what: RunEvent,
}

/// An event in the life of a run.
pub(super) enum RunEvent {
    /// The run's result, `None` if it was stopped; and the run's length.
    Verdict(Option<RunResult>, Duration),
    /// The run and its container are gone.
    Ended,
}

/// Sends the last message when it is dropped, so also if the thread panics.
struct End {
    worker: Worker,
    messages: Sender<Message>,
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.messages.send(Message {
            worker: self.worker,
            what: RunEvent::Ended,
        });
    }
}

impl<'scope> ParallelRuns<'scope, '_> {
    /// Begins a run.
    pub(super) fn begin<'runner: 'scope>(
        &mut self,
        runner: &'runner SetRunner<'runner>,
        next: Next,
    ) {
        let Some(worker) = (0..)
            .map(Worker)
            .find(|worker| !self.busy.contains_key(worker))
        else {
            return;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (set, stopped, messages) = (next.ask.set, Arc::clone(&stop), self.messages.clone());
        let thread = self.scope.spawn(move || {
            let end = End { worker, messages };
            let started = Instant::now();
            runner.run(set, worker, &stopped, |verdict| {
                let what = RunEvent::Verdict(verdict, started.elapsed());
                let _ = end.messages.send(Message { worker, what });
            })
        });
        self.busy.insert(
            worker,
            Busy {
                next,
                judged: false,
                thread,
                stop,
            },
        );
    }

    /// Waits for the next message of a run.
    pub(super) fn next(&self) -> Option<Message> {
        self.receiver.recv().ok()
    }

    /// The runs whose result is not known yet.
    pub(super) fn running(&self) -> HashSet<Ask> {
        let running = self.busy.values().filter(|busy| !busy.judged);
        running.map(|busy| busy.next.ask).collect()
    }

    /// The number of containers that are being removed.
    pub(super) fn ending(&self) -> usize {
        self.busy.values().filter(|busy| busy.judged).count()
    }

    /// Stops all runs but these.
    pub(super) fn keep(&self, useful: &HashSet<Ask>) {
        for busy in self.busy.values() {
            if !useful.contains(&busy.next.ask) {
                busy.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Returns the purpose of the runs, in words.
    pub(super) fn what(&self) -> String {
        let running = self.busy.values().filter(|busy| !busy.judged);
        let what: Vec<&str> = running.map(|busy| busy.next.what.as_str()).collect();
        what.join("; ")
    }
}
