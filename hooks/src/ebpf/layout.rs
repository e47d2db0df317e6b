//! Keys and values of the maps, in the layout of `bpf/capprof.bpf.c`. A test compares every member with the object's BTF.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The members of a structure as this crate reads them.
pub(super) struct Layout {
    /// The structure's name in the program.
    name: &'static str,
    /// The structure's size in bytes.
    size: usize,
    members: &'static [Member],
}

/// A member of a structure.
struct Member {
    /// The member's name in the program.
    name: &'static str,
    /// The offset from the structure's beginning, in bytes.
    offset: usize,
    /// The member's size in bytes.
    size: usize,
}

/// A structure that the program and this crate both know.
pub(super) trait HasLayout {
    /// The members as this crate reads them.
    const LAYOUT: Layout;
}

const fn size_of_member<S, M>(_: fn(&S) -> &M) -> usize {
    size_of::<M>()
}

/// Defines structures of the program: `struct Rust as "name in C" { member: type, … }`. A member with another name in C is written
/// `member as "name in C": type`.
macro_rules! layouts {
    (@name $member:ident) => { stringify!($member) };
    (@name $member:ident $name:literal) => { $name };
    ($(
        $(#[$attribute:meta])*
        struct $structure:ident as $structure_name:literal {
            $( $(#[$member_attribute:meta])* $member:ident $(as $member_name:literal)? : $type:ty, )*
        }
    )*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
            #[repr(C)]
            pub(super) struct $structure {
                $( $(#[$member_attribute])* pub(super) $member: $type, )*
            }

            impl HasLayout for $structure {
                const LAYOUT: Layout = Layout {
                    name: $structure_name,
                    size: size_of::<$structure>(),
                    members: &[$( Member {
                        name: layouts!(@name $member $($member_name)?),
                        offset: std::mem::offset_of!($structure, $member),
                        size: size_of_member(|structure: &$structure| &structure.$member),
                    }, )*],
                };
            }
        )*

        /// All structures.
        const LAYOUTS: &[Layout] = &[$( <$structure as HasLayout>::LAYOUT, )*];
    };
}

/// `FRAMES` in the program.
pub(super) const FRAMES: usize = 28;

/// `DEPTH` in the program.
const DEPTH: usize = 8;

/// `OBJECT_TEXT` in the program.
pub(super) const OBJECT_TEXT: usize = 136;

/// `OBJECT_DETAIL` in the program.
pub(super) const OBJECT_DETAIL: usize = 16;

/// Length of `struct program`'s path: `PATH + PATH_NAME`.
const PATH: usize = 1024 + 256;

/// `MEMBERS` in the program.
pub(super) const MEMBERS: usize = 512;

/// The number of addresses that the map `symbols` takes.
pub(super) const SYMBOLS: u32 = 256;

/// Flags of `struct task`.
pub(super) const TASK_PENDING: u32 = 1;

/// In [`Task::flags`]: the process was found running. The kernel side completes its row when it sees the process for the first time.
pub(super) const TASK_FOUND: u32 = 4;

/// In [`Task::flags`]: its container has [`Container::results_wanted`].
const TASK_RESULTS: u32 = 8;

/// The flags that a process has because of its container.
pub(super) fn flags_for(container: &Container) -> u32 {
    match container.results_wanted {
        0 => 0,
        _ => TASK_RESULTS,
    }
}

/// `TABLES` in the program.
const TABLES: usize = 8;

/// The number of recordings that can all reach their limit of rows in a map: `SHARES` in the program.
pub(super) const SHARES: u32 = 4;

/// No process has this number (`PID_MAX_LIMIT`, include/linux/threads.h): a service that is recorded by its control group has no first process.
pub(super) const NO_PROCESS: u32 = u32::MAX;

/// `RESULTS` in the program.
const RESULTS: usize = 4;

/// The losses that the kernel side counts, in the order of `enum loss`: the text of each line after the number.
pub(super) const LOSSES: [&str; 13] = [
    "capability checks did not fit into the map of checks",
    "capability checks have no call site: no stack trace could be taken",
    "new processes did not fit into the map of tasks, and were not recorded",
    "executions did not fit into the map of programs",
    "calls of capset(2) had arguments that could not be read",
    "calls of capset(2) did not fit into the map of capability sets",
    "times the container's mount namespace could not be registered: processes started by `exec` were not recorded",
    "capability checks were not followed to their end: the map of calls was full",
    "capability checks came from more call paths than capprof tells apart",
    "refused capability checks were not followed to the end of their system call",
    "writes of file capabilities did not fit into the map of attributes",
    "mounts of an overlayfs had more credentials than capprof tells apart: checks in these mounts count as the engine's",
    "refused capability checks may have the result of a later system call: the kernel skipped eBPF programs at the end of system calls",
];

/// The index of the last one in [`LOSSES`]. The program counts possible losses; they are losses only if the kernel has skipped programs.
pub(super) const REPEATED: usize = LOSSES.len() - 1;

layouts! {
    /// `struct container`.
    struct Container as "container" {
        user_namespace: u64,
        executed_ns: u64,
        root_dentry: u64,
        root_mount: u64,
        registers: u64,
        unlisted: u64,
        losses: [u64; LOSSES.len()],
        mount_namespace: u32,
        init: u32,
        ended: u32,
        reached: [u8; TABLES],
        rows: [u32; TABLES],
        unjoinable: [u32; 2],
        results_wanted: u32,
        exited: u32,
        exit_status: i32,
        ambient: u64,
        /// `struct mounter`, `MOUNTERS` of them.
        mounters: [[u64; 2]; 4],
        recording: [u8; 64],
    }

    /// `struct task`.
    struct Task as "task" {
        slot: u64,
        program: u64,
        flags: u32,
        unused: u32,
        ambient: u64,
        user_namespace: u64,
    }

    /// `struct members`.
    struct Members as "members" {
        all: u32,
        unused: u32,
        of: [u32; MEMBERS],
    }

    /// `struct check_key`.
    struct CheckKey as "check_key" {
        slot: u64,
        digest: u64,
    }

    /// `struct check_kind`.
    struct CheckKind as "check_kind" {
        program: u64,
        syscall: i32,
        flags: u32,
        capability: u32,
        denied: u32,
        path: u32,
        argument: u32,
    }

    /// `struct object`.
    struct Object as "object" {
        arguments: [u64; 4],
        read: u32,
        length: i32,
        detail: [u8; OBJECT_DETAIL],
        text: [u8; OBJECT_TEXT],
    }

    /// `struct check`.
    struct Check as "check" {
        kind: CheckKind,
        count: u64,
        first_ns: u64,
        last_ns: u64,
        tgid: u32,
        frames: i32,
        comm: [u8; 16],
        digest: u64,
        from: u32,
        depth: u32,
        offsets: [u8; DEPTH],
        /// Counts in the order of `enum result`.
        results: [u64; RESULTS],
        stack: [u64; FRAMES],
        object: Object,
    }

    /// `struct program_key`.
    struct ProgramKey as "program_key" {
        slot: u64,
        program: u64,
    }

    /// `struct program`.
    struct Program as "program" {
        count: u64,
        gained: u64,
        uid: u32,
        flags: u32,
        length: u32,
        changed_ns: u32,
        changed: i64,
        comm: [u8; 16],
        path: [u8; PATH],
    }

    /// `struct capset_key`.
    struct CapsetKey as "capset_key" {
        slot: u64,
        program: u64,
        held: u64,
        effective: u64,
        permitted: u64,
        inheritable: u64,
        ambient: u64,
    }

    /// `struct port_key`.
    struct PortKey as "port_key" {
        slot: u64,
        program: u64,
        number: u32,
        kind: u32,
    }

    /// `struct attribute_key`.
    struct AttributeKey as "attribute_key" {
        slot: u64,
        permitted: u64,
        inheritable: u64,
        effective: u32,
        unused: u32,
        path: [u8; 128],
    }

    /// `struct device_key`.
    struct DeviceKey as "device_key" {
        slot: u64,
        program: u64,
        kind as "type": u32,
        major: u32,
        minor: u32,
        access: u32,
        asked: u32,
        unused: u32,
    }

    /// `struct sysctl_key`.
    struct SysctlKey as "sysctl_key" {
        slot: u64,
        program: u64,
        name: [u8; 128],
    }

    /// `struct sysctl`.
    struct Sysctl as "sysctl" {
        count: u64,
        length: i32,
        unused: u32,
        value: [u8; 64],
    }

    /// `struct state`.
    struct State as "state" {
        build: u64,
        length: u32,
        unused: u32,
        text: [u8; 4080],
    }

    /// The constants of the section `.rodata.settings`, which the loader sets.
    struct Settings as "settings" {
        valid_capabilities: u64,
        timespec64: u64,
        preempts: u64,
    }
}

/// A key that begins with a recording's slot.
pub(super) trait InSlot {
    /// The recording's slot.
    fn slot(&self) -> u64;
}

macro_rules! in_slot {
    ($($key:ident)*) => {
        $( impl InSlot for $key {
            fn slot(&self) -> u64 {
                self.slot
            }
        } )*
    };
}

in_slot!(CheckKey ProgramKey CapsetKey DeviceKey SysctlKey PortKey AttributeKey);

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

/// `enum program_flag`.
pub(super) mod program {
    pub(in super::super) const OTHER_MOUNT: u32 = 1;
    pub(in super::super) const OUTSIDE: u32 = 2;
    pub(in super::super) const TRUNCATED: u32 = 4;
    pub(in super::super) const NOT_ROOT: u32 = 8;
    pub(in super::super) const EFFECTIVE: u32 = 16;
    pub(in super::super) const NO_FILE_CAPABILITIES: u32 = 32;
    pub(in super::super) const NESTED: u32 = 64;
    pub(in super::super) const MEMORY_POLICY: u32 = 128;
}

/// `PORT_PING` of `enum port_kind`.
pub(super) const PING: u32 = 1;

/// The group of a ping socket for which the container's user namespace has no number.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_ACC_…` (include/uapi/linux/bpf.h).
pub(super) mod device {
    pub(in super::super) const BLOCK: u32 = 1;
    pub(in super::super) const MKNOD: u32 = 1;
    pub(in super::super) const READ: u32 = 2;
    pub(in super::super) const WRITE: u32 = 4;
}

/// The maps that user space works with. The last one to be pinned shows that all are pinned.
pub(super) const MAPS: [&str; 15] = [
    "containers",
    "tasks",
    "members",
    "joins",
    "groups",
    "checks",
    "programs",
    "capsets",
    "devices",
    "sysctls",
    "ports",
    "attributes",
    "symbols",
    "refusals",
    "state",
];

/// A number that changes with every map, and with every name, offset and size of the layouts.
pub(super) const VERSION: u64 = version();

const fn version() -> u64 {
    let mut hash = hash(&[]);
    let mut map = 0;
    while map < MAPS.len() {
        hash = with_bytes(hash, MAPS[map].as_bytes());
        map += 1;
    }
    let mut layout = 0;
    while layout < LAYOUTS.len() {
        let Layout {
            name,
            size,
            members,
        } = &LAYOUTS[layout];
        hash = with_number(with_bytes(hash, name.as_bytes()), *size as u64);
        let mut member = 0;
        while member < members.len() {
            let Member { name, offset, size } = &members[member];
            hash = with_bytes(hash, name.as_bytes());
            hash = with_number(with_number(hash, *offset as u64), *size as u64);
            member += 1;
        }
        layout += 1;
    }
    hash
}

/// FNV-1a (64 bit).
pub(super) const fn hash(bytes: &[u8]) -> u64 {
    with_bytes(0xcbf2_9ce4_8422_2325, bytes)
}

const fn with_number(hash: u64, number: u64) -> u64 {
    with_bytes(hash, &number.to_le_bytes())
}

const fn with_bytes(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// A kernel string: the bytes before the first NUL, lossily decoded.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests;
