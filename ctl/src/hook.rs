//! Runs `capprof-hook`, which has the recorders.

use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NAME: &str = "capprof-hook";

/// Runs a subcommand and returns what it wrote to standard output. It shares this program's standard error.
///
/// # Errors
/// It was not found, could not be started, or failed. The error has the exit status; the program itself has printed the reason.
pub(crate) fn run(arguments: &[&OsStr]) -> anyhow::Result<String> {
    let path = find()?;
    let subcommand = arguments
        .first()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let output = Command::new(&path)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("run {}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        crate::output::print(&text)?;
        bail!("{NAME} {subcommand} failed: {}", output.status);
    }
    Ok(text)
}

/// The command that runs the program.
///
/// # Errors
/// It was not found.
pub(crate) fn command() -> anyhow::Result<Command> {
    find().map(Command::new)
}

/// As [`run()`], but its standard error becomes the error.
///
/// # Errors
/// It was not found, could not be started, or failed.
pub(crate) fn quiet(arguments: &[&OsStr]) -> anyhow::Result<String> {
    let output = command()?
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {NAME}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("capprof-hook: ");
        match said {
            "" => bail!("{NAME}: {}", output.status),
            said => bail!("{}", said.replace('\n', ", ")),
        }
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The arguments that name a directory of recordings in progress; none if the configuration decides.
pub(crate) fn state(directory: Option<&Path>) -> Vec<&OsStr> {
    directory
        .map(|directory| vec![OsStr::new("--state"), directory.as_os_str()])
        .unwrap_or_default()
}

/// The path of this program at the first call: after a change of the mount namespace the kernel no longer knows the whole path
/// (proc_pid_exe(5)).
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    static OWN: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own.clone());
    }
    let own = std::env::current_exe().context("find own executable")?;
    Ok(OWN.get_or_init(|| own).clone())
}

/// Finds the program: next to this program's own executable, else in the libexec directory of the same prefix, of /usr/local, or of /usr.
///
/// # Errors
/// It is in none of these places.
pub(crate) fn find() -> anyhow::Result<PathBuf> {
    let own = own_program()?;
    let directory = own.parent().unwrap_or(Path::new("/"));
    let mut candidates = vec![directory.join(NAME)];
    if let Some(prefix) = directory.parent() {
        candidates.push(prefix.join("libexec/capprof").join(NAME));
    }
    for fixed in ["/usr/local/libexec/capprof", "/usr/libexec/capprof"] {
        candidates.push(Path::new(fixed).join(NAME));
    }
    candidates.dedup();
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => bail!(
            "find {NAME}: not at {}",
            candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
