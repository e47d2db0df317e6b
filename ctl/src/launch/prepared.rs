//! A command that runs a container, and that container.

use super::compose::Leftovers;
use super::launcher::Launcher;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

/// A command to be run.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The words, the program first.
    pub(crate) words: Vec<OsString>,
    /// The name under which the program is called, if not its own.
    pub(crate) called: Option<&'static str>,
    /// Environment variables to add.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The remarks on the changes, a line each.
    pub(crate) messages: Vec<String>,
    /// The container that it will run.
    pub(crate) container: LaunchedContainer,
}

/// The source of a container's id.
#[derive(Clone, Debug)]
pub(super) enum Id {
    /// The command line says it.
    Given(String),
    /// The engine writes it into this file.
    File(PathBuf),
    /// compose gives the container this label.
    Label(String, Arc<OnceLock<Leftovers>>),
}

/// The container that a command line runs.
#[derive(Clone, Debug)]
pub(crate) struct LaunchedContainer {
    pub(super) engine: Launcher,
    /// The engine's program with its global options.
    pub(super) prefix: Vec<OsString>,
    pub(super) called: Option<&'static str>,
    /// The source of its id.
    pub(super) id: Id,
    /// True if the command line returns while the container runs.
    pub(crate) detached: bool,
    /// True if the engine removes it when its program has ended.
    pub(crate) removes_itself: bool,
}

impl LaunchedContainer {
    /// Its id, once the engine has said it.
    pub(crate) fn id(&self) -> Option<String> {
        match &self.id {
            Id::Given(id) => Some(id.clone()),
            Id::Label(label, leftovers) => leftovers.get()?.container(label),
            Id::File(file) => {
                let text = fs::read_to_string(file).ok()?;
                let id = text.trim();
                (!id.is_empty()).then(|| id.to_owned())
            }
        }
    }

    /// The commands that stop and remove it in any state, to be run one after the other even if one fails.
    pub(crate) fn remove(&self, id: &str) -> Vec<Command> {
        let lines: &[&[&str]] = match self.engine {
            Launcher::Docker | Launcher::Nerdctl => &[&["rm", "--force", "--volumes"]],
            Launcher::Podman => &[&["rm", "--force", "--volumes", "--time", "0"]],
            Launcher::Ctr => &[
                &["tasks", "kill", "--signal", "SIGKILL"],
                &["tasks", "delete", "--force"],
                &["containers", "delete"],
            ],
            Launcher::Runc | Launcher::Crun => &[&["delete", "--force"]],
        };
        lines.iter().map(|line| self.command(line, id)).collect()
    }

    /// The command that asks the container's program to end. Some engines kill it after `seconds`.
    pub(crate) fn stop(&self, id: &str, seconds: u64) -> Command {
        let seconds = seconds.to_string();
        match self.engine {
            Launcher::Docker | Launcher::Podman | Launcher::Nerdctl => {
                self.command(&["stop", "--time", &seconds], id)
            }
            Launcher::Ctr => self.command(&["tasks", "kill", "--signal", "SIGTERM"], id),
            Launcher::Runc | Launcher::Crun => {
                let mut command = self.command(&["kill"], id);
                command.arg("TERM");
                command
            }
        }
    }

    /// The command that waits for its end and prints its exit status, for one that was started in the background.
    pub(crate) fn wait(&self, id: &str) -> Command {
        self.command(&["wait"], id)
    }

    fn command(&self, words: &[&str], id: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.prefix[0]);
        if let Some(called) = self.called {
            command.arg0(called);
        }
        command.args(&self.prefix[1..]).args(words).arg(id);
        command
    }
}

impl Prepared {
    /// The command.
    pub(crate) fn command(&self) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.words[0]);
        if let Some(called) = self.called {
            command.arg0(called);
        }
        command
            .args(&self.words[1..])
            .envs(self.environment.iter().map(|(key, value)| (*key, value)));
        command
    }
}
