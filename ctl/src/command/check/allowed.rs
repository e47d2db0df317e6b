//! The capabilities that a check allows a profile.

use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use capprof_profile::pod_security::Level;
use capprof_store::file;
use capprof_store::profiles::Store;
use std::path::{Path, PathBuf};

/// The allowed capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Its name in messages.
    pub(super) name: String,
    pub(super) allowed: CapabilitySet,
    /// The level of the Pod Security Standards, if it is one.
    pub(super) level: Option<Level>,
    /// The file that lists the allowed capabilities, as the user named it; `None` if there is none.
    pub(super) file: Option<PathBuf>,
}

impl Allowed {
    /// Reads `baseline`, `restricted`, a file (a profile, or names of capabilities), or a list of names.
    ///
    /// # Errors
    /// It is none of these.
    pub(super) fn read(store: &Store, text: &str) -> anyhow::Result<Self> {
        for level in [Level::Baseline, Level::Restricted] {
            if text == level.name() {
                return Ok(Self {
                    name: format!("the Pod Security Standard {text}"),
                    allowed: level.capabilities(),
                    level: Some(level),
                    file: None,
                });
            }
        }
        let path = Path::new(text);
        let file = path.is_file().then(|| path.to_owned());
        let allowed = match &file {
            Some(path) => read_file(store, path)?,
            None if text.contains('/') => bail!("read {text}: no such file"),
            None => parse(text).with_context(|| {
                format!("--against {text}: expected a file, a list of capabilities, baseline or restricted")
            })?,
        };
        Ok(Self {
            name: match file {
                Some(_) => text.to_owned(),
                None => "the list".to_owned(),
            },
            allowed,
            level: None,
            file,
        })
    }
}

fn read_file(store: &Store, path: &Path) -> anyhow::Result<CapabilitySet> {
    let content = file::read(path)?;
    let text = String::from_utf8_lossy(&content);
    if text.trim_start().starts_with('{') {
        // An absolute path is never taken for a name.
        let path = path.canonicalize().unwrap_or(path.to_owned());
        return Ok(store.find(&path.to_string_lossy())?.profile.answer().0);
    }
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line));
    parse(&lines.collect::<Vec<_>>().join(",")).with_context(|| format!("read {}", path.display()))
}

/// Names with or without `CAP_`, in any case, between commas or blanks; `none` stands for no name.
fn parse(list: &str) -> anyhow::Result<CapabilitySet> {
    let mut set = CapabilitySet::EMPTY;
    for word in list.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let upper = word.to_ascii_uppercase();
        if upper == "NONE" {
            continue;
        }
        let full = match upper.starts_with("CAP_") {
            true => upper,
            false => format!("CAP_{upper}"),
        };
        match full.parse() {
            Ok(capability) => set.insert(capability),
            Err(_) => bail!("no capability is called {word}"),
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use std::fs;

    #[test]
    fn lists_and_files_name_capabilities() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let expected: CapabilitySet = [Capability::CHOWN, Capability::NET_RAW]
            .into_iter()
            .collect();
        for list in [
            "chown,CAP_NET_RAW",
            "CHOWN NET_RAW",
            " cap_net_raw , chown ",
        ] {
            assert_eq!(Allowed::read(&store, list).unwrap().allowed, expected);
        }
        assert!(Allowed::read(&store, "none").unwrap().allowed.is_empty());
        let file = directory.path().join("allowed");
        fs::write(&file, "# what the platform allows\nCHOWN\nNET_RAW # ping\n").unwrap();
        let limit = Allowed::read(&store, &file.to_string_lossy()).unwrap();
        assert_eq!(limit.allowed, expected);
        assert_eq!(limit.level, None);
        assert_eq!(limit.file, Some(file));
        assert_eq!(Allowed::read(&store, "none").unwrap().file, None);
    }

    #[test]
    fn what_is_none_of_these_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        for (text, expected) in [
            ("chwon", "no capability is called chwon"),
            ("/no/such/file", "read /no/such/file: no such file"),
        ] {
            let error = format!("{:#}", Allowed::read(&store, text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn levels_go_by_their_names() {
        let store = Store::at("/nowhere");
        let limit = Allowed::read(&store, "restricted").unwrap();
        assert_eq!(limit.level, Some(Level::Restricted));
        assert_eq!(limit.allowed.len(), 1);
    }
}
