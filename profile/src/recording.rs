//! One profiled life of one container, as the shim describes it for the hooks.

use crate::CapabilitySet;
use crate::privileges::EngineGrants;
use crate::settings::{Preference, Recorders, Scope};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The value of [`Recording::schema`].
pub const SCHEMA: &str = "capprof.recording/v1";

/// The low-level runtime that a recording was handed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// `runc` or `crun`.
    pub name: String,
    /// The binary.
    #[serde(with = "crate::serde_path")]
    pub path: PathBuf,
    /// Its state directory of this container (`<--root>/<id>`): exists as long as the container does.
    #[serde(with = "crate::serde_path")]
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

/// How the runtime gets the rewritten configuration. The engine's own file is never written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// Mounted over the bundle's config.json, in a mount namespace that the runtime alone is in.
    #[default]
    Mount,
    /// crun's option `--config` names it. crun keeps a copy of its own.
    Option,
    /// A bundle in the recording's directory has it, for a runc that cannot have such a namespace. runc names this bundle in the container's state.
    Bundle,
}

/// The identity of a file or directory, independent of its path (stat(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The number of its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// A systemd service. It is recorded by its control group, from the restart that begins the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// `nginx.service`.
    pub name: String,
    /// The directory of its control group, if it ran when the recording began.
    #[serde(with = "crate::serde_path::optional", default)]
    pub control_group: Option<PathBuf>,
}

/// The identity of the workload beyond the container's id, as far as the engine's annotations have it.
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
    /// The engine, where that is known: `docker`, `podman`, `kubernetes`, `nerdctl`, `systemd`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine: Option<String>,
    /// Service of a compose project (docker's label `com.docker.compose.service`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
}

impl Workload {
    /// Returns true if both workloads are of the same image, or if one image is not known. Engines write the same reference in different ways.
    pub fn is_of_image(&self, other: &Self) -> bool {
        match (&self.image, &other.image) {
            (Some(one), Some(other)) => whole_reference(one) == whole_reference(other),
            _ => true,
        }
    }
}

/// An image's name without what engines take for granted: docker's registry, podman's for local images, the tag `latest`.
fn whole_reference(image: &str) -> &str {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let image = image.strip_prefix("library/").unwrap_or(image);
    let image = image.strip_prefix("localhost/").unwrap_or(image);
    image.strip_suffix(":latest").unwrap_or(image)
}

/// A file or directory of the host that is mounted into the container (runtime-spec, config.md, "Mounts").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// The path in the container, absolute.
    #[serde(with = "crate::serde_path")]
    pub destination: PathBuf,
    /// The path on the host, absolute.
    #[serde(with = "crate::serde_path")]
    pub source: PathBuf,
}

/// The five capability sets of a process in config.json (runtime-spec, config.md, "Linux Process").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSets {
    /// Limits what execve can give.
    pub bounding: CapabilitySet,
    /// The set that the kernel checks.
    pub effective: CapabilitySet,
    /// The capabilities that may be made effective.
    pub permitted: CapabilitySet,
    /// The set that survives execve of a file with inheritable file capabilities.
    pub inheritable: CapabilitySet,
    /// The set that survives execve for a user other than root.
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

    /// Puts a list into all sets that make it effective for a process of this user; `original` has the sets of the engine's configuration.
    pub fn of_list(list: CapabilitySet, uid: u32, original: &Self) -> Self {
        let (inheritable, ambient) = match uid {
            0 => (
                original.inheritable.intersection(list),
                original.ambient.intersection(list),
            ),
            // A user other than root loses at execve every capability that is not ambient (capabilities(7)).
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

    /// Returns the members of either, set by set.
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

    /// Limits each set to this one.
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

/// The place of the seccomp filter in config.json, in the form of [`Relaxation::pointer`].
pub const SECCOMP: &str = "/linux/seccomp";

/// A setting in config.json that would have hidden capability checks, and the change that capprof made to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaxation {
    /// JSON pointer in config.json (RFC 6901): `/linux/seccomp`, `/process/apparmorProfile`.
    pub pointer: String,
    /// The change, in one line.
    pub change: String,
}

/// The mode of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is granted everything, and the recorders record what it uses.
    #[default]
    Profile,
    /// It is granted the capabilities of a profile or a list, and nothing is recorded.
    Enforce,
    /// It is granted the capabilities of a profile, and the recorders record which others it lacks.
    Verify,
    /// It is granted the capabilities of its engine's configuration, nothing is relaxed, and the recorders record which it uses and lacks.
    Observe,
}

impl Mode {
    /// Returns true if no process of the container may get more than the container's sets.
    pub fn limits(self) -> bool {
        match self {
            Self::Profile | Self::Observe => false,
            Self::Enforce | Self::Verify => true,
        }
    }
}

/// The program that judges a run with a profile's set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JudgedBy {
    /// The poststop hook, which knows nothing but the run's record.
    #[default]
    Hook,
    /// The program that ran the container: it also knows how the run ended, and the result of a check.
    Caller,
}

impl JudgedBy {
    fn is_hook(&self) -> bool {
        *self == Self::Hook
    }
}

/// The SELinux context made for one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The container's label: `system_u:system_r:capprof_t:s0:c1,c2-s0:c1,c2,c500,c501`.
    pub context: String,
    /// The label in the engine's configuration; empty if it has none.
    pub original: String,
    /// The scope that the label was made for: never [`Scope::Auto`].
    pub scope: Scope,
    /// In scope `host`, the booleans to switch off, as configured. Empty: those that give the domain capabilities, found by asking the policy.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub booleans: Vec<String>,
}

/// The container that is recorded, and the runtime that runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// The id that the engine gave.
    #[serde(rename = "container_id")]
    pub id: String,
    /// Annotation `io.capprof.name`.
    pub name: Option<String>,
    /// The workload.
    pub workload: Workload,
    /// The bundle directory, absolute, links resolved.
    #[serde(with = "crate::serde_path")]
    pub bundle: PathBuf,
    /// The identity of the bundle directory when the container was created.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle_identity: Option<FileIdentity>,
    /// The engine's configuration file (config.json in the bundle, or what `crun --config` named), links resolved.
    #[serde(with = "crate::serde_path")]
    pub configuration: PathBuf,
    /// How the runtime gets the rewritten one.
    #[serde(default)]
    pub delivery: Delivery,
    /// `root.path`, absolute: where the container's root file system is on the host.
    #[serde(with = "crate::serde_path::optional", default)]
    pub root_filesystem: Option<PathBuf>,
    /// The bind mounts over it, in the order in which they are made.
    #[serde(default)]
    pub bind_mounts: Vec<BindMount>,
    /// The runtime that took over.
    pub runtime: Runtime,
}

/// The container's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerProcess {
    /// `process.args`.
    pub args: Vec<String>,
    /// `process.user.uid`: the user id inside the container.
    pub uid: u32,
    /// True if the container has a user namespace of its own.
    pub user_namespace: bool,
    /// `process.noNewPrivileges`.
    pub no_new_privileges: bool,
}

/// The sets that the container runs with, and those that it would have without capprof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Sets in the engine's configuration.
    pub original: ProcessSets,
    /// Sets in the rewritten configuration.
    pub granted: ProcessSets,
    /// The relaxations.
    pub relaxed: Vec<Relaxation>,
    /// The engine's privileges besides capabilities; `None` in a recording of an older version.
    #[serde(skip_serializing_if = "Option::is_none", default, alias = "given")]
    pub engine_grants: Option<EngineGrants>,
    /// The label, on a host with SELinux.
    pub label: Option<Label>,
}

/// How the result is made, and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultSettings {
    /// Annotation `io.capprof.output`: a directory for the result besides bundle and store, links resolved.
    #[serde(with = "crate::serde_path::optional", default)]
    pub output: Option<PathBuf>,
    /// The identity of that directory when the container was created.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_identity: Option<FileIdentity>,
    /// The store's directory.
    #[serde(with = "crate::serde_path")]
    pub store: PathBuf,
    /// How many results of one container the store keeps; 0 is without limit.
    pub retention: u32,
    /// True if a poststop hook that could not write a result exits with an error.
    pub fail_on_error: bool,
    /// The choice of a capability where several would do.
    pub preference: Preference,
}

/// The shim's facts about a recording. Written once, before the low-level runtime starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// [`SCHEMA`].
    pub schema: String,
    /// Unique and sortable by time: `20261123T150102Z-1a2b3c4d`.
    pub id: String,
    /// The mode of the container.
    #[serde(default)]
    pub mode: Mode,
    /// The recording whose profile says what the container is granted, where one does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<String>,
    /// The program that judges the run, in mode [`Mode::Verify`].
    #[serde(skip_serializing_if = "JudgedBy::is_hook", default)]
    pub judge: JudgedBy,
    /// The container's first process, if capprof was attached to the container while it ran: its start was not seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attached: Option<Process>,
    /// The service, if one is recorded and no container.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Unit>,
    /// The time of the shim's run, RFC 3339 in UTC.
    pub created: String,
    /// The container.
    #[serde(flatten)]
    pub container: Container,
    /// The shim's own process, which became the runtime; of a recording from outside, the process that began it.
    pub shim: Process,
    /// The container's process.
    #[serde(flatten)]
    pub process: ContainerProcess,
    /// What it is given.
    #[serde(flatten)]
    pub grant: Grant,
    /// The recorders that the configuration asks for.
    pub recorders: Recorders,
    /// The destination of the result.
    #[serde(flatten)]
    pub results: ResultSettings,
}

impl Recording {
    /// Returns true if the process can lack a capability that the kernel asks for, so that the results of refusals are recorded too: it verifies a set,
    /// or is observed with its engine's set, or is not root and its capabilities are not effective.
    pub fn follows_refusals(&self) -> bool {
        let granted = &self.grant.granted;
        matches!(self.mode, Mode::Verify | Mode::Observe)
            || (self.process.uid != 0 && granted.ambient != granted.bounding)
    }

    /// Returns true if capprof does not run what it records: a container that it was attached to, or a service. Such a recording ends with the
    /// process that began it.
    pub fn is_from_outside(&self) -> bool {
        self.attached.is_some() || self.unit.is_some()
    }

    /// The recording whose minimized sets the container runs with to see whether they suffice.
    pub fn verifies(&self) -> Option<&str> {
        match self.mode {
            Mode::Verify => self.profile.as_deref(),
            Mode::Profile | Mode::Enforce | Mode::Observe => None,
        }
    }
}
