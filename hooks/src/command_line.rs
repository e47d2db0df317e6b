//! The command line of `capprof-hook`.

use crate::{doctor, finish, poststop, prestart, progress, recover, selinux, unit, why};
use anyhow::{Context, bail};
use capprof_store::recording::Directory;
use capprof_store::settings;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The subcommands.
const SUBCOMMANDS: [&str; 11] = [
    "prestart", "poststop", "listen", "attach", "join", "detach", "so-far", "snapshot", "recover",
    "doctor", "why",
];

/// Returns true if the subcommand is one that a low-level runtime calls.
pub fn is_hook(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .is_some_and(|first| first == "prestart" || first == "poststop")
}

/// Runs the subcommand that these arguments name; the program's own name is not among them.
///
/// # Errors
/// The arguments name no subcommand, or the subcommand failed.
pub fn run(arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let mut arguments = arguments.into_iter();
    let subcommand = arguments.next().unwrap_or_default();
    match subcommand.to_str() {
        Some("prestart") => {
            let state = state();
            prestart::run(&directory(arguments)?, state)
        }
        Some("poststop") => {
            let state = state();
            poststop::run(&directory(arguments)?, state)
        }
        Some("listen") => selinux::listen(&directory(arguments)?),
        Some("attach") => progress::attach(&directory(arguments)?),
        Some("join") => {
            unit::join(&directory(arguments)?);
            Ok(())
        }
        Some("detach") => finish::finish(&directory(arguments)?),
        Some("so-far") => {
            let options = Options::parse(arguments)?;
            progress::tell(&options.state, &options.directories, options.every)
        }
        Some("snapshot") => {
            let options = Options::parse(arguments)?;
            progress::snapshot(&options.state, &options.directories)
        }
        Some("recover") => {
            let options = Options::parse(arguments)?;
            recover::run(&options.state, options.stopped, options.unload)
        }
        Some("doctor") => doctor::run(&Options::parse(arguments)?.state),
        Some("why") => return why::run(arguments),
        _ => bail!(
            "unknown subcommand {}: expected one of {}",
            subcommand.display(),
            SUBCOMMANDS.join(", ")
        ),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The container's state, which the runtime writes to a hook's standard input (Runtime Specification, "POSIX-platform Hooks"). A hook reads it to
/// the end before anything else: if it ended first, crun would die of SIGPIPE and leave the container undeleted.
fn state() -> anyhow::Result<Vec<u8>> {
    let mut state = Vec::with_capacity(64 << 10);
    std::io::stdin()
        .lock()
        .read_to_end(&mut state)
        .context("read the container's state from standard input")?;
    Ok(state)
}

fn directory(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Directory> {
    let path = PathBuf::from(
        arguments
            .next()
            .context("read arguments: the recording's directory is missing")?,
    );
    if !path.is_absolute() {
        bail!(
            "read arguments: {}: the recording's directory must be absolute",
            path.display()
        );
    }
    Ok(Directory::at(path))
}

struct Options {
    state: PathBuf,
    stopped: bool,
    unload: bool,
    every: Option<Duration>,
    directories: Vec<Directory>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Self> {
        let mut options = Self {
            // Other mistakes in the file must not keep recovery from finding a container's recording.
            state: settings::essentials(&settings::path()).state,
            stopped: false,
            unload: false,
            every: None,
            directories: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--state") => {
                    options.state = arguments
                        .next()
                        .context("read arguments: --state needs a directory")?
                        .into();
                }
                Some("--every") => {
                    let milliseconds = arguments
                        .next()
                        .and_then(|text| text.to_str()?.parse().ok())
                        .context("read arguments: --every needs a number of milliseconds")?;
                    options.every = Some(Duration::from_millis(milliseconds));
                }
                Some(path) if path.starts_with('/') => {
                    options.directories.push(Directory::at(argument.into()));
                }
                Some("--stopped") => options.stopped = true,
                Some("--unload") => options.unload = true,
                _ => bail!("read arguments: unknown option {}", argument.display()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_has_each_subcommand() {
        let page = include_str!("../../packaging/man/capprof-hook.8");
        let entries: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".It Cm "))
            .flat_map(|line| line.split_whitespace().filter(|word| *word != "Cm"))
            .collect();
        for name in SUBCOMMANDS {
            assert!(entries.contains(&name), "{name}");
        }
    }
}
