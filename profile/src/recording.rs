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
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

/// Something in config.json that would have hidden capability checks, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaxation {
    /// JSON pointer in config.json (RFC 6901): `/linux/seccomp`, `/process/apparmorProfile`.
    pub pointer: String,
    /// What was done, in one line.
    pub change: String,
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
}

/// What the shim knows of a recording. Written once, before the low-level runtime is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// [`SCHEMA`].
    pub schema: String,
    /// Unique and sortable by time: `20261123T150102Z-1a2b3c4d`.
    pub id: String,
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
    /// Sets in the engine's configuration.
    pub original: ProcessSets,
    /// Sets in the rewritten configuration.
    pub granted: ProcessSets,
    /// What was relaxed.
    pub relaxed: Vec<Relaxation>,
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
        let path = state
            .join("recordings")
            .join(format!("{container_key}.{recording_id}"));
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
}
