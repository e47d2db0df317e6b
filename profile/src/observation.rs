//! The observations of a recorder.

use crate::object::Object;
use crate::{Capability, CapabilitySet};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A witness of capability use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecorderName {
    /// eBPF on the kernel's `cap_capable()`.
    Ebpf,
    /// Access vector cache records of SELinux.
    Selinux,
}

impl RecorderName {
    /// The recorder's name as people write it.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Ebpf => "eBPF",
            Self::Selinux => "SELinux",
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Selinux => "selinux",
        }
    }
}

/// The kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckAnswer {
    /// The process had the capability in the namespace that was asked about.
    Granted,
    /// The process did not have it.
    Denied,
}

/// The user namespace that the kernel asked about, as the container sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// The container's own user namespace (for most containers that is the initial one).
    Own,
    /// The initial user namespace, and the container lives in another one: such a check can never be granted to it.
    Initial,
    /// A descendant of the container's own, and the process too lives in a descendant.
    Nested,
    /// A descendant of the container's own that another user of the container made, asked of a process that lives in the container's own:
    /// what the process holds there decides (security/commoncap.c, `cap_capable_helper()`).
    NestedOfOther,
    /// A descendant of the container's own, and the recorder could not tell where the process lives (SELinux's class `cap_userns`).
    NestedUnclear,
    /// Any other, an ancestor that is not the initial one for example.
    Foreign,
    /// The recorder could not tell.
    Unknown,
}

/// The audit option of a check: `CAP_OPT_NOAUDIT` or none (include/linux/security.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// It asked in the ordinary way.
    Audited,
    /// It asked with NOAUDIT: most such checks probe, some enforce.
    Silent,
    /// The recorder cannot see the options (tracepoint `capability:cap_capable`).
    Unknown,
}

/// A system call by number, with the table that the number belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Syscall {
    /// The number; negative where the check was not made inside a system call (a page fault, a kernel thread).
    pub number: i64,
    /// The name in the table of the process's architecture (`mount`), or the number as text where there is none.
    pub name: String,
}

/// The argument of a system call that decides whether the answer to its check mattered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// Level and name of the option that setsockopt(2) set.
    SocketOption {
        /// `SOL_SOCKET`, `IPPROTO_IPV6`, …
        level: u16,
        /// `SO_MARK`, `IPV6_HOPOPTS`, …
        name: u16,
    },
    /// A congestion control algorithm was set; true if every process may choose it (net.ipv4.tcp_allowed_congestion_control).
    CongestionControl {
        /// See above.
        allowed: bool,
    },
    /// The flags of fanotify_init(2).
    FanotifyInit(u32),
    /// perf_event_open(2); true if the event counts what the calling process does in user space, and shows nothing else.
    PerfEvent {
        /// See above.
        own_user_space: bool,
    },
    /// The option of prctl(2).
    Prctl(u32),
    /// The filter with which sock_diag(7) listed sockets; true if it looks at marks.
    SocketFilter {
        /// See above.
        marks: bool,
    },
    /// The length and message size that mq_open(2) asked for; zeros where it took the defaults.
    MessageQueue {
        /// `mq_maxmsg`, at most 32767.
        messages: u16,
        /// `mq_msgsize` in bytes, at most 65535.
        size: u16,
    },
}

/// How the system calls ended in which a check was refused, as numbers of checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The system call succeeded all the same.
    pub success: u64,
    /// It failed with `EPERM`.
    pub eperm: u64,
    /// It failed with `EACCES`.
    pub eacces: u64,
    /// It failed with another error.
    pub other_error: u64,
    /// Not known: the check was not made in a system call (a page fault, a kernel thread), or that never returned, or was not followed.
    pub unseen: u64,
}

impl Results {
    /// The number of checks that were refused in system calls that then failed.
    pub fn failed(&self) -> u64 {
        self.eperm
            .saturating_add(self.eacces)
            .saturating_add(self.other_error)
    }

    /// Adds the numbers of another.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.success, other.success),
            (&mut self.eperm, other.eperm),
            (&mut self.eacces, other.eacces),
            (&mut self.other_error, other.other_error),
            (&mut self.unseen, other.unseen),
        ] {
            *to = to.saturating_add(from);
        }
    }
}

/// How a container's first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramExit {
    /// It ended by itself with this exit status.
    Code(u8),
    /// It was ended by this signal (signal(7)).
    Signal(u8),
}

impl ProgramExit {
    /// Converts a status that wait(2) returned.
    pub fn from_wait_status(status: i32) -> Self {
        let byte = |bits: i32| u8::try_from(bits).unwrap_or_default();
        match status & 0x7f {
            0 => Self::Code(byte(status >> 8 & 0xff)),
            signal => Self::Signal(byte(signal)),
        }
    }
}

impl ProgramExit {
    /// Returns true if it ended by an error of its own: a status that stands for one, or a signal that is not used to stop a container.
    pub fn is_failure(self) -> bool {
        match self {
            // From 128 on shells report signals.
            Self::Code(code) => (1..128).contains(&code),
            Self::Signal(signal) => [
                4,  // SIGILL
                6,  // SIGABRT
                7,  // SIGBUS
                8,  // SIGFPE
                11, // SIGSEGV
                31, // SIGSYS
            ]
            .contains(&signal),
        }
    }
}

impl std::fmt::Display for ProgramExit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(signal) => write!(formatter, "ended by signal {signal}"),
        }
    }
}

/// One kind of capability check, as one recorder saw it, with the number of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The recorder that saw it.
    pub recorder: RecorderName,
    /// The capability that the kernel checked.
    pub capability: Capability,
    /// The answer.
    pub verdict: CheckAnswer,
    /// The user namespace that the kernel asked about.
    pub namespace: Namespace,
    /// The audit option with which the kernel asked.
    pub audit: Audit,
    /// The checked credentials were not the task's own: `override_creds()`, as overlayfs does for its own accesses.
    pub overridden: bool,
    /// The overridden credentials are copies of those with which a program of the container mounted the file system.
    #[serde(default)]
    pub own_mount: bool,
    /// Granted because the process owns the (nested) namespace, not because it holds the capability
    /// (security/commoncap.c, `cap_capable_helper()`).
    pub by_owner: bool,
    /// Made by the low-level runtime's last `execve`, before the container's program ran: the container needs it to start.
    pub pre_exec: bool,
    /// Made by a process that joined the container (`exec`).
    pub joined: bool,
    /// Made by a program that was executed with user id 0 inside the container, like a set-user-ID program in a container of another user: its
    /// capabilities come from the bounding set.
    #[serde(default)]
    pub as_root: bool,
    /// True if the recorder found, from the arguments and the credentials at that moment, that the system call would have had the same outcome
    /// without the capability (`setuid(getuid())` with all ids equal; `capset` that raises nothing).
    pub without_effect: bool,
    /// The program's name (`comm`, at most 15 bytes, lossily decoded).
    pub program: String,
    /// The executable inside the container, where known.
    #[serde(with = "crate::serde_path::optional", default)]
    pub executable: Option<PathBuf>,
    /// Process id in the initial pid namespace of the first process seen.
    pub pid: u32,
    /// The system call, where known.
    pub syscall: Option<Syscall>,
    /// The argument that decides, of the few system calls where one does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub argument: Option<Argument>,
    /// Kernel functions from the check outwards, innermost first (`ns_capable`, `path_mount`, …); empty where unknown.
    pub call_site: Vec<String>,
    /// The object's path, where known (audit PATH records).
    #[serde(with = "crate::serde_path::optional", default)]
    pub path: Option<PathBuf>,
    /// The object of the first one's system call, where the recorder reads it (eBPF).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<Object>,
    /// The number of times.
    pub count: u64,
    /// The time of the first one, in milliseconds since the recording was armed.
    pub first_ms: u64,
    /// The same of the last time.
    pub last_ms: u64,
    /// The results of a refused check's system calls; `None` if they were not recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub results: Option<Results>,
}

/// File capabilities of an executable: `security.capability`, capabilities(7) "File capabilities".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCapabilities {
    /// Gained if the bounding set allows it.
    pub permitted: CapabilitySet,
    /// Gained if the process's inheritable set has it.
    pub inheritable: CapabilitySet,
    /// With this bit, execve fails with EPERM if any of `permitted` is missing from the bounding set.
    pub effective: bool,
}

/// One program that a process of the container executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The executable's path inside the container.
    #[serde(with = "crate::serde_path")]
    pub path: PathBuf,
    /// Effective user id after execve, in the initial user namespace.
    pub uid: u32,
    /// Its file capabilities; `None` if it has none.
    pub file_capabilities: Option<FileCapabilities>,
    /// The reason why the file capabilities could not be read; then `file_capabilities` is `None` and the profile gets a blind spot.
    pub unreadable: Option<String>,
    /// Permitted capabilities that this execve added to a process that was not uid 0.
    pub gained: CapabilitySet,
    /// True if it was executed in a user namespace that the container made.
    #[serde(default)]
    pub nested: bool,
    /// True if it set a memory policy with set_mempolicy(2), for which the kernel asks for no capability.
    #[serde(default)]
    pub memory_policy: bool,
    /// The number of times.
    pub count: u64,
}

/// One successful `capset(2)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capset {
    /// The program's name.
    pub program: String,
    /// The executable inside the container, where known.
    #[serde(with = "crate::serde_path::optional", default)]
    pub executable: Option<PathBuf>,
    /// The permitted set before.
    pub held: CapabilitySet,
    /// The sets asked for.
    pub effective: CapabilitySet,
    /// See [`Capset::effective`].
    pub permitted: CapabilitySet,
    /// See [`Capset::effective`].
    pub inheritable: CapabilitySet,
    /// Raised with prctl(2) `PR_CAP_AMBIENT_RAISE`, which needs them permitted and inheritable; the sets above are then empty.
    #[serde(default)]
    pub ambient: CapabilitySet,
    /// See [`Observation::as_root`].
    #[serde(default)]
    pub as_root: bool,
    /// The number of times.
    pub count: u64,
}

/// A capability whose use a recording could not have seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlindSpot {
    /// The capability; `None` where it could be any.
    pub capability: Option<Capability>,
    /// The recorder that could not see it.
    pub recorder: RecorderName,
    /// The reason, in one line.
    pub reason: String,
}

/// The two kinds of device nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// `b` in mknod(1).
    Block,
    /// `c`.
    Char,
}

/// One way in which a program used a device (include/uapi/linux/bpf.h, `bpf_cgroup_dev_ctx`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceUse {
    /// Block or character device.
    pub kind: DeviceKind,
    /// Its driver's number.
    pub major: u32,
    /// Its own.
    pub minor: u32,
    /// The host's name for it below /dev, where the kernel knows one: `kvm`, `net/tun`.
    pub node: Option<String>,
    /// The requested access: `r`, `w`, `m` (mknod(2)), in this order.
    pub access: String,
    /// True if it was only access(2), which asks what would be allowed.
    #[serde(alias = "asked")]
    pub access_only: bool,
    /// The program's name.
    pub program: String,
    /// The number of times.
    pub count: u64,
}

/// An entry of /proc/sys that a program wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SysctlUse {
    /// As sysctl(8) names it: `net.ipv4.ip_forward`.
    pub name: String,
    /// What was written last, without the newline; `None` where it was too long or not text.
    pub value: Option<String>,
    /// The program's name.
    pub program: String,
    /// The number of times.
    pub count: u64,
}

/// A port below 1024 that a program bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortUse {
    /// Its number.
    pub port: u16,
    /// The program's name.
    pub program: String,
    /// The number of times.
    pub count: u64,
}

/// A program that made ping sockets (`SOCK_DGRAM` with ICMP). `net.ipv4.ping_group_range` decides which groups may.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PingSocketUse {
    /// The effective group of the process, as the container numbers it; `None` if the container has no number for it.
    pub group: Option<u32>,
    /// The program's name.
    pub program: String,
    /// The number of sockets.
    pub count: u64,
}

/// Everything that one recorder collects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Capability checks.
    pub observations: Vec<Observation>,
    /// Programs executed.
    pub executions: Vec<Execution>,
    /// Capability sets asked for by programs.
    pub capsets: Vec<Capset>,
    /// Anything lost or never armed, a line each. Any line makes the profile incomplete.
    pub losses: Vec<String>,
    /// The blind spots of a recording that lost nothing.
    pub blind_spots: Vec<BlindSpot>,
    /// True if the container's program was executed, false if it never was; `None` where the recorder cannot tell.
    #[serde(default)]
    pub executed: Option<bool>,
    /// How the container's first process ended, where the recorder knows.
    #[serde(default)]
    pub exit: Option<ProgramExit>,
    /// Devices opened and made, including those that every container has.
    #[serde(default)]
    pub devices: Vec<DeviceUse>,
    /// Entries of /proc/sys written.
    #[serde(default)]
    pub sysctls: Vec<SysctlUse>,
    /// Ports below 1024 that were bound; `None` where the recorder does not see them.
    #[serde(default)]
    pub ports: Option<Vec<PortUse>>,
    /// Ping sockets made.
    #[serde(default)]
    pub ping_sockets: Vec<PingSocketUse>,
    /// The gaps in `devices` and `sysctls`, a line each; empty of a recorder that cannot see any of them.
    #[serde(default)]
    pub unseen: Vec<String>,
    /// True if this recorder looks at `devices` and `sysctls`: if they are empty, nothing was used.
    #[serde(default)]
    pub looks_beyond: bool,
}
