//! The administrator's settings: the keys of `/etc/capprof/config.toml`.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The directory of recordings in progress. On a tmpfs: it must be gone after a reboot, like the containers that it describes.
pub const STATE_DIRECTORY: &str = "/run/capprof";

/// The recorders of a recording.
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

/// How far SELinux state is toggled.
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

/// The sets of a process that does not run as root, while it is profiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantNonRoot {
    /// The bounding set alone, as engines do. The recording shows the capabilities that set-user-ID programs and file capabilities use, and those
    /// that the process itself was refused and failed without.
    #[default]
    Bounding,
    /// All five sets, so that the capabilities are effective after execve. For a workload that fails as this user: the recording shows the
    /// capabilities that it would use, but its programs may take code paths that they do not take in production.
    Ambient,
}

/// The treatment of seccomp rules that answer with an error, while a container is profiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelaxSeccomp {
    /// `SCMP_ACT_ERRNO` (other than `ENOSYS`), `SCMP_ACT_KILL*` and `SCMP_ACT_TRAP` become `SCMP_ACT_ALLOW`. If that becomes the default action too,
    /// the runtime leaves out all rules with it, and compiles a filter of a few instructions instead of hundreds.
    #[default]
    Allow,
    /// They become `SCMP_ACT_LOG`, one record in the audit log for each such call.
    Log,
    /// Nothing is changed; what the filter refuses cannot be seen, and is listed as a blind spot.
    Keep,
}

/// The mode of a container without an annotation for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultMode {
    /// It is granted everything, and the recorders record what it uses.
    #[default]
    Profile,
    /// capprof changes none of its privileges, and the recorders record what it uses and is refused.
    Observe,
    /// capprof passes it through to the runtime.
    Off,
}

/// The choice of a capability where the kernel would have accepted any of several.
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
pub struct Settings {
    /// The low-level runtime: `runc`, `crun`, or an absolute path. A name is looked for in fixed directories, never through PATH.
    /// If capprof is called by a name that ends in `-runc` or `-crun`, that name decides. Default `runc`.
    pub runtime: String,
    /// The mode of containers without the annotation `io.capprof.mode`: `profile` (default), `observe` or `off`.
    pub mode: DefaultMode,
    /// `auto`, `ebpf` or `selinux`. Default `auto`: all that work, at least one.
    pub recorders: Recorders,
    /// How far SELinux is toggled: `auto`, `domain` or `host`. Default `auto`.
    pub scope: Scope,
    /// In scope `host`: the booleans to switch off. Empty (default): those that give the container's domain capabilities, found by asking the policy.
    pub booleans: Vec<String>,
    /// `bounding` (default) or `ambient`.
    pub grant_non_root: GrantNonRoot,
    /// `allow` (default), `log` or `keep`.
    pub relax_seccomp: RelaxSeccomp,
    /// True if the AppArmor profile is removed while profiling. Default `true`.
    pub relax_apparmor: bool,
    /// `default` (default) or `weaker`.
    pub prefer: Preference,
    /// The store's directory. Default `/var/lib/capprof`.
    pub store: PathBuf,
    /// The directories in or below which annotation `io.capprof.output` may name one. Default `/`: anywhere.
    pub output_directories: Vec<PathBuf>,
    /// How many results of one container are kept; 0 keeps all. Default 20.
    pub retention: u32,
    /// How many results of one workload `capprofctl prune` keeps; 0 keeps all. Default 100.
    pub retention_workload: u32,
    /// After how many days from the end of the recording `capprofctl prune` removes a result; 0 keeps all. Default 0.
    pub retention_days: u32,
    /// The state directory, on a tmpfs. Default `/run/capprof`.
    pub state: PathBuf,
    /// Seconds after which the runtime kills a hook. Default 120: if hundreds of containers start at once, each hook waits for the others.
    pub hook_timeout: u32,
    /// True if a poststop hook that could not write a result exits with 1. Default `false`: the engine's `delete` succeeds and the journal has the message.
    pub fail_on_error: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            runtime: "runc".to_owned(),
            mode: DefaultMode::default(),
            recorders: Recorders::default(),
            scope: Scope::default(),
            booleans: Vec::new(),
            grant_non_root: GrantNonRoot::default(),
            relax_seccomp: RelaxSeccomp::default(),
            relax_apparmor: true,
            prefer: Preference::default(),
            store: PathBuf::from("/var/lib/capprof"),
            output_directories: vec![PathBuf::from("/")],
            retention: 20,
            retention_workload: 100,
            retention_days: 0,
            state: PathBuf::from(STATE_DIRECTORY),
            hook_timeout: 120,
            fail_on_error: false,
        }
    }
}

/// A value that is well-formed but cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// The key.
    pub key: &'static str,
    /// The value, as TOML.
    pub value: String,
    /// Why it cannot be used.
    pub reason: &'static str,
}

impl Settings {
    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), BadValue> {
        let error = |key, value, reason| Err(BadValue { key, value, reason });
        let runtime = Path::new(&self.runtime);
        if self.runtime.is_empty() || (self.runtime.contains('/') && !runtime.is_absolute()) {
            return error(
                "runtime",
                format!("\"{}\"", self.runtime),
                "must be a name or an absolute path",
            );
        }
        let outputs = self
            .output_directories
            .iter()
            .map(|directory| ("output_directories", directory));
        for (key, directory) in [("store", &self.store), ("state", &self.state)]
            .into_iter()
            .chain(outputs)
        {
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
