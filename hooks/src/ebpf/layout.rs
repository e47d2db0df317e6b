//! Keys and values of the maps, as `bpf/capprof.bpf.c` lays them out.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `FRAMES` in the program.
pub(super) const FRAMES: usize = 28;

/// `DEPTH` in the program.
const DEPTH: usize = 8;

/// Length of `struct program`'s path: `PATH + PATH_NAME`.
const PATH: usize = 1024 + 256;

/// How many addresses the map `symbols` takes.
pub(super) const SYMBOLS: u32 = 256;

/// Flags of `struct task`.
pub(super) const TASK_PENDING: u32 = 1;

/// `RESULTS` in the program.
const RESULTS: usize = 4;

/// What the kernel counts as lost, in the order of `enum loss`, each as the line's words after the number.
pub(super) const LOSSES: [&str; 10] = [
    "capability checks did not fit into the map of checks",
    "capability checks have no call site: no stack trace could be taken",
    "new processes did not fit into the map of tasks, and were not recorded",
    "executions did not fit into the map of programs",
    "calls of capset(2) had arguments that could not be read",
    "calls of capset(2) did not fit into the map of capability sets",
    "times the container's mount namespace could not be registered: processes started by `exec` were not recorded",
    "capability checks were not followed to their end: the map of calls was full",
    "capability checks came from more call paths than are told apart",
    "refused capability checks were not followed to the end of their system call",
];

/// `struct container`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Container {
    pub(super) user_namespace: u64,
    pub(super) executed_ns: u64,
    pub(super) root_dentry: u64,
    pub(super) root_mount: u64,
    pub(super) registers: u64,
    pub(super) unlisted: u64,
    pub(super) losses: [u64; LOSSES.len()],
    pub(super) mount_namespace: u32,
    pub(super) init: u32,
    pub(super) ended: u32,
    pub(super) rows: u32,
    pub(super) unjoinable: [u32; 2],
    pub(super) results_wanted: u32,
    pub(super) exited: u32,
    pub(super) exit_status: i32,
    pub(super) unused: u32,
    /// `struct mounter`, `MOUNTERS` of them.
    pub(super) mounters: [[u64; 2]; 4],
    pub(super) recording: [u8; 64],
}

/// `struct task`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Task {
    pub(super) slot: u64,
    pub(super) program: u64,
    pub(super) flags: u32,
    pub(super) unused: u32,
}

/// `enum check_flag`.
pub(super) mod check {
    pub(in super::super) const OVERRIDDEN: u32 = 1 << 0;
    pub(in super::super) const BY_OWNER: u32 = 1 << 2;
    pub(in super::super) const PRE_EXEC: u32 = 1 << 3;
    pub(in super::super) const JOINED: u32 = 1 << 4;
    pub(in super::super) const SILENT: u32 = 1 << 5;
    pub(in super::super) const AUDITED: u32 = 1 << 6;
    pub(in super::super) const WITHOUT_EFFECT: u32 = 1 << 7;
    pub(in super::super) const COMPAT: u32 = 1 << 8;
    pub(in super::super) const OPEN_WRITE: u32 = 1 << 9;
    pub(in super::super) const ROOT: u32 = 1 << 10;
    pub(in super::super) const MOUNTER: u32 = 1 << 11;
    pub(in super::super) const NAMESPACE: u32 = 16;
}

/// `struct check_key`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct CheckKey {
    pub(super) slot: u64,
    pub(super) program: u64,
    pub(super) syscall: i32,
    pub(super) flags: u32,
    pub(super) capability: u32,
    pub(super) denied: u32,
    pub(super) path: u32,
    pub(super) argument: u32,
}

/// `struct check`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Check {
    pub(super) count: u64,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    pub(super) tgid: u32,
    pub(super) frames: i32,
    pub(super) comm: [u8; 16],
    pub(super) digest: u64,
    pub(super) from: u32,
    pub(super) depth: u32,
    pub(super) offsets: [u8; DEPTH],
    /// In the order of `enum result`.
    pub(super) results: [u64; RESULTS],
    pub(super) stack: [u64; FRAMES],
}

/// `enum program_flag`.
pub(super) mod program {
    pub(in super::super) const OTHER_MOUNT: u32 = 1;
    pub(in super::super) const OUTSIDE: u32 = 2;
    pub(in super::super) const TRUNCATED: u32 = 4;
}

/// `struct program_key`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ProgramKey {
    pub(super) slot: u64,
    pub(super) program: u64,
}

/// `struct program`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Program {
    pub(super) count: u64,
    pub(super) gained: u64,
    pub(super) uid: u32,
    pub(super) flags: u32,
    pub(super) length: u32,
    pub(super) unused: u32,
    pub(super) comm: [u8; 16],
    pub(super) path: [u8; PATH],
}

/// `struct capset_key`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct CapsetKey {
    pub(super) slot: u64,
    pub(super) program: u64,
    pub(super) held: u64,
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
}

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_ACC_…` (include/uapi/linux/bpf.h).
pub(super) mod device {
    pub(in super::super) const BLOCK: u32 = 1;
    pub(in super::super) const MKNOD: u32 = 1;
    pub(in super::super) const READ: u32 = 2;
    pub(in super::super) const WRITE: u32 = 4;
}

/// `struct device_key`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct DeviceKey {
    pub(super) slot: u64,
    pub(super) program: u64,
    pub(super) kind: u32,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) access: u32,
    pub(super) asked: u32,
    pub(super) unused: u32,
}

/// `struct sysctl_key`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct SysctlKey {
    pub(super) slot: u64,
    pub(super) program: u64,
    pub(super) name: [u8; 128],
}

/// `struct sysctl`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Sysctl {
    pub(super) count: u64,
    pub(super) length: i32,
    pub(super) unused: u32,
    pub(super) value: [u8; 64],
}

/// `struct state`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct State {
    pub(super) build: u64,
    pub(super) length: u32,
    pub(super) unused: u32,
    pub(super) text: [u8; 4080],
}

/// `settings`, the section `.rodata.settings`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Settings {
    pub(super) valid_capabilities: u64,
}

/// A kernel string: the bytes before the first NUL, lossily decoded.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
