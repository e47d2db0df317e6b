use super::{Case, mount, set};
use crate::Capability;
use crate::fixtures::{check, record};
use crate::observation::{BlindSpot, Evidence, Observation, RecorderName};
use crate::profile::RecorderReport;
use crate::settings::Scope;

#[test]
fn two_recorders_are_united_and_counted_once() {
    let result = Case::seen(vec![
        Observation {
            count: 7,
            ..mount()
        },
        record(Capability::SYS_ADMIN),
        record(Capability::SYSLOG),
    ])
    .minimize();
    assert_eq!(
        result.findings.minimized,
        set(&[Capability::SYS_ADMIN, Capability::SYSLOG])
    );
    let [admin, syslog] = &result.findings.needed[..] else {
        panic!()
    };
    assert_eq!(admin.recorders, [RecorderName::Ebpf, RecorderName::Selinux]);
    assert_eq!(admin.count, 7);
    assert!(admin.notes.is_empty());
    assert_eq!(
        syslog.notes,
        ["seen by SELinux alone; eBPF did not: unexplained"]
    );
}

#[test]
fn differences_are_explained_where_a_reason_is_known() {
    let note = |case: &Case| case.minimize().findings.needed[0].notes.join("; ");
    // A silent check leaves no record.
    let mut case = Case::seen(vec![check(
        Capability::SYS_ADMIN,
        "seccomp",
        &["ns_capable_noaudit", "do_seccomp"],
    )]);
    case.evidence(RecorderName::Selinux);
    assert_eq!(
        note(&case),
        "seen by eBPF alone; SELinux did not: the kernel asks without an audit record"
    );
    // A blind spot of the other.
    let mut case = Case::seen(vec![mount()]);
    case.evidence(RecorderName::Selinux).blind_spots = vec![BlindSpot {
        capability: Some(Capability::SYS_ADMIN),
        recorder: RecorderName::Selinux,
        reason: "marked as granted by a silent probe".into(),
    }];
    assert_eq!(
        note(&case),
        "seen by eBPF alone; SELinux did not: marked as granted by a silent probe"
    );
    let mut case = Case::seen(vec![record(Capability::SETPCAP)]);
    case.evidence(RecorderName::Ebpf).blind_spots = vec![BlindSpot {
        capability: Some(Capability::SETPCAP),
        recorder: RecorderName::Ebpf,
        reason: "capset(2) asks in a place that this kernel does not let be seen".into(),
    }];
    assert_eq!(
        note(&case),
        "seen by SELinux alone; eBPF did not: capset(2) asks in a place that this kernel does not let be seen"
    );
}

#[test]
fn what_ebpf_saw_through_does_not_count_by_selinux() {
    let own_id = Observation {
        without_effect: true,
        ..check(
            Capability::SETGID,
            "setgid",
            &["ns_capable_setid", "__sys_setgid"],
        )
    };
    let observations = vec![own_id, record(Capability::SETGID)];
    let result = Case::seen(observations.clone()).minimize();
    assert!(result.findings.minimized.is_empty());
    assert_eq!(
        result.findings.dismissed[0].recorders,
        [RecorderName::Ebpf, RecorderName::Selinux]
    );
    assert_eq!(result.findings.notes.len(), 1);
    // Not if the kernel asked silently, or of overlayfs's mounter: neither leaves a record under the container's label.
    for other in [
        Observation {
            audit: crate::observation::Audit::Silent,
            ..observations[0].clone()
        },
        Observation {
            overridden: true,
            without_effect: false,
            ..observations[0].clone()
        },
    ] {
        let result = Case::seen(vec![other, observations[1].clone()]).minimize();
        assert_eq!(result.findings.minimized, set(&[Capability::SETGID]));
    }
    // Not if eBPF lost anything.
    let mut case = Case::seen(observations);
    case.evidence(RecorderName::Ebpf).losses = vec!["3 checks lost: map full".into()];
    let result = case.minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::SETGID]));
    assert_eq!(result.incomplete_because, ["eBPF: 3 checks lost: map full"]);
}

/// The credentials of an overlayfs that the container mounted itself have the container's label: SELinux records what is asked of them.
#[test]
fn what_an_overlay_of_the_container_asks_for_itself_does_not_count_by_selinux() {
    let own_overlay = Observation {
        overridden: true,
        own_mount: true,
        ..check(
            Capability::FOWNER,
            "openat",
            &[
                "setattr_prepare",
                "shmem_setattr",
                "notify_change",
                "ovl_set_timestamps",
            ],
        )
    };
    let result = Case::seen(vec![own_overlay, record(Capability::FOWNER)]).minimize();
    assert_eq!(result.findings.minimized, set(&[]));
    assert_eq!(result.findings.dismissed[0].rule, "own-overlay");
}

#[test]
fn nothing_recorded_is_incomplete() {
    assert_eq!(
        Case::default().minimize().incomplete_because,
        ["no recorder recorded"]
    );
    let case = Case {
        reports: vec![RecorderReport {
            recorder: RecorderName::Selinux,
            recorded: true,
            method: "audit log".into(),
            scope: Some(Scope::Domain),
            refused: vec![],
            results_unseen: None,
        }],
        evidence: vec![(RecorderName::Ebpf, Evidence::default())],
        ..Case::default()
    };
    assert_eq!(
        case.minimize().incomplete_because,
        ["SELinux: was armed and recorded nothing"]
    );
}
