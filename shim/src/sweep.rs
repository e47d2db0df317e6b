//! Finishing recordings whose container is gone and whose poststop hook never ran.

use crate::runtime;
use capprof_store::recording::{Directory, is_abandoned};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::ffi::CString;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long recovery may keep a `create` or `delete` waiting. containerd gives the whole of a clean-up five seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// The hook's binary, by where capprof itself is: beside it, else in the `libexec` of the same tree, else where it is usually installed.
pub fn hook() -> Option<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe").ok()?;
    let directory = own.parent()?;
    let mut candidates = vec![directory.join("capprof-hook")];
    if let Some(prefix) = directory.parent() {
        candidates.push(prefix.join("libexec/capprof/capprof-hook"));
    }
    candidates.push("/usr/local/libexec/capprof/capprof-hook".into());
    candidates.push("/usr/libexec/capprof/capprof-hook".into());
    candidates
        .into_iter()
        .find(|path| runtime::is_executable(path))
}

/// Has the hook's binary finish abandoned recordings, if there are any. Nothing that goes wrong here is the caller's concern:
/// the recordings stay, and the next call tries again.
pub fn sweep(state: &Path) {
    let abandoned: Vec<Directory> = Directory::list(state, None)
        .unwrap_or_default()
        .into_iter()
        .filter(is_abandoned)
        .collect();
    let mut recover = false;
    for directory in abandoned {
        match directory.is_described() {
            Ok(true) => recover = true,
            // Its shim died before it changed anything.
            Ok(false) => {
                let _ = directory.remove();
            }
            Err(_) => {}
        }
    }
    if recover && let Some(hook) = hook() {
        let _ = run(&hook, state);
    }
}

/// Runs `capprof-hook recover` with nothing but `/dev/null` open, and ends it if it takes too long: it can be interrupted anywhere.
fn run(hook: &Path, state: &Path) -> nix::Result<()> {
    let text = |text: &[u8]| CString::new(text).map_err(|_| nix::errno::Errno::EINVAL);
    let program = text(hook.as_os_str().as_bytes())?;
    let arguments = [
        program.clone(),
        text(b"recover")?,
        text(b"--state")?,
        text(state.as_os_str().as_bytes())?,
    ];
    let environment = [text(b"PATH=/usr/sbin:/usr/bin:/sbin:/bin")?];
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_open(0, "/dev/null", OFlag::O_RDONLY, Mode::empty())?;
    for standard in [1, 2] {
        actions.add_open(standard, "/dev/null", OFlag::O_WRONLY, Mode::empty())?;
    }
    // An engine waits for the end of what it passed on: nobody but the runtime may hold it.
    for descriptor in inherited() {
        actions.add_close(descriptor)?;
    }
    let child = posix_spawn(
        program.as_c_str(),
        &actions,
        &PosixSpawnAttr::init()?,
        &arguments,
        &environment,
    )?;
    let started = Instant::now();
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(WaitStatus::StillAlive) => {
                kill(child, Signal::SIGKILL)?;
                waitpid(child, None)?;
                return Ok(());
            }
            // ECHILD: whoever called has SIGCHLD ignored, and the kernel reaped it.
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
    // SAFETY: fcntl(F_GETFD) only asks; a descriptor that has been closed meanwhile answers EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    fcntl(borrowed, FcntlArg::F_GETFD).map_or(true, |flags| {
        FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC)
    })
}
