//! Capabilities, filters, limits, sysctls, security modules.

use super::{check, executes, only, overrides, reads, refused, refused_file, step};
use crate::Capability;
use crate::why::facts::{CheckedNamespace, DeviceRule, Errno, FileKind};
use crate::why::report::Refusal;
use crate::why::seccomp::Answer;
use crate::why::{Cause, Explanation, decide, is_probe, rank};

#[test]
fn a_capability_is_told_by_where_the_kernel_asked() {
    let mut facts = refused("sethostname", Errno::EPERM);
    facts.checks = vec![check(
        Capability::SYS_ADMIN,
        "security_capable ns_capable __do_sys_sethostname",
    )];
    let cause = only(&facts);
    assert_eq!(
        cause.to_string(),
        "missing CAP_SYS_ADMIN (set the host name)"
    );
    assert_eq!(cause.remedy().as_deref(), Some("CAP_SYS_ADMIN"));
}

#[test]
fn a_check_that_decides_nothing_is_not_the_cause() {
    let mut facts = refused("execve", Errno::EACCES);
    facts.intent = executes();
    facts.checks = vec![check(
        Capability::SYS_ADMIN,
        "security_vm_enough_memory_mm __vm_enough_memory",
    )];
    assert!(matches!(only(&facts), Cause::Unknown { .. }));
}

#[test]
fn the_narrower_of_two_capabilities_is_named() {
    let mut facts = refused("syslog", Errno::EPERM);
    facts.arguments[0] = 5;
    facts.checks = [Capability::SYSLOG, Capability::SYS_ADMIN]
        .map(|capability| {
            check(
                capability,
                "security_capable capable check_syslog_permissions do_syslog",
            )
        })
        .to_vec();
    let cause = only(&facts);
    assert!(
        matches!(cause, Cause::Capability { capability, .. } if capability == Capability::SYSLOG)
    );
}

#[test]
fn what_is_asked_of_the_initial_namespace_cannot_be_given() {
    let mut facts = refused("mount", Errno::EPERM);
    facts.credentials.user_level = 1;
    facts.credentials.effective = [Capability::SYS_ADMIN].into_iter().collect();
    facts.checks = vec![check(
        Capability::SYS_ADMIN,
        "security_capable capable mount_capable",
    )];
    facts.checks[0].target = CheckedNamespace::Initial;
    assert!(matches!(
        only(&facts),
        Cause::UserNamespace { held: true, .. }
    ));
}

#[test]
fn a_filter_that_answers_the_error_is_the_cause() {
    let mut facts = refused("mount", Errno::EPERM);
    facts.seccomp = Some(Answer::Errno(1));
    facts.checks = overrides();
    let cause = only(&facts);
    assert_eq!(cause.to_string(), "seccomp filter: errno 1 for mount");
    assert!(cause.remedy().unwrap().contains("CAP_SYS_ADMIN"));
    facts.seccomp = Some(Answer::Allow);
    facts.checks.clear();
    assert!(matches!(only(&facts), Cause::Unknown { .. }));
}

#[test]
fn a_filter_that_asks_another_process_is_one_of_the_causes() {
    let mut facts = refused("mount", Errno::EPERM);
    facts.seccomp = Some(Answer::Supervisor);
    let explanation = decide(&facts);
    assert!(matches!(explanation.causes[0], Cause::Supervisor { .. }));
    assert!(matches!(explanation.causes[1], Cause::Unknown { .. }));
}

#[test]
fn a_device_rule_is_told() {
    let mut facts = refused("openat", Errno::EPERM);
    let rule = |refused| {
        Some(DeviceRule {
            block: false,
            major: 10,
            minor: 200,
            access: 6,
            refused,
        })
    };
    facts.device = rule(Some(true));
    assert_eq!(
        only(&facts).to_string(),
        "cgroup device rule: c 10:200 rw is not allowed"
    );
    facts.device = rule(Some(false));
    assert!(matches!(only(&facts), Cause::Unknown { .. }));
}

#[test]
fn sysctls_decide_whether_a_capability_is_asked_for() {
    let of = |call: &str, capability, site: &str, name: &str, value| {
        let mut facts = refused(call, Errno::EPERM);
        facts.arguments[0] = if call == "syslog" { 3 } else { 0x1000_0000 };
        facts.checks = vec![check(capability, site)];
        facts.sysctls.insert(name.to_owned(), value);
        only(&facts)
    };
    for (call, capability, site, name, value) in [
        (
            "perf_event_open",
            Capability::PERFMON,
            "capable perf_allow_kernel",
            "kernel.perf_event_paranoid",
            2,
        ),
        (
            "syslog",
            Capability::SYSLOG,
            "capable check_syslog_permissions",
            "kernel.dmesg_restrict",
            1,
        ),
        (
            "unshare",
            Capability::SYS_ADMIN,
            "capable ksys_unshare",
            "kernel.unprivileged_userns_clone",
            0,
        ),
        (
            "bpf",
            Capability::BPF,
            "capable __sys_bpf",
            "kernel.unprivileged_bpf_disabled",
            2,
        ),
        (
            "bind",
            Capability::NET_BIND_SERVICE,
            "ns_capable inet_bind",
            "net.ipv4.ip_unprivileged_port_start",
            1024,
        ),
    ] {
        let cause = of(call, capability, site, name, value);
        assert!(
            matches!(&cause, Cause::Sysctl { name: found, .. } if found == name),
            "{cause:?}"
        );
    }
    let unrestricted = of(
        "syslog",
        Capability::SYSLOG,
        "capable check_syslog_permissions",
        "kernel.dmesg_restrict",
        0,
    );
    assert!(matches!(unrestricted, Cause::Capability { .. }));
}

#[test]
fn sysctls_that_no_capability_overcomes() {
    for (call, name, value) in [
        ("kexec_load", "kernel.kexec_load_disabled", 1),
        ("finit_module", "kernel.modules_disabled", 1),
        ("io_uring_setup", "kernel.io_uring_disabled", 2),
    ] {
        let mut facts = refused(call, Errno::EPERM);
        facts.sysctls.insert(name.to_owned(), value);
        assert!(matches!(only(&facts), Cause::Sysctl { name: found, .. } if found == name));
    }
    let mut facts = refused("socket", Errno::EACCES);
    facts.arguments = [2, 2, 1, 0, 0, 0];
    facts
        .sysctls
        .insert("net.ipv4.ping_group_range".to_owned(), 1);
    assert!(matches!(only(&facts), Cause::Sysctl { .. }));
}

#[test]
fn yama_is_told_by_its_function() {
    let mut facts = refused("ptrace", Errno::EPERM);
    facts.checks = vec![check(
        Capability::SYS_PTRACE,
        "ns_capable yama_ptrace_access_check security_ptrace_access_check",
    )];
    facts
        .sysctls
        .insert("kernel.yama.ptrace_scope".to_owned(), 1);
    assert!(matches!(only(&facts), Cause::Yama { scope: 1 }));
}

#[test]
fn a_filter_needs_no_new_privileges() {
    let mut facts = refused("seccomp", Errno::EACCES);
    facts.checks = vec![check(
        Capability::SYS_ADMIN,
        "ns_capable_noaudit do_seccomp",
    )];
    assert!(matches!(only(&facts), Cause::NeedsNoNewPrivileges { .. }));
}

#[test]
fn limits_are_told_if_they_are_used_up() {
    let mut facts = refused("openat", Errno::EMFILE);
    facts
        .limits
        .insert("RLIMIT_NOFILE".to_owned(), (16, Some(16)));
    assert_eq!(only(&facts).to_string(), "RLIMIT_NOFILE is 16");
    facts.call = "inotify_init1".to_owned();
    facts
        .limits
        .insert("RLIMIT_NOFILE".to_owned(), (1024, Some(16)));
    facts
        .sysctls
        .insert("fs.inotify.max_user_instances".to_owned(), 128);
    assert!(matches!(only(&facts), Cause::Sysctl { .. }));

    let mut facts = refused("clone", Errno::EAGAIN);
    facts.limits.insert("RLIMIT_NPROC".to_owned(), (8, None));
    facts.pids_limit = Some(10);
    assert!(matches!(only(&facts), Cause::Limit { value: 10, .. }));
    facts.checks = vec![check(Capability::SYS_RESOURCE, "capable copy_process")];
    assert!(matches!(only(&facts), Cause::Limit { value: 8, .. }));

    let mut facts = refused("unshare", Errno::ENOSPC);
    facts.arguments[0] = 0x1000_0000;
    facts
        .sysctls
        .insert("user.max_user_namespaces".to_owned(), 0);
    assert!(matches!(only(&facts), Cause::Sysctl { .. }));
}

#[test]
fn of_several_limits_on_namespaces_the_one_that_is_zero_is_the_cause() {
    let cause = |users: i64, networks: i64| {
        let mut facts = refused("unshare", Errno::ENOSPC);
        facts.arguments[0] = 0x5000_0000;
        for (name, value) in [("user", users), ("net", networks)] {
            facts
                .sysctls
                .insert(format!("user.max_{name}_namespaces"), value);
        }
        only(&facts).to_string()
    };
    assert_eq!(cause(15000, 0), "sysctl user.max_net_namespaces is 0");
    assert_eq!(cause(0, 15000), "sysctl user.max_user_namespaces is 0");
    // Any of them may be used up: the first stands for all.
    assert_eq!(
        cause(15000, 15000),
        "sysctl user.max_user_namespaces is 15000"
    );
}

#[test]
fn landlock_is_told_if_nothing_else_is_left() {
    let file = step("/f", FileKind::File, 0o644, 0);
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.modules.landlock = Some(true);
    assert!(matches!(only(&facts), Cause::Landlock { .. }));
    // A file system with permission checks of its own.
    let last = facts.walk.as_mut().unwrap().last.as_mut().unwrap();
    last.mount.file_system = "nfs4".to_owned();
    assert_eq!(decide(&facts).causes.len(), 2);
    facts.modules.landlock = Some(false);
    assert!(matches!(only(&facts), Cause::Unknown { .. }));
}

#[test]
fn an_ignored_set_user_id_is_a_note() {
    let mut facts = refused("sethostname", Errno::EPERM);
    facts.checks = vec![check(
        Capability::SYS_ADMIN,
        "ns_capable __do_sys_sethostname",
    )];
    facts.ignored_setuid = Some(true);
    assert!(decide(&facts).notes[0].contains("nosuid"));
    facts.ignored_setuid = Some(false);
    assert!(decide(&facts).notes[0].contains("no_new_privs"));
}

#[test]
fn the_fatal_refusal_comes_first_and_probes_last() {
    let refusal = |call: &str, fatal: bool, order: u64| Refusal {
        program: String::new(),
        pid: 1,
        call: call.to_owned(),
        text: String::new(),
        error: String::new(),
        count: 1,
        fatal,
        probe: is_probe(call),
        order,
        explanation: Explanation {
            causes: Vec::new(),
            notes: Vec::new(),
        },
        remedies: Vec::new(),
    };
    let mut all = vec![
        refusal("clone3", false, 0),
        refusal("openat", false, 1),
        refusal("bind", true, 2),
    ];
    rank(&mut all);
    let calls: Vec<&str> = all.iter().map(|refusal| refusal.call.as_str()).collect();
    assert_eq!(calls, ["bind", "openat", "clone3"]);
}
