//! Runs the tests and prints their results in the Test Anything Protocol, which `tests/harness` reads.

use anyhow::{Context, bail, ensure};
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// A test that switches or watches the host's SELinux state holds this for writing, and all others for reading.
static HOST: RwLock<()> = RwLock::new(());

/// The reason why a test failed.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl<T: ToString> From<T> for Failed {
    fn from(reason: T) -> Self {
        Self(reason.to_string())
    }
}

/// How a test that did not fail ended.
#[derive(Debug)]
pub(crate) enum Passed {
    Good,
    /// It found out while it ran that it cannot run here, for this reason.
    Skipped(String),
}

/// The outcome of a test.
pub(crate) type Outcome = Result<Passed, Failed>;

/// A test that may or may not be able to run here.
pub(crate) struct Test {
    pub(crate) name: String,
    /// The reason why it cannot run here.
    pub(crate) skip: Option<String>,
    pub(crate) run: Box<dyn FnOnce() -> Outcome + Send>,
    /// True if no other test may run at the same time.
    pub(crate) alone: bool,
}

/// The choice of tests, and the settings of the run.
#[derive(Debug)]
pub(crate) struct Options {
    /// Tests whose names contain one of these; all if there is none.
    filters: Vec<String>,
    list: bool,
    /// Each n-th test beginning with the i-th, counted from 0.
    shard: Option<(usize, usize)>,
    threads: usize,
    /// The time limit of a test.
    limit: Duration,
}

/// The number of tests by result.
#[derive(Debug, Default)]
struct Counts {
    all: AtomicUsize,
    failed: AtomicU64,
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn from_arguments(
        arguments: impl Iterator<Item = String>,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let mut options = Self {
            filters: Vec::new(),
            list: false,
            shard: None,
            threads: thread::available_parallelism().map_or(1, usize::from),
            limit,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .context(format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--list" => options.list = true,
                "--shard" => options.shard = Some(shard(&value()?)?),
                "--threads" => options.threads = value()?.parse().context("read --threads")?,
                other if other.starts_with('-') => bail!("unknown option {other}"),
                _ => options.filters.push(argument),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }
}

/// `I/N`, counted from 1, as `(I - 1, N)`.
fn shard(text: &str) -> anyhow::Result<(usize, usize)> {
    let (index, number) = text
        .split_once('/')
        .with_context(|| format!("--shard {text}: expected I/N"))?;
    let (index, number): (usize, usize) = (
        index.parse().context("read --shard")?,
        number.parse().context("read --shard")?,
    );
    ensure!(
        (1..=number).contains(&index),
        "--shard {text}: expected I from 1 to N"
    );
    Ok((index - 1, number))
}

/// Runs the tests. Returns true if none failed.
#[expect(clippy::print_stdout, reason = "a test runner talks to people")]
pub(crate) fn run(options: &Options, tests: Vec<Test>) -> bool {
    let chosen: Vec<Test> = tests
        .into_iter()
        .filter(|test| options.wants(&test.name))
        .enumerate()
        .filter(|(place, _)| {
            options
                .shard
                .is_none_or(|(index, number)| place % number == index)
        })
        .map(|(_, test)| test)
        .collect();
    if options.list {
        for test in chosen {
            println!("{}", test.name);
        }
        return true;
    }
    let counts = Counts::default();
    let queue = Mutex::new(chosen.into_iter());
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(test) = next else { break };
                    counts.all.fetch_add(1, Ordering::Relaxed);
                    if !one(test, options.limit) {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!("1..{}", counts.all.into_inner());
    counts.failed.into_inner() == 0
}

/// Runs one test and prints its result. Returns true if it did not fail.
fn one(test: Test, limit: Duration) -> bool {
    let Test {
        name,
        skip,
        run,
        alone,
    } = test;
    let (outcome, seconds) = match skip {
        Some(reason) => (Ok(Passed::Skipped(reason)), 0.0),
        None if alone => {
            let _guard = HOST.write().unwrap_or_else(PoisonError::into_inner);
            timed(run, limit)
        }
        None => {
            let _guard = HOST.read().unwrap_or_else(PoisonError::into_inner);
            timed(run, limit)
        }
    };
    let text = match &outcome {
        Ok(Passed::Good) => format!("ok - {name} # time={seconds:.3}\n"),
        Ok(Passed::Skipped(reason)) => {
            format!("ok - {name} # SKIP {}\n", reason.replace('\n', " "))
        }
        Err(Failed(reason)) => format!(
            "not ok - {name} # time={seconds:.3}\n  ---\n  {}\n  ...\n",
            reason.trim().replace('\n', "\n  ")
        ),
    };
    // The lock keeps the result together, because others print at the same time.
    let mut output = std::io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    outcome.is_ok()
}

/// Runs a test in a thread of its own. A test that does not end in time has failed, and its thread is left to itself.
fn timed(run: Box<dyn FnOnce() -> Outcome + Send>, limit: Duration) -> (Outcome, f64) {
    let start = Instant::now();
    let (sender, receiver) = channel();
    let spawned = thread::Builder::new().spawn(move || {
        let _ = sender.send(run());
    });
    let outcome = match spawned.map(|_| receiver.recv_timeout(limit)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(RecvTimeoutError::Timeout)) => {
            Err(format!("took longer than its limit of {} s", limit.as_secs()).into())
        }
        Ok(Err(RecvTimeoutError::Disconnected)) => Err("panicked, see above".into()),
        Err(error) => Err(format!("start a thread: {error}").into()),
    };
    (outcome, start.elapsed().as_secs_f64())
}
