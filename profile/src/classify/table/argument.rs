//! Checks whose answer matters only for some arguments of the system call, which the kernel examines after the check.

use crate::Capability;
use crate::classify::rule::{Decision, Rule, in_atlas};
use crate::observation::Argument;

/// The rule of shmctl(2), which [`crate::minimize`] turns into a blind spot.
pub(crate) const SHARED_MEMORY_LOCK: &str = "shared-memory-lock";

/// Flags that fanotify_init(2) accepts only from a privileged process: classes for permission events, unlimited queues and marks, and reports of
/// processes, errors and mounts (fs/notify/fanotify/fanotify_user.c, `FANOTIFY_ADMIN_INIT_FLAGS`).
const FANOTIFY_PRIVILEGED: u32 = 0x4 | 0x8 | 0x10 | 0x20 | 0x80 | 0x100 | 0x2000 | 0x4000;

/// `FAN_REPORT_FID`: an unprivileged process must set it.
const FANOTIFY_REPORT_FID: u32 = 0x200;

/// The limits of fs.mqueue.* for an unprivileged process (`DFLT_MSGMAX`, `DFLT_MSGSIZEMAX`).
const QUEUE_MESSAGES: u16 = 10;
const QUEUE_SIZE: u16 = 8192;

pub(super) static RULES: &[Rule] = &[
    // net/ipv4/tcp.c do_tcp_setsockopt(): asks before it knows if the algorithm is restricted.
    Rule {
        name: "congestion-control",
        explanation: "asked when a congestion control algorithm was set that every process may set",
        decision: Decision::Dismissed,
        applies: |check, _| check.argument == Some(Argument::CongestionControl { allowed: true }),
    },
    // fs/notify/fanotify/fanotify_user.c fanotify_init(): without the capability a process gets a group that watches single files and
    // directories. The silent check of newer kernels, if the group may report other processes, is in the atlas.
    Rule {
        name: "fanotify-group",
        explanation: "without it fanotify watches single files and directories, and tells nothing of other processes",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && matches!(check.argument, Some(Argument::FanotifyInit(flags))
                    if flags & FANOTIFY_REPORT_FID != 0 && flags & FANOTIFY_PRIVILEGED == 0)
        },
    },
    // kernel/events/core.c perf_check_permission(): checks the capability first, and only if that is refused looks if any process may do it.
    Rule {
        name: "perf-own-process",
        explanation: "asked when a process counted its own events in user space, which every process may do",
        decision: Decision::Dismissed,
        applies: |check, _| {
            check.capability == Capability::PERFMON
                && check.argument
                    == Some(Argument::PerfEvent {
                        own_user_space: true,
                    })
        },
    },
    // ipc/mqueue.c mqueue_get_inode(): asks for every queue, before it compares the attributes with the limits.
    Rule {
        name: "message-queue",
        explanation: "asked when a message queue was made that is within the limits for every process",
        decision: Decision::Dismissed,
        applies: |check, _| {
            check.capability == Capability::SYS_RESOURCE
                && matches!(check.argument, Some(Argument::MessageQueue { messages, size })
                    if messages <= QUEUE_MESSAGES && size <= QUEUE_SIZE)
        },
    },
    // ipc/shm.c shmctl_do_lock(): asks first. The owner may lock without it up to its limit for locked memory; above that user_shm_lock() asks again.
    Rule {
        name: SHARED_MEMORY_LOCK,
        explanation: "asked when a shared memory segment was locked, which its owner may within the limit for locked memory",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    // net/ipv4/inet_diag.c inet_diag_bc_audit(): asks for every filter, and uses the answer only for marks.
    Rule {
        name: "socket-filter",
        explanation: "asked when sockets were listed with a filter, which needs nothing unless it looks at marks",
        decision: Decision::Dismissed,
        applies: |check, _| check.argument == Some(Argument::SocketFilter { marks: false }),
    },
];
