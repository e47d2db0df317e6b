//! Leases on switches that belong to the whole host: SELinux booleans and enforcing mode.
//!
//! ```text
//! /run/capprof/lease/           root-only
//!     lock                      flock(2)
//!     domain.json, host.json    the former values, on disk before anything is switched
//!     domain/ID, host/ID        one file for each recording that holds the lease, with the recording's directory
//! ```
//!
//! The first holder saves the values and switches; the last one to leave switches back. A change that another program made in between is left
//! alone. If every process dies at any step, [`Leases::sweep`] finds the files and finishes.

use capprof_store::file::{self, Attributes};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A step of acquiring or releasing a lease that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The lease's own files could not be read or written, or have unexpected content.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The host has no such switch.
    #[error("switch {0}: the loaded policy has no such boolean")]
    Unknown(Switch),
    /// The switch could not be read or written.
    #[error(
        "switch {what}: {source}{}",
        if source.kind() == io::ErrorKind::PermissionDenied { " (the domain of this process may not: is capprof's policy module installed and capprof-hook labelled capprof_hook_exec_t?)" } else { "" }
    )]
    Switch {
        /// The switch.
        what: String,
        /// The reason.
        source: io::Error,
    },
}

/// Something that is on or off for the whole host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    /// Enforcing mode.
    Enforcing,
    /// A boolean of the policy.
    Boolean(String),
}

impl std::fmt::Display for Switch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Enforcing => formatter.write_str("enforcing mode"),
            Self::Boolean(name) => write!(formatter, "boolean {name}"),
        }
    }
}

/// The host's switches.
pub(crate) trait Switches {
    /// The value; `None` if there is no such switch.
    fn get(&self, switch: &Switch) -> io::Result<Option<bool>>;

    /// Sets values in this order; adjoining booleans take effect together.
    fn set(&self, settings: &[(&Switch, bool)]) -> io::Result<()>;

    /// Withdraws a value that was written but not committed: it would take effect as soon as any process sets any boolean.
    fn withdraw(&self, switch: &Switch) -> io::Result<()>;
}

/// The purpose of a lease. Each kind is counted and saved on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LeaseKind {
    /// The boolean that lets processes enter `capprof_t`.
    Domain,
    /// Permissive mode of the whole host.
    Host,
}

impl LeaseKind {
    const ALL: [Self; 2] = [Self::Domain, Self::Host];

    fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Host => "host",
        }
    }
}

/// A switch under a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    switch: Switch,
    /// The former value, which capprof restores.
    former: bool,
    /// The value that capprof sets.
    ours: bool,
    /// True while capprof replaces one of its own values by this one: until that is done, the switch may have either, and neither is a foreign change.
    #[serde(default)]
    unsettled: bool,
}

impl Entry {
    fn new(switch: &Switch, former: bool, ours: bool) -> Self {
        Self {
            switch: switch.clone(),
            former,
            ours,
            unsettled: false,
        }
    }

    /// Returns true if this value, found now, was not set by capprof.
    fn is_foreign(&self, current: bool) -> bool {
        current != self.ours && !self.unsettled
    }

    fn change_to(&mut self, value: bool) {
        self.unsettled |= self.ours != value;
        self.ours = value;
    }
}

/// The switches, in the order in which capprof set them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    entries: Vec<Entry>,
    /// Set before the first switch is switched back: from then on, capprof may be the one that gave a switch its former value.
    restoring: bool,
}

/// A recording's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// The recording's directory: the claim ends at the latest when that is gone.
    #[serde(with = "capprof_profile::serde_path")]
    directory: PathBuf,
}

/// The leases of one state directory.
#[derive(Debug)]
pub(crate) struct Leases<'a, S> {
    directory: PathBuf,
    switches: &'a S,
}

impl<'a, S: Switches> Leases<'a, S> {
    /// Returns the leases of a state directory (`/run/capprof`).
    pub(crate) fn new(state: &Path, switches: &'a S) -> Self {
        Self {
            directory: state.join("lease"),
            switches,
        }
    }

    /// Makes a recording a holder and sets the switches, in this order. If it already holds the lease, the switches are added.
    ///
    /// If another program has changed a switch since capprof set it, capprof sets it again, and will later restore the value that it found.
    /// Returns a line for each such switch.
    ///
    /// # Errors
    /// Any [`Error`]; then the recording holds nothing, unless it did before.
    pub(crate) fn acquire(
        &self,
        kind: LeaseKind,
        id: &str,
        recording: &Path,
        wanted: &[(Switch, bool)],
    ) -> Result<Vec<String>, Error> {
        let _lock = self.lock()?;
        let holder = self.holder(kind, id);
        let held = file::exists(&holder)?;
        let result = self.acquire_locked(kind, &holder, recording, wanted);
        if result.is_err() && !held {
            // The first error is reported.
            let _ = self.give_up(kind, &holder);
        }
        result
    }

    fn acquire_locked(
        &self,
        kind: LeaseKind,
        holder: &Path,
        recording: &Path,
        wanted: &[(Switch, bool)],
    ) -> Result<Vec<String>, Error> {
        if self.load(kind)?.is_some() && self.holders(kind)?.is_empty() {
            // Earlier processes died while they switched back.
            self.restore(kind)?;
        }
        self.make_directory(&self.directory.join(kind.name()))?;
        let claim = serde_json::to_vec(&Holder {
            directory: recording.to_owned(),
        })
        .map_err(file::error("write", holder))?;
        file::write(holder, &claim, Attributes::Mode(0o600))?;

        let mut saved = self.load(kind)?.unwrap_or_default();
        let mut notes = Vec::new();
        let mut settings = Vec::new();
        for (switch, value) in wanted {
            let current = self
                .get(switch)?
                .ok_or_else(|| Error::Unknown(switch.clone()))?;
            if current != *value {
                settings.push((switch, *value));
            }
            match saved
                .entries
                .iter_mut()
                .find(|entry| entry.switch == *switch)
            {
                Some(entry) => {
                    // Another recording may need another value and may set it. That is not a foreign change.
                    if entry.is_foreign(current) {
                        entry.former = current;
                        notes.push(format!(
                            "{switch} was switched {}, not by capprof, while a recording held it",
                            on_off(current)
                        ));
                    }
                    entry.change_to(*value);
                }
                None => saved.entries.push(Entry::new(switch, current, *value)),
            }
        }
        self.save(kind, &saved)?;
        self.set(&settings)?;
        self.settle(kind, saved, |switch| {
            wanted.iter().any(|(wanted, _)| wanted == switch)
        })?;
        Ok(notes)
    }

    /// Writes down that these switches now have their new values.
    fn settle(
        &self,
        kind: LeaseKind,
        mut saved: Saved,
        is_set: impl Fn(&Switch) -> bool,
    ) -> Result<(), Error> {
        let mut settled = false;
        for entry in &mut saved.entries {
            if entry.unsettled && is_set(&entry.switch) {
                entry.unsettled = false;
                settled = true;
            }
        }
        match settled {
            true => self.save(kind, &saved),
            // A write is synced, and every recording would have to wait for it.
            false => Ok(()),
        }
    }

    /// Ends a recording's claim. The last one to leave switches back, in the reverse order. It is no error if the recording holds nothing.
    ///
    /// Returns true if this was the last one, and a line for each switch that another program had changed and that was left alone.
    ///
    /// # Errors
    /// Any [`Error`]; then [`Leases::sweep`] tries again.
    pub(crate) fn release(&self, kind: LeaseKind, id: &str) -> Result<(bool, Vec<String>), Error> {
        let _lock = self.lock()?;
        self.give_up(kind, &self.holder(kind, id))
    }

    fn give_up(&self, kind: LeaseKind, holder: &Path) -> Result<(bool, Vec<String>), Error> {
        self.remove(holder)?;
        if !self.holders(kind)?.is_empty() {
            return Ok((false, Vec::new()));
        }
        Ok((true, self.restore(kind)?))
    }

    /// Restores one switch before the lease ends, if no other recording holds it. Returns true if it did.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn give_back(
        &self,
        kind: LeaseKind,
        id: &str,
        switch: &Switch,
    ) -> Result<bool, Error> {
        let _lock = self.lock()?;
        let alone = self.holders(kind)?.iter().all(|holder| holder == id);
        let Some(mut saved) = self.load(kind)? else {
            return Ok(false);
        };
        let Some(at) = saved
            .entries
            .iter()
            .position(|entry| entry.switch == *switch)
        else {
            return Ok(false);
        };
        if !alone {
            return Ok(false);
        }
        let entry = saved.entries.remove(at);
        if self.get(switch)? == Some(entry.ours) && entry.ours != entry.former {
            self.set(&[(switch, entry.former)])?;
        }
        self.save(kind, &saved)?;
        Ok(true)
    }

    /// Sets a switch for all holders of the lease, if `agreed` returns true for the directories of their recordings. Returns true if it did.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn switch_if(
        &self,
        kind: LeaseKind,
        switch: &Switch,
        value: bool,
        agreed: impl FnOnce(&[PathBuf]) -> bool,
    ) -> Result<bool, Error> {
        let _lock = self.lock()?;
        let mut holders = Vec::new();
        for id in self.holders(kind)? {
            holders.extend(self.recording_of(kind, &id)?);
        }
        let Some(mut saved) = self.load(kind)? else {
            return Ok(false);
        };
        let Some(current) = self.get(switch)? else {
            return Ok(false);
        };
        if holders.is_empty() || current == value || !agreed(&holders) {
            return Ok(false);
        }
        match saved
            .entries
            .iter_mut()
            .find(|entry| entry.switch == *switch)
        {
            Some(entry) => entry.change_to(value),
            None => saved.entries.push(Entry::new(switch, current, value)),
        }
        self.save(kind, &saved)?;
        self.set(&[(switch, value)])?;
        self.settle(kind, saved, |set| set == switch)?;
        Ok(true)
    }

    /// The switches that another program has changed since capprof set them, a line each.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn changes(&self, kind: LeaseKind) -> Result<Vec<String>, Error> {
        let Some(saved) = self.load(kind)? else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        for entry in &saved.entries {
            if let Some(current) = self.get(&entry.switch)?
                && entry.is_foreign(current)
            {
                changes.push(format!(
                    "{} was switched {}, not by capprof, while recording",
                    entry.switch,
                    on_off(current)
                ));
            }
        }
        Ok(changes)
    }

    /// Returns true if a recording holds the lease, or killed processes left one.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn in_use(&self, kind: LeaseKind) -> Result<bool, Error> {
        Ok(self.load(kind)?.is_some() || !self.holders(kind)?.is_empty())
    }

    /// Ends the claims of recordings whose directory is gone, and finishes what a killed process left. Returns a line for each.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn sweep(&self) -> Result<Vec<String>, Error> {
        if !file::exists(&self.directory)? {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let mut lines = Vec::new();
        for kind in LeaseKind::ALL {
            for id in self.holders(kind)? {
                let is_live = match self.recording_of(kind, &id)? {
                    Some(recording) => file::exists(&recording)?,
                    None => false,
                };
                if !is_live {
                    self.remove(&self.holder(kind, &id))?;
                    lines.push(format!(
                        "released the {} lease of recording {id}, which is gone",
                        kind.name()
                    ));
                }
            }
            if self.holders(kind)?.is_empty()
                && let Some(saved) = self.load(kind)?
            {
                let changes = self.restore(kind)?;
                lines.push(format!(
                    "switched back {}",
                    saved
                        .entries
                        .iter()
                        .map(|entry| format!("{} to {}", entry.switch, on_off(entry.former)))
                        .collect::<Vec<_>>()
                        .join(", ")
                ));
                lines.extend(changes);
            }
        }
        Ok(lines)
    }

    /// Restores the switches that still have capprof's value, the last one first, and removes the saved values. No recording holds the lease any more.
    fn restore(&self, kind: LeaseKind) -> Result<Vec<String>, Error> {
        let Some(mut saved) = self.load(kind)? else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        let mut settings = Vec::new();
        let interrupted = saved.restoring;
        saved.restoring = true;
        self.save(kind, &saved)?;
        for entry in saved.entries.iter().rev() {
            // The policy module may have been removed in the meantime.
            let Some(current) = self.get(&entry.switch)? else {
                continue;
            };
            if entry.is_foreign(current) {
                self.withdraw(&entry.switch)?;
                if !interrupted {
                    changes.push(format!(
                        "{} was switched {}, not by capprof, while recording: left alone",
                        entry.switch,
                        on_off(current)
                    ));
                }
            } else if entry.former != current {
                settings.push((&entry.switch, entry.former));
            } else {
                self.withdraw(&entry.switch)?;
            }
        }
        self.set(&settings)?;
        self.remove(&self.saved(kind))?;
        Ok(changes)
    }

    /// The directory of the recording that holds the lease; `None` if the claim is gone, or if the file is no claim: claims are written atomically.
    fn recording_of(&self, kind: LeaseKind, id: &str) -> Result<Option<PathBuf>, Error> {
        let path = self.holder(kind, id);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file::error("read", &path)(error).into()),
            Ok(content) => {
                let holder = serde_json::from_slice::<Holder>(&content).ok();
                Ok(holder.map(|holder| holder.directory))
            }
        }
    }

    fn get(&self, switch: &Switch) -> Result<Option<bool>, Error> {
        self.switches.get(switch).map_err(|source| Error::Switch {
            what: switch.to_string(),
            source,
        })
    }

    fn set(&self, settings: &[(&Switch, bool)]) -> Result<(), Error> {
        if settings.is_empty() {
            return Ok(());
        }
        self.switches.set(settings).map_err(|source| Error::Switch {
            what: settings
                .iter()
                .map(|(switch, value)| format!("{switch} {}", on_off(*value)))
                .collect::<Vec<_>>()
                .join(", "),
            source,
        })
    }

    fn withdraw(&self, switch: &Switch) -> Result<(), Error> {
        self.switches
            .withdraw(switch)
            .map_err(|source| Error::Switch {
                what: switch.to_string(),
                source,
            })
    }

    fn saved(&self, kind: LeaseKind) -> PathBuf {
        self.directory.join(format!("{}.json", kind.name()))
    }

    fn holder(&self, kind: LeaseKind, id: &str) -> PathBuf {
        self.directory.join(kind.name()).join(id)
    }

    fn holders(&self, kind: LeaseKind) -> Result<Vec<String>, Error> {
        let path = self.directory.join(kind.name());
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(file::error("list", &path))?,
        };
        let mut holders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(file::error("list", &path))?;
            let name = entry.file_name().into_string();
            // A killed process may leave the temporary file of a claim.
            holders.extend(name.ok().filter(|name| !name.starts_with('.')));
        }
        Ok(holders)
    }

    fn load(&self, kind: LeaseKind) -> Result<Option<Saved>, Error> {
        let path = self.saved(kind);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file::error("read", &path)(error).into()),
            Ok(content) => Ok(serde_json::from_slice(&content)
                .map(Some)
                .map_err(file::error("read", &path))?),
        }
    }

    fn save(&self, kind: LeaseKind, saved: &Saved) -> Result<(), Error> {
        let path = self.saved(kind);
        let content = serde_json::to_vec(saved).map_err(file::error("write", &path))?;
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(file::error("remove", path))?,
        }
        if let Some(parent) = path.parent() {
            File::open(parent)
                .and_then(|directory| directory.sync_all())
                .map_err(file::error("remove", path))?;
        }
        Ok(())
    }

    fn lock(&self) -> Result<File, Error> {
        self.make_directory(&self.directory)?;
        let path = self.directory.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(file::error("lock", &path))?;
        file.lock().map_err(file::error("lock", &path))?;
        Ok(file)
    }

    fn make_directory(&self, path: &Path) -> Result<(), Error> {
        Ok(DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(file::error("create directory", path))?)
    }
}

fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

#[cfg(test)]
mod tests;
