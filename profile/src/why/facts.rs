//! The facts about a refused system call.

use super::seccomp::Answer;
use crate::{Capability, CapabilitySet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers of errors that are refusals (include/uapi/asm-generic/errno.h).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Errno(pub i32);

impl Errno {
    /// Operation not permitted.
    pub const EPERM: Self = Self(1);
    /// Resource temporarily unavailable.
    pub const EAGAIN: Self = Self(11);
    /// Out of memory.
    pub const ENOMEM: Self = Self(12);
    /// Permission denied.
    pub const EACCES: Self = Self(13);
    /// Invalid cross-device link.
    pub const EXDEV: Self = Self(18);
    /// Too many open files in the system.
    pub const ENFILE: Self = Self(23);
    /// Too many open files.
    pub const EMFILE: Self = Self(24);
    /// File too large.
    pub const EFBIG: Self = Self(27);
    /// No space left on device.
    pub const ENOSPC: Self = Self(28);
    /// Read-only file system.
    pub const EROFS: Self = Self(30);
    /// Function not implemented.
    pub const ENOSYS: Self = Self(38);
    /// Too many users.
    pub const EUSERS: Self = Self(87);
    /// Quota exceeded.
    pub const EDQUOT: Self = Self(122);

    /// The name, or the number.
    pub fn name(self) -> String {
        let name = match self {
            Self::EPERM => "EPERM",
            Self::EAGAIN => "EAGAIN",
            Self::ENOMEM => "ENOMEM",
            Self::EACCES => "EACCES",
            Self::EXDEV => "EXDEV",
            Self::ENFILE => "ENFILE",
            Self::EMFILE => "EMFILE",
            Self::EFBIG => "EFBIG",
            Self::ENOSPC => "ENOSPC",
            Self::EROFS => "EROFS",
            Self::ENOSYS => "ENOSYS",
            Self::EUSERS => "EUSERS",
            Self::EDQUOT => "EDQUOT",
            Self(number) => return format!("error {number}"),
        };
        name.to_owned()
    }
}

/// A range of ids of a user namespace (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id in the initial namespace.
    pub outside: u32,
    /// The number of ids.
    pub count: u32,
}

/// The credentials of the call. Ids are those of the initial user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// User for access to files.
    pub fsuid: u32,
    /// Group for access to files.
    pub fsgid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Effective capabilities.
    pub effective: CapabilitySet,
    /// Bounding set.
    pub bounding: CapabilitySet,
    /// How deep the user namespace is; 0 is the initial one.
    pub user_level: u32,
    /// The namespace's map of user ids; empty if unknown.
    pub uid_map: Vec<IdRange>,
    /// The namespace's map of group ids; empty if unknown.
    pub gid_map: Vec<IdRange>,
    /// No new privileges (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
}

impl Credentials {
    /// Returns true if user and group have ids in the process's user namespace, and if the maps are not known.
    pub fn maps(&self, uid: u32, gid: u32) -> bool {
        let within = |map: &[IdRange], id: u32| {
            map.is_empty()
                || map
                    .iter()
                    .any(|extent| id >= extent.outside && id - extent.outside < extent.count)
        };
        within(&self.uid_map, uid) && within(&self.gid_map, gid)
    }
}

/// The user namespace that a capability was asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedNamespace {
    /// The initial one, in which the process lives too.
    Own,
    /// The initial one, and the process lives in another.
    Initial,
    /// The process's own, which is not the initial one.
    OwnNested,
    /// Any other.
    Other,
}

/// A capability that the process was refused during the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCheck {
    /// The capability.
    pub capability: Capability,
    /// The user namespace.
    pub target: CheckedNamespace,
    /// True if the checked credentials are not the process's own but, for example, those of a file system's mounter or of another task.
    pub foreign: bool,
    /// The kernel's functions, innermost first.
    pub call_site: Vec<String>,
}

impl RefusedCheck {
    /// The functions of [`RefusedCheck::call_site`].
    pub(super) fn functions(&self) -> impl Iterator<Item = &str> {
        self.call_site.iter().map(String::as_str)
    }

    /// Returns true if one of these functions is on the call path to the check.
    pub(super) fn is_asked_in(&self, names: &[&str]) -> bool {
        self.functions().any(|name| names.contains(&name))
    }
}

/// The access that a call asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// To read it, or list it.
    pub read: bool,
    /// To write it.
    pub write: bool,
    /// To execute it.
    pub execute: bool,
    /// To make an entry in its directory where there is none.
    pub create: bool,
    /// The entry must not be there (`O_EXCL`, mkdir, …).
    pub exclusive: bool,
    /// To remove an entry from its directory.
    pub remove: bool,
    /// To change mode, owner, times or attributes.
    pub attributes: bool,
    /// Not to follow a symbolic link in the last component.
    pub no_follow: bool,
    /// To make a hard link to it.
    pub link: bool,
    /// To map it into memory for execution.
    pub map_executable: bool,
    /// access(2): by the real ids.
    pub real_ids: bool,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

/// One entry of an access control list (acl(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// `ACL_USER_OBJ` and so on (include/uapi/linux/posix_acl.h).
    pub tag: u16,
    /// Read 4, write 2, execute 1.
    pub permissions: u16,
    /// User or group.
    pub id: u32,
}

/// The origin of a read-only mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadOnly {
    /// The mount itself; another mount of the same file system may be writable.
    Mount,
    /// The file system.
    FileSystem,
    /// One of the two.
    Either,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// The mount point, as the process sees it.
    pub point: String,
    /// The origin of its being read-only; `None` if it is writable.
    pub read_only: Option<ReadOnly>,
    /// True if set-user-ID bits have no effect.
    pub nosuid: bool,
    /// True if no file on it can be executed.
    pub noexec: bool,
    /// True if no device node on it can be opened.
    pub nodev: bool,
    /// The type of file system, if known.
    pub file_system: String,
}

/// A file or directory on the path that the call named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathComponent {
    /// Its path, as the process sees it.
    pub path: String,
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, with set-user-ID and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The access control list, if it has one.
    pub acl: Vec<AclEntry>,
    /// True after `chattr +i`.
    pub immutable: bool,
    /// True after `chattr +a`.
    pub append_only: bool,
    /// Numbers of a device.
    pub device: (u32, u32),
    /// The mount that it lies on.
    pub mount: Mount,
}

/// The walk of a path that a call named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The name as the process sees it, from its root directory.
    pub name: String,
    /// Directories passed, and symbolic links followed, in this order.
    pub passed: Vec<PathComponent>,
    /// The file at its end; `None` if there is none now.
    pub last: Option<PathComponent>,
    /// False if the path could not be walked to its end for another reason than a missing entry.
    pub whole: bool,
    /// The programs that run the file, each with the walk to it: a script's interpreter, a program's loader.
    pub interpreters: Vec<Walk>,
    /// The file's capabilities, and whether they are made effective.
    pub file_capabilities: Option<(CapabilitySet, bool)>,
}

impl Walk {
    /// The directory of the last entry.
    pub fn parent(&self) -> Option<&PathComponent> {
        self.passed
            .iter()
            .rev()
            .find(|step| step.kind == FileKind::Directory)
    }
}

/// A device that a control group's rules were asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// True for a block device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// To make the node 1, to read 2, to write 4 (include/uapi/linux/bpf.h).
    pub access: u32,
    /// True if the rules refuse; `None` if this kernel or host does not say.
    pub refused: Option<bool>,
}

/// A record that SELinux made of what it refused during the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcRefusal {
    /// The refusal in words: `SOURCE may not PERMISSION TARGET:CLASS`.
    pub rule: String,
    /// The record's serial number, by which ausearch(8) finds it.
    pub serial: u64,
    /// The check that it answers, if it is about a capability.
    pub check: Option<RefusedCheck>,
}

/// AppArmor's refusals during the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApparmorDenial {
    /// The profile that has no rule for it; empty if it is not known.
    pub profile: String,
    /// The refused act: `mount /tmp/`.
    pub denied: String,
    /// The record's serial number; `None` if a `deny` rule keeps AppArmor from making one.
    pub serial: Option<u64>,
    /// The check that it answers, if it is about a capability.
    pub check: Option<RefusedCheck>,
}

/// The facts of the security modules about the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// SELinux's context, if SELinux is on.
    pub selinux: Option<String>,
    /// True if SELinux is in enforcing mode.
    pub selinux_enforcing: bool,
    /// SELinux's refusals to this thread in this call, in this order.
    pub avc: Vec<AvcRefusal>,
    /// AppArmor's refusals to this thread in this call, in this order.
    pub apparmor_denials: Vec<ApparmorDenial>,
    /// AppArmor's profile, if it confines the process.
    pub apparmor: Option<String>,
    /// True if the process has restricted itself by Landlock; `None` if it ran before `why` watched it.
    pub landlock: Option<bool>,
    /// Lockdown's mode, if the kernel is locked down.
    pub lockdown: Option<String>,
}

/// All facts that are known about a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The system call's name.
    pub call: String,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// The error.
    pub error: Errno,
    /// The access that it asked for.
    pub intent: Intent,
    /// The same for a second name.
    pub second_intent: Intent,
    /// The credentials of the call.
    pub credentials: Credentials,
    /// Capabilities that the process was refused, in this order.
    pub checks: Vec<RefusedCheck>,
    /// The answer of the process's seccomp filters to the call; `None` if it has none.
    pub seccomp: Option<Answer>,
    /// The walk of the path that it named.
    pub walk: Option<Walk>,
    /// The walk of the second path.
    pub second_walk: Option<Walk>,
    /// The device that was asked about.
    pub device: Option<DeviceRule>,
    /// Sysctls that bear upon the call: `kernel.dmesg_restrict`.
    pub sysctls: BTreeMap<String, i64>,
    /// Limits that bear upon the call (`RLIMIT_NOFILE`): the soft one, and how much is used if that is known.
    pub limits: BTreeMap<String, (u64, Option<u64>)>,
    /// Security modules.
    pub modules: Modules,
    /// The pids controller refused a process of this control group.
    pub pids_limit: Option<u64>,
    /// `Some` if the program is set-user-ID or set-group-ID and that was ignored: because of its mount (true) or of no_new_privs (false).
    pub ignored_setuid: Option<bool>,
}
