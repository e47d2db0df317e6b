//! `capprof-hook`: what runs beside a profiled container.
//!
//! ```text
//! capprof-hook prestart  DIRECTORY   arm the recorders (OCI hook, state on standard input)
//! capprof-hook poststop  DIRECTORY   collect, classify, write, restore (OCI hook)
//! capprof-hook watch     DIRECTORY   listen to audit while a container runs (started by prestart where needed)
//! capprof-hook recover   [--state DIRECTORY] [--stopped] [--unload]   finish recordings whose container is gone (or has stopped)
//! capprof-hook doctor    [--state DIRECTORY]   what can be recorded on this host, as JSON
//! ```
//!
//! DIRECTORY is the recording's own, made by the shim. A hook takes everything from there: engines start hooks with no
//! environment, any working directory, and no PATH. `recover` and `doctor` look where the configuration says unless told otherwise.

mod collect;
mod doctor;
mod ebpf;
mod journal;
mod lease;
mod poststop;
mod prestart;
mod recover;
mod selinux;

use anyhow::{Context, bail};
use capprof_profile::configuration::Configuration;
use capprof_profile::recording::Directory;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::error(&capprof_profile::error::line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    let mut arguments = arguments.into_iter();
    let subcommand = arguments.next().unwrap_or_default();
    match subcommand.to_str() {
        Some("prestart") => {
            let state = state();
            prestart::run(&directory(arguments)?, state)
        }
        Some("poststop") => {
            // It says nothing that the recording does not.
            let _ = state();
            poststop::run(&directory(arguments)?)
        }
        Some("watch") => selinux::watch(&directory(arguments)?).map_err(Into::into),
        Some("recover") => {
            let options = Options::parse(arguments)?;
            recover::run(&options.state, options.stopped, options.unload)
        }
        Some("doctor") => doctor::run(&Options::parse(arguments)?.state),
        _ => bail!(
            "unknown subcommand {}: expected prestart, poststop, watch, recover or doctor",
            subcommand.display()
        ),
    }
}

/// The container's state, which the runtime writes to a hook's standard input (Runtime Specification, "POSIX-platform Hooks"). Read to its
/// end first of all: crun dies of SIGPIPE when a hook has ended before crun has written everything, and leaves the container undeleted.
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
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Self> {
        let mut options = Self {
            // Whatever else is wrong with the file: what a container left behind must not stay for it.
            state: Configuration::essentials(&Configuration::path()).state,
            stopped: false,
            unload: false,
        };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--state") => {
                    options.state = arguments
                        .next()
                        .context("read arguments: --state needs a directory")?
                        .into();
                }
                Some("--stopped") => options.stopped = true,
                Some("--unload") => options.unload = true,
                _ => bail!("read arguments: unknown option {}", argument.display()),
            }
        }
        Ok(options)
    }
}
