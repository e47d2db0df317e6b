use super::{ROOT, gives, is_used};
use crate::Capability;
use crate::classify::Decision::{Dismissed, Optional};
use crate::classify::often_done_without;
use crate::fixtures::check;
use crate::observation::{Argument, Observation};

fn with(capability: Capability, syscall: &str, frames: &[&str], argument: Argument) -> Observation {
    Observation {
        argument: Some(argument),
        ..check(capability, syscall, frames)
    }
}

#[test]
fn congestion_control() {
    let set = |allowed| {
        with(
            Capability::NET_ADMIN,
            "setsockopt",
            &["ns_capable", "do_tcp_setsockopt"],
            Argument::CongestionControl { allowed },
        )
    };
    gives(&set(true), &ROOT, "congestion-control", Dismissed);
    is_used(&set(false));
}

#[test]
fn fanotify_group() {
    let init = |flags| {
        with(
            Capability::SYS_ADMIN,
            "fanotify_init",
            &["capable", "__do_sys_fanotify_init"],
            Argument::FanotifyInit(flags),
        )
    };
    gives(&init(0x201), &ROOT, "fanotify-group", Optional);
    is_used(&init(0x1)); // no FAN_REPORT_FID
    is_used(&init(0x204)); // permission events
}

#[test]
fn perf_own_process() {
    let open = |own_user_space| {
        with(
            Capability::PERFMON,
            "perf_event_open",
            &["capable", "__do_sys_perf_event_open"],
            Argument::PerfEvent { own_user_space },
        )
    };
    gives(&open(true), &ROOT, "perf-own-process", Dismissed);
    is_used(&open(false));
}

#[test]
fn message_queue() {
    let open = |messages, size| {
        with(
            Capability::SYS_RESOURCE,
            "mq_open",
            &["capable", "mqueue_get_inode"],
            Argument::MessageQueue { messages, size },
        )
    };
    gives(&open(0, 0), &ROOT, "message-queue", Dismissed);
    gives(&open(10, 8192), &ROOT, "message-queue", Dismissed);
    is_used(&open(11, 8192));
}

#[test]
fn shared_memory_lock() {
    let lock = check(
        Capability::IPC_LOCK,
        "shmctl",
        &["ns_capable", "shmctl_do_lock"],
    );
    gives(&lock, &ROOT, "shared-memory-lock", Optional);
    is_used(&check(
        Capability::IPC_LOCK,
        "shmctl",
        &["capable", "user_shm_lock", "shmem_lock", "shmctl_do_lock"],
    ));
}

#[test]
fn socket_filter() {
    let list = |marks| {
        with(
            Capability::NET_ADMIN,
            "sendmsg",
            &["ns_capable", "__inet_diag_dump_start"],
            Argument::SocketFilter { marks },
        )
    };
    gives(&list(false), &ROOT, "socket-filter", Dismissed);
    is_used(&list(true));
}

#[test]
fn arguments_of_uses_that_programs_do_without() {
    let buffer = |name| {
        often_done_without(&with(
            Capability::NET_ADMIN,
            "setsockopt",
            &["sk_setsockopt"],
            Argument::SocketOption { level: 1, name },
        ))
    };
    assert!(buffer(33).is_some());
    assert!(buffer(62).is_none());
    let drop = |option| {
        often_done_without(&with(
            Capability::SETPCAP,
            "prctl",
            &["cap_task_prctl"],
            Argument::Prctl(option),
        ))
    };
    assert!(drop(24).is_some());
    assert!(drop(28).is_none());
}
