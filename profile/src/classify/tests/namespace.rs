use super::{ROOT, gives};
use crate::Capability;
use crate::classify::Decision::{Denied, Dismissed};
use crate::fixtures::check;
use crate::observation::{Namespace, Observation, Verdict};

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
fn initial_namespace_cannot_be_granted() {
    let settime = Observation {
        verdict: Verdict::Denied,
        namespace: Namespace::Initial,
        ..check(
            Capability::SYS_TIME,
            "clock_settime",
            &["capable", "cap_settime"],
        )
    };
    gives(&settime, &ROOT, "initial-namespace", Denied);
    let chown = Observation {
        verdict: Verdict::Denied,
        ..check(
            Capability::CHOWN,
            "chown",
            &["capable_wrt_inode_uidgid", "chown_ok"],
        )
    };
    gives(&chown, &ROOT, "refused", Denied);
}
