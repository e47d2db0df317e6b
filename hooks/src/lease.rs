//! Leases on switches that belong to the whole host: SELinux booleans and enforcing mode.
//!
//! ```text
//! /run/capprof/lease/           root-only
//!     lock                      flock(2)
//!     domain.json, host.json    the former values, on disk before anything is switched
//!     domain/ID, host/ID        one file for each recording that holds the lease, with the recording's directory
//! ```
//!
//! The first holder saves and switches, the last one out switches back. What somebody else switched meanwhile is left alone.
//! If every process dies at any step, [`Leases::sweep`] finds the files and finishes.

use capprof_profile::file::{self, Attributes};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A step on the way into or out of a lease that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The lease's own files could not be read or written.
    #[error("{operation} {}: {source}", path.display())]
    Files {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be written whole.
    #[error(transparent)]
    Write(#[from] file::Error),
    /// A file of the lease holds something else.
    #[error("read {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The host has no such switch.
    #[error("switch {0}: the loaded policy has no such boolean")]
    Unknown(Switch),
    /// The switch could not be read or written.
    #[error(
        "switch {what}: {source}{}",
        if source.kind() == io::ErrorKind::PermissionDenied { " (the domain of this process may not: is capprof's policy module installed and capprof-hook labelled capprof_hook_exec_t?)" } else { "" }
    )]
    Switch {
        /// What was to be switched.
        what: String,
        /// Why not.
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

    /// Takes back a value that was written and has not taken effect: it would do so whenever anybody sets any boolean.
    fn withdraw(&self, switch: &Switch) -> io::Result<()>;
}

/// What a lease is for. Each kind is counted and saved on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The entrance to `capprof_t`.
    Domain,
    /// The whole host permissive.
    Host,
}

impl Kind {
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
    /// What it was, and is to be again.
    former: bool,
    /// What capprof sets it to.
    ours: bool,
    /// Another value of ours is giving way to this one: until that is done, either may be found, and neither is somebody else's.
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

    /// Whether this value, found now, is one that somebody else has set.
    fn is_foreign(&self, current: bool) -> bool {
        current != self.ours && !self.unsettled
    }

    fn change_to(&mut self, value: bool) {
        self.unsettled |= self.ours != value;
        self.ours = value;
    }
}

/// What was switched, in the order in which it was switched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    entries: Vec<Entry>,
    /// Set before anything is switched back: from then on a switch that has its former value may have got it from us.
    restoring: bool,
}

/// A recording's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// The recording's directory: the claim ends with it at the latest.
    #[serde(with = "capprof_profile::path")]
    directory: PathBuf,
}

/// The leases of one state directory.
#[derive(Debug)]
pub(crate) struct Leases<'a, S> {
    directory: PathBuf,
    switches: &'a S,
}

impl<'a, S: Switches> Leases<'a, S> {
    /// Those under a state directory (`/run/capprof`).
    pub(crate) fn new(state: &Path, switches: &'a S) -> Self {
        Self {
            directory: state.join("lease"),
            switches,
        }
    }

    /// Makes a recording a holder and sets the switches, in this order. Holding already is no error: what is wanted is added.
    ///
    /// A switch that somebody else changed since capprof set it is set again, and what they chose is what it will be put back to.
    /// Gives a line for each such switch.
    ///
    /// # Errors
    /// Any [`Error`]; then the recording holds nothing, unless it did before.
    pub(crate) fn acquire(
        &self,
        kind: Kind,
        id: &str,
        recording: &Path,
        wanted: &[(Switch, bool)],
    ) -> Result<Vec<String>, Error> {
        let _lock = self.lock()?;
        let holder = self.holder(kind, id);
        let held = holder.exists();
        let result = self.acquire_locked(kind, &holder, recording, wanted);
        if result.is_err() && !held {
            // The first error is the one to tell.
            let _ = self.give_up(kind, &holder);
        }
        result
    }

    fn acquire_locked(
        &self,
        kind: Kind,
        holder: &Path,
        recording: &Path,
        wanted: &[(Switch, bool)],
    ) -> Result<Vec<String>, Error> {
        if self.load(kind)?.is_some() && self.holders(kind)?.is_empty() {
            // Left by processes that died while switching back.
            self.restore(kind)?;
        }
        self.make_directory(&self.directory.join(kind.name()))?;
        let claim = serde_json::to_vec(&Holder {
            directory: recording.to_owned(),
        })
        .map_err(|source| Error::Malformed {
            path: holder.to_owned(),
            source,
        })?;
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
                    // Another recording may want it otherwise, and may have it: that is not somebody else's change.
                    if entry.is_foreign(current) {
                        entry.former = current;
                        notes.push(format!(
                            "{switch} was switched {} by somebody else while a recording held it",
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

    /// Writes down that these switches have the values that they were to have.
    fn settle(
        &self,
        kind: Kind,
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
            // A write is synced, and every recording would wait for it.
            false => Ok(()),
        }
    }

    /// Ends a recording's claim. The last one out switches back, in the reverse order. Holding nothing is no error.
    ///
    /// Gives a line for each switch that somebody else had changed and that was left alone, and whether this was the last one out.
    ///
    /// # Errors
    /// Any [`Error`]; then [`Leases::sweep`] tries again.
    pub(crate) fn release(&self, kind: Kind, id: &str) -> Result<(bool, Vec<String>), Error> {
        let _lock = self.lock()?;
        self.give_up(kind, &self.holder(kind, id))
    }

    fn give_up(&self, kind: Kind, holder: &Path) -> Result<(bool, Vec<String>), Error> {
        self.remove(holder)?;
        if !self.holders(kind)?.is_empty() {
            return Ok((false, Vec::new()));
        }
        Ok((true, self.restore(kind)?))
    }

    /// Puts one switch back before the lease ends, if nobody else holds it. Gives whether it did.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn give_back(&self, kind: Kind, id: &str, switch: &Switch) -> Result<bool, Error> {
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

    /// Sets a switch for all who hold the lease, if `agreed` says so when it is told their recordings' directories. Gives whether it did.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn switch_if(
        &self,
        kind: Kind,
        switch: &Switch,
        value: bool,
        agreed: impl FnOnce(&[PathBuf]) -> bool,
    ) -> Result<bool, Error> {
        let _lock = self.lock()?;
        let holders: Vec<PathBuf> = self
            .holders(kind)?
            .iter()
            .filter_map(|id| self.recording_of(kind, id))
            .collect();
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

    /// What somebody else has changed since capprof set it, a line each.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn changes(&self, kind: Kind) -> Result<Vec<String>, Error> {
        let Some(saved) = self.load(kind)? else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        for entry in &saved.entries {
            if let Some(current) = self.get(&entry.switch)?
                && entry.is_foreign(current)
            {
                changes.push(format!(
                    "{} was switched {} by somebody else while recording",
                    entry.switch,
                    on_off(current)
                ));
            }
        }
        Ok(changes)
    }

    /// Whether anything is held, or was left behind.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn in_use(&self, kind: Kind) -> Result<bool, Error> {
        Ok(self.load(kind)?.is_some() || !self.holders(kind)?.is_empty())
    }

    /// Ends the claims of recordings whose directory is gone, and finishes what a killed process left. Gives a line for each.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(crate) fn sweep(&self) -> Result<Vec<String>, Error> {
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let mut lines = Vec::new();
        for kind in Kind::ALL {
            for id in self.holders(kind)? {
                let live = self
                    .recording_of(kind, &id)
                    .is_some_and(|recording| recording.exists());
                if !live {
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

    /// Switches back what still has our value, last switched first, and forgets. Nobody holds the lease.
    fn restore(&self, kind: Kind) -> Result<Vec<String>, Error> {
        let Some(mut saved) = self.load(kind)? else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        let mut settings = Vec::new();
        let interrupted = saved.restoring;
        saved.restoring = true;
        self.save(kind, &saved)?;
        for entry in saved.entries.iter().rev() {
            // The module may have been removed meanwhile.
            let Some(current) = self.get(&entry.switch)? else {
                continue;
            };
            if entry.is_foreign(current) {
                self.withdraw(&entry.switch)?;
                if !interrupted {
                    changes.push(format!(
                        "{} was switched {} by somebody else while recording: left alone",
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

    /// The directory of the recording that holds. A claim that cannot be read speaks for none: it is written whole or not at all.
    fn recording_of(&self, kind: Kind, id: &str) -> Option<PathBuf> {
        let content = fs::read(self.holder(kind, id)).ok()?;
        Some(serde_json::from_slice::<Holder>(&content).ok()?.directory)
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

    fn saved(&self, kind: Kind) -> PathBuf {
        self.directory.join(format!("{}.json", kind.name()))
    }

    fn holder(&self, kind: Kind, id: &str) -> PathBuf {
        self.directory.join(kind.name()).join(id)
    }

    fn holders(&self, kind: Kind) -> Result<Vec<String>, Error> {
        let path = self.directory.join(kind.name());
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(|source| Error::Files {
                operation: "list",
                path,
                source,
            })?,
        };
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            // A killed process may leave the temporary file of a claim.
            .filter(|name| !name.starts_with('.'))
            .collect())
    }

    fn load(&self, kind: Kind) -> Result<Option<Saved>, Error> {
        let path = self.saved(kind);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Files {
                operation: "read",
                path,
                source,
            }),
            Ok(content) => serde_json::from_slice(&content)
                .map(Some)
                .map_err(|source| Error::Malformed { path, source }),
        }
    }

    fn save(&self, kind: Kind, saved: &Saved) -> Result<(), Error> {
        let path = self.saved(kind);
        let content = serde_json::to_vec(saved).map_err(|source| Error::Malformed {
            path: path.clone(),
            source,
        })?;
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        let error = |source| Error::Files {
            operation: "remove",
            path: path.to_owned(),
            source,
        };
        match fs::remove_file(path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(error)?,
        }
        match path.parent() {
            Some(parent) => File::open(parent)
                .and_then(|directory| directory.sync_all())
                .map_err(error),
            None => Ok(()),
        }
    }

    fn lock(&self) -> Result<Flock<File>, Error> {
        self.make_directory(&self.directory)?;
        let path = self.directory.join("lock");
        let error = |source| Error::Files {
            operation: "lock",
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(error)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| error(errno.into()))
    }

    fn make_directory(&self, path: &Path) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| Error::Files {
                operation: "create directory",
                path: path.to_owned(),
                source,
            })
    }
}

fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use tempfile::TempDir;

    /// Switches that note the order in which they are set, and that can end the process (as far as a test can) at a given call.
    struct Panel {
        values: RefCell<BTreeMap<Switch, bool>>,
        /// Booleans that were written and wait for a commit, which anybody may make.
        pending: RefCell<BTreeMap<Switch, bool>>,
        order: RefCell<Vec<(Switch, bool)>>,
        steps_left: Cell<Option<u32>>,
    }

    impl Panel {
        fn new(values: &[(Switch, bool)]) -> Self {
            Self {
                values: RefCell::new(values.iter().cloned().collect()),
                pending: RefCell::default(),
                order: RefCell::default(),
                steps_left: Cell::new(None),
            }
        }

        fn step(&self) {
            if let Some(left) = self.steps_left.get() {
                if left == 0 {
                    // Not a panic message for each of the many deaths.
                    std::panic::resume_unwind(Box::new("killed"));
                }
                self.steps_left.set(Some(left - 1));
            }
        }

        fn commit(&self) {
            for (switch, value) in std::mem::take(&mut *self.pending.borrow_mut()) {
                self.values.borrow_mut().insert(switch, value);
            }
        }
    }

    impl Switches for Panel {
        fn get(&self, switch: &Switch) -> io::Result<Option<bool>> {
            self.step();
            Ok(self.values.borrow().get(switch).copied())
        }

        fn set(&self, settings: &[(&Switch, bool)]) -> io::Result<()> {
            for (switch, value) in settings {
                self.step();
                self.order.borrow_mut().push(((*switch).clone(), *value));
                match switch {
                    Switch::Boolean(_) => &self.pending,
                    Switch::Enforcing => {
                        self.commit();
                        &self.values
                    }
                }
                .borrow_mut()
                .insert((*switch).clone(), *value);
            }
            self.step();
            self.commit();
            self.step();
            Ok(())
        }

        fn withdraw(&self, switch: &Switch) -> io::Result<()> {
            self.step();
            self.pending.borrow_mut().remove(switch);
            Ok(())
        }
    }

    fn boolean(name: &str) -> Switch {
        Switch::Boolean(name.to_owned())
    }

    fn host() -> Vec<(Switch, bool)> {
        vec![(Switch::Enforcing, false), (boolean("all_caps"), false)]
    }

    fn before() -> Vec<(Switch, bool)> {
        vec![(Switch::Enforcing, true), (boolean("all_caps"), true)]
    }

    struct Host {
        state: TempDir,
        panel: Panel,
    }

    impl Host {
        fn new(values: &[(Switch, bool)]) -> Self {
            Self {
                state: tempfile::tempdir().unwrap(),
                panel: Panel::new(values),
            }
        }

        fn leases(&self) -> Leases<'_, Panel> {
            Leases::new(self.state.path(), &self.panel)
        }

        fn recording(&self, id: &str) -> PathBuf {
            let path = self.state.path().join(id);
            fs::create_dir_all(&path).unwrap();
            path
        }

        fn value(&self, switch: &Switch) -> bool {
            self.panel.values.borrow()[switch]
        }

        /// Also after the next commit, whoever makes it.
        fn is_as_before(&self) -> bool {
            self.panel.commit();
            before()
                .iter()
                .all(|(switch, value)| self.value(switch) == *value)
        }

        fn is_switched(&self) -> bool {
            host()
                .iter()
                .all(|(switch, value)| self.value(switch) == *value)
        }
    }

    #[test]
    fn the_first_switches_and_the_last_switches_back_in_the_safe_order() {
        let host_state = Host::new(&before());
        let leases = host_state.leases();
        for id in ["a", "b"] {
            let recording = host_state.recording(id);
            assert!(
                leases
                    .acquire(Kind::Host, id, &recording, &host())
                    .unwrap()
                    .is_empty()
            );
            assert!(host_state.is_switched());
        }
        assert_eq!(
            leases.release(Kind::Host, "a").unwrap(),
            (false, Vec::new())
        );
        assert!(host_state.is_switched());
        assert_eq!(leases.release(Kind::Host, "b").unwrap(), (true, Vec::new()));
        assert!(host_state.is_as_before());
        assert!(!leases.in_use(Kind::Host).unwrap());
        // The boolean is off only while the host is permissive.
        assert_eq!(
            *host_state.panel.order.borrow(),
            [
                (Switch::Enforcing, false),
                (boolean("all_caps"), false),
                (boolean("all_caps"), true),
                (Switch::Enforcing, true),
            ]
        );
    }

    #[test]
    fn twenty_overlapping_holders_in_any_order() {
        let host_state = Host::new(&before());
        let leases = host_state.leases();
        for round in 0..20 {
            let id = format!("r{round}");
            leases
                .acquire(Kind::Host, &id, &host_state.recording(&id), &host())
                .unwrap();
        }
        for round in 0..20 {
            assert!(host_state.is_switched());
            let (last, _) = leases
                .release(Kind::Host, &format!("r{}", round * 7 % 20))
                .unwrap();
            assert_eq!(last, round == 19);
        }
        assert!(host_state.is_as_before());
    }

    #[test]
    fn the_two_kinds_do_not_touch_each_other() {
        let values = [before(), vec![(boolean("capprof_recording"), false)]].concat();
        let host_state = Host::new(&values);
        let leases = host_state.leases();
        let recording = host_state.recording("a");
        leases
            .acquire(Kind::Host, "a", &recording, &host())
            .unwrap();
        leases
            .acquire(
                Kind::Domain,
                "b",
                &recording,
                &[(boolean("capprof_recording"), true)],
            )
            .unwrap();
        leases.release(Kind::Host, "a").unwrap();
        assert!(host_state.is_as_before());
        assert!(host_state.value(&boolean("capprof_recording")));
        leases.release(Kind::Domain, "b").unwrap();
        assert!(!host_state.value(&boolean("capprof_recording")));
    }

    #[test]
    fn the_former_values_are_on_disk_before_anything_is_switched() {
        let host_state = Host::new(&before());
        let leases = host_state.leases();
        let recording = host_state.recording("a");
        // Ends the process at the first setting: both values have been read by then.
        host_state.panel.steps_left.set(Some(2));
        assert!(
            catch_unwind(AssertUnwindSafe(|| leases.acquire(
                Kind::Host,
                "a",
                &recording,
                &host()
            )))
            .is_err()
        );
        assert!(host_state.is_as_before());
        let saved = leases.load(Kind::Host).unwrap().unwrap();
        assert_eq!(saved.entries.len(), 2);
        assert!(
            saved
                .entries
                .iter()
                .all(|entry| entry.former && !entry.ours)
        );
    }

    #[test]
    fn killed_at_any_step_of_the_way_in_the_next_sweep_restores() {
        for steps in 0.. {
            let host_state = Host::new(&before());
            let recording = host_state.recording("a");
            host_state.panel.steps_left.set(Some(steps));
            let killed = catch_unwind(AssertUnwindSafe(|| {
                host_state
                    .leases()
                    .acquire(Kind::Host, "a", &recording, &host())
            }))
            .is_err();
            host_state.panel.steps_left.set(None);
            // The recording lives on: nothing is taken from it.
            host_state.leases().sweep().unwrap();
            if !killed {
                assert!(host_state.is_switched());
            }
            fs::remove_dir(&recording).unwrap();
            host_state.leases().sweep().unwrap();
            assert!(host_state.is_as_before(), "killed after {steps} steps");
            assert!(!host_state.leases().in_use(Kind::Host).unwrap());
            if !killed {
                assert!(steps >= 6);
                return;
            }
        }
    }

    #[test]
    fn killed_at_any_step_of_the_way_out_the_next_sweep_restores_and_accuses_nobody() {
        for steps in 0.. {
            let host_state = Host::new(&before());
            let recording = host_state.recording("a");
            host_state
                .leases()
                .acquire(Kind::Host, "a", &recording, &host())
                .unwrap();
            fs::remove_dir(&recording).unwrap();
            host_state.panel.steps_left.set(Some(steps));
            let killed = catch_unwind(AssertUnwindSafe(|| {
                host_state.leases().release(Kind::Host, "a")
            }))
            .is_err();
            host_state.panel.steps_left.set(None);
            let lines = host_state.leases().sweep().unwrap();
            assert!(
                !lines.iter().any(|line| line.contains("somebody else")),
                "{lines:?}"
            );
            assert!(host_state.is_as_before(), "killed after {steps} steps");
            assert!(!host_state.leases().in_use(Kind::Host).unwrap());
            if !killed {
                assert!(steps >= 4);
                return;
            }
        }
    }

    #[test]
    fn the_next_recording_cleans_up_behind_a_killed_one_before_it_saves() {
        for steps in 0..4 {
            let host_state = Host::new(&before());
            let recording = host_state.recording("a");
            host_state
                .leases()
                .acquire(Kind::Host, "a", &recording, &host())
                .unwrap();
            host_state.panel.steps_left.set(Some(steps));
            let _ = catch_unwind(AssertUnwindSafe(|| {
                host_state.leases().release(Kind::Host, "a")
            }));
            host_state.panel.steps_left.set(None);
            host_state
                .leases()
                .acquire(Kind::Host, "b", &recording, &host())
                .unwrap();
            assert!(host_state.is_switched());
            host_state.leases().release(Kind::Host, "b").unwrap();
            assert!(host_state.is_as_before(), "killed after {steps} steps");
        }
    }

    #[test]
    fn what_somebody_else_changed_is_left_alone_and_said() {
        let host_state = Host::new(&[(Switch::Enforcing, false), (boolean("all_caps"), true)]);
        let leases = host_state.leases();
        let recording = host_state.recording("a");
        leases
            .acquire(Kind::Host, "a", &recording, &host())
            .unwrap();
        // The host was permissive before; an administrator makes it enforcing while we record.
        host_state.panel.set(&[(&Switch::Enforcing, true)]).unwrap();
        assert_eq!(leases.changes(Kind::Host).unwrap().len(), 1);
        let (last, changes) = leases.release(Kind::Host, "a").unwrap();
        assert!(last);
        assert_eq!(changes.len(), 1);
        assert!(changes[0].contains("enforcing mode was switched on by somebody else"));
        assert!(host_state.value(&Switch::Enforcing));
        assert!(host_state.value(&boolean("all_caps")));
    }

    #[test]
    fn a_change_between_two_recordings_becomes_the_value_to_return_to() {
        let host_state = Host::new(&[(Switch::Enforcing, false), (boolean("all_caps"), true)]);
        let leases = host_state.leases();
        leases
            .acquire(Kind::Host, "a", &host_state.recording("a"), &host())
            .unwrap();
        host_state.panel.set(&[(&Switch::Enforcing, true)]).unwrap();
        let notes = leases
            .acquire(Kind::Host, "b", &host_state.recording("b"), &host())
            .unwrap();
        assert_eq!(notes.len(), 1);
        assert!(host_state.is_switched());
        leases.release(Kind::Host, "a").unwrap();
        leases.release(Kind::Host, "b").unwrap();
        assert!(host_state.value(&Switch::Enforcing));
    }

    #[test]
    fn a_switch_that_is_refused_undoes_what_went_before() {
        struct Refusing<'a>(&'a Panel);
        impl Switches for Refusing<'_> {
            fn get(&self, switch: &Switch) -> io::Result<Option<bool>> {
                self.0.get(switch)
            }
            fn set(&self, settings: &[(&Switch, bool)]) -> io::Result<()> {
                for (switch, value) in settings {
                    if matches!(switch, Switch::Boolean(_)) {
                        return Err(io::ErrorKind::PermissionDenied.into());
                    }
                    self.0.set(&[(switch, *value)])?;
                }
                Ok(())
            }
            fn withdraw(&self, switch: &Switch) -> io::Result<()> {
                self.0.withdraw(switch)
            }
        }
        let host_state = Host::new(&before());
        let refusing = Refusing(&host_state.panel);
        let leases = Leases::new(host_state.state.path(), &refusing);
        let error = leases
            .acquire(Kind::Host, "a", &host_state.recording("a"), &host())
            .unwrap_err();
        assert!(error.to_string().contains("policy module"), "{error}");
        assert!(host_state.is_as_before());
        assert!(!leases.in_use(Kind::Host).unwrap());
    }

    #[test]
    fn a_boolean_that_the_policy_lacks_is_named() {
        let host_state = Host::new(&before());
        let error = host_state
            .leases()
            .acquire(
                Kind::Domain,
                "a",
                &host_state.recording("a"),
                &[(boolean("capprof_recording"), true)],
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "switch boolean capprof_recording: the loaded policy has no such boolean"
        );
        assert!(!host_state.leases().in_use(Kind::Domain).unwrap());
    }

    #[test]
    fn a_switch_without_effect_is_given_back_unless_another_holds_it() {
        let host_state = Host::new(&before());
        let leases = host_state.leases();
        leases
            .acquire(Kind::Host, "a", &host_state.recording("a"), &host())
            .unwrap();
        leases
            .acquire(Kind::Host, "b", &host_state.recording("b"), &[])
            .unwrap();
        assert!(
            !leases
                .give_back(Kind::Host, "a", &boolean("all_caps"))
                .unwrap()
        );
        leases.release(Kind::Host, "b").unwrap();
        assert!(
            leases
                .give_back(Kind::Host, "a", &boolean("all_caps"))
                .unwrap()
        );
        assert!(host_state.value(&boolean("all_caps")));
        assert!(!host_state.value(&Switch::Enforcing));
    }

    #[test]
    fn all_holders_must_agree_before_one_switches_for_all() {
        let audit = boolean("capprof_audit_sys_admin");
        let host_state = Host::new(&[(audit.clone(), true)]);
        let leases = host_state.leases();
        for id in ["a", "b"] {
            leases
                .acquire(Kind::Domain, id, &host_state.recording(id), &[])
                .unwrap();
        }
        let agreed =
            |recordings: &[PathBuf]| recordings.iter().all(|recording| recording.ends_with("a"));
        assert!(
            !leases
                .switch_if(Kind::Domain, &audit, false, agreed)
                .unwrap()
        );
        leases.release(Kind::Domain, "b").unwrap();
        assert!(
            leases
                .switch_if(Kind::Domain, &audit, false, agreed)
                .unwrap()
        );
        assert!(!host_state.value(&audit));
        // A new recording wants its records; the former value is not forgotten over it.
        leases
            .acquire(
                Kind::Domain,
                "c",
                &host_state.recording("c"),
                &[(audit.clone(), true)],
            )
            .unwrap();
        assert!(host_state.value(&audit));
        leases.release(Kind::Domain, "a").unwrap();
        leases.release(Kind::Domain, "c").unwrap();
        assert!(host_state.value(&audit));
    }

    #[test]
    fn killed_while_a_value_of_ours_gives_way_to_another_the_first_one_is_not_forgotten() {
        let audit = boolean("capprof_audit_sys_admin");
        for steps in 0.. {
            let host_state = Host::new(&[(audit.clone(), true)]);
            let wanted = [(audit.clone(), true)];
            let acquire = |id: &str| {
                host_state
                    .leases()
                    .acquire(Kind::Domain, id, &host_state.recording(id), &wanted)
            };
            acquire("a").unwrap();
            let switched = host_state
                .leases()
                .switch_if(Kind::Domain, &audit, false, |_| true);
            assert!(switched.unwrap());
            host_state.panel.steps_left.set(Some(steps));
            let killed = catch_unwind(AssertUnwindSafe(|| acquire("b"))).is_err();
            host_state.panel.steps_left.set(None);
            if steps % 2 == 0 {
                assert!(acquire("c").unwrap().is_empty(), "somebody was accused");
            }
            for id in ["a", "b", "c"] {
                host_state.leases().release(Kind::Domain, id).unwrap();
            }
            assert!(host_state.value(&audit), "killed after {steps} steps");
            if !killed {
                return;
            }
        }
    }

    #[test]
    fn killed_while_a_flood_is_ended_what_an_administrator_chose_is_not_forgotten() {
        let audit = boolean("capprof_audit_sys_admin");
        for steps in 0.. {
            // Off, as an administrator wanted it.
            let host_state = Host::new(&[(audit.clone(), false)]);
            let wanted = [(audit.clone(), true)];
            let acquire = |id: &str| {
                host_state
                    .leases()
                    .acquire(Kind::Domain, id, &host_state.recording(id), &wanted)
            };
            acquire("a").unwrap();
            host_state.panel.steps_left.set(Some(steps));
            let killed = catch_unwind(AssertUnwindSafe(|| {
                host_state
                    .leases()
                    .switch_if(Kind::Domain, &audit, false, |_| true)
            }))
            .is_err();
            host_state.panel.steps_left.set(None);
            acquire("b").unwrap();
            for id in ["a", "b"] {
                host_state.leases().release(Kind::Domain, id).unwrap();
            }
            assert!(!host_state.value(&audit), "killed after {steps} steps");
            if !killed {
                return;
            }
        }
    }

    #[test]
    fn what_is_written_and_not_committed_is_withdrawn_without_a_commit() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("booleans")).unwrap();
        fs::write(root.path().join("booleans/b"), "0 1").unwrap();
        fs::write(root.path().join("commit_pending_bools"), "").unwrap();
        let selinuxfs = crate::selinux::selinuxfs::Selinuxfs::at(root.path().to_owned());
        let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        selinuxfs.withdraw(&boolean("b")).unwrap();
        assert!(read("booleans/b").starts_with('0'));
        assert_eq!(read("commit_pending_bools"), "");
        // What nobody has written is not touched.
        fs::write(root.path().join("booleans/b"), "1 1").unwrap();
        selinuxfs.withdraw(&boolean("b")).unwrap();
        assert_eq!(read("booleans/b"), "1 1");
        selinuxfs.withdraw(&boolean("absent")).unwrap();
    }

    #[test]
    fn the_kernels_files_are_written_as_it_wants_them() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("booleans")).unwrap();
        for (name, value) in [
            ("enforce", "1"),
            ("booleans/b", "1 1"),
            ("commit_pending_bools", ""),
        ] {
            fs::write(root.path().join(name), value).unwrap();
        }
        let selinuxfs = crate::selinux::selinuxfs::Selinuxfs::at(root.path().to_owned());
        assert_eq!(selinuxfs.get(&Switch::Enforcing).unwrap(), Some(true));
        assert_eq!(selinuxfs.get(&boolean("b")).unwrap(), Some(true));
        assert_eq!(selinuxfs.get(&boolean("absent")).unwrap(), None);
        selinuxfs
            .set(&[(&Switch::Enforcing, false), (&boolean("b"), false)])
            .unwrap();
        let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        assert_eq!(read("enforce"), "0");
        assert!(read("booleans/b").starts_with('0'));
        assert_eq!(read("commit_pending_bools"), "1");
        assert_eq!(
            selinuxfs.booleans(|_| true).unwrap(),
            [("b".to_owned(), false)]
        );
        assert_eq!(selinuxfs.booleans(|name| name != "b").unwrap(), []);
    }
}
