mod argument;
mod credentials;
mod details;
mod memory;
mod namespace;
mod silent;
mod start;
mod sysctl;

use super::*;
use crate::fixtures::{check, record};
use crate::profile::Reason;
use crate::{Capability, CapabilitySet};
use Decision::Needed;

const ROOT: Context = Context {
    uid: 0,
    user_namespace: false,
    no_new_privileges: false,
    granted: CapabilitySet::EMPTY,
};

#[track_caller]
fn gives(check: &Observation, context: &Context, rule: &str, outcome: Decision) {
    let class = classify(check, context);
    assert_eq!((class.rule.name, class.decision), (rule, outcome));
}

#[track_caller]
fn is_used(check: &Observation) {
    gives(check, &ROOT, "used", Needed(Reason::Used));
}

#[test]
fn ordinary_checks_count() {
    is_used(&check(
        Capability::SYS_ADMIN,
        "mount",
        &["ns_capable", "path_mount", "__x64_sys_mount"],
    ));
    is_used(&check(
        Capability::SYSLOG,
        "syslog",
        &[
            "capable",
            "check_syslog_permissions",
            "do_syslog",
            "__x64_sys_syslog",
        ],
    ));
    is_used(&record(Capability::NET_ADMIN));
}

#[test]
fn uses_that_programs_do_without_are_known() {
    let known = |capability, syscall, frames: &[&str]| {
        let check = check(capability, syscall, frames);
        is_used(&check);
        often_done_without(&check).is_some()
    };
    assert!(known(
        Capability::FOWNER,
        "openat",
        &["ns_capable", "may_open", "path_openat", "do_filp_open"]
    ));
    // Sites of Linux 6.18: vsftpd, apache2, vsftpd, systemd, named, sshd.
    assert!(known(
        Capability::AUDIT_WRITE,
        "sendto",
        &[
            "ns_capable",
            "audit_receive_msg",
            "audit_receive",
            "netlink_unicast"
        ]
    ));
    assert!(known(
        Capability::KILL,
        "kill",
        &[
            "ns_capable",
            "check_kill_permission",
            "kill_pid_info_type",
            "kill_something_info"
        ]
    ));
    assert!(known(
        Capability::SYS_ADMIN,
        "clone",
        &[
            "ns_capable",
            "copy_namespaces",
            "copy_process",
            "kernel_clone"
        ]
    ));
    assert!(known(
        Capability::MKNOD,
        "mknodat",
        &["capable", "vfs_mknod", "do_mknodat"]
    ));
    assert!(known(
        Capability::SYS_RESOURCE,
        "prlimit64",
        &["capable", "do_prlimit"]
    ));
    assert!(known(
        Capability::SYS_RESOURCE,
        "write",
        &["capable", "__set_oom_adj", "oom_score_adj_write"]
    ));
    // Mounting, and leaving root's group, are no such things.
    assert!(!known(
        Capability::SYS_ADMIN,
        "mount",
        &["ns_capable", "path_mount"]
    ));
    assert!(!known(
        Capability::SETGID,
        "setgroups",
        &["ns_capable_setid", "__do_sys_setgroups"]
    ));
}

#[test]
fn names_are_unique_and_documented() {
    let text = include_str!("../../../../docs/classification.md");
    let mut seen = std::collections::BTreeSet::new();
    for rule in rules() {
        assert!(seen.insert(rule.name), "{} twice", rule.name);
        assert!(
            text.contains(&format!("`{}`", rule.name)),
            "{} is not in docs/classification.md",
            rule.name
        );
        assert!(!rule.explanation.contains('\n'));
    }
}

#[test]
fn a_place_that_the_atlas_does_not_have_counts() {
    let unknown = check(
        Capability::SYS_TIME,
        "ioctl",
        &["capable", "no_such_function"],
    );
    assert!(asked_at(&unknown).is_empty());
    is_used(&unknown);
}
