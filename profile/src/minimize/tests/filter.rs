use super::{Case, execution, set};
use crate::Capability;
use crate::fixtures::check;
use crate::observation::{Execution, Namespace, Observation, RecorderName};
use crate::profile::Reason;

/// What docker's filter refuses to a container with docker's capabilities.
fn docker() -> Case {
    Case {
        filter_refuses: [
            "get_mempolicy",
            "mbind",
            "mount",
            "perf_event_open",
            "set_mempolicy",
            "unshare",
        ]
        .map(str::to_owned)
        .into(),
        ..Case::default()
    }
}

#[test]
fn a_memory_policy_takes_what_the_filter_asks_for() {
    let mut case = docker();
    case.evidence(RecorderName::Ebpf).executions = vec![Execution {
        path: "/usr/bin/numactl".into(),
        file_capabilities: None,
        memory_policy: true,
        ..execution(false)
    }];
    let found = case.minimize().findings;
    assert_eq!(found.minimized, set(&[Capability::SYS_NICE]));
    let need = &found.needed[0];
    assert_eq!(need.reason, Reason::SeccompFilter);
    assert_eq!(
        (need.programs[0].as_str(), need.syscalls[0].as_str()),
        ("numactl", "set_mempolicy")
    );
    // With no filter nothing is asked for.
    case.filter_refuses.clear();
    assert!(case.minimize().findings.minimized.is_empty());
}

#[test]
fn a_user_namespace_takes_what_the_filter_asks_for_in_the_bounding_set() {
    let mut case = docker();
    case.uid = 1000;
    let unshare = Observation {
        by_owner: true,
        namespace: Namespace::Nested,
        program: "bwrap".to_owned(),
        ..check(
            Capability::SYS_ADMIN,
            "mount",
            &["ns_capable", "path_mount"],
        )
    };
    case.evidence(RecorderName::Ebpf).observations = vec![unshare];
    let found = case.minimize().findings;
    assert_eq!(found.minimized, set(&[Capability::SYS_ADMIN]));
    assert!(found.minimized_sets.ambient.is_empty());
}

#[test]
fn what_leaves_no_trace_is_named() {
    let mut case = docker();
    case.evidence(RecorderName::Ebpf);
    let spots = case.minimize().findings.blind_spots;
    let named = |capability: Capability| {
        let spot = spots
            .iter()
            .find(|spot| spot.capability == Some(capability));
        spot.map(|spot| spot.reason.rsplit(": ").next().unwrap_or_default())
    };
    assert_eq!(spots.len(), 2);
    assert_eq!(named(Capability::SYS_NICE), Some("get_mempolicy, mbind"));
    assert_eq!(named(Capability::SYS_ADMIN), Some("unshare"));
    // A filter that was kept has refused them.
    case.filter_relaxed = false;
    let spots = case.minimize().findings.blind_spots;
    assert!(spots[0].capability.is_none() && spots[0].reason.contains("in force and refused"));
}
