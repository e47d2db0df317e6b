//! Refusals that a sysctl, a limit, or an owner decides.

use super::cause::Cause;
use super::facts::{CheckedNamespace, Errno, Facts, PathComponent, RefusedCheck};
use crate::atlas::paths;
use crate::{Capability, CapabilitySet};

/// The kernel's function that asked, without the helpers through which it asked.
pub(super) fn function(check: &RefusedCheck) -> String {
    check
        .functions()
        .find(|name| !name.contains("capable") && !name.starts_with("security_"))
        .unwrap_or_default()
        .to_owned()
}

/// Sysctls that decide if the kernel asks for a capability: call, capability, sysctl, the value above which it asks, and the condition for the remedy.
const SYSCTLS: [(&str, Capability, &str, i64, &str); 10] = [
    (
        "perf_event_open",
        Capability::PERFMON,
        "kernel.perf_event_paranoid",
        -1,
        " with a lower value",
    ),
    (
        "perf_event_open",
        Capability::SYS_ADMIN,
        "kernel.perf_event_paranoid",
        2,
        " with a lower value",
    ),
    (
        "syslog",
        Capability::SYSLOG,
        "kernel.dmesg_restrict",
        0,
        "=0",
    ),
    (
        "bpf",
        Capability::BPF,
        "kernel.unprivileged_bpf_disabled",
        0,
        "=0",
    ),
    (
        "bpf",
        Capability::SYS_ADMIN,
        "kernel.unprivileged_bpf_disabled",
        0,
        "=0",
    ),
    (
        "userfaultfd",
        Capability::SYS_PTRACE,
        "vm.unprivileged_userfaultfd",
        -1,
        "=1",
    ),
    (
        "io_uring_setup",
        Capability::SYS_ADMIN,
        "kernel.io_uring_disabled",
        0,
        "=0",
    ),
    (
        "unshare",
        Capability::SYS_ADMIN,
        "kernel.unprivileged_userns_clone",
        -1,
        "=1",
    ),
    (
        "clone",
        Capability::SYS_ADMIN,
        "kernel.unprivileged_userns_clone",
        -1,
        "=1",
    ),
    (
        "bind",
        Capability::NET_BIND_SERVICE,
        "net.ipv4.ip_unprivileged_port_start",
        0,
        "",
    ),
];

/// `CLONE_NEWUSER` of clone(2) and unshare(2).
const NEW_USER: u64 = 0x1000_0000;
/// Actions of syslog(2) that every process may do, where kernel.dmesg_restrict is 0.
const READ_ALL: u64 = 3;
const SIZE_BUFFER: u64 = 10;

/// Returns the cause of a refused check in calls where something else than the capability can decide as well.
pub(super) fn by_check(facts: &Facts, check: &RefusedCheck) -> Option<Cause> {
    by_owner(facts, check)
        .or_else(|| by_limit_of(facts, check))
        .or_else(|| by_yama(facts, check))
        .or_else(|| by_new_privileges(facts, check))
        .or_else(|| by_sysctl(facts, check))
}

fn by_sysctl(facts: &Facts, check: &RefusedCheck) -> Option<Cause> {
    let (_, _, name, above, allows) = SYSCTLS
        .iter()
        .find(|(call, capability, ..)| *call == facts.call && *capability == check.capability)?;
    let value = *facts.sysctls.get(*name)?;
    // Sysctls with special values or conditions; all others refuse above the value of the table.
    let applies = match *name {
        "kernel.unprivileged_userns_clone" => {
            value == 0
                && facts.arguments[0] & NEW_USER != 0
                && check.is_asked_in(paths::PROCESS_COPY_OR_UNSHARE)
        }
        "vm.unprivileged_userfaultfd" => value == 0,
        "kernel.dmesg_restrict" => {
            value > 0 && matches!(facts.arguments[0], READ_ALL | SIZE_BUFFER)
        }
        _ => value > *above,
    };
    if !applies {
        return None;
    }
    let capabilities = match check.capability {
        Capability::PERFMON => vec![Capability::PERFMON, Capability::SYS_ADMIN],
        Capability::BPF => vec![Capability::BPF, Capability::SYS_ADMIN],
        other => vec![other],
    };
    let allows = match *name {
        "net.ipv4.ip_unprivileged_port_start" => " at or below the port",
        _ => allows,
    };
    Some(Cause::Sysctl {
        name: (*name).to_owned(),
        value: value.to_string(),
        allows: allows.to_owned(),
        capabilities: match check.target {
            CheckedNamespace::Initial => CapabilitySet::default(),
            _ => capabilities.into_iter().collect(),
        },
    })
}

/// Returns the owner of a file as the cause, if the check is about it.
fn by_owner(facts: &Facts, check: &RefusedCheck) -> Option<Cause> {
    let foreign = |step: &&PathComponent| step.uid != facts.credentials.fsuid;
    let walk = facts.walk.as_ref();
    let owner = |step: &PathComponent, sticky: bool| Cause::Owner {
        path: step.path.clone(),
        uid: step.uid,
        sticky,
        capability: check.capability,
    };
    if check.capability != Capability::FOWNER || check.target == CheckedNamespace::Initial {
        return None;
    }
    let last = walk?.last.as_ref().filter(foreign)?;
    let hard_link = facts.intent.link
        && facts
            .sysctls
            .get("fs.protected_hardlinks")
            .is_some_and(|value| *value > 0);
    if hard_link {
        return Some(Cause::Sysctl {
            name: "fs.protected_hardlinks".to_owned(),
            value: "1".to_owned(),
            allows: "=0".to_owned(),
            capabilities: [Capability::FOWNER].into_iter().collect(),
        });
    }
    let sticky = facts.intent.remove && walk?.parent()?.mode & 0o1000 != 0;
    (sticky || facts.intent.attributes).then(|| owner(last, sticky))
}

fn limit(facts: &Facts, name: &str, capability: Option<Capability>) -> Option<Cause> {
    let (value, _) = facts.limits.get(name)?;
    Some(Cause::Limit {
        name: name.to_owned(),
        value: *value,
        capability,
    })
}

/// Returns a limit as the cause, in calls where the capability lifts that limit.
fn by_limit_of(facts: &Facts, check: &RefusedCheck) -> Option<Cause> {
    let name = match (facts.call.as_str(), check.capability) {
        ("setpriority", Capability::SYS_NICE) => "RLIMIT_NICE",
        ("sched_setscheduler" | "sched_setparam" | "sched_setattr", Capability::SYS_NICE)
            if check.is_asked_in(paths::SCHEDULING_POLICY) =>
        {
            "RLIMIT_RTPRIO"
        }
        ("mlock" | "mlock2" | "mlockall" | "shmctl" | "mmap", Capability::IPC_LOCK) => {
            "RLIMIT_MEMLOCK"
        }
        _ => return None,
    };
    limit(facts, name, Some(check.capability))
}

fn by_yama(facts: &Facts, check: &RefusedCheck) -> Option<Cause> {
    check
        .is_asked_in(paths::YAMA)
        .then(|| facts.sysctls.get("kernel.yama.ptrace_scope"))
        .flatten()
        .map(|scope| Cause::Yama { scope: *scope })
}

/// Seccomp filters and Landlock domains need a process that gains nothing by executing.
fn by_new_privileges(facts: &Facts, check: &RefusedCheck) -> Option<Cause> {
    let call = matches!(
        facts.call.as_str(),
        "seccomp" | "landlock_restrict_self" | "prctl"
    );
    let asks = check.is_asked_in(paths::RESTRICTION_WITHOUT_NO_NEW_PRIVILEGES);
    (call && asks && !facts.credentials.no_new_privileges).then_some(Cause::NeedsNoNewPrivileges {
        capability: check.capability,
    })
}

/// Returns the causes of refusals for which the kernel asks for no capability.
pub(super) fn without_check(facts: &Facts) -> Vec<Cause> {
    let sysctl = |name: &str, refuses: &dyn Fn(i64) -> bool, allows: &str| {
        facts
            .sysctls
            .get(name)
            .filter(|value| refuses(**value))
            .map(|value| Cause::Sysctl {
                name: name.to_owned(),
                value: value.to_string(),
                allows: allows.to_owned(),
                capabilities: CapabilitySet::default(),
            })
    };
    let cause = match (facts.call.as_str(), facts.error) {
        ("kexec_load" | "kexec_file_load", Errno::EPERM) => sysctl(
            "kernel.kexec_load_disabled",
            &|value| value > 0,
            "=0 (only a restart lowers it)",
        ),
        ("init_module" | "finit_module" | "delete_module", Errno::EPERM) => sysctl(
            "kernel.modules_disabled",
            &|value| value > 0,
            "=0 (only a restart lowers it)",
        ),
        ("io_uring_setup", Errno::EPERM) => {
            sysctl("kernel.io_uring_disabled", &|value| value == 2, "=0")
        }
        ("prlimit64" | "setrlimit", Errno::EPERM) if sets_files(facts) => {
            sysctl("fs.nr_open", &|_| true, " with a higher value")
        }
        ("socket", Errno::EACCES) if is_ping(facts) => sysctl(
            "net.ipv4.ping_group_range",
            &|_| true,
            " with the process's group in the range",
        ),
        _ => None,
    };
    let yama = matches!(
        facts.call.as_str(),
        "ptrace" | "process_vm_readv" | "process_vm_writev"
    ) && facts.error == Errno::EPERM;
    let yama = match facts.sysctls.get("kernel.yama.ptrace_scope") {
        Some(scope) if yama && *scope >= 3 => Some(Cause::Yama { scope: *scope }),
        _ => None,
    };
    cause.into_iter().chain(yama).collect()
}

/// `RLIMIT_NOFILE` (include/uapi/asm-generic/resource.h), which no process may raise above fs.nr_open.
const FILES: u64 = 7;

fn sets_files(facts: &Facts) -> bool {
    let [first, second, ..] = facts.arguments;
    match facts.call.as_str() {
        "setrlimit" => first == FILES,
        _ => second == FILES,
    }
}

/// Returns true for socket(AF_INET or AF_INET6, SOCK_DGRAM, IPPROTO_ICMP or IPPROTO_ICMPV6).
fn is_ping(facts: &Facts) -> bool {
    let [family, kind, protocol, ..] = facts.arguments;
    matches!((family, protocol), (2, 1) | (10, 58)) && kind & 0xf == 2
}

/// Returns the limits that can have caused the error.
pub(super) fn by_limit(facts: &Facts) -> Vec<Cause> {
    let used_up = |name: &str| {
        let (value, used) = facts.limits.get(name)?;
        match used {
            Some(used) if used < value => None,
            _ => limit(facts, name, None),
        }
    };
    let sysctl = |name: &str, capability: Option<Capability>| {
        facts.sysctls.get(name).map(|value| Cause::Sysctl {
            name: name.to_owned(),
            value: value.to_string(),
            allows: " with a higher value".to_owned(),
            capabilities: capability.into_iter().collect(),
        })
    };
    let call = facts.call.as_str();
    let found = match (facts.error, call) {
        (Errno::EMFILE, "inotify_init" | "inotify_init1") => {
            used_up("RLIMIT_NOFILE").or_else(|| sysctl("fs.inotify.max_user_instances", None))
        }
        (Errno::EMFILE, "mq_open") => {
            used_up("RLIMIT_NOFILE").or_else(|| limit(facts, "RLIMIT_MSGQUEUE", None))
        }
        (Errno::EMFILE, _) => used_up("RLIMIT_NOFILE"),
        (Errno::ENFILE, _) => sysctl("fs.file-max", Some(Capability::SYS_ADMIN)),
        (Errno::EFBIG, _) => {
            limit(facts, "RLIMIT_FSIZE", None).filter(|_| is_limited(facts, "RLIMIT_FSIZE"))
        }
        (Errno::ENOSPC, "inotify_add_watch") => sysctl("fs.inotify.max_user_watches", None),
        (Errno::ENOSPC | Errno::EUSERS, "unshare" | "clone" | "clone3") => namespaces(facts),
        (Errno::EAGAIN, "clone" | "clone3" | "fork" | "vfork") => return processes(facts),
        (Errno::EAGAIN | Errno::ENOMEM, "mlock" | "mlock2" | "mlockall") => {
            limit(facts, "RLIMIT_MEMLOCK", Some(Capability::IPC_LOCK))
                .filter(|_| is_limited(facts, "RLIMIT_MEMLOCK"))
        }
        (Errno::ENOMEM, "mmap" | "brk" | "mremap") => {
            limit(facts, "RLIMIT_AS", None).filter(|_| is_limited(facts, "RLIMIT_AS"))
        }
        _ => None,
    };
    found.into_iter().collect()
}

fn is_limited(facts: &Facts, name: &str) -> bool {
    facts
        .limits
        .get(name)
        .is_some_and(|(value, _)| *value != u64::MAX)
}

/// Returns the limit on a user's namespaces (namespaces(7)) as the cause: one that is 0, else the first of those that the call needs.
fn namespaces(facts: &Facts) -> Option<Cause> {
    let flags = facts.arguments[0];
    let limits: Vec<(&str, i64)> = [
        (NEW_USER, "user.max_user_namespaces"),
        (0x0002_0000, "user.max_mnt_namespaces"),
        (0x0400_0000, "user.max_uts_namespaces"),
        (0x0800_0000, "user.max_ipc_namespaces"),
        (0x2000_0000, "user.max_pid_namespaces"),
        (0x4000_0000, "user.max_net_namespaces"),
        (0x0200_0000, "user.max_cgroup_namespaces"),
        (0x80, "user.max_time_namespaces"),
    ]
    .into_iter()
    .filter(|(flag, _)| flags & flag != 0)
    .filter_map(|(_, name)| Some((name, *facts.sysctls.get(name)?)))
    .collect();
    let zero = limits.iter().find(|(_, value)| *value == 0);
    let (name, value) = zero.or(limits.first())?;
    Some(Cause::Sysctl {
        name: (*name).to_owned(),
        value: value.to_string(),
        allows: " with a higher value".to_owned(),
        capabilities: CapabilitySet::default(),
    })
}

/// fork(2): at RLIMIT_NPROC the kernel asks for capabilities, at the control group's limit it does not.
fn processes(facts: &Facts) -> Vec<Cause> {
    let by_user = facts
        .checks
        .iter()
        .any(|check| check.capability == Capability::SYS_RESOURCE);
    match (by_user, facts.pids_limit) {
        (true, _) => limit(facts, "RLIMIT_NPROC", Some(Capability::SYS_RESOURCE))
            .into_iter()
            .collect(),
        (false, Some(value)) => vec![Cause::Limit {
            name: "pids.max of the control group".to_owned(),
            value,
            capability: None,
        }],
        (false, None) => Vec::new(),
    }
}
