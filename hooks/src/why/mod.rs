//! `capprofctl why`: finds refused system calls, the part of the kernel that refused each, and the remedy.
//!
//! ```text
//! capprof-hook why REPORT -- PROGRAM      watches the processes that its parent starts, and writes the refusals into the file REPORT
//! capprof-hook why REPORT PID [SECONDS]   watches the container of a process, until it ends or is interrupted
//! ```
//!
//! In the first form, the parent starts PROGRAM when this process has written a line to standard output, and closes standard input when PROGRAM has
//! ended. So, under SELinux, PROGRAM starts in the user's domain and not in that of the hooks.
//!
//! The eBPF programs (`bpf/why.bpf.c`) report refused calls of the watched processes. `collect` immediately reads the files, mounts, limits and
//! filters concerned, and `capprof_profile::why` decides. docs/why.md says how each cause is recognised.

mod calls;
mod collect;
mod decode;
mod executable;
mod intent;
mod kernel;
mod layout;
mod members;
mod mounts;
mod path_lookup;
mod process;
mod records;
mod unseen;

use anyhow::{Context, bail};
use capprof_profile::why::report::RefusalReport;
use collect::RefusalCollector;
use kernel::{Events, Kernel, Told};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time to wait for news before looking whether the command has ended.
const TICK: Duration = Duration::from_millis(20);

/// Runs `why` with the arguments after its name.
///
/// # Errors
/// The arguments are wrong, or the kernel refuses the eBPF programs.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let report = PathBuf::from(
        arguments
            .next()
            .context("read arguments: the file for the report is missing")?,
    );
    let first = arguments
        .next()
        .context("read arguments: a process or -- COMMAND is missing")?;
    if first == "--" {
        let program = arguments
            .next()
            .context("read arguments: the program is missing")?;
        return watch_command(&report, &program);
    }
    let number = |argument: &OsString| argument.to_str()?.parse::<u32>().ok();
    let pid = number(&first).with_context(|| {
        format!(
            "read arguments: {} is not the number of a process",
            first.display()
        )
    })?;
    let seconds = arguments.next();
    if seconds.as_ref().is_some_and(|text| number(text).is_none()) {
        bail!("read arguments: the time to watch is not a number");
    }
    let time = seconds
        .as_ref()
        .and_then(number)
        .map(|seconds| Duration::from_secs(seconds.into()));
    watch_container(&report, pid, time)
}

/// Watches until the process ends, the time is over, or a signal comes.
fn watch_container(report: &Path, pid: u32, time: Option<Duration>) -> anyhow::Result<ExitCode> {
    let members = members::of(pid)?;
    let kernel = load()?;
    let signals = Signals::catch()?;
    let mut watch = Watch::new(&kernel, RefusalCollector::of_container())?;
    if let Some(namespace) = members.mount_namespace {
        kernel.watch_joins(namespace)?;
    }
    // A second look finds processes that were started in the meantime.
    for member in members
        .processes
        .into_iter()
        .chain(members::of(pid)?.processes)
    {
        kernel.watch(member)?;
        watch.collector.knows(member);
    }
    hurry();
    let start = Instant::now();
    while members::lives(pid) && !signals.seen() && time.is_none_or(|time| start.elapsed() < time) {
        watch.go_on(TICK);
    }
    write(report, &watch.finish().report(&kernel))?;
    Ok(ExitCode::SUCCESS)
}

fn load() -> anyhow::Result<Kernel> {
    members::initial_pid_namespace()?;
    Kernel::load().map_err(|error| {
        anyhow::anyhow!("attach eBPF: {error}; why needs root, and a kernel with BTF")
    })
}

fn watch_command(report: &Path, program: &OsStr) -> anyhow::Result<ExitCode> {
    let kernel = load()?;
    let mut watch = Watch::new(&kernel, RefusalCollector::of_command(program))?;
    kernel.watch_children(std::os::unix::process::parent_id())?;
    // The terminal's signals are for the command, not for this process.
    let _signals = Signals::catch()?;
    hurry();
    writeln!(io::stdout(), "ready").context("write to standard output")?;
    let end = io::stdin();
    while !is_closed(end.as_fd()) {
        watch.go_on(TICK);
    }
    write(report, &watch.finish().report(&kernel))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns true if the other end of the pipe is closed.
fn is_closed(input: BorrowedFd<'_>) -> bool {
    let mut inputs = [PollFd::new(input, PollFlags::empty())];
    poll(&mut inputs, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// The kernel's events on their way to the collector.
struct Watch<'a> {
    events: Events<'a>,
    collector: RefusalCollector,
    /// Messages that were read but not yet processed.
    waiting: VecDeque<Told>,
}

impl<'a> Watch<'a> {
    fn new(kernel: &'a Kernel, collector: RefusalCollector) -> anyhow::Result<Self> {
        Ok(Self {
            events: kernel.events()?,
            collector,
            waiting: VecDeque::new(),
        })
    }

    /// Processes messages that have arrived, or arrive within this time, for about as long.
    fn go_on(&mut self, time: Duration) {
        let start = Instant::now();
        self.hear(time);
        while start.elapsed() < time
            && let Some(told) = self.waiting.pop_front()
        {
            self.collector.take(told);
            self.hear(Duration::ZERO);
        }
    }

    /// Reads new messages. Processing one refusal can take longer than a process lives. So for each process that appears in a message, everything that
    /// would be gone with it is opened before any refusal is processed.
    fn hear(&mut self, time: Duration) {
        let told = self.events.wait(time);
        told.iter().for_each(|told| self.collector.hold(told));
        self.waiting.extend(told);
    }

    /// Processes all messages that have arrived until now.
    fn finish(mut self) -> RefusalCollector {
        self.hear(Duration::ZERO);
        for told in self.waiting {
            self.collector.take(told);
        }
        self.collector
    }
}

/// Raises the priority of this thread, so that it reads the facts of a refusal before the process goes on or ends. Threads that it starts keep the
/// normal priority.
#[allow(unsafe_code)]
fn hurry() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a live value, which the kernel only reads.
    let status = unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const parameters,
        )
    };
    if status != 0 {
        // If this is refused too, the thread keeps its priority.
        let _ = rustix::process::setpriority_process(None, -20);
    }
}

fn write(path: &Path, report: &RefusalReport) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(report)?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Catches the signals that would end this process.
struct Signals([Arc<AtomicBool>; 4]);

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let signals = Self(Default::default());
        for (signal, seen) in [SIGINT, SIGQUIT, SIGTERM, SIGHUP].iter().zip(&signals.0) {
            signal_hook::flag::register(*signal, Arc::clone(seen)).context("catch signals")?;
        }
        Ok(signals)
    }

    /// Returns true if one has come.
    fn seen(&self) -> bool {
        self.0.iter().any(|seen| seen.load(Ordering::Relaxed))
    }
}
