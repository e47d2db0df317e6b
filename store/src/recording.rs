//! One profiled life of one container: its directory under the state directory, and the files in it.
//!
//! ```text
//! /run/capprof/recordings/<container key>.<recording id>/      root-only
//!     recording.json         by the shim, at create/run; never changed afterwards
//!     config.original.json   by the shim: the engine's configuration, byte for byte
//!     config.json            by the shim: what the runtime gets in its place
//!     bundle/config.json     by the shim: the same for a runc that gets a bundle of its own (Delivery::Bundle)
//!     armed.json             by the prestart hook (see the hook crate)
//!     evidence.json          by the poststop hook or recovery: what the recorders saw
//!     pending.json           by the poststop hook or recovery, if the result could not be stored: the reason
//! ```
//!
//! The container key is a hash of the container's id, so that `exec`, `delete` and the next `create` find the candidates by reading the
//! directory alone. A candidate is of the container if its runtime's root is the same directory ([`is_of`]).

use crate::file::{self, Attributes};
use crate::process;
use capprof_profile::recording::{Process, Recording};
use capprof_profile::settings::STATE_DIRECTORY;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directory of all recordings in the state directory.
const RECORDINGS: &str = "recordings";

/// The shim's file in the recording's directory.
const RECORDING: &str = "recording.json";

/// The engine's configuration in the recording's directory.
const ORIGINAL_CONFIGURATION: &str = "config.original.json";

/// The rewritten configuration in the recording's directory.
const CONFIGURATION: &str = "config.json";

/// The bundle of `Delivery::Bundle` in the recording's directory.
const BUNDLE: &str = "bundle";

/// The prestart hook's file in the recording's directory.
pub const ARMED: &str = "armed.json";

/// The hooks' file about a recording that has ended and could not be finished.
const PENDING: &str = "pending.json";

/// The reason why a recording that has ended is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The error, in one line.
    pub problem: String,
}

/// A recording's directory, and the files in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the directory of a new recording, mode 0700, and the ones above it.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn create(
        state: &Path,
        container_key: &str,
        recording_id: &str,
    ) -> Result<Self, file::Error> {
        let path = Self::path_of(state, container_key, recording_id);
        for directory in [state, &state.join(RECORDINGS)] {
            match file::create_directory(directory) {
                Err(error) if error.source.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error);
                }
                _ => {}
            }
        }
        file::create_directory(&path)?;
        Ok(Self(path))
    }

    /// Returns the path at which [`Self::create`] makes the directory.
    pub fn path_of(state: &Path, container_key: &str, recording_id: &str) -> PathBuf {
        state
            .join(RECORDINGS)
            .join(format!("{container_key}.{recording_id}"))
    }

    /// The directory that a hook was given in its arguments.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// All recordings in progress, oldest first; of one container where its key is given.
    ///
    /// # Errors
    /// [`file::Error`]. A state directory that does not exist holds none.
    pub fn list(state: &Path, container_key: Option<&str>) -> Result<Vec<Self>, file::Error> {
        let path = state.join(RECORDINGS);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(file::error("list", &path)(cause)),
            Ok(entries) => entries,
        };
        let mut found: Vec<(String, Self)> = Vec::new();
        for entry in entries {
            // Callers would take a recording that is missing here for one that has ended.
            let entry = entry.map_err(file::error("list", &path))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if let Some((key, id)) = name.split_once('.')
                && (container_key.is_none() || container_key == Some(key))
            {
                found.push((id.to_owned(), Self(entry.path())));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found.into_iter().map(|(_, directory)| directory).collect())
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The recording's id, from the directory's name; `None` if it has not the form of a recording's.
    pub fn id(&self) -> Option<String> {
        let (_, id) = self.0.file_name()?.to_str()?.split_once('.')?;
        Some(id.to_owned())
    }

    /// The state directory that this directory lies in, two levels up.
    pub fn state(&self) -> &Path {
        self.0
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new(STATE_DIRECTORY))
    }

    /// Returns the path of the engine's configuration, which is kept byte for byte.
    pub fn original_configuration(&self) -> PathBuf {
        self.0.join(ORIGINAL_CONFIGURATION)
    }

    /// Returns the path of the configuration that the runtime gets in place of the engine's.
    pub fn configuration(&self) -> PathBuf {
        self.0.join(CONFIGURATION)
    }

    /// The bundle that runc gets with [`capprof_profile::recording::Delivery::Bundle`].
    pub fn bundle(&self) -> PathBuf {
        self.0.join(BUNDLE)
    }

    /// Reads `recording.json`.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn load(&self) -> Result<Recording, file::Error> {
        self.load_json(RECORDING)
    }

    /// Writes `recording.json`.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn save(&self, recording: &Recording) -> Result<(), file::Error> {
        self.save_json(RECORDING, recording)
    }

    /// Returns true if the directory is still there.
    ///
    /// # Errors
    /// [`file::Error`]: it is not known.
    pub fn exists(&self) -> Result<bool, file::Error> {
        file::exists(&self.0)
    }

    /// Returns true if the shim has described the recording. Before that it has changed nothing.
    ///
    /// # Errors
    /// [`file::Error`]: it is not known.
    pub fn is_described(&self) -> Result<bool, file::Error> {
        file::exists(&self.0.join(RECORDING))
    }

    /// Returns true if the prestart hook has run, or is running.
    ///
    /// # Errors
    /// [`file::Error`]: it is not known.
    pub fn is_armed(&self) -> Result<bool, file::Error> {
        file::exists(&self.0.join(ARMED))
    }

    /// Reads the prestart hook's file; `None` if there is none.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn armed(&self) -> Result<Option<ArmedProcess>, file::Error> {
        match self.load_json(ARMED) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        }
    }

    /// Reads one of the recording's files.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn load_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, file::Error> {
        file::read_json(&self.0.join(name))
    }

    /// Writes one of the recording's files, mode 0600.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn save_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), file::Error> {
        let path = self.0.join(name);
        let content = serde_json::to_vec_pretty(value).map_err(file::error("write", &path))?;
        file::write(&path, &content, Attributes::Mode(0o600))
    }

    /// Writes down why a recording that has ended stays, for `capprofctl`.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn set_pending(&self, problem: &str) -> Result<(), file::Error> {
        let pending = Pending {
            problem: problem.to_owned(),
        };
        self.save_json(PENDING, &pending)
    }

    /// Reads why a recording that has ended is still there; `None` if no reason was written.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn pending(&self) -> Result<Option<Pending>, file::Error> {
        match self.load_json(PENDING) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        }
    }

    /// Removes the directory and everything in it.
    ///
    /// `recording.json` goes first, because without it the rest has no meaning. A process that is killed in between leaves a directory that the next
    /// sweep removes, not a recording without its evidence.
    ///
    /// # Errors
    /// [`file::Error`]. It is no error if the directory does not exist.
    pub fn remove(&self) -> Result<(), file::Error> {
        file::remove(&self.0.join(RECORDING))?;
        file::remove_directory(&self.0)
    }
}

/// The recordings that have ended and could not be finished, with the reasons. One whose reason cannot be read is left out.
///
/// # Errors
/// [`file::Error`]: the state directory cannot be listed.
pub fn pending(state: &Path) -> Result<Vec<(Directory, Pending)>, file::Error> {
    Ok(Directory::list(state, None)?
        .into_iter()
        .filter_map(|directory| {
            let pending = directory.pending().ok()??;
            Some((directory, pending))
        })
        .collect())
}

/// The age at which a recording's directory without `recording.json` counts as left over. A shim needs milliseconds to fill it.
const INCOMPLETE_AFTER: Duration = Duration::from_secs(60);

/// Returns true if no hook will finish this recording any more, because its container is gone and its poststop hook never ran, or failed.
///
/// A recording of something that capprof does not run is abandoned when the process that began it is gone, whether the container or service still
/// runs or not. Any other is abandoned if all of these hold: the shim, which became the runtime, is gone; the container's first process is gone, or
/// the prestart hook never wrote `armed.json`; the runtime has no state directory of that container. A directory whose shim died before it
/// wrote `recording.json` counts as abandoned after a minute. A poststop hook may nevertheless be at work, since runc removes its state before it
/// runs the hooks. So a process that finishes a recording locks its directory first.
pub fn is_abandoned(directory: &Directory) -> bool {
    match directory.load() {
        Ok(recording) if recording.is_from_outside() => !process::exists(recording.shim),
        Ok(recording) => {
            !process::exists(recording.shim)
                // A file that cannot be read may belong to a living container.
                && directory
                    .armed()
                    .is_ok_and(|armed| armed.is_none_or(|armed| !process::exists(armed.init)))
                && fs::symlink_metadata(&recording.container.runtime.state)
                    .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        }
        // The file is of another version, or damaged. Its container may well be alive.
        Err(_) if directory.is_described().unwrap_or(true) => false,
        Err(_) => fs::metadata(directory.path())
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .is_some_and(|age| age > INCOMPLETE_AFTER),
    }
}

/// Returns true if a recording's container ran and has ended, deleted or not: it no longer needs what the recording has toggled.
///
/// That includes a container that its engine is about to delete. For recovery on request, not for the sweep at every call.
pub fn has_ended(directory: &Directory) -> bool {
    directory
        .load()
        .is_ok_and(|recording| !process::exists(recording.shim))
        && directory
            .armed()
            .is_ok_and(|armed| armed.is_some_and(|armed| !process::exists(armed.init)))
}

/// The file that exists in a service's recording from the moment when the service's control group is recorded.
pub const JOINED: &str = "joined";

/// The part of [`ARMED`] that every program can use. The hook itself writes more into that file.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ArmedProcess {
    /// The container's first process.
    pub init: Process,
}

/// The key under which a container's recordings are found: FNV-1a (64 bit) of its id, in hexadecimal.
pub fn container_key(id: &OsStr) -> String {
    let hash = id
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

/// Returns true if a recording is of the container that a runtime keeps as `state` (`<--root>/<id>`). The two roots are compared by device
/// and inode, because one directory has many names.
pub fn is_of(recording: &Recording, state: &Path) -> bool {
    let own = &recording.container.runtime.state;
    let root = |state: &Path| {
        let metadata = fs::metadata(state.parent()?).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let is_same_root = || root(own).is_some_and(|own| root(state) == Some(own));
    own == state || (own.file_name() == state.file_name() && is_same_root())
}

/// Returns true if the runtime has made the container, so that it has read its configuration.
///
/// runc writes `state.json`, crun `status`, both after they have read it.
pub fn is_in_runtime_state(recording: &Recording) -> bool {
    ["state.json", "status"]
        .iter()
        .any(|name| recording.container.runtime.state.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_found_by_container_and_in_order() {
        let state = tempfile::tempdir().unwrap();
        let key = container_key(OsStr::new("a"));
        let other = container_key(OsStr::new("b"));
        assert_ne!(key, other);
        assert!(Directory::list(state.path(), None).unwrap().is_empty());
        let second = Directory::create(state.path(), &key, "20260102T000000Z-1").unwrap();
        let first = Directory::create(state.path(), &key, "20260101T000000Z-2").unwrap();
        assert_eq!(first.id().as_deref(), Some("20260101T000000Z-2"));
        assert_eq!(first.state(), state.path());
        Directory::create(state.path(), &other, "20250101T000000Z-3").unwrap();
        assert_eq!(
            Directory::list(state.path(), Some(&key)).unwrap(),
            [first.clone(), second]
        );
        assert_eq!(Directory::list(state.path(), None).unwrap().len(), 3);
        assert!(Directory::create(state.path(), &key, "20260101T000000Z-2").is_err());
        first.remove().unwrap();
        first.remove().unwrap();
        assert_eq!(Directory::list(state.path(), Some(&key)).unwrap().len(), 1);
    }

    fn example(state: &Path, runtime_state: PathBuf, shim: Process) -> Recording {
        let mut recording = capprof_profile::fixtures::recording("a", "20260101T000000Z-1");
        recording.container.bundle = state.join("bundle");
        recording.container.configuration = state.join("bundle/config.json");
        recording.container.runtime.state = runtime_state;
        recording.shim = shim;
        recording
    }

    fn own() -> Process {
        process::find(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    fn gone() -> Process {
        Process {
            start_time: own().start_time + 1,
            ..own()
        }
    }

    #[test]
    fn a_recording_is_abandoned_when_all_its_processes_and_its_state_are_gone() {
        let state = tempfile::tempdir().unwrap();
        let runtime_state = state.path().join("runtime-state");
        let directory = Directory::create(state.path(), "key", "20260101T000000Z-1").unwrap();
        let with = |shim| {
            directory
                .save(&example(state.path(), runtime_state.clone(), shim))
                .unwrap();
        };
        // Its shim is just filling it.
        assert!(!is_abandoned(&directory));
        with(own());
        assert!(!is_abandoned(&directory));
        with(gone());
        assert!(is_abandoned(&directory));
        assert!(!has_ended(&directory));
        fs::create_dir(&runtime_state).unwrap();
        assert!(!is_abandoned(&directory));
        fs::remove_dir(&runtime_state).unwrap();
        let arm = |init| {
            directory
                .save_json(
                    "armed.json",
                    &serde_json::json!({"init": init, "ebpf": null}),
                )
                .unwrap();
        };
        arm(own());
        assert!(!is_abandoned(&directory));
        assert!(!has_ended(&directory));
        arm(gone());
        assert!(is_abandoned(&directory));
        fs::create_dir(&runtime_state).unwrap();
        assert!(!is_abandoned(&directory));
        assert!(has_ended(&directory));
    }

    /// A link that leads to itself cannot be followed (ELOOP), so it is not known if a file is there.
    fn make_unreadable(path: &Path) {
        let _ = fs::remove_file(path);
        std::os::unix::fs::symlink(path, path).unwrap();
    }

    #[test]
    fn a_recording_that_cannot_be_read_is_not_abandoned() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::create(state.path(), "key", "20260101T000000Z-1").unwrap();
        directory
            .save(&example(
                state.path(),
                state.path().join("runtime-state"),
                gone(),
            ))
            .unwrap();
        assert!(is_abandoned(&directory));
        // Its container may live: the prestart hook's file cannot be read.
        make_unreadable(&directory.path().join(ARMED));
        assert!(directory.is_armed().is_err());
        assert!(!is_abandoned(&directory));
        make_unreadable(&directory.path().join(RECORDING));
        let file = fs::File::open(directory.path()).unwrap();
        file.set_modified(std::time::SystemTime::now() - INCOMPLETE_AFTER * 2)
            .unwrap();
        assert!(directory.is_described().is_err());
        assert!(!is_abandoned(&directory));
    }

    #[test]
    fn a_recording_that_is_removed_in_part_is_no_recording_any_more() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::create(state.path(), "key", "20260101T000000Z-1").unwrap();
        fs::write(directory.path().join(RECORDING), "{}").unwrap();
        // A mount point cannot be removed.
        let mounted = directory.path().join("a");
        fs::create_dir(&mounted).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs"])
            .arg(&mounted)
            .status();
        if !mount.is_ok_and(|status| status.success()) {
            eprintln!("skipped: this user may not mount");
            return;
        }
        let result = directory.remove();
        std::process::Command::new("umount")
            .arg(&mounted)
            .status()
            .unwrap();
        assert!(result.is_err());
        assert!(!directory.is_described().unwrap());
    }

    #[test]
    fn a_directory_without_recording_is_abandoned_after_a_while() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::create(state.path(), "key", "20260101T000000Z-1").unwrap();
        let file = fs::File::open(directory.path()).unwrap();
        let age = || file.set_modified(std::time::SystemTime::now() - INCOMPLETE_AFTER * 2);
        age().unwrap();
        assert!(is_abandoned(&directory));
        fs::write(directory.path().join("recording.json"), "{}").unwrap();
        age().unwrap();
        assert!(!is_abandoned(&directory));
    }

    #[test]
    fn a_root_is_the_same_under_any_name() {
        let state = tempfile::tempdir().unwrap();
        let root = state.path().join("root");
        let recording = example(state.path(), root.join("a"), gone());
        // Before the root exists, its spelling alone counts.
        assert!(is_of(&recording, &root.join("a")));
        let link = state.path().join("link");
        std::os::unix::fs::symlink(&root, &link).unwrap();
        assert!(!is_of(&recording, &link.join("a")));
        fs::create_dir(&root).unwrap();
        assert!(is_of(&recording, &link.join("a")));
        assert!(!is_of(&recording, &link.join("b")));
        assert!(!is_of(&recording, &state.path().join("a")));
    }
}
