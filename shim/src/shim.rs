//! From the command line to the low-level runtime.

use crate::argv::{self, Command, Family, Globals};
use crate::create::{self, Prepared};
use crate::exec;
use crate::report;
use crate::runtime::{self, LowLevel};
use crate::sweep;
use capprof_profile::recording::Recording;
use capprof_store::recording::{Directory, container_key};
use capprof_store::settings;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What keeps the low-level runtime from being started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments of `create` or `run`.
    #[error("read arguments of {subcommand}: {source}")]
    Arguments {
        /// `create` or `run`.
        subcommand: String,
        /// What about them.
        source: argv::Error,
    },
    /// The runtime cannot be found or started.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The container cannot be profiled.
    #[error(transparent)]
    Create(#[from] create::Error),
    /// The process cannot be profiled.
    #[error(transparent)]
    Exec(#[from] exec::Error),
}

/// Becomes the low-level runtime, or reports why not and gives the exit status.
pub fn main(arguments: &[OsString]) -> i32 {
    let own_name = arguments
        .first()
        .map_or(OsStr::new(""), OsString::as_os_str);
    let essentials = settings::essentials(&settings::path());
    let selected = runtime::select(own_name, &essentials.runtime);
    let family = runtime::family_of(Path::new(&selected));
    let globals = argv::globals(arguments, family);
    let call = Call {
        arguments,
        globals: &globals,
        selected: &selected,
        family,
        state: state_directory(essentials.state),
    };
    match call.run() {
        Err(error) => {
            report::error(&globals, &error.to_string());
            1
        }
        Ok(never) => match never {},
    }
}

/// One call of capprof.
struct Call<'a> {
    arguments: &'a [OsString],
    globals: &'a Globals,
    /// Name or path of the runtime.
    selected: &'a str,
    /// Whose command line that runtime has.
    family: Family,
    /// The state directory.
    state: PathBuf,
}

/// The state directory of whoever calls: as configured for root, in the user's own runtime directory for others. They cannot profile, but a
/// limit can be enforced for them.
fn state_directory(configured: PathBuf) -> PathBuf {
    if create::is_root_of_host() {
        return configured;
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if Path::new(&directory).is_absolute() => {
            Path::new(&directory).join("capprof")
        }
        _ => configured,
    }
}

impl Call<'_> {
    fn run(&self) -> Result<Infallible, Error> {
        let (subcommand, rest) = match self.globals.subcommand {
            Some(position) => (
                self.arguments[position].as_os_str(),
                &self.arguments[position + 1..],
            ),
            None => (OsStr::new(""), &[][..]),
        };
        match subcommand.to_str() {
            Some("create" | "run") => {
                let failed = |source| Error::Arguments {
                    subcommand: subcommand.to_string_lossy().into_owned(),
                    source,
                };
                if let Some(problem) = self.globals.refusal() {
                    return Err(failed(problem.clone()));
                }
                let command =
                    argv::command_of_one_reading(subcommand, rest, self.family).map_err(failed)?;
                self.create(&command, &runtime::find(self.selected)?)
            }
            Some("exec") => {
                let recording = self.recording(subcommand, rest);
                // The runtime that the container was created with will read the arguments.
                let family = recording.as_ref().map_or(self.family, |recording| {
                    runtime::family_of(&recording.container.runtime.path)
                });
                match (&recording, argv::command(subcommand, rest, family)) {
                    (Some(recording), Ok(command)) => exec::prepare(&command, recording)?,
                    (_, Err(source)) if self.names_a_limited_container(rest) => {
                        return Err(Error::Arguments {
                            subcommand: "exec".to_owned(),
                            source,
                        });
                    }
                    _ => {}
                }
                self.hand_over(recording)
            }
            other => {
                let recording = self.recording(subcommand, rest);
                if other == Some("delete") {
                    sweep::sweep(&self.state);
                }
                self.hand_over(recording)
            }
        }
    }

    fn create(&self, command: &Command, low_level: &LowLevel) -> Result<Infallible, Error> {
        let prepared: Option<Prepared> = match &command.id {
            // Otherwise the runtime explains how it wants to be called, and creates nothing.
            Some(id) if command.positional == 1 && !command.help => {
                create::prepare(self.globals, command, id, low_level, &self.state)?
            }
            _ => None,
        };
        let failed = runtime::hand_over(&low_level.path, self.arguments);
        if let Some(prepared) = prepared {
            prepared.undo();
        }
        Ok(failed?)
    }

    /// The recording of the container that the arguments name, if there is one. Whatever goes wrong here, the container must be reached.
    fn recording(&self, subcommand: &OsStr, rest: &[OsString]) -> Option<Recording> {
        if Directory::list(&self.state, None).ok()?.is_empty() {
            return None;
        }
        let families = [self.family, self.family.other()];
        let id = families
            .into_iter()
            .find_map(|family| argv::command(subcommand, rest, family).ok()?.id)?;
        // Which root it is depends on the runtime, unless the caller says it.
        families.into_iter().find_map(|family| {
            let path = runtime::root(self.globals.root.as_deref(), family).join(&id);
            Directory::list(&self.state, Some(&container_key(&path)))
                .ok()?
                .iter()
                .rev()
                .find_map(|directory| directory.load().ok())
                .filter(|recording| recording.container.runtime.state == path)
        })
    }

    /// Whether a container with an enforced limit is meant by arguments that cannot be read: its id is among them.
    fn names_a_limited_container(&self, rest: &[OsString]) -> bool {
        Directory::list(&self.state, None)
            .unwrap_or_default()
            .iter()
            .filter_map(|directory| directory.load().ok())
            .any(|recording| {
                recording.mode.limits() && rest.iter().any(|word| *word == *recording.container.id)
            })
    }

    /// Becomes the runtime that a container was created with, else the one that is configured.
    fn hand_over(&self, recording: Option<Recording>) -> Result<Infallible, Error> {
        if let Some(recording) = recording {
            // If it has been removed meanwhile, the configured one is the best that is left.
            let _ = runtime::hand_over(&recording.container.runtime.path, self.arguments);
        }
        let low_level = runtime::find(self.selected)?;
        Ok(runtime::hand_over(&low_level.path, self.arguments)?)
    }
}
