//! Handles a command line: does capprof's part, and becomes the low-level runtime.

use crate::annotations;
use crate::argv::{self, Command, Globals};
use crate::create::{self, LowLevelRuntime};
use crate::delivery::CommandLine;
use crate::exec;
use crate::family::Family;
use crate::privilege::may_be_root_of_host;
use crate::report;
use crate::runtime;
use crate::state;
use crate::sweep;
use capprof_profile::recording::Recording;
use capprof_profile::settings::DefaultMode;
use capprof_store::recording::{Directory, container_key, is_of};
use capprof_store::{file, settings};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The error that keeps the low-level runtime from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments of `create`, `run`, `restore` or `exec` are wrong.
    #[error("read arguments of {subcommand}: {source}")]
    Arguments {
        /// The subcommand.
        subcommand: String,
        /// The fault.
        source: argv::Error,
    },
    /// The runtime cannot be found or started.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The container cannot be profiled or limited.
    #[error(transparent)]
    Create(#[from] create::Error),
    /// The process cannot be profiled or limited.
    #[error(transparent)]
    Exec(#[from] exec::Error),
    /// It is not known if a container has a limit.
    #[error(
        "exec: {source}; what the container is limited to is not known: see capprofctl recover"
    )]
    Recording {
        /// The reason.
        source: file::Error,
    },
    /// The same, because the configuration may name another state directory.
    #[error(
        "exec: {source}; what the container is limited to is not known: make the file readable, or remove it"
    )]
    Configuration {
        /// The reason.
        source: settings::Error,
    },
}

impl Error {
    /// The exit status: that of the runtime for such an error.
    fn status(&self, family: Family) -> i32 {
        match (self, family) {
            (Self::Exec(_) | Self::Recording { .. } | Self::Configuration { .. }, Family::Runc) => {
                255
            }
            _ => 1,
        }
    }
}

/// Becomes the low-level runtime, or reports the error and returns the exit status.
pub fn main(arguments: Vec<OsString>) -> i32 {
    let own_name = arguments
        .first()
        .map_or(OsStr::new(""), OsString::as_os_str);
    let settings = settings::Content::read(settings::path());
    let essentials = settings.essentials();
    let state = state::directory(essentials.state);
    let family_of = |path: &Path| runtime::family_of(path, &state);
    let selected = runtime::select(own_name, &essentials.runtime, family_of);
    let found = runtime::find(&selected);
    let family = match &found {
        Ok(path) => family_of(path),
        Err(_) => Family::of_name(Path::new(&selected)),
    };
    let mut call = Call {
        globals: argv::globals(&arguments, family),
        arguments,
        found,
        family,
        state,
        mode: essentials.mode,
        settings,
    };
    match call.run() {
        Err(error) => {
            report::error(&call.globals, &error.to_string());
            error.status(family)
        }
        Ok(never) => match never {},
    }
}

/// One call of capprof.
struct Call {
    arguments: Vec<OsString>,
    globals: Globals,
    /// The configured runtime.
    found: Result<PathBuf, runtime::Error>,
    /// The family of the runtime.
    family: Family,
    /// The state directory.
    state: PathBuf,
    /// The mode of containers without an annotation for it.
    mode: DefaultMode,
    /// The administrator's settings.
    settings: settings::Content,
}

/// The recording of a container, with its directory.
type Recorded = (Directory, Recording);

impl Call {
    fn run(&mut self) -> Result<Infallible, Error> {
        let position = self.globals.subcommand;
        let subcommand = position
            .and_then(|position| self.arguments.get(position).cloned())
            .unwrap_or_default();
        match (subcommand.to_str(), position) {
            (Some("create" | "run" | "restore"), Some(position)) => {
                self.create(&subcommand, position)
            }
            (Some("exec"), Some(position)) => self.exec(&subcommand, position),
            (other, _) => {
                let recorded = self.recorded(&subcommand).ok().flatten();
                if other == Some("delete") {
                    sweep::sweep(&self.state);
                }
                self.hand_over(recorded)
            }
        }
    }

    /// The arguments after the subcommand.
    fn rest(&self) -> &[OsString] {
        self.globals
            .subcommand
            .and_then(|position| self.arguments.get(position + 1..))
            .unwrap_or_default()
    }

    /// Prepares the creation of a container. Leaves it to the runtime if the mode is `off`, or if the runtime will refuse it.
    fn create(&mut self, subcommand: &OsStr, position: usize) -> Result<Infallible, Error> {
        let Some(command) = self.understood(subcommand)? else {
            return self.hand_over(None);
        };
        // Otherwise the runtime prints its usage and creates nothing.
        if command.positional != 1 || command.help {
            return self.hand_over(None);
        }
        self.globals = self.globals.with(&command);
        let path = self.low_level()?;
        let target = LowLevelRuntime {
            path: &path,
            family: self.family,
            globals: &self.globals,
            state: &self.state,
            mode: self.mode,
            settings: &self.settings,
        };
        let mut line = CommandLine {
            arguments: &mut self.arguments,
            subcommand: position,
            command: &command,
        };
        let directory = if subcommand == "restore" {
            create::refuse_restore(&target, &mut line)?;
            None
        } else {
            create::prepare(&target, &mut line)?
        };
        let failed = runtime::hand_over(&path, self.family, &self.arguments);
        if let Some(directory) = directory {
            let _ = directory.remove();
        }
        Ok(failed?)
    }

    /// Returns the command of a list that makes a container; `None` if the runtime refuses it by itself, or if the caller asks for help.
    fn understood(&self, subcommand: &OsStr) -> Result<Option<Command>, Error> {
        if self.globals.is_refused_by_the_runtime() {
            return Ok(None);
        }
        let read = match self.globals.refusal() {
            Some(problem) => Err(problem.clone()),
            None => argv::command_of_one_reading(subcommand, self.rest(), self.family),
        };
        match read {
            Ok(command) => Ok(Some(command)),
            Err(error)
                if error.is_refused_by_the_runtime()
                    || annotations::environment_says_off(&|name| std::env::var(name).ok()) =>
            {
                Ok(None)
            }
            Err(source) => Err(Error::Arguments {
                subcommand: subcommand.to_string_lossy().into_owned(),
                source,
            }),
        }
    }

    fn exec(&mut self, subcommand: &OsStr, position: usize) -> Result<Infallible, Error> {
        // Other users have a state directory of their own, and need not be able to read the file.
        if may_be_root_of_host() {
            let read = self.settings.was_read();
            read.map_err(|source| Error::Configuration { source })?;
        }
        let recorded = self
            .recorded(subcommand)
            .map_err(|source| Error::Recording { source })?;
        // The runtime that the container was created with will read the arguments.
        let family = recorded
            .as_ref()
            .map_or(self.family, |(_, recording)| self.family_of(recording));
        let read = match self.globals.refusal() {
            // It may be another root, where the container is.
            Some(problem @ argv::Error::TwoReadings(..)) => Err(problem.clone()),
            _ => argv::command_of_one_reading(subcommand, self.rest(), family),
        };
        match read {
            Ok(command) => {
                if let Some((directory, recording)) = &recorded
                    && !command.help
                {
                    let mut line = CommandLine {
                        arguments: &mut self.arguments,
                        subcommand: position,
                        command: &command,
                    };
                    exec::prepare(directory, recording, family, &mut line)?;
                }
            }
            Err(source)
                if !source.is_refused_by_the_runtime() && self.names_a_limited_container() =>
            {
                return Err(Error::Arguments {
                    subcommand: "exec".to_owned(),
                    source,
                });
            }
            Err(_) => {}
        }
        self.hand_over(recorded)
    }

    fn family_of(&self, recording: &Recording) -> Family {
        Family::ALL
            .into_iter()
            .find(|family| family.name() == recording.container.runtime.name)
            .unwrap_or(self.family)
    }

    /// Returns the recording of the container that the arguments name, if there is one.
    ///
    /// # Errors
    /// There may be one that cannot be read.
    fn recorded(&self, subcommand: &OsStr) -> Result<Option<Recorded>, file::Error> {
        // The root depends on the runtime, unless the caller gives it.
        for family in [self.family, self.family.other()] {
            for command in argv::readings(subcommand, self.rest(), family) {
                let Some(id) = &command.id else { continue };
                let root = command.root.as_ref().or(self.globals.root.as_ref());
                let state = runtime::root(root.map(OsString::as_os_str), family).join(id);
                if let Some(recorded) = self.recorded_as(&state, id)? {
                    return Ok(Some(recorded));
                }
            }
        }
        Ok(None)
    }

    /// Returns the latest recording of the container with this id and this state directory. A recording that capprof attached to a running container
    /// does not count: the shim did not make it.
    fn recorded_as(&self, state: &Path, id: &OsStr) -> Result<Option<Recorded>, file::Error> {
        let directories = match Directory::list(&self.state, Some(&container_key(id))) {
            // The state directory belongs to another user, so this container has no recording in it.
            Err(error)
                if error.source.kind() == std::io::ErrorKind::PermissionDenied
                    && !state::is_own(&self.state) =>
            {
                Vec::new()
            }
            result => result?,
        };
        for directory in directories.into_iter().rev() {
            match directory.load() {
                Ok(recording) if !recording.is_from_outside() && is_of(&recording, state) => {
                    return Ok(Some((directory, recording)));
                }
                Ok(_) => {}
                // Its shim has not described it yet, so there is no container yet.
                Err(_) if !directory.is_described()? => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Returns true if a container with an enforced limit is meant by arguments that cannot be read: its id is among them, with blanks or without.
    fn names_a_limited_container(&self) -> bool {
        Directory::list(&self.state, None)
            .unwrap_or_default()
            .iter()
            .filter_map(|directory| directory.load().ok())
            .any(|recording| {
                recording.mode.limits()
                    && self.rest().iter().any(|word| {
                        [word, argv::trim(word)].contains(&OsStr::new(&recording.container.id))
                    })
            })
    }

    /// The configured runtime.
    fn low_level(&mut self) -> Result<PathBuf, runtime::Error> {
        std::mem::replace(&mut self.found, Ok(PathBuf::new()))
    }

    /// Becomes the runtime that created the container, else the configured one.
    fn hand_over(&mut self, recorded: Option<Recorded>) -> Result<Infallible, Error> {
        if let Some((_, recording)) = recorded {
            let family = self.family_of(&recording);
            // If it has been removed since, the configured one is the best that is left.
            let _ = runtime::hand_over(&recording.container.runtime.path, family, &self.arguments);
        }
        let path = self.low_level()?;
        Ok(runtime::hand_over(&path, self.family, &self.arguments)?)
    }
}
