//! `/etc/capprof/config.toml`.

use crate::recording::{Recorders, STATE_DIRECTORY, Scope};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Where the configuration is read from, unless the environment variable [`VARIABLE`] names another file.
pub const PATH: &str = "/etc/capprof/config.toml";

/// The environment variable that names another configuration file.
pub const VARIABLE: &str = "CAPPROF_CONFIG";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists and could not be read.
    #[error("read configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("read configuration {}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, on one line, with the line number.
        message: String,
    },
    /// A value that is well-formed and makes no sense.
    #[error("read configuration {}: {key} = {value}: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// Why it cannot be used.
        reason: &'static str,
    },
}

/// What a process that does not run as root is granted while it is profiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantNonRoot {
    /// All five sets, so that the capabilities are effective after execve. Sees all needs; also lets the process do what it fails to do in production.
    #[default]
    Ambient,
    /// The bounding set alone, as an ordinary host has it. Sees what set-user-ID programs and file capabilities use.
    Bounding,
}

/// What happens to seccomp rules that answer with an error while a container is profiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelaxSeccomp {
    /// `SCMP_ACT_ERRNO` (other than `ENOSYS`), `SCMP_ACT_KILL*`, `SCMP_ACT_TRAP` become `SCMP_ACT_ALLOW`. Where that is also the default action,
    /// the runtime leaves out all rules that say the same, and has a filter of a few instructions to make instead of one of hundreds.
    #[default]
    Allow,
    /// They become `SCMP_ACT_LOG`, one record in the audit log for each such call.
    Log,
    /// Nothing is changed; what the filter refuses cannot be seen, and is listed as a blind spot.
    Keep,
}

/// Which capability is chosen where the kernel would have been content with any of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// One that engines grant by default, else the weaker.
    #[default]
    Default,
    /// The weaker.
    Weaker,
}

/// Every key of the configuration file with its meaning and default; all are optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// The low-level runtime: `runc`, `crun`, or an absolute path. A name is looked for in fixed directories, never through PATH.
    /// If capprof is called by a name that ends in `-runc` or `-crun`, that name decides. Default `runc`.
    pub runtime: String,
    /// `auto`, `ebpf` or `selinux`. Default `auto`: all that work, at least one.
    pub recorders: Recorders,
    /// How far SELinux is toggled: `auto`, `domain` or `host`. Default `auto`.
    pub scope: Scope,
    /// In scope `host`: the booleans to switch off. Empty (default): those that give the container's domain capabilities, found by asking the policy.
    pub booleans: Vec<String>,
    /// `ambient` (default) or `bounding`.
    pub grant_non_root: GrantNonRoot,
    /// `allow` (default), `log` or `keep`.
    pub relax_seccomp: RelaxSeccomp,
    /// Whether the AppArmor profile is taken off while profiling. Default `true`.
    pub relax_apparmor: bool,
    /// `default` (default) or `weaker`.
    pub prefer: Preference,
    /// Where results are kept. Default `/var/lib/capprof`.
    pub store: PathBuf,
    /// How many results of one container are kept; 0 keeps all. Default 20.
    pub retention: u32,
    /// Where recordings in progress are kept; a tmpfs. Default `/run/capprof`.
    pub state: PathBuf,
    /// Seconds after which the runtime kills a hook. Default 10.
    pub hook_timeout: u32,
    /// Whether a poststop hook that could not write a result exits with 1. Default `false`: the engine's `delete` succeeds and the journal has the message.
    pub fail_on_error: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            runtime: "runc".to_owned(),
            recorders: Recorders::default(),
            scope: Scope::default(),
            booleans: Vec::new(),
            grant_non_root: GrantNonRoot::default(),
            relax_seccomp: RelaxSeccomp::default(),
            relax_apparmor: true,
            prefer: Preference::default(),
            store: PathBuf::from("/var/lib/capprof"),
            retention: 20,
            state: PathBuf::from(STATE_DIRECTORY),
            hook_timeout: 10,
            fail_on_error: false,
        }
    }
}

impl Configuration {
    /// The file that is read: that of [`VARIABLE`], else [`PATH`].
    pub fn path() -> PathBuf {
        std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(PATH), PathBuf::from)
    }

    /// Reads the file; a file that does not exist gives the defaults.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(Error::Read {
                    path: path.to_owned(),
                    source,
                });
            }
            Ok(text) => text,
        };
        let configuration: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            Error::Parse {
                path: path.to_owned(),
                message: format!("line {line}: {}", error.message().replace('\n', ", ")),
            }
        })?;
        configuration.check(path)?;
        Ok(configuration)
    }

    /// The defaults with nothing but the runtime and the state directory from the file, whatever else is wrong with it: `kill` and
    /// `delete` must go on working.
    pub fn essentials(path: &Path) -> Self {
        let mut essentials = Self::default();
        let table = std::fs::read_to_string(path)
            .ok()
            .and_then(|text| text.parse::<toml::Table>().ok())
            .unwrap_or_default();
        let text = |key| Some(table.get(key)?.as_str()?.to_owned());
        if let Some(runtime) = text("runtime") {
            essentials.runtime = runtime;
        }
        if let Some(state) = text("state") {
            essentials.state = state.into();
        }
        essentials
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        let error = |key, value: String, reason| {
            Err(Error::Value {
                path: path.to_owned(),
                key,
                value,
                reason,
            })
        };
        let runtime = Path::new(&self.runtime);
        if self.runtime.is_empty() || (self.runtime.contains('/') && !runtime.is_absolute()) {
            return error(
                "runtime",
                format!("\"{}\"", self.runtime),
                "must be a name or an absolute path",
            );
        }
        for (key, directory) in [("store", &self.store), ("state", &self.state)] {
            if !directory.is_absolute() {
                return error(
                    key,
                    format!("\"{}\"", directory.display()),
                    "must be an absolute path",
                );
            }
        }
        if !(1..=600).contains(&self.hook_timeout) {
            return error(
                "hook_timeout",
                self.hook_timeout.to_string(),
                "must be from 1 to 600 seconds",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Configuration, Error> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Configuration::load(&path)
    }

    #[test]
    fn a_missing_or_empty_file_gives_the_defaults() {
        assert_eq!(
            Configuration::load(Path::new("/nonexistent/config.toml")).unwrap(),
            Configuration::default()
        );
        assert_eq!(load("").unwrap(), Configuration::default());
    }

    #[test]
    fn each_mistake_gives_one_clear_line() {
        for (text, expected) in [
            ("\nruntme = \"crun\"", "line 2: unknown field `runtme`"),
            ("recorders = \"both\"", "line 1: unknown variant `both`"),
            ("runtime = ", "line 1: "),
            (
                "runtime = \"bin/runc\"",
                "must be a name or an absolute path",
            ),
            (
                "store = \"here\"",
                "store = \"here\": must be an absolute path",
            ),
            ("hook_timeout = 0", "must be from 1 to 600 seconds"),
            ("retention = -1", "line 1: "),
        ] {
            let message = load(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn the_runtime_is_found_in_a_broken_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "runtime = \"crun\"\nnonsense = 1\n").unwrap();
        let essentials = Configuration::essentials(&path);
        assert_eq!(essentials.runtime, "crun");
        assert_eq!(essentials.state, Path::new("/run/capprof"));
        std::fs::write(&path, "state = \"/run/other\"\nnonsense = 1\n").unwrap();
        assert_eq!(
            Configuration::essentials(&path).state,
            Path::new("/run/other")
        );
        std::fs::write(&path, "[[[").unwrap();
        assert_eq!(Configuration::essentials(&path), Configuration::default());
    }
}
