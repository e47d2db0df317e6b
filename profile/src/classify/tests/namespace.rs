use super::{ROOT, gives};
use crate::Capability;
use crate::classify::Decision::{Denied, Dismissed, Needed};
use crate::fixtures::check;
use crate::observation::{CheckAnswer, Namespace, Observation};
use crate::profile::Reason;

#[test]
fn namespace_owner() {
    let unshare = Observation {
        by_owner: true,
        namespace: Namespace::Nested,
        ..check(
            Capability::SYS_ADMIN,
            "unshare",
            &["ns_capable", "unshare_nsproxy_namespaces", "ksys_unshare"],
        )
    };
    gives(&unshare, &ROOT, "namespace-owner", Dismissed);
}

#[test]
fn nested_namespace() {
    let mount = Observation {
        namespace: Namespace::Nested,
        ..check(
            Capability::SYS_ADMIN,
            "mount",
            &["ns_capable", "path_mount"],
        )
    };
    gives(&mount, &ROOT, "nested-namespace", Dismissed);
}

#[test]
fn a_namespace_of_another_user_takes_the_capability() {
    for (capability, syscall, frames) in [
        (
            Capability::KILL,
            "kill",
            &["ns_capable", "check_kill_permission"][..],
        ),
        (
            Capability::SYS_ADMIN,
            "setns",
            &["ns_capable", "userns_install", "__do_sys_setns"],
        ),
    ] {
        let outside = Observation {
            namespace: Namespace::NestedOfOther,
            ..check(capability, syscall, frames)
        };
        gives(&outside, &ROOT, "used", Needed(Reason::Used));
        let unclear = Observation {
            namespace: Namespace::NestedUnclear,
            ..outside
        };
        gives(&unclear, &ROOT, "nested-namespace", Dismissed);
    }
}

#[test]
fn initial_namespace_cannot_be_granted() {
    let settime = Observation {
        verdict: CheckAnswer::Denied,
        namespace: Namespace::Initial,
        ..check(
            Capability::SYS_TIME,
            "clock_settime",
            &["capable", "cap_settime"],
        )
    };
    gives(&settime, &ROOT, "initial-namespace", Denied);
    let chown = Observation {
        verdict: CheckAnswer::Denied,
        ..check(
            Capability::CHOWN,
            "chown",
            &["capable_wrt_inode_uidgid", "chown_ok"],
        )
    };
    gives(&chown, &ROOT, "refused", Denied);
}
