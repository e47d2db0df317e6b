//! `capprofctl why`: which system calls are refused, by whom, and what would allow them.
//!
//! ```text
//! capprof-hook why REPORT -- COMMAND [ARGUMENT…]   runs the command, and writes what it was refused into the file REPORT
//! capprof-hook why REPORT PID [SECONDS]            watches the container of a process, until it ends or is interrupted
//! ```
//!
//! The eBPF programs (`bpf/why.bpf.c`) tell of refused calls of the watched processes; `collect` looks at the files, mounts, limits and
//! filters that they concern, at once; `capprof_profile::why` decides. docs/why.md says how each cause is told.

mod calls;
mod collect;
mod decode;
mod executable;
mod intent;
mod kernel;
mod layout;
mod members;
mod mounts;
mod process;
mod walk;

use anyhow::{Context, bail};
use capprof_profile::why::report::Report;
use collect::Collector;
use kernel::{Events, Kernel, Told};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for news before looking whether the command has ended.
const TICK: Duration = Duration::from_millis(20);

/// Runs `why` with the arguments after its name. The exit status is the command's.
///
/// # Errors
/// The arguments are wrong, the kernel refuses the eBPF programs, or the command could not be started.
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
        let command: Vec<OsString> = arguments.collect();
        return watch_command(&report, &command);
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

/// Watches until the process ends, the time is over, or a signal says so.
fn watch_container(report: &Path, pid: u32, time: Option<Duration>) -> anyhow::Result<ExitCode> {
    let members = members::of(pid)?;
    let kernel = load()?;
    let signals = Signals::catch()?;
    let mut watch = Watch::new(&kernel, Collector::of_container())?;
    if let Some(namespace) = members.mount_namespace {
        kernel.watch_joins(namespace)?;
    }
    // What was started meanwhile is found by a second look.
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

fn watch_command(report: &Path, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command
        .split_first()
        .context("read arguments: the command is missing")?;
    let kernel = load()?;
    let mut watch = Watch::new(&kernel, Collector::of_command(program))?;
    kernel.watch_children()?;
    let signals = Signals::catch()?;
    let child = start(program, arguments);
    kernel.stop_watching_children();
    let status = match child {
        Ok(mut child) => loop {
            watch.go_on(TICK);
            signals.pass_on(&child);
            if let Some(status) = child.try_wait().context("wait for the command")? {
                break Ok(status);
            }
        },
        Err(error) => Err(error),
    };
    let mut result = watch.finish().report(&kernel);
    let code = shell_status(&status);
    result.exit_status = Some(code);
    write(report, &result)?;
    if let Err(error) = status {
        crate::journal::error(&format!("run {}: {error}", program.display()));
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// What the kernel tells, on its way to the collector.
struct Watch<'a> {
    events: Events<'a>,
    collector: Collector,
    /// Told, and not yet taken.
    waiting: VecDeque<Told>,
}

impl<'a> Watch<'a> {
    fn new(kernel: &'a Kernel, collector: Collector) -> anyhow::Result<Self> {
        Ok(Self {
            events: kernel.events()?,
            collector,
            waiting: VecDeque::new(),
        })
    }

    /// Takes what has come, or comes within this time, for about as long.
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

    /// Looking at one refusal takes longer than a process may live: of all processes that are told of, what would be gone with them is opened
    /// before any refusal is looked at.
    fn hear(&mut self, time: Duration) {
        let told = self.events.wait(time);
        told.iter().for_each(|told| self.collector.hold(told));
        self.waiting.extend(told);
    }

    /// Takes what has come until now.
    fn finish(mut self) -> Collector {
        self.hear(Duration::ZERO);
        for told in self.waiting {
            self.collector.take(told);
        }
        self.collector
    }
}

/// What was refused is looked at before the process goes on and is gone. Only the calling thread hurries, and none that it starts.
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
        // Without the right to this either, it is as quick as it is.
        let _ = rustix::process::setpriority_process(None, -20);
    }
}

/// Starts the command from a thread that has the priority of before, while this one hurries already.
fn start(program: &OsString, arguments: &[OsString]) -> io::Result<Child> {
    thread::scope(|scope| {
        let (go, wait) = mpsc::channel::<()>();
        let starter = scope.spawn(move || {
            let _ = wait.recv();
            Command::new(program).args(arguments).spawn()
        });
        hurry();
        drop(go);
        starter
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that starts it panicked")))
    })
}

/// What a shell would have in `$?`.
fn shell_status(status: &io::Result<ExitStatus>) -> i32 {
    match status {
        Ok(status) => status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 127,
        Err(_) => 126,
    }
}

fn write(path: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(report)?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Signals that end others than this process: those of the terminal reach the command by themselves, the others are passed on.
struct Signals {
    terminal: Arc<AtomicBool>,
    passed: [(i32, Signal, Arc<AtomicBool>); 2],
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let signals = Self {
            terminal: Arc::default(),
            passed: [
                (SIGTERM, Signal::TERM, Arc::default()),
                (SIGHUP, Signal::HUP, Arc::default()),
            ],
        };
        for signal in [SIGINT, SIGQUIT] {
            signal_hook::flag::register(signal, Arc::clone(&signals.terminal))
                .context("catch signals")?;
        }
        for (signal, _, seen) in &signals.passed {
            signal_hook::flag::register(*signal, Arc::clone(seen)).context("catch signals")?;
        }
        Ok(signals)
    }

    /// True if any came.
    fn seen(&self) -> bool {
        let passed = self.passed.iter().map(|(_, _, seen)| seen);
        passed
            .chain([&self.terminal])
            .any(|seen| seen.load(Ordering::Relaxed))
    }

    fn pass_on(&self, child: &Child) {
        for (_, signal, seen) in &self.passed {
            if seen.swap(false, Ordering::Relaxed)
                && let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
            {
                // It may have ended meanwhile.
                let _ = kill_process(pid, *signal);
            }
        }
    }
}
