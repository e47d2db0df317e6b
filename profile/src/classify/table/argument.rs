//! Checks whose answer matters or not by an argument of the system call, which the kernel looks at afterwards.

use crate::Capability;
use crate::classify::rule::{Decision, Rule, in_atlas};
use crate::observation::Argument;

/// The rule of shmctl(2), which [`crate::minimize`] makes a blind spot of.
pub(crate) const SHARED_MEMORY_LOCK: &str = "shared-memory-lock";

/// Flags that fanotify_init(2) takes from the privileged alone: classes for permission events, unlimited queues and marks, and reports of
/// processes, errors and mounts (fs/notify/fanotify/fanotify_user.c, `FANOTIFY_ADMIN_INIT_FLAGS`).
const FANOTIFY_PRIVILEGED: u32 = 0x4 | 0x8 | 0x10 | 0x20 | 0x80 | 0x100 | 0x2000 | 0x4000;

/// `FAN_REPORT_FID`: without it the privileged alone may.
const FANOTIFY_REPORT_FID: u32 = 0x200;

/// fs/mqueue limits that every process has (`DFLT_MSGMAX`, `DFLT_MSGSIZEMAX`).
const QUEUE_MESSAGES: u16 = 10;
const QUEUE_SIZE: u16 = 8192;

pub(super) static RULES: &[Rule] = &[
    // net/ipv4/tcp.c do_tcp_setsockopt(): asked before it is known whether the algorithm is restricted.
    Rule {
        name: "congestion-control",
        explanation: "asked when a congestion control algorithm was set that every process may set",
        decision: Decision::Dismissed,
        applies: |check, _| check.argument == Some(Argument::CongestionControl { allowed: true }),
    },
    // fs/notify/fanotify/fanotify_user.c fanotify_init(): who may not gets a group that watches single files and directories. The atlas has
    // the silent question of newer kernels, whether the group may hear of other processes.
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
    // kernel/events/core.c perf_check_permission(): the capability is asked for first, and what every process may do only if it is refused.
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
    // ipc/mqueue.c mqueue_get_inode(): asked for every queue, before its attributes are compared with the limits.
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
    // ipc/shm.c shmctl_do_lock(): asked first; the owner may within its limit of locked memory, beyond which user_shm_lock() asks again.
    Rule {
        name: SHARED_MEMORY_LOCK,
        explanation: "asked when a shared memory segment was locked, which its owner may within the limit for locked memory",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    // net/ipv4/inet_diag.c inet_diag_bc_audit(): asked for every filter, and acted on for marks alone.
    Rule {
        name: "socket-filter",
        explanation: "asked when sockets were listed with a filter, which needs nothing unless it looks at marks",
        decision: Decision::Dismissed,
        applies: |check, _| check.argument == Some(Argument::SocketFilter { marks: false }),
    },
];
