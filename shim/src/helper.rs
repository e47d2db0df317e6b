//! Programs that the shim runs as children: its own hook for recovery, and the runtime for its version.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2, read};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The largest output of a helper, in bytes.
const LONGEST: usize = 64 << 10;

/// Runs a program with nothing but `/dev/null` open and returns what it wrote to standard output. A program that takes longer than
/// `patience` is killed.
///
/// # Errors
/// It cannot be started.
pub(crate) fn output(
    program: &Path,
    arguments: &[&OsStr],
    patience: Duration,
) -> nix::Result<Vec<u8>> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let started = Instant::now();
    let child = spawn(program, arguments, Some(&writer))?;
    drop(writer);
    let output = read_to_end(&reader, patience);
    wait(child, patience.saturating_sub(started.elapsed()))?;
    Ok(output)
}

/// The same without its output.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(program: &Path, arguments: &[&OsStr], patience: Duration) -> nix::Result<()> {
    wait(spawn(program, arguments, None)?, patience)
}

fn spawn(program: &Path, arguments: &[&OsStr], stdout: Option<&OwnedFd>) -> nix::Result<Pid> {
    let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL);
    let program = text(program.as_os_str())?;
    let mut list = vec![program.clone()];
    for argument in arguments {
        list.push(text(argument)?);
    }
    let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    let mut actions = PosixSpawnFileActions::init()?;
    // An engine waits until the pipes that it passed on are closed, so a helper must not hold them.
    let inherited = inherited();
    match stdout {
        Some(stdout) => actions.add_dup2(stdout.as_raw_fd(), 1)?,
        None => actions.add_open(1, "/dev/null", OFlag::O_WRONLY, Mode::empty())?,
    }
    actions.add_open(0, "/dev/null", OFlag::O_RDONLY, Mode::empty())?;
    actions.add_open(2, "/dev/null", OFlag::O_WRONLY, Mode::empty())?;
    for descriptor in inherited {
        actions.add_close(descriptor)?;
    }
    posix_spawn(
        program.as_c_str(),
        &actions,
        &PosixSpawnAttr::init()?,
        &list,
        &environment,
    )
}

fn read_to_end(reader: &OwnedFd, patience: Duration) -> Vec<u8> {
    let started = Instant::now();
    let mut output = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match read(reader, &mut buffer) {
            Ok(0) => return output,
            Ok(length) => output.extend_from_slice(&buffer[..length]),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let left = patience.saturating_sub(started.elapsed());
                let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
                if left.is_zero() || poll(&mut polled, timeout) == Ok(0) {
                    return output;
                }
            }
            Err(_) => return output,
        }
        if output.len() > LONGEST {
            return output;
        }
    }
}

fn wait(child: Pid, patience: Duration) -> nix::Result<()> {
    let started = Instant::now();
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if started.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(WaitStatus::StillAlive) => {
                kill(child, Signal::SIGKILL)?;
                waitpid(child, None)?;
                return Ok(());
            }
            // ECHILD: the caller has SIGCHLD ignored, and the kernel reaped it.
            _ => return Ok(()),
        }
    }
}

/// The descriptors above the standard ones that another program would inherit.
fn inherited() -> Vec<RawFd> {
    std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok())
        .filter(|descriptor| *descriptor > 2 && !closes_on_exec(*descriptor))
        .collect()
}

#[allow(unsafe_code)]
fn closes_on_exec(descriptor: RawFd) -> bool {
    // SAFETY: fcntl(F_GETFD) only asks; for a descriptor that has been closed since it fails with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    fcntl(borrowed, FcntlArg::F_GETFD).map_or(true, |flags| {
        FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> String {
        let arguments = ["-c", script].map(OsStr::new);
        let output = output(Path::new("/bin/sh"), &arguments, patience).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_helpers_output_is_read() {
        let patience = Duration::from_secs(20);
        assert_eq!(shell("echo a; sleep 0.05; echo b", patience), "a\nb\n");
        assert_eq!(
            shell("readlink /proc/self/fd/0 /proc/self/fd/2", patience),
            "/dev/null\n/dev/null\n"
        );
    }

    #[test]
    fn a_helper_that_hangs_is_killed() {
        let started = Instant::now();
        assert_eq!(
            shell("echo a; exec sleep 60", Duration::from_millis(200)),
            "a\n"
        );
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
