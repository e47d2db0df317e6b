//! Booleans and enforcing mode through selinuxfs (security/selinux/selinuxfs.c), because the crate `selinux` has no booleans.

use crate::lease::{Switch, Switches};
use capprof_store::file;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The mount point of selinuxfs.
pub(crate) const ROOT: &str = "/sys/fs/selinux";

/// The switches of the running kernel, or of a directory of that form.
#[derive(Debug)]
pub(crate) struct Selinuxfs(PathBuf);

/// The reason why this process could not set a switch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritable {
    /// The policy does not have it.
    #[error("the loaded policy has no {0}: load capprof's policy module (semodule -i capprof.cil)")]
    Absent(Switch),
    /// Its file cannot be opened for writing.
    #[error("switch {switch}: {source}")]
    Open {
        /// The switch.
        switch: Switch,
        /// The reason.
        source: file::Error,
    },
}

impl Selinuxfs {
    /// The selinuxfs of the running kernel.
    pub(crate) fn new() -> Self {
        Self(PathBuf::from(ROOT))
    }

    /// A directory of the same form, for tests.
    #[cfg(test)]
    pub(crate) fn at(root: PathBuf) -> Self {
        Self(root)
    }

    /// The names of the policy's booleans that `wanted` accepts, in alphabetical order.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub(crate) fn names(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.0.join("booleans"))?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| wanted(name))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The policy's booleans that `wanted` accepts, with their values, in alphabetical order. A policy has hundreds, each in a file of its own.
    ///
    /// # Errors
    /// The directory cannot be listed; a boolean that cannot be read is left out.
    pub(crate) fn booleans(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Vec<(String, bool)>> {
        Ok(self
            .names(wanted)?
            .into_iter()
            .filter_map(|name| {
                let value = self.get(&Switch::Boolean(name.clone())).ok()??;
                Some((name, value))
            })
            .collect())
    }

    /// Empties the access vector cache: a commit does so even if nothing is pending (security/selinux/ss/services.c, `security_set_bools()`).
    ///
    /// # Errors
    /// The policy refuses `setbool`.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.write("commit_pending_bools", "1")
    }

    /// Finds out if this process could set a switch, without setting it.
    ///
    /// # Errors
    /// The reason why it could not.
    pub(crate) fn writable(&self, switch: &Switch) -> Result<(), Unwritable> {
        let path = self.path(switch);
        match fs::OpenOptions::new().write(true).open(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Unwritable::Absent(switch.clone()))
            }
            Err(error) => Err(Unwritable::Open {
                switch: switch.clone(),
                source: file::error("open", &path)(error),
            }),
        }
    }

    fn path(&self, switch: &Switch) -> PathBuf {
        match switch {
            Switch::Enforcing => self.0.join("enforce"),
            Switch::Boolean(name) => self.0.join("booleans").join(name),
        }
    }

    fn write(&self, name: impl AsRef<Path>, value: &str) -> io::Result<()> {
        // One write(2) is one request to the kernel.
        fs::OpenOptions::new()
            .write(true)
            .open(self.0.join(name))
            .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
    }
}

impl Switches for Selinuxfs {
    fn get(&self, switch: &Switch) -> io::Result<Option<bool>> {
        match fs::read_to_string(self.path(switch)) {
            // A boolean reads as "current pending".
            Ok(text) => Ok(Some(text.trim_start().starts_with('1'))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set(&self, settings: &[(&Switch, bool)]) -> io::Result<()> {
        let mut pending = false;
        for (switch, value) in settings {
            let text = if *value { "1" } else { "0" };
            match switch {
                Switch::Enforcing => {
                    if std::mem::take(&mut pending) {
                        self.flush()?;
                    }
                    self.write("enforce", text)?;
                }
                Switch::Boolean(name) => {
                    self.write(Path::new("booleans").join(name), text)?;
                    pending = true;
                }
            }
        }
        if pending {
            self.flush()?;
        }
        Ok(())
    }

    fn withdraw(&self, switch: &Switch) -> io::Result<()> {
        let Switch::Boolean(name) = switch else {
            return Ok(());
        };
        let text = match fs::read_to_string(self.path(switch)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        };
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [current, pending] if current != pending => {
                self.write(Path::new("booleans").join(name), current)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
