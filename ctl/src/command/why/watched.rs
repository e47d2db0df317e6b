//! A command that is watched from its first instruction on.

use crate::output;
use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The time between two looks at the command.
const TICK: Duration = Duration::from_millis(10);

/// Runs the command while the hook watches what this process starts. Returns the command's exit status as a shell has it in `$?`; `None` if the
/// hook could not watch, and has said why.
///
/// The hook does not start the command: under SELinux, the command would run in the hook's domain.
///
/// # Errors
/// The hook could not be started, or signals could not be caught.
pub(super) fn run(hook: &mut Command, command: &[OsString]) -> anyhow::Result<Option<u8>> {
    let (program, arguments) = command.split_first().context("the command is missing")?;
    hook.arg("--").arg(program);
    let signals = PassedOn::catch()?;
    let mut hook = hook
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", hook.get_program().display()))?;
    let status = match is_ready(&mut hook) {
        false => None,
        true => {
            let result = signals.run_to_its_end(Command::new(program).args(arguments));
            if let Err(error) = &result {
                let program = program.display();
                output::print_error(&format!("capprofctl: run {program}: {error}\n"))?;
            }
            Some(shell_status(&result))
        }
    };
    // The closed pipe tells the hook that the command has ended.
    drop(hook.stdin.take());
    hook.wait().context("wait for capprof-hook")?;
    Ok(status)
}

/// Waits until the hook watches. False if it ends instead.
fn is_ready(hook: &mut Child) -> bool {
    let output = hook.stdout.as_mut();
    output.is_some_and(|output| output.read_exact(&mut [0]).is_ok())
}

/// The exit status as a shell reports it in `$?`.
fn shell_status(status: &io::Result<ExitStatus>) -> u8 {
    let status = match status {
        Ok(status) => status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 127,
        Err(_) => 126,
    };
    u8::try_from(status).unwrap_or(u8::MAX)
}

/// Signals that would end this process before the command. The terminal sends its own to the command as well; this process passes on the others.
struct PassedOn([(i32, Signal, Arc<AtomicBool>); 2]);

impl PassedOn {
    fn catch() -> anyhow::Result<Self> {
        let terminal = Arc::<AtomicBool>::default();
        for signal in [SIGINT, SIGQUIT] {
            signal_hook::flag::register(signal, Arc::clone(&terminal)).context("catch signals")?;
        }
        let passed = [
            (SIGTERM, Signal::SIGTERM, Arc::default()),
            (SIGHUP, Signal::SIGHUP, Arc::default()),
        ];
        for (signal, _, seen) in &passed {
            signal_hook::flag::register(*signal, Arc::clone(seen)).context("catch signals")?;
        }
        Ok(Self(passed))
    }

    fn run_to_its_end(&self, command: &mut Command) -> io::Result<ExitStatus> {
        let mut child = command.spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            for (_, signal, seen) in &self.0 {
                if seen.swap(false, Ordering::Relaxed)
                    && let Ok(pid) = i32::try_from(child.id())
                {
                    // The command may have ended in the meantime.
                    let _ = kill(Pid::from_raw(pid), *signal);
                }
            }
            thread::sleep(TICK);
        }
    }
}
