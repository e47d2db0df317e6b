use super::{Case, DOCKER, capset, execution, mount, set};
use crate::fixtures::{check, record};
use crate::minimize::Minimized;
use crate::observation::{Execution, Observation, RecorderName};
use crate::profile::Reason;
use crate::recording::ProcessSets;
use crate::{Capability, CapabilitySet};

#[test]
fn effective_file_capabilities_are_needed_to_execute() {
    let mut case = Case::default();
    case.evidence(RecorderName::Ebpf).executions = vec![execution(true)];
    let result = case.minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::NET_RAW]));
    assert_eq!(result.findings.needed[0].reason, Reason::FileCapability);
    assert_eq!(result.findings.needed[0].programs, ["ping"]);
    assert!(result.findings.needed[0].notes[0].contains("/usr/bin/ping"));
    case.evidence(RecorderName::Ebpf).executions = vec![execution(false)];
    assert!(case.minimize().findings.minimized.is_empty());
}

#[test]
fn a_list_that_a_program_sets_is_needed() {
    let all: CapabilitySet = Capability::all().collect();
    let list = set(&[Capability::SYS_TIME, Capability::NET_BIND_SERVICE]);
    let mut case = Case::default();
    case.evidence(RecorderName::Ebpf).capsets = vec![capset(all, list, list)];
    let result = case.minimize();
    assert_eq!(result.findings.minimized, list);
    assert_eq!(
        result.findings.needed[0].reason,
        Reason::CapsetCompatibility
    );
    assert_eq!(result.findings.needed[0].syscalls, ["capset"]);
    // A program that sets a list again while it holds no more than the list still needs the list.
    case.evidence(RecorderName::Ebpf).capsets = vec![capset(list, list, list)];
    assert_eq!(case.minimize().findings.minimized, list);
}

#[test]
fn all_but_a_few_is_no_list() {
    let all: CapabilitySet = Capability::all().collect();
    let fewer = all.difference(set(&[Capability::SYS_BOOT]));
    let mut case = Case::default();
    case.evidence(RecorderName::Ebpf).capsets = vec![
        capset(all, fewer, fewer),
        capset(all, all, all),
        capset(all, CapabilitySet::EMPTY, CapabilitySet::EMPTY),
    ];
    let result = case.minimize();
    assert!(result.findings.minimized.is_empty());
    assert_eq!(result.findings.notes.len(), 1);
    assert!(
        result.findings.notes[0]
            .starts_with("chronyd set its capabilities to what it held but for CAP_SYS_BOOT")
    );
    // A program that raises one by name and keeps all permitted has a list of one.
    case.evidence(RecorderName::Ebpf).capsets = vec![capset(all, all, set(&[Capability::NET_RAW]))];
    assert_eq!(
        case.minimize().findings.minimized,
        set(&[Capability::NET_RAW])
    );
}

#[test]
fn the_strongest_reason_stands_and_the_others_are_told() {
    let mut case = Case::seen(vec![check(
        Capability::NET_RAW,
        "socket",
        &["ns_capable", "inet_create"],
    )]);
    case.evidence(RecorderName::Ebpf).executions = vec![execution(true)];
    let need = &case.minimize().findings.needed[0];
    assert_eq!(need.reason, Reason::Used);
    assert_eq!(
        need.notes[0],
        "also a file capability of an executed program"
    );
}

#[test]
fn what_programs_often_do_without_is_unclear_and_counts() {
    let unclear = |result: &Minimized| result.findings.needed[0].unclear.clone();
    let report = check(
        Capability::AUDIT_WRITE,
        "sendto",
        &["ns_capable", "audit_receive_msg"],
    );
    let result = Case::seen(vec![report.clone(), record(Capability::AUDIT_WRITE)]).minimize();
    assert_eq!(result.findings.minimized, set(&[Capability::AUDIT_WRITE]));
    assert!(unclear(&result).unwrap().starts_with("PAM goes on"));
    // Used in another way too.
    let other = check(
        Capability::AUDIT_WRITE,
        "sendto",
        &["ns_capable", "elsewhere"],
    );
    assert_eq!(unclear(&Case::seen(vec![report, other]).minimize()), None);
    // SELinux alone does not know the kind of use.
    assert_eq!(
        unclear(&Case::seen(vec![record(Capability::KILL)]).minimize()),
        None
    );
    // Listed and not used; listed and used.
    let mut case = Case::default();
    let all = Capability::all().collect();
    let listed = set(&[Capability::NET_ADMIN, Capability::NET_RAW]);
    case.evidence(RecorderName::Ebpf).capsets = vec![capset(all, listed, listed)];
    let socket = check(
        Capability::NET_RAW,
        "socket",
        &["ns_capable", "inet_create"],
    );
    case.evidence(RecorderName::Ebpf).observations.push(socket);
    let result = case.minimize();
    assert!(unclear(&result).is_some());
    assert_eq!(result.findings.needed[1].unclear, None);
}

#[test]
fn a_helper_that_cannot_be_started_is_sometimes_done_without() {
    let raw = |executable: &str| Observation {
        executable: Some(executable.into()),
        ..check(
            Capability::NET_RAW,
            "socket",
            &["ns_capable", "inet_create"],
        )
    };
    let unclear = |program, checks| {
        let mut case = Case::seen(checks);
        case.program = program;
        case.evidence(RecorderName::Ebpf).executions = vec![execution(true)];
        case.minimize().findings.needed[0].unclear.is_some()
    };
    assert!(unclear("/usr/sbin/squid", vec![]));
    assert!(unclear("/usr/sbin/squid", vec![raw("/usr/bin/ping")]));
    // The container's own; used by another program as well.
    assert!(!unclear("/usr/bin/ping", vec![]));
    assert!(!unclear("ping", vec![raw("/usr/bin/ping")]));
    assert!(!unclear("/usr/sbin/squid", vec![raw("/usr/sbin/squid")]));
}

#[test]
fn environments_of_others_are_left_out_where_they_may_not_be_read() {
    let open = |count| Observation {
        count,
        ..check(
            Capability::DAC_OVERRIDE,
            "openat",
            &["generic_permission", "inode_permission", "may_open"],
        )
    };
    let environ = Observation {
        count: 2,
        ..check(
            Capability::SYS_PTRACE,
            "openat",
            &["ptrace_may_access", "mm_access", "environ_open"],
        )
    };
    let unclear = |checks: Vec<Observation>| {
        Case::seen(checks).minimize().findings.needed[0]
            .unclear
            .is_some()
    };
    assert!(unclear(vec![open(2), environ.clone()]));
    // Another file was opened as well; none of these was.
    assert!(!unclear(vec![open(3), environ.clone()]));
    assert!(!unclear(vec![open(2)]));
    let other = Observation {
        executable: Some("/usr/bin/other".into()),
        ..environ
    };
    assert!(!unclear(vec![open(2), other]));
}

#[test]
fn changes_of_a_file_that_are_refused_are_often_only_logged() {
    for (capability, asked_in, expected) in [
        (Capability::CHOWN, "setattr_prepare", true),
        (Capability::FOWNER, "setattr_prepare", true),
        (Capability::FOWNER, "may_delete", false),
        (Capability::DAC_OVERRIDE, "setattr_prepare", false),
    ] {
        let asked = check(
            capability,
            "fchown",
            &["capable_wrt_inode_uidgid", asked_in],
        );
        let needed = &Case::seen(vec![asked]).minimize().findings.needed[0];
        assert_eq!(
            needed.unclear.is_some(),
            expected,
            "{capability} {asked_in}"
        );
    }
}

#[test]
fn what_one_program_is_known_to_do_without_is_not_said_of_another() {
    for (program, capability, asked_in, expected) in [
        ("systemd", Capability::DAC_OVERRIDE, "vfs_mkdir", true),
        (
            "systemd-tmpfile",
            Capability::DAC_OVERRIDE,
            "vfs_mkdir",
            true,
        ),
        ("systemd", Capability::DAC_OVERRIDE, "vfs_unlink", false),
        ("git", Capability::DAC_OVERRIDE, "path_openat", true),
        ("git", Capability::DAC_OVERRIDE, "may_open", false),
        ("cat", Capability::DAC_OVERRIDE, "path_openat", false),
        ("mkdir", Capability::DAC_OVERRIDE, "vfs_mkdir", false),
        (
            "pg_ctlcluster",
            Capability::DAC_READ_SEARCH,
            "may_open",
            true,
        ),
        ("cat", Capability::DAC_READ_SEARCH, "may_open", false),
    ] {
        let asked = Observation {
            program: program.into(),
            ..check(capability, "openat", &["generic_permission", asked_in])
        };
        let needed = &Case::seen(vec![asked]).minimize().findings.needed[0];
        assert_eq!(needed.unclear.is_some(), expected, "{program} {asked_in}");
    }
}

#[test]
fn root_gets_the_three_sets_and_another_user_all_five() {
    let bind = check(
        Capability::NET_BIND_SERVICE,
        "bind",
        &["ns_capable", "__inet_bind"],
    );
    let needed = set(&[Capability::NET_BIND_SERVICE]);
    let mut case = Case::seen(vec![bind]);
    case.original.inheritable = set(&DOCKER);
    let sets = case.minimize().findings.minimized_sets;
    assert_eq!(
        (sets.bounding, sets.effective, sets.permitted),
        (needed, needed, needed)
    );
    assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());

    case.uid = 1000;
    case.granted.ambient = case.granted.bounding;
    case.granted.inheritable = case.granted.bounding;
    case.evidence(RecorderName::Ebpf).executions = vec![Execution {
        gained: set(&[Capability::NET_RAW]),
        uid: 1000,
        ..execution(true)
    }];
    let mut ping = check(
        Capability::NET_RAW,
        "socket",
        &["ns_capable", "inet_create"],
    );
    ping.executable = Some("/usr/bin/ping".into());
    case.evidence(RecorderName::Ebpf).observations.push(ping);
    let result = case.minimize();
    let both = set(&[Capability::NET_BIND_SERVICE, Capability::NET_RAW]);
    assert_eq!(result.findings.minimized_sets.bounding, both);
    for carried in [
        result.findings.minimized_sets.ambient,
        result.findings.minimized_sets.inheritable,
        result.findings.minimized_sets.permitted,
        result.findings.minimized_sets.effective,
    ] {
        assert_eq!(carried, needed);
    }
    // Granted in the bounding set alone: only set-user-ID programs can have used it.
    case.granted = ProcessSets {
        bounding: case.granted.bounding,
        ..ProcessSets::default()
    };
    let sets = case.minimize().findings.minimized_sets;
    let only_bounding = ProcessSets {
        bounding: both,
        ..ProcessSets::default()
    };
    assert_eq!(sets, only_bounding);
}

#[test]
fn use_by_exec_alone_is_told() {
    let joined = Observation {
        joined: true,
        ..mount()
    };
    let result = Case::seen(vec![joined.clone()]).minimize();
    assert_eq!(
        result.findings.needed[0].notes,
        ["used only by processes that joined the container (exec)"]
    );
    assert!(
        Case::seen(vec![joined, mount()]).minimize().findings.needed[0]
            .notes
            .is_empty()
    );
}
