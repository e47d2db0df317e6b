//! Tests of security modules' records.

use super::{check, only, reads, refused, refused_file, step};
use crate::Capability;
use crate::why::facts::{ApparmorDenial, AvcRefusal, Errno, Facts, FileKind, RefusedCheck};
use crate::why::{Cause, decide};

fn avc(rule: &str, check: Option<RefusedCheck>) -> Vec<AvcRefusal> {
    vec![AvcRefusal {
        rule: rule.to_owned(),
        serial: 77,
        check,
    }]
}

fn denial(denied: &str, serial: Option<u64>, check: Option<RefusedCheck>) -> Vec<ApparmorDenial> {
    vec![ApparmorDenial {
        profile: "docker-default".to_owned(),
        denied: denied.to_owned(),
        serial,
        check,
    }]
}

fn causes(facts: &Facts) -> Vec<String> {
    let causes = decide(facts).causes;
    causes.iter().map(Cause::kind).collect()
}

#[test]
fn selinux_is_told_by_its_record() {
    let mut facts = refused("openat", Errno::EACCES);
    facts.modules.avc = avc("container_t may not write sysctl_t:file", None);
    assert_eq!(
        only(&facts).to_string(),
        "SELinux: container_t may not write sysctl_t:file (AVC 77)"
    );
    facts.error = Errno::EROFS;
    assert!(!causes(&facts).contains(&"selinux".to_owned()));
}

#[test]
fn selinux_without_a_record_is_one_of_the_causes() {
    let mut facts = refused("openat", Errno::EACCES);
    facts.modules.selinux_enforcing = true;
    facts.modules.selinux = Some("container_t".to_owned());
    assert_eq!(causes(&facts), ["selinux", "unknown"]);
    assert_eq!(
        decide(&facts).causes[0].to_string(),
        "perhaps SELinux, though it left no record: the process runs as container_t"
    );
    assert_eq!(decide(&facts).notes, [""; 0]);
}

#[test]
fn where_nothing_else_is_left_a_note_says_so() {
    let mut facts = refused_file(
        "openat",
        Errno::EACCES,
        reads(),
        step("/f", FileKind::File, 0o666, 0),
    );
    facts.modules.selinux_enforcing = true;
    facts.modules.selinux = Some("container_t".to_owned());
    assert_eq!(causes(&facts), ["selinux"]);
    assert_eq!(
        decide(&facts).notes,
        [
            "nothing else that was looked at can have refused: modes, owners, mounts and capabilities let the call pass"
        ]
    );
}

#[test]
fn a_capability_that_selinux_refuses_is_the_cause_where_it_decides() {
    let sets_the_name = check(
        Capability::SYS_ADMIN,
        "security_capable ns_capable __do_sys_sethostname",
    );
    let mut facts = refused("sethostname", Errno::EPERM);
    let rule = "container_t may not sys_admin container_t:capability";
    facts.modules.avc = avc(rule, Some(sets_the_name));
    assert_eq!(causes(&facts), ["selinux"]);
    // The kernel's reserve of memory: no call fails with this error because of it.
    let reserve = check(
        Capability::SYS_ADMIN,
        "security_vm_enough_memory_mm __vm_enough_memory",
    );
    facts.modules.avc = avc(rule, Some(reserve));
    assert_eq!(causes(&facts), ["unknown"]);
}

#[test]
fn a_record_beside_a_refused_capability_leaves_two_causes() {
    let mut facts = refused("ptrace", Errno::EPERM);
    facts.modules.avc = avc("container_t may not ptrace spc_t:process", None);
    facts.checks = vec![check(
        Capability::SYS_PTRACE,
        "security_capable ns_capable ptrace_has_cap __ptrace_may_access",
    )];
    assert_eq!(causes(&facts), ["selinux", "capability"]);
}

#[test]
fn the_last_record_of_a_call_is_the_cause() {
    let mut facts = refused("openat", Errno::EACCES);
    facts.modules.avc = avc("container_t may not read a_t:file", None);
    facts
        .modules
        .avc
        .extend(avc("container_t may not write b_t:file", None));
    assert!(only(&facts).to_string().contains("b_t"));
}

#[test]
fn apparmor_is_told_by_what_it_refused() {
    let mut facts = refused("mount", Errno::EACCES);
    facts.modules.apparmor = Some("docker-default (enforce)".to_owned());
    facts.modules.apparmor_denials = denial("mount /tmp/", Some(8), None);
    assert_eq!(
        only(&facts).to_string(),
        "AppArmor: docker-default does not allow mount /tmp/ (AVC 8)"
    );
    facts.modules.apparmor_denials = denial("mount", None, None);
    assert_eq!(
        only(&facts).to_string(),
        "AppArmor: docker-default does not allow mount"
    );
}

#[test]
fn apparmor_that_says_nothing_is_one_of_the_causes() {
    let mut facts = refused("mount", Errno::EACCES);
    facts.modules.apparmor = Some("docker-default (enforce)".to_owned());
    assert_eq!(causes(&facts), ["apparmor", "unknown"]);
    assert_eq!(
        decide(&facts).causes[0].to_string(),
        "perhaps AppArmor, though it left no record: the process runs under profile docker-default (enforce)"
    );
}

#[test]
fn a_record_comes_before_the_mode() {
    let file = step("/f", FileKind::File, 0o600, 5);
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.modules.avc = avc("container_t may not read f_t:file", None);
    assert_eq!(causes(&facts), ["selinux"]);
}
