//! Reading the settings from `/etc/capprof/config.toml`.

use crate::file;
use capprof_profile::settings::{DefaultMode, Settings};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};

/// The default configuration file. The environment variable [`VARIABLE`] names another.
pub const PATH: &str = "/etc/capprof/config.toml";

/// The environment variable that names another configuration file.
pub const VARIABLE: &str = "CAPPROF_CONFIG";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists and could not be read.
    #[error(transparent)]
    Read(#[from] file::Error),
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("read configuration {}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The reason, on one line, with the line number.
        message: String,
    },
    /// A value that is well-formed but makes no sense.
    #[error("read configuration {}: {key} = {value}: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The reason why it cannot be used.
        reason: &'static str,
    },
}

/// The file that is read: that of [`VARIABLE`], else [`PATH`].
pub fn path() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(PATH), PathBuf::from)
}

/// The content of a configuration file, for a program that needs its essentials first and all settings later.
#[derive(Debug)]
pub struct Content {
    path: PathBuf,
    bytes: io::Result<Vec<u8>>,
}

impl Content {
    /// Reads a file. If that fails, [`Self::settings()`] says why.
    pub fn read(path: PathBuf) -> Self {
        Self {
            bytes: std::fs::read(&path),
            path,
        }
    }

    /// Succeeds if the file was read, or does not exist.
    ///
    /// # Errors
    /// [`Error::Read`]: nothing that the file says is known.
    pub fn was_read(&self) -> Result<(), Error> {
        match &self.bytes {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failure(io::Error::new(error.kind(), error.to_string())))
            }
            _ => Ok(()),
        }
    }

    fn failure(&self, error: io::Error) -> Error {
        file::error("read configuration", &self.path)(error).into()
    }

    /// The settings; a file that does not exist stands for the defaults.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn settings(&self) -> Result<Settings, Error> {
        self.was_read()?;
        let Ok(bytes) = &self.bytes else {
            return Ok(Settings::default());
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| self.failure(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let settings: Settings = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            Error::Parse {
                path: self.path.clone(),
                message: format!("line {line}: {}", error.message().replace('\n', ", ")),
            }
        })?;
        settings.check().map_err(|bad| Error::Value {
            path: self.path.clone(),
            key: bad.key,
            value: bad.value,
            reason: bad.reason,
        })?;
        Ok(settings)
    }

    /// The runtime, the mode, and the directories of state and store from the file, and the defaults for all else. An error in the rest of the file does
    /// not matter: `kill` and `delete` must go on working, and `exec` must find the recording that limits it.
    pub fn essentials(&self) -> Settings {
        let mut essentials = Settings::default();
        let bytes = self.bytes.as_deref().unwrap_or_default();
        let table = table(&String::from_utf8_lossy(bytes));
        let text = |key| Some(table.get(key)?.as_str()?.to_owned());
        if let Some(runtime) = text("runtime") {
            essentials.runtime = runtime;
        }
        if let Some(state) = text("state") {
            essentials.state = state.into();
        }
        if let Some(store) = text("store") {
            essentials.store = store.into();
        }
        if let Some(mode) = table
            .get("mode")
            .and_then(|mode| DefaultMode::deserialize(mode.clone()).ok())
        {
            essentials.mode = mode;
        }
        essentials
    }
}

/// The keys of a file that may not be TOML as a whole: then those of the lines that are.
fn table(text: &str) -> toml::Table {
    let lines = || {
        text.lines()
            .filter_map(|line| line.parse::<toml::Table>().ok())
    };
    text.parse().unwrap_or_else(|_| lines().flatten().collect())
}

/// Reads a file's [settings](Content::settings).
///
/// # Errors
/// Any [`Error`].
pub fn load(path: &Path) -> Result<Settings, Error> {
    Content::read(path.to_owned()).settings()
}

/// Reads a file's [essentials](Content::essentials).
pub fn essentials(path: &Path) -> Settings {
    Content::read(path.to_owned()).essentials()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, Error> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        super::load(&path)
    }

    #[test]
    fn a_missing_or_empty_file_gives_the_defaults() {
        assert_eq!(
            super::load(Path::new("/nonexistent/config.toml")).unwrap(),
            Settings::default()
        );
        assert_eq!(load("").unwrap(), Settings::default());
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
            ("mode = \"enforce\"", "line 1: unknown variant `enforce`"),
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
        let found = essentials(&path);
        assert_eq!(found.runtime, "crun");
        assert_eq!(found.state, Path::new("/run/capprof"));
        assert_eq!(found.mode, DefaultMode::Profile);
        std::fs::write(&path, "mode = \"observe\"\nnonsense = 1\n").unwrap();
        assert_eq!(essentials(&path).mode, DefaultMode::Observe);
        std::fs::write(&path, "state = \"/run/other\"\nnonsense = 1\n").unwrap();
        assert_eq!(essentials(&path).state, Path::new("/run/other"));
        for broken in ["[[[", "mode =", "retention = 1\nretention = 2", "# \u{b7}"] {
            let mut bytes = format!("{broken}\nstate = \"/run/other\"\n").into_bytes();
            // The second byte of the dot, without the first.
            bytes.retain(|byte| *byte != 0xc2);
            std::fs::write(&path, bytes).unwrap();
            assert!(super::load(&path).is_err(), "{broken}");
            assert_eq!(essentials(&path).state, Path::new("/run/other"), "{broken}");
        }
    }
}
