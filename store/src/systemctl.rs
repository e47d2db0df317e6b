//! Runs systemctl(1).

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// The path of systemctl. capprof never looks in `PATH`, because hooks run systemctl as root and a user sets `PATH`.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/systemctl",
    "/bin/systemctl",
    // NixOS
    "/run/current-system/sw/bin/systemctl",
];

/// A call of systemctl that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no systemctl.
    #[error("systemctl is in none of /usr/bin, /bin and /run/current-system/sw/bin")]
    Absent,
    /// It could not be started.
    #[error("run systemctl: {0}")]
    Run(#[source] io::Error),
    /// It failed.
    #[error("systemctl {command}: {reason}")]
    Failed {
        /// Its arguments.
        command: String,
        /// Its standard error, on one line.
        reason: String,
    },
}

/// Runs systemctl to its end. Returns what it wrote on standard output.
///
/// # Errors
/// [`Error`].
pub fn run<S: AsRef<OsStr>>(words: &[S]) -> Result<String, Error> {
    let program = PROGRAMS
        .into_iter()
        .find(|program| Path::new(program).exists())
        .ok_or(Error::Absent)?;
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let shown: Vec<_> = words
        .iter()
        .map(|word| word.as_ref().to_string_lossy())
        .collect();
    Err(Error::Failed {
        command: shown.join(" "),
        reason: String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', " "),
    })
}

/// Makes systemd read the units again.
///
/// # Errors
/// [`Error`].
pub fn reload() -> Result<(), Error> {
    run(&["daemon-reload"]).map(drop)
}

/// Stops a service.
///
/// # Errors
/// [`Error`].
pub fn stop(unit: &str) -> Result<(), Error> {
    run(&["stop", unit]).map(drop)
}

/// Resets systemd's counters of a service's starts and failures (systemd.unit(5), `StartLimitBurst=`): failures with capprof's settings must not
/// keep it from starting with its own. systemd may have no counter to reset, so a failure is no error.
pub fn forget_failures(unit: &str) {
    let _ = run(&["reset-failed", unit]);
}

/// Restarts a service, or starts it if it does not run.
///
/// # Errors
/// [`Error`].
pub fn restart(unit: &str) -> Result<(), Error> {
    forget_failures(unit);
    run(&["restart", unit]).map(drop)
}

/// Restarts a service if it runs.
///
/// # Errors
/// [`Error`].
pub fn restart_if_active(unit: &str) -> Result<(), Error> {
    forget_failures(unit);
    run(&["try-restart", unit]).map(drop)
}
