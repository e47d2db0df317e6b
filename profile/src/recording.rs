//! One profiled life of one container: its directory under the state directory, and the files in it.
//!
//! ```text
//! /run/capprof/recordings/<container key>.<recording id>/      root-only
//!     recording.json         by the shim, at create/run; never changed afterwards
//!     config.original.json   by the shim: the engine's configuration, byte for byte
//!     armed.json             by the prestart hook (see the hook crate)
//! ```
//!
//! The container key is a hash of the low-level runtime's root and the container's id, so that `exec`, `delete` and the next
//! `create` find a container's recording by reading the directory alone.

use crate::CapabilitySet;
use crate::file::{self, Attributes};
use crate::privileges::Given;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where recordings in progress are kept. On a tmpfs: it must be gone after a reboot, as what it speaks of is.
pub const STATE_DIRECTORY: &str = "/run/capprof";

/// The value of [`Recording::schema`].
pub const SCHEMA: &str = "capprof.recording/v1";

/// A recording's operation that failed, with its object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory could not be made.
    #[error("create directory {}: {source}", path.display())]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory could not be listed.
    #[error("list {}: {source}", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory could not be removed.
    #[error("remove {}: {source}", path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] file::Error),
    /// A file is not what this version writes.
    #[error("read {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// The low-level runtime that a recording was handed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// `runc` or `crun`.
    pub name: String,
    /// The binary.
    #[serde(with = "crate::path")]
    pub path: PathBuf,
    /// Its state directory of this container (`<--root>/<id>`): exists as long as the container does.
    #[serde(with = "crate::path")]
    pub state: PathBuf,
}

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`, clock ticks since boot (proc_pid_stat(5)).
    pub start_time: u64,
}

impl Process {
    /// The process with this id, as it is now; `None` if there is none.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, parentheses and spaces included: count from the last one.
        let after_name = stat.iter().rposition(|byte| *byte == b')')?;
        let fields = String::from_utf8_lossy(stat.get(after_name + 2..)?).into_owned();
        let start_time = fields.split(' ').nth(19)?.parse().ok()?;
        Some(Self { pid, start_time })
    }

    /// Whether this very process still exists (a zombie does).
    pub fn exists(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// What identifies the workload beyond the container's id, as far as the engine says it in annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The image's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
    /// Kubernetes pod.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pod: Option<String>,
    /// Kubernetes namespace of the pod.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pod_namespace: Option<String>,
    /// Name of the container in its pod, or the engine's name for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub container: Option<String>,
}

/// A file or directory of the host that the container has in a place of its own (runtime-spec, config.md, "Mounts").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Where in the container, absolute.
    #[serde(with = "crate::path")]
    pub destination: PathBuf,
    /// What of the host, absolute.
    #[serde(with = "crate::path")]
    pub source: PathBuf,
}

/// The five capability sets of a process in config.json (runtime-spec, config.md, "Linux Process").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSets {
    /// Limits what execve can give.
    pub bounding: CapabilitySet,
    /// What the kernel checks.
    pub effective: CapabilitySet,
    /// What may be made effective.
    pub permitted: CapabilitySet,
    /// What survives execve of a file with inheritable file capabilities.
    pub inheritable: CapabilitySet,
    /// What survives execve for a user other than root.
    pub ambient: CapabilitySet,
}

impl ProcessSets {
    /// The sets with their names in config.json, in the order in which the runtime-spec lists them.
    pub fn named(&self) -> [(&'static str, CapabilitySet); 5] {
        [
            ("bounding", self.bounding),
            ("effective", self.effective),
            ("permitted", self.permitted),
            ("inheritable", self.inheritable),
            ("ambient", self.ambient),
        ]
    }

    /// A list in all sets that make it effective for a process of this user; `original` is what the engine asks for.
    pub fn of_list(list: CapabilitySet, uid: u32, original: &Self) -> Self {
        let (inheritable, ambient) = match uid {
            0 => (
                original.inheritable.intersection(list),
                original.ambient.intersection(list),
            ),
            // Another user loses at execve what is not ambient (capabilities(7)).
            _ => (list, list),
        };
        Self {
            bounding: list,
            effective: list,
            permitted: list,
            inheritable,
            ambient,
        }
    }

    /// What is in either, set by set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            bounding: self.bounding.union(other.bounding),
            effective: self.effective.union(other.effective),
            permitted: self.permitted.union(other.permitted),
            inheritable: self.inheritable.union(other.inheritable),
            ambient: self.ambient.union(other.ambient),
        }
    }

    /// What is left of each set if nothing but this may be in it.
    #[must_use]
    pub fn at_most(&self, ceiling: CapabilitySet) -> Self {
        Self {
            bounding: self.bounding.intersection(ceiling),
            effective: self.effective.intersection(ceiling),
            permitted: self.permitted.intersection(ceiling),
            inheritable: self.inheritable.intersection(ceiling),
            ambient: self.ambient.intersection(ceiling),
        }
    }
}

/// Something in config.json that would have hidden capability checks, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaxation {
    /// JSON pointer in config.json (RFC 6901): `/linux/seccomp`, `/process/apparmorProfile`.
    pub pointer: String,
    /// What was done, in one line.
    pub change: String,
}

/// What a container is run for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is granted everything, and what it uses is recorded.
    #[default]
    Profile,
    /// It is granted what a profile or a list says, and nothing is recorded. The poststop hook puts the engine's configuration back.
    Enforce,
    /// It is granted what a profile says, and what it lacks is recorded.
    Verify,
}

impl Mode {
    /// Whether no process of the container may get more than the container's sets.
    pub fn limits(self) -> bool {
        match self {
            Self::Profile => false,
            Self::Enforce | Self::Verify => true,
        }
    }
}

/// Which recorders a recording wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recorders {
    /// All that work on this host; at least one must.
    #[default]
    Auto,
    /// eBPF alone.
    Ebpf,
    /// SELinux alone.
    Selinux,
}

/// How far SELinux state is toggled (design §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Domain where the policy module is loaded, host otherwise.
    #[default]
    Auto,
    /// The container runs in a permissive domain of its own; the host stays enforcing.
    Domain,
    /// The container runs in the engine's domain; the host is permissive while recording.
    Host,
}

/// The SELinux context made for one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What the container gets: `system_u:system_r:capprof_t:s0:c1,c2-s0:c1,c2,c500,c501`.
    pub context: String,
    /// What the engine had asked for; empty if nothing.
    pub original: String,
    /// The scope that the label was made for: never [`Scope::Auto`].
    pub scope: Scope,
    /// In scope `host`, the booleans to switch off, as configured. Empty: those that give the domain capabilities, found by asking the policy.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub booleans: Vec<String>,
}

/// What the shim knows of a recording. Written once, before the low-level runtime is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// [`SCHEMA`].
    pub schema: String,
    /// Unique and sortable by time: `20261123T150102Z-1a2b3c4d`.
    pub id: String,
    /// What the container is run for.
    #[serde(default)]
    pub mode: Mode,
    /// The recording whose profile says what the container is granted, where one does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<String>,
    /// The id that the engine gave.
    pub container_id: String,
    /// Annotation `io.capprof.name`.
    pub name: Option<String>,
    /// What is profiled.
    pub workload: Workload,
    /// When the shim ran, RFC 3339 in UTC.
    pub created: String,
    /// The bundle directory, absolute.
    #[serde(with = "crate::path")]
    pub bundle: PathBuf,
    /// The configuration file that was rewritten (config.json in the bundle, or what `crun --config` named), links resolved.
    #[serde(with = "crate::path")]
    pub configuration: PathBuf,
    /// The runtime that took over.
    pub runtime: Runtime,
    /// The shim's own process, which became the runtime.
    pub shim: Process,
    /// User id of the container's process inside the container.
    pub uid: u32,
    /// `process.args`.
    pub args: Vec<String>,
    /// Whether the configuration asks for a user namespace.
    pub user_namespace: bool,
    /// `process.noNewPrivileges` of the original.
    pub no_new_privileges: bool,
    /// `root.path`, absolute: where the container's root file system is on the host.
    #[serde(with = "crate::path::optional", default)]
    pub root_filesystem: Option<PathBuf>,
    /// The bind mounts over it, in the order in which they are made.
    #[serde(default)]
    pub bind_mounts: Vec<BindMount>,
    /// Sets in the engine's configuration.
    pub original: ProcessSets,
    /// Sets in the rewritten configuration.
    pub granted: ProcessSets,
    /// What was relaxed.
    pub relaxed: Vec<Relaxation>,
    /// What the engine gives beside capabilities; `None` in a recording of an older version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub given: Option<Given>,
    /// Which recorders are wanted.
    pub recorders: Recorders,
    /// The label, on a host with SELinux.
    pub label: Option<Label>,
    /// Annotation `io.capprof.output`: a directory for the result beside bundle and store.
    #[serde(with = "crate::path::optional", default)]
    pub output: Option<PathBuf>,
    /// The store's directory.
    #[serde(with = "crate::path")]
    pub store: PathBuf,
    /// How many results of one container the store keeps; 0 is without limit.
    pub retention: u32,
    /// Whether a poststop hook that could not write a result exits with an error.
    pub fail_on_error: bool,
    /// What a capability is chosen by where several would do.
    pub preference: crate::configuration::Preference,
}

impl Recording {
    /// The recording whose minimized sets the container runs with to see whether they suffice.
    pub fn verifies(&self) -> Option<&str> {
        match self.mode {
            Mode::Verify => self.profile.as_deref(),
            Mode::Profile | Mode::Enforce => None,
        }
    }

    /// Whether the runtime has made the container of the configuration that it found.
    ///
    /// runc writes `state.json`, crun `status`, both after they have read it.
    pub fn is_in_runtime_state(&self) -> bool {
        ["state.json", "status"]
            .iter()
            .any(|name| self.runtime.state.join(name).exists())
    }
}

/// A recording's directory, and what lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the directory of a new recording, mode 0700, and the ones above it.
    ///
    /// # Errors
    /// [`Error::CreateDirectory`].
    pub fn create(state: &Path, container_key: &str, recording_id: &str) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt;
        let path = Self::path_of(state, container_key, recording_id);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        for directory in [state, &state.join("recordings"), &path] {
            match builder.create(directory) {
                Err(source)
                    if source.kind() != io::ErrorKind::AlreadyExists || directory == path =>
                {
                    return Err(Error::CreateDirectory {
                        path: directory.to_owned(),
                        source,
                    });
                }
                _ => {}
            }
        }
        Ok(Self(path))
    }

    /// Where [`Self::create`] makes the directory.
    pub fn path_of(state: &Path, container_key: &str, recording_id: &str) -> PathBuf {
        state
            .join("recordings")
            .join(format!("{container_key}.{recording_id}"))
    }

    /// The directory that a hook was given in its arguments.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// All recordings in progress, oldest first; of one container where its key is given.
    ///
    /// # Errors
    /// [`Error::List`]. A state directory that does not exist holds none.
    pub fn list(state: &Path, container_key: Option<&str>) -> Result<Vec<Self>, Error> {
        let path = state.join("recordings");
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::List { path, source }),
            Ok(entries) => entries,
        };
        let mut found: Vec<(String, Self)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (key, id) = name.split_once('.')?;
                (container_key.is_none() || container_key == Some(key))
                    .then(|| (id.to_owned(), Self(entry.path())))
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found.into_iter().map(|(_, directory)| directory).collect())
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the engine's configuration is kept, byte for byte.
    pub fn original_configuration(&self) -> PathBuf {
        self.0.join("config.original.json")
    }

    /// Reads `recording.json`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn load(&self) -> Result<Recording, Error> {
        self.load_json("recording.json")
    }

    /// Writes `recording.json`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, recording: &Recording) -> Result<(), Error> {
        self.save_json("recording.json", recording)
    }

    /// Reads one of the recording's files.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn load_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, Error> {
        let path = self.0.join(name);
        let content = file::read(&path)?;
        serde_json::from_slice(&content).map_err(|source| Error::Malformed { path, source })
    }

    /// Writes one of the recording's files, mode 0600.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.0.join(name);
        let content = serde_json::to_vec_pretty(value).map_err(|source| Error::Malformed {
            path: path.clone(),
            source,
        })?;
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }

    /// Removes the directory and all in it.
    ///
    /// # Errors
    /// [`Error::Remove`]. One that is gone already is no error.
    pub fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(Error::Remove {
                path: self.0.clone(),
                source,
            }),
            Ok(()) => Ok(()),
        }
    }
}

/// How old a recording's directory without `recording.json` must be before it counts as left over: a shim needs milliseconds to fill it.
const INCOMPLETE_AFTER: Duration = Duration::from_secs(60);

/// Whether nobody will finish this recording any more, because its container is gone and its poststop hook never ran.
///
/// True if all of these hold: the shim, which became the runtime, is gone; the container's first process is gone (or the prestart hook
/// never got as far as writing `armed.json`); the runtime has no state directory of that container. A directory whose shim died before
/// it had written `recording.json` counts after a minute. A poststop hook may be at work all the same, since runc removes its state before it
/// runs the hooks: who finishes a recording locks its directory first.
pub fn is_abandoned(directory: &Directory) -> bool {
    match directory.load() {
        Ok(recording) => {
            !recording.shim.exists()
                && init(directory).is_none_or(|init| !init.exists())
                && fs::symlink_metadata(&recording.runtime.state)
                    .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        }
        // Of another version, or damaged: nothing is known about its container, which may well be alive.
        Err(_) if directory.path().join("recording.json").exists() => false,
        Err(_) => fs::metadata(directory.path())
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .is_some_and(|age| age > INCOMPLETE_AFTER),
    }
}

/// Whether a recording's container ran and has ended, deleted or not: what the recording has toggled is of no use to it any more.
///
/// True of a container that its engine is about to delete, too. For recovery that somebody asks for, not for the sweep at every call.
pub fn has_ended(directory: &Directory) -> bool {
    directory
        .load()
        .is_ok_and(|recording| !recording.shim.exists())
        && init(directory).is_some_and(|init| !init.exists())
}

/// The container's first process, if the prestart hook got as far as writing it down.
fn init(directory: &Directory) -> Option<Process> {
    #[derive(Deserialize)]
    struct Armed {
        init: Process,
    }
    let armed: Armed = directory.load_json("armed.json").ok()?;
    Some(armed.init)
}

/// Puts the engine's configuration back, if what stands there is still what capprof wrote for this recording; gives whether it was.
///
/// A file that is gone, or that the engine or another recording has written meanwhile, is left alone. The directory that the file is in is
/// locked (flock(2)) from the look to the write, as a shim does that rewrites it.
///
/// # Errors
/// [`Error::File`].
pub fn restore_configuration(directory: &Directory, recording: &Recording) -> Result<bool, Error> {
    let path = recording.configuration.as_path();
    let failed = |source: io::Error| {
        Error::File(file::Error::Read {
            path: path.to_owned(),
            source,
        })
    };
    let Some(parent) = path.parent() else {
        return Ok(false);
    };
    let _lock = match file::lock_directory(parent, Duration::from_secs(5)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(failed)?,
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(failed)?,
    };
    if !metadata.is_file() {
        return Ok(false);
    }
    let content = file::read(path)?;
    if mark(&content).as_deref() != directory.path().to_str() {
        return Ok(false);
    }
    let original = file::read(&directory.original_configuration())?;
    file::write(path, &original, Attributes::Like(&metadata))?;
    Ok(true)
}

/// The annotation with which the shim marks a configuration that it has rewritten. Its value is the recording's directory.
pub const MARK: &str = "io.capprof.recording";

/// The value of the annotation [`MARK`] in a configuration, without reading the rest of it into memory.
fn mark(configuration: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Marked {
        annotations: Option<Annotations>,
    }
    #[derive(Deserialize)]
    struct Annotations {
        #[serde(rename = "io.capprof.recording")]
        mark: Option<String>,
    }
    serde_json::from_slice::<Marked>(configuration)
        .ok()?
        .annotations?
        .mark
}

/// The key under which a container's recordings are found: FNV-1a (64 bit) of its runtime state directory (`<--root>/<id>`), in hexadecimal.
pub fn container_key(runtime_state: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = runtime_state
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_exists_and_another_start_time_does_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = Process::of(pid).unwrap();
        assert!(own.exists());
        assert!(
            !Process {
                pid,
                start_time: own.start_time + 1
            }
            .exists()
        );
    }

    #[test]
    fn recordings_are_found_by_container_and_in_order() {
        let state = tempfile::tempdir().unwrap();
        let key = container_key(Path::new("/run/runc/a"));
        let other = container_key(Path::new("/run/runc/b"));
        assert_ne!(key, other);
        assert!(Directory::list(state.path(), None).unwrap().is_empty());
        let second = Directory::create(state.path(), &key, "20260102T000000Z-1").unwrap();
        let first = Directory::create(state.path(), &key, "20260101T000000Z-2").unwrap();
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
        Recording {
            schema: SCHEMA.to_owned(),
            id: "20260101T000000Z-1".to_owned(),
            mode: Mode::Profile,
            profile: None,
            container_id: "a".to_owned(),
            name: None,
            workload: Workload::default(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            bundle: state.join("bundle"),
            configuration: state.join("bundle/config.json"),
            runtime: Runtime {
                name: "runc".to_owned(),
                path: "/usr/sbin/runc".into(),
                state: runtime_state,
            },
            shim,
            uid: 0,
            args: vec!["true".to_owned()],
            user_namespace: false,
            no_new_privileges: false,
            root_filesystem: None,
            bind_mounts: Vec::new(),
            original: ProcessSets::default(),
            granted: ProcessSets::default(),
            relaxed: Vec::new(),
            given: None,
            recorders: Recorders::default(),
            label: None,
            output: None,
            store: "/var/lib/capprof".into(),
            retention: 0,
            fail_on_error: false,
            preference: crate::configuration::Preference::default(),
        }
    }

    fn own() -> Process {
        Process::of(i32::try_from(std::process::id()).unwrap()).unwrap()
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
        // A shim is filling it just now.
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
    fn a_configuration_is_put_back_only_where_it_is_this_recordings() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::create(state.path(), "key", "20260101T000000Z-1").unwrap();
        let recording = example(state.path(), state.path().join("runtime-state"), gone());
        let configuration = &recording.configuration;
        // The engine has removed the bundle.
        assert!(!restore_configuration(&directory, &recording).unwrap());
        fs::create_dir(&recording.bundle).unwrap();
        assert!(!restore_configuration(&directory, &recording).unwrap());
        fs::write(directory.original_configuration(), "{ }").unwrap();
        for foreign in [
            "{}",
            "",
            r#"{"annotations":{"io.capprof.recording":"/other"}}"#,
        ] {
            fs::write(configuration, foreign).unwrap();
            assert!(!restore_configuration(&directory, &recording).unwrap());
            assert_eq!(fs::read_to_string(configuration).unwrap(), foreign);
        }
        let ours =
            serde_json::json!({"process": {}, "annotations": {"a": "b", MARK: directory.path()}});
        fs::write(configuration, ours.to_string()).unwrap();
        assert!(restore_configuration(&directory, &recording).unwrap());
        assert_eq!(fs::read_to_string(configuration).unwrap(), "{ }");
    }
}
