//! The part of the kernel that refused, and the remedy, in words.

use super::facts::{DeviceRule, ReadOnly};
use crate::{Capability, CapabilitySet};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The part of the system that refused a system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The process lacks a capability.
    Capability {
        /// The capability.
        capability: Capability,
        /// The act that it allows a process there; empty if the atlas does not know the place.
        to: String,
        /// Capabilities that would do as well.
        alternatives: CapabilitySet,
        /// The alternative to a capability.
        unless: Option<String>,
        /// The kernel's function that asked.
        function: String,
    },
    /// The capability was asked of the initial user namespace, and the process lives in another.
    UserNamespace {
        /// The capability.
        capability: Capability,
        /// True if the process holds it in its own namespace.
        held: bool,
        /// The act that it allows a process there.
        to: String,
        /// The kernel's function that asked.
        function: String,
    },
    /// The file's owner or group has no id in the process's user namespace, so that its capabilities do not count.
    UnmappedOwner {
        /// The file.
        path: String,
        /// Owner, in the initial namespace.
        uid: u32,
        /// Group, in the initial namespace.
        gid: u32,
    },
    /// Mode, owner or access control list.
    FileMode {
        /// The file or directory.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// True if the access control list decided.
        acl: bool,
        /// `read`, `write`, `execute`, `pass through`.
        wanted: String,
        /// Capabilities of which any one would do.
        capabilities: CapabilitySet,
    },
    /// The file has no permission to execute for any user, or is not a regular file.
    NotExecutable {
        /// The file.
        path: String,
        /// Permission bits.
        mode: u32,
        /// True if it is a directory, a device and the like.
        special: bool,
    },
    /// The process does not own the file.
    Owner {
        /// The file.
        path: String,
        /// Its owner.
        uid: u32,
        /// True if a sticky directory protects it.
        sticky: bool,
        /// The capability that would do.
        capability: Capability,
    },
    /// A read-only mount or file system.
    ReadOnly {
        /// The mount point.
        mount: String,
        /// The mount or the file system.
        by: ReadOnly,
    },
    /// A path that the engine hides from the container.
    MaskedPath {
        /// The path.
        path: String,
    },
    /// A mount with `noexec`.
    NoExec {
        /// The mount point.
        mount: String,
    },
    /// A mount with `nodev`.
    NoDev {
        /// The mount point.
        mount: String,
    },
    /// A file with an attribute of chattr(1): `+i` or `+a`.
    Immutable {
        /// The file.
        path: String,
        /// True for `+a`.
        append_only: bool,
    },
    /// A seccomp filter.
    Seccomp {
        /// The system call.
        call: String,
        /// The filter's error; 0: it kills.
        error: i32,
        /// Capabilities with which the filters of docker and podman let the call pass.
        opened_by: CapabilitySet,
    },
    /// Another process that a seccomp filter asks.
    Supervisor {
        /// The system call.
        call: String,
    },
    /// A rule of the control group.
    Device {
        /// The device, and the refused access.
        rule: DeviceRule,
    },
    /// A Landlock domain: the process has restricted itself, or inherited the restriction.
    Landlock {
        /// The object.
        path: String,
    },
    /// SELinux.
    Selinux {
        /// `SOURCE may not PERMISSION TARGET:CLASS`; if there is no record, the process's context alone.
        rule: String,
        /// The serial number of the audit record. `None`: SELinux may have refused, and left no record.
        serial: Option<u64>,
    },
    /// AppArmor.
    Apparmor {
        /// The profile; empty if it is not known.
        profile: String,
        /// What it refused in this call: `mount /tmp/`. `None`: the process is confined, and AppArmor may have refused.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        denied: Option<String>,
        /// The serial number of the audit record.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        serial: Option<u64>,
    },
    /// Lockdown.
    Lockdown {
        /// The mode.
        mode: String,
    },
    /// What the process wants needs no_new_privs set, or a capability.
    NeedsNoNewPrivileges {
        /// The capability.
        capability: Capability,
    },
    /// An executable's capabilities are more than the process may get.
    FileCapabilities {
        /// The executable.
        path: String,
        /// The capabilities that the bounding set lacks.
        lacking: CapabilitySet,
    },
    /// Yama.
    Yama {
        /// The value of kernel.yama.ptrace_scope.
        scope: i64,
    },
    /// A limit of resources.
    Limit {
        /// Its name: `RLIMIT_NOFILE`, `pids.max`.
        name: String,
        /// Its value.
        value: u64,
        /// The capability that lifts it.
        capability: Option<Capability>,
    },
    /// A sysctl.
    Sysctl {
        /// Its name: `kernel.dmesg_restrict`.
        name: String,
        /// Its value.
        value: String,
        /// The value or condition that allows the call.
        allows: String,
        /// Capabilities of which any one would do.
        capabilities: CapabilitySet,
    },
    /// None of these explains it.
    Unknown {
        /// The kernel's function.
        function: String,
    },
}

/// The conclusions from the facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The cause, if there is one; else each that the facts allow, likeliest first.
    pub causes: Vec<Cause>,
    /// Other facts for the reader: a set-user-ID bit that was ignored.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

impl Explanation {
    /// Returns the explanation with one cause, where no other is possible.
    pub fn sure(cause: Cause) -> Self {
        Self {
            causes: vec![cause],
            notes: Vec::new(),
        }
    }

    /// Returns true if the cause is a capability that the process lacks in the user namespace that the kernel asks.
    pub fn is_about_capabilities(&self) -> bool {
        self.causes.iter().all(|cause| {
            matches!(
                cause,
                Cause::Capability { .. } | Cause::UserNamespace { .. }
            )
        })
    }
}

fn any_of(capabilities: CapabilitySet) -> String {
    joined(capabilities, " or ")
}

fn joined(capabilities: CapabilitySet, by: &str) -> String {
    capabilities
        .iter()
        .map(|capability| capability.to_string())
        .collect::<Vec<_>>()
        .join(by)
}

impl Cause {
    /// The word in JSON: `capability`, `file_mode`, …
    pub fn kind(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| Some(value.get("kind")?.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    /// The remedy that would allow the call; `None` if capprof does not know one.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Capability {
                capability,
                alternatives,
                unless,
                ..
            } => capability_remedy(*capability, *alternatives, unless.as_deref()),
            Self::UserNamespace { .. } => {
                "to run without a user namespace of its own; no capability inside it helps".to_owned()
            }
            Self::UnmappedOwner { path, .. } => format!(
                "an owner of {path} that the user namespace maps, or mode bits for others"
            ),
            Self::FileMode {
                uid,
                gid,
                mode,
                capabilities,
                wanted,
                ..
            } => file_mode_remedy(*uid, *gid, *mode, wanted, *capabilities),
            Self::NotExecutable { special: true, .. } => "a regular file".to_owned(),
            Self::NotExecutable { path, .. } => format!("chmod +x {path}"),
            Self::Owner { uid, capability, .. } => format!("{capability} or uid {uid}"),
            Self::ReadOnly { mount, by } => match by {
                ReadOnly::Mount => format!("a writable mount at {mount}"),
                ReadOnly::FileSystem => format!("a writable file system at {mount}"),
                ReadOnly::Either => format!("a writable mount of a writable file system at {mount}"),
            },
            Self::MaskedPath { .. } => "a container without masked paths (docker: --security-opt systempaths=unconfined)".to_owned(),
            Self::NoExec { mount } => format!("a mount without noexec at {mount}"),
            Self::NoDev { mount } => format!("a mount without nodev at {mount}"),
            Self::Immutable { path, append_only } => {
                let flag = if *append_only { 'a' } else { 'i' };
                format!("chattr -{flag} {path}")
            }
            Self::Seccomp { call, opened_by, .. } if opened_by.is_empty() => {
                format!("a seccomp profile that allows {call}")
            }
            Self::Seccomp { call, opened_by, .. } => format!(
                "a seccomp profile that allows {call}; docker's filter opens it with {}",
                any_of(*opened_by)
            ),
            Self::Supervisor { .. } => "the process that answers for the seccomp filter".to_owned(),
            Self::Device { rule } => format!("a device rule {}", device(rule)),
            Self::Landlock { .. } => "a Landlock rule of the program itself".to_owned(),
            Self::Selinux { .. } => "a rule of the policy, or another label".to_owned(),
            Self::Apparmor { .. } => "a rule of the profile".to_owned(),
            Self::Lockdown { .. } => "a kernel that is not locked down".to_owned(),
            Self::NeedsNoNewPrivileges { capability } => {
                format!("prctl(PR_SET_NO_NEW_PRIVS) before, or {capability}")
            }
            Self::FileCapabilities { lacking, .. } => format!("{} in the bounding set", joined(*lacking, " and ")),
            Self::Yama { scope } if *scope >= 3 => "a restart: nothing lowers it".to_owned(),
            Self::Yama { scope: 1 } => "a tracer that is an ancestor, PR_SET_PTRACER, CAP_SYS_PTRACE, or sysctl kernel.yama.ptrace_scope=0".to_owned(),
            Self::Yama { .. } => "CAP_SYS_PTRACE, or sysctl kernel.yama.ptrace_scope=0".to_owned(),
            Self::Limit { name, capability, .. } => match capability {
                Some(capability) => format!("a higher {name}, or {capability}"),
                None => format!("a higher {name}"),
            },
            Self::Sysctl {
                name,
                allows,
                capabilities,
                ..
            } => match capabilities.is_empty() {
                true => format!("sysctl {name}{allows}"),
                false => format!("sysctl {name}{allows}, or {}", any_of(*capabilities)),
            },
            Self::Unknown { .. } => return None,
        })
    }
}

fn capability_remedy(
    capability: Capability,
    mut alternatives: CapabilitySet,
    unless: Option<&str>,
) -> String {
    alternatives.insert(capability);
    match unless {
        Some(other) => format!("{}, or {other}", any_of(alternatives)),
        None => any_of(alternatives),
    }
}

fn file_mode_remedy(
    uid: u32,
    gid: u32,
    mode: u32,
    wanted: &str,
    capabilities: CapabilitySet,
) -> String {
    let bit = match wanted {
        "read" => 4,
        "write" => 2,
        _ => 1,
    };
    let mut ways = Vec::new();
    if !capabilities.is_empty() {
        ways.push(any_of(capabilities));
    }
    if mode >> 6 & bit != 0 {
        ways.push(format!("uid {uid}"));
    }
    if mode >> 3 & bit != 0 {
        ways.push(format!("group {gid}"));
    }
    match ways.is_empty() {
        true => "another mode".to_owned(),
        false => ways.join(" or "),
    }
}

fn device(rule: &DeviceRule) -> String {
    let mut access = String::new();
    for (bit, letter) in [(2, 'r'), (4, 'w'), (1, 'm')] {
        if rule.access & bit != 0 {
            access.push(letter);
        }
    }
    let kind = if rule.block { 'b' } else { 'c' };
    format!("{kind} {}:{} {access}", rule.major, rule.minor)
}

impl Cause {
    /// Writes the owner, mode, mount or flags of a file if they are the cause; else nothing.
    fn of_a_file(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnmappedOwner { path, uid, gid } => write!(
                out,
                "{path} belongs to {uid}:{gid} of the host, which this user namespace does not map: capabilities do not count"
            ),
            Self::FileMode {
                path,
                mode,
                uid,
                gid,
                acl,
                wanted,
                ..
            } => write!(
                out,
                "file mode {mode:04o}{}, owner {uid}:{gid}, of {path} does not let it {wanted}",
                if *acl {
                    " with an access control list"
                } else {
                    ""
                }
            ),
            Self::NotExecutable {
                path,
                special: true,
                ..
            } => write!(out, "{path} is not a regular file"),
            Self::NotExecutable { path, mode, .. } => {
                write!(out, "{path} is not executable: file mode {mode:04o}")
            }
            Self::Owner {
                path, uid, sticky, ..
            } => write!(
                out,
                "{path} belongs to uid {uid}{}",
                if *sticky {
                    ", in a sticky directory"
                } else {
                    ""
                }
            ),
            Self::ReadOnly { mount, by } => match by {
                ReadOnly::Mount => write!(out, "read-only mount {mount}"),
                ReadOnly::FileSystem => write!(out, "read-only file system at {mount}"),
                ReadOnly::Either => write!(out, "read-only mount or file system at {mount}"),
            },
            Self::MaskedPath { path } => write!(out, "masked path {path}"),
            Self::NoExec { mount } => write!(out, "mount {mount} is noexec"),
            Self::NoDev { mount } => write!(out, "mount {mount} is nodev"),
            Self::Immutable { path, append_only } => write!(
                out,
                "{path} is {}",
                if *append_only {
                    "append-only"
                } else {
                    "immutable"
                }
            ),
            _ => Ok(()),
        }
    }
}

impl Cause {
    /// Writes AppArmor's refusals if they are the cause; else nothing.
    fn of_apparmor(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Apparmor {
            profile,
            denied,
            serial,
        } = self
        else {
            return Ok(());
        };
        match denied {
            None => write!(
                out,
                "perhaps AppArmor, though it left no record: the process runs under profile {profile}"
            )?,
            Some(denied) if profile.is_empty() => write!(out, "AppArmor does not allow {denied}")?,
            Some(denied) => write!(out, "AppArmor: {profile} does not allow {denied}")?,
        }
        match serial {
            Some(serial) => write!(out, " (AVC {serial})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability { capability, to, .. } if to.is_empty() => {
                write!(out, "missing {capability}")
            }
            Self::Capability { capability, to, .. } => write!(out, "missing {capability} ({to})"),
            Self::UserNamespace {
                capability, held, ..
            } => write!(
                out,
                "not permitted in this user namespace: {capability} was asked of the initial one{}",
                if *held {
                    ", and is held in its own one only"
                } else {
                    ""
                }
            ),
            Self::UnmappedOwner { .. }
            | Self::FileMode { .. }
            | Self::NotExecutable { .. }
            | Self::Owner { .. }
            | Self::ReadOnly { .. }
            | Self::MaskedPath { .. }
            | Self::NoExec { .. }
            | Self::NoDev { .. }
            | Self::Immutable { .. } => self.of_a_file(out),
            Self::Seccomp { call, error: 0, .. } => {
                write!(out, "seccomp filter: SIGSYS for {call}")
            }
            Self::Seccomp { call, error, .. } => {
                write!(out, "seccomp filter: errno {error} for {call}")
            }
            Self::Supervisor { call } => {
                write!(out, "seccomp filter: another process answers for {call}")
            }
            Self::Device { rule } => {
                write!(out, "cgroup device rule: {} is not allowed", device(rule))
            }
            Self::Landlock { path } if path.is_empty() => write!(out, "Landlock"),
            Self::Landlock { path } => write!(out, "Landlock, for {path}"),
            Self::Selinux {
                rule,
                serial: Some(serial),
            } => write!(out, "SELinux: {rule} (AVC {serial})"),
            Self::Selinux { rule, serial: None } => write!(
                out,
                "perhaps SELinux, though it left no record: the process runs as {rule}"
            ),
            Self::Apparmor { .. } => self.of_apparmor(out),
            Self::Lockdown { mode } => write!(out, "kernel lockdown: {mode}"),
            Self::NeedsNoNewPrivileges { .. } => write!(out, "no_new_privs is not set"),
            Self::FileCapabilities { path, .. } => {
                write!(
                    out,
                    "the file capabilities of {path} are beyond the bounding set"
                )
            }
            Self::Yama { scope } => write!(out, "Yama: kernel.yama.ptrace_scope is {scope}"),
            Self::Limit { name, value, .. } => write!(out, "{name} is {value}"),
            Self::Sysctl { name, value, .. } => write!(out, "sysctl {name} is {value}"),
            Self::Unknown { function } => write!(out, "unknown, refused in {function}"),
        }
    }
}
