//! The events of the kernel side, in the layout of `bpf/why_layout.h`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(super) const CHECKS: usize = 4;
pub(super) const FRAMES: usize = 16;
/// The number of stack frames of an audit record.
pub(super) const RECORD_FRAMES: usize = 32;
/// The largest size of an audit record, in bytes.
pub(super) const TEXT: usize = 1536;
pub(super) const GROUPS: usize = 32;
/// The number of ranges that are kept of a user namespace's id map.
pub(super) const EXTENTS: usize = 5;
pub(super) const PATH: usize = 256;
pub(super) const INSTRUCTIONS: usize = 4096;
/// The number of system calls that have a shape.
pub(super) const CALLS: u32 = 512;

/// Kinds of events.
pub(super) mod kind {
    pub(crate) const REFUSED: u32 = 0;
    pub(crate) const EXEC: u32 = 1;
    pub(crate) const EXIT: u32 = 2;
    pub(crate) const NAMESPACE: u32 = 3;
    pub(crate) const FILTER: u32 = 4;
    pub(crate) const RECORD: u32 = 5;
}

/// Flags of an event.
pub(super) mod flag {
    pub(crate) const NO_NEW_PRIVILEGES: u32 = 1;
    pub(crate) const LANDLOCKED: u32 = 1 << 1;
    pub(crate) const COMPAT: u32 = 1 << 2;
    pub(crate) const BASE_TRUNCATED: u32 = 1 << 3;
    pub(crate) const BASE_OUTSIDE: u32 = 1 << 4;
    pub(crate) const SETUID_IGNORED: u32 = 1 << 5;
    pub(crate) const NOSUID: u32 = 1 << 6;
    pub(crate) const DEVICE: u32 = 1 << 7;
    pub(crate) const DEVICE_REFUSED: u32 = 1 << 8;
    pub(crate) const ANSWERED: u32 = 1 << 9;
    pub(crate) const BASE_KNOWN: u32 = 1 << 10;
    pub(crate) const PATH_TRUNCATED: u32 = 1 << 12;
}

/// The kinds of losses for lack of room (`enum why_lost`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Refusals, and messages that belong to them.
    Events,
    /// Processes that would have been watched.
    Processes,
}

/// `WATCH_SPAWNER`: only the children of this process are watched.
pub(super) const SPAWNER: u32 = 1;

/// Flags of a check.
pub(super) mod check_flag {
    pub(crate) const INITIAL: u32 = 1;
    pub(crate) const OWN: u32 = 2;
    pub(crate) const OTHER_CREDENTIALS: u32 = 4;
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Check {
    pub(super) capability: u32,
    pub(super) flags: u32,
    pub(super) frames: i32,
    unused: u32,
    pub(super) stack: [u64; FRAMES],
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Extent {
    pub(super) first: u32,
    pub(super) lower_first: u32,
    pub(super) count: u32,
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Event {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) tgid: u32,
    pub(super) tid: u32,
    pub(super) call: i32,
    pub(super) seccomp_mode: u32,
    pub(super) result: i64,
    pub(super) time_ns: u64,
    pub(super) arguments: [u64; 6],
    pub(super) instruction: u64,
    pub(super) filter: u64,
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    pub(super) bounding: u64,
    pub(super) ambient: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) suid: u32,
    pub(super) sgid: u32,
    pub(super) euid: u32,
    pub(super) egid: u32,
    pub(super) fsuid: u32,
    pub(super) fsgid: u32,
    pub(super) groups: u32,
    pub(super) group: [u32; GROUPS],
    pub(super) user_namespace: u32,
    pub(super) user_level: u32,
    pub(super) mount_namespace: u32,
    pub(super) device_access: u32,
    pub(super) device_major: u32,
    pub(super) device_minor: u32,
    pub(super) extents_uid: u32,
    pub(super) extents_gid: u32,
    pub(super) uid_map: [Extent; EXTENTS],
    pub(super) gid_map: [Extent; EXTENTS],
    pub(super) checks: u32,
    pub(super) base_length: u32,
    pub(super) mode: u32,
    pub(super) network_namespace: u32,
    pub(super) digest: u64,
    /// The time of the first of the call's records.
    pub(super) recorded_ns: u64,
    /// The function of AppArmor that refused; 0 if none did.
    pub(super) hook: u64,
    /// Its error, negative.
    pub(super) hook_answer: i64,
    /// The number of records of security modules that belong to the call; they precede this event.
    pub(super) records: u32,
    unused: u32,
    /// Soft and hard limit of each resource.
    pub(super) limits: [[u64; 2]; 16],
    pub(super) comm: [u8; 16],
    pub(super) check: [Check; CHECKS],
    pub(super) path: [u8; PATH],
    pub(super) path2: [u8; PATH],
    pub(super) data: [u8; 128],
    pub(super) base: [u8; 1024],
}

/// The key of a refusal in the map of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct SeenKey {
    pub(super) tgid: u32,
    pub(super) call: i32,
    pub(super) digest: u64,
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Filter {
    pub(super) kind: u32,
    pub(super) length: u32,
    pub(super) filter: u64,
    pub(super) previous: u64,
    pub(super) instructions: [u64; INSTRUCTIONS],
}

/// An audit record of a security module. It precedes the refusal of the call that it belongs to.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Record {
    pub(super) kind: u32,
    pub(super) tgid: u32,
    pub(super) tid: u32,
    /// The length of the text; more than [`TEXT`] if its end is missing.
    pub(super) length: u32,
    /// The time of the first record of the same call.
    pub(super) recorded_ns: u64,
    pub(super) frames: i32,
    unused: u32,
    pub(super) stack: [u64; RECORD_FRAMES],
    pub(super) text: [u8; TEXT],
}

/// Text up to its NUL.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)).into_owned()
}
