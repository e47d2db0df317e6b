use super::{Case, execution, read_file, write_file};
use crate::Capability;
use crate::fixtures::check;
use crate::observation::{BlindSpot, Execution, Observation, RecorderName};
use crate::profile::RecorderReport;
use crate::settings::Scope;

#[test]
fn a_file_that_could_not_be_read_is_a_blind_spot() {
    let mut case = Case::default();
    case.evidence(RecorderName::Ebpf).executions = vec![Execution {
        file_capabilities: None,
        unreadable: Some("the file is gone".into()),
        ..execution(true)
    }];
    let result = case.minimize();
    assert_eq!(result.findings.blind_spots.len(), 1);
    assert_eq!(
        result.findings.blind_spots[0].reason,
        "file capabilities of /usr/bin/ping could not be read: the file is gone"
    );
}

#[test]
fn a_blind_spot_that_the_other_recorder_covers_is_none() {
    let spot = BlindSpot {
        capability: Some(Capability::NET_ADMIN),
        recorder: RecorderName::Selinux,
        reason: "allowed to the domain without a record".into(),
    };
    let mut case = Case::default();
    case.evidence(RecorderName::Selinux).blind_spots = vec![spot.clone()];
    assert_eq!(
        case.minimize().findings.blind_spots,
        std::slice::from_ref(&spot)
    );
    case.evidence(RecorderName::Ebpf);
    assert!(case.minimize().findings.blind_spots.is_empty());
    case.evidence(RecorderName::Ebpf).losses = vec!["1 row lost".into()];
    assert_eq!(case.minimize().findings.blind_spots, [spot]);
    // cap_mmap_addr() asks the capability module alone.
    let inlined = BlindSpot {
        capability: Some(Capability::SYS_RAWIO),
        recorder: RecorderName::Ebpf,
        reason: "asked in a place that this kernel does not let be seen".into(),
    };
    let mut case = Case::default();
    case.evidence(RecorderName::Ebpf).blind_spots = vec![inlined.clone()];
    case.evidence(RecorderName::Selinux);
    assert_eq!(case.minimize().findings.blind_spots, [inlined]);
}

#[test]
fn a_refusal_for_want_of_a_grant_is_a_blind_spot() {
    let refused = Observation {
        verdict: crate::observation::CheckAnswer::Denied,
        ..check(
            Capability::SYS_RESOURCE,
            "prlimit64",
            &["capable", "do_prlimit"],
        )
    };
    let mut case = Case::seen(vec![refused]);
    assert!(case.minimize().findings.blind_spots.is_empty());
    case.granted.bounding.remove(Capability::SYS_RESOURCE);
    let result = case.minimize();
    assert_eq!(
        result.findings.blind_spots[0].capability,
        Some(Capability::SYS_RESOURCE)
    );
    assert_eq!(result.findings.denied[0].rule, "refused");
    // SELinux never hears of it.
    let mut case = Case::default();
    case.granted.bounding.remove(Capability::SYS_RESOURCE);
    case.evidence(RecorderName::Selinux);
    assert_eq!(case.minimize().findings.blind_spots.len(), 1);
}

#[test]
fn ports_that_every_process_may_bind_are_a_blind_spot() {
    let spots = |start, observations| {
        let mut case = Case::seen(observations);
        case.unprivileged_port_start = start;
        let capabilities: Vec<_> = case
            .minimize()
            .findings
            .blind_spots
            .iter()
            .map(|spot| spot.capability)
            .collect();
        capabilities
    };
    let blind = [Some(Capability::NET_BIND_SERVICE)];
    assert_eq!(spots(Some(0), vec![read_file()]), blind);
    assert_eq!(spots(Some(80), vec![read_file()]), blind);
    assert!(spots(Some(1024), vec![read_file()]).is_empty());
    assert!(spots(None, vec![read_file()]).is_empty());
    // Of a port below 80.
    let bound = check(
        Capability::NET_BIND_SERVICE,
        "bind",
        &["ns_capable", "inet_bind"],
    );
    assert!(spots(Some(80), vec![bound]).is_empty());
}

#[test]
fn hard_links_and_id_maps_are_blind_spots() {
    let link = check(
        Capability::DAC_OVERRIDE,
        "linkat",
        &["generic_permission", "may_linkat"],
    );
    let result = Case::seen(vec![link.clone()]).minimize();
    assert!(result.findings.minimized.is_empty());
    assert_eq!(
        result.findings.blind_spots[0].capability,
        Some(Capability::DAC_OVERRIDE)
    );
    assert!(
        Case::seen(vec![link, write_file()])
            .minimize()
            .findings
            .blind_spots
            .is_empty()
    );
    let map = Observation {
        namespace: crate::observation::Namespace::Nested,
        as_root: true,
        ..check(
            Capability::SYS_ADMIN,
            "write",
            &["file_ns_capable", "map_write", "proc_uid_map_write"],
        )
    };
    let result = Case::seen(vec![map.clone()]).minimize();
    assert_eq!(
        result.findings.blind_spots[0].capability,
        Some(Capability::SETFCAP)
    );
    // A user other than root maps only itself.
    let by = |as_root| Observation {
        as_root,
        ..map.clone()
    };
    let spots = |map| Case::seen(vec![map]).minimize().findings.blind_spots;
    assert_eq!(spots(by(true)).len(), 1);
    assert!(spots(by(false)).is_empty());
}

#[test]
fn selinux_alone_in_scope_host_is_never_complete() {
    let spot = BlindSpot {
        capability: Some(Capability::NET_ADMIN),
        recorder: RecorderName::Selinux,
        reason: "the policy allows it to the container's domain without a record".into(),
    };
    let of_scope = |scope: Scope| {
        let mut case = Case::default();
        case.evidence(RecorderName::Selinux).blind_spots = vec![spot.clone()];
        case.reports = vec![RecorderReport {
            recorder: RecorderName::Selinux,
            recorded: true,
            method: "audit log".into(),
            scope: Some(scope),
            refused: Vec::new(),
            results_unseen: None,
        }];
        case
    };
    let mut case = of_scope(Scope::Host);
    let lines = case.minimize().incomplete_because;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("SELinux alone, in scope host, leaves no record of 1 of the 41"));
    // eBPF sees all of it, and a container cannot use a capability that it was not given.
    case.evidence(RecorderName::Ebpf);
    assert_eq!(case.minimize().incomplete_because, [""; 0]);
    let mut case = of_scope(Scope::Host);
    case.granted.bounding.remove(Capability::NET_ADMIN);
    assert_eq!(case.minimize().incomplete_because, [""; 0]);
    assert_eq!(
        of_scope(Scope::Domain).minimize().incomplete_because,
        [""; 0]
    );
}

#[test]
fn a_place_that_the_atlas_does_not_have_is_named() {
    let seen = |frames: &[&str]| {
        let case = Case::seen(vec![check(Capability::SYS_TIME, "settimeofday", frames)]);
        case.minimize().findings.notes
    };
    assert_eq!(seen(&["capable", "cap_settime"]), [""; 0]);
    assert_eq!(seen(&[]), [""; 0]);
    assert_eq!(
        seen(&["security_capable", "capable", "no_such_function"]),
        [
            "CAP_SYS_TIME was asked at a place that the atlas does not have: capable < no_such_function"
        ]
    );
}
