//! The section of a report on privileges besides capabilities.

use super::super::form_kind::FormKind;
use super::filter::refused;
use super::value::set_to;
use capprof_profile::CapabilitySet;
use capprof_profile::default_filter::{enters_namespaces, mounts};
use capprof_profile::privileges::{Device, Privileges, Sysctl};
use std::collections::BTreeSet;

/// Privileges of `--privileged` whose use no recorder sees (docs/privileged.md).
const NOT_OBSERVED: [&str; 3] = [
    "system calls that ask for no capability and that the default seccomp filters keep back: add_key, io_uring_setup, keyctl, \
     personality, request_key, userfaultfd",
    "files below masked and read-only paths, other than those of /proc/sys that were written",
    "what AppArmor and SELinux would have refused",
];

/// The section of a report, in lines; empty if there is nothing to report. `set` has the capabilities that the container will get.
pub(crate) fn section(privileges: &Privileges, set: CapabilitySet) -> Vec<String> {
    if !privileges.is_beyond() {
        return Vec::new();
    }
    let mut lines: Vec<String> = privileges.devices.iter().map(device).collect();
    lines.extend(privileges.sysctls.iter().map(|one| sysctl(one, privileges)));
    lines.extend(calls(privileges));
    for (engine, refused) in [
        ("docker", refused(FormKind::Docker, privileges, set)),
        ("podman", refused(FormKind::Podman, privileges, set)),
    ] {
        if !refused.is_empty() {
            lines.push(format!(
                "of these, {engine}'s default seccomp filter refuses even with the capabilities above: {}",
                refused.join(", ")
            ));
        }
    }
    if lines.is_empty() {
        lines.push("nothing that capprof looks at".to_owned());
    }
    let namespaces = &privileges.engine_grants.host_namespaces;
    if !namespaces.is_empty() {
        let names: Vec<String> = namespaces.iter().cloned().collect();
        lines.push(format!(
            "given, but capprof cannot see if they are needed: the host's namespaces {}",
            names.join(", ")
        ));
    }
    let unseen = privileges.not_observed.iter().map(String::as_str);
    for reason in unseen.chain(NOT_OBSERVED) {
        lines.push(format!("not observed: {reason}"));
    }
    lines
}

fn device(device: &Device) -> String {
    let by = by(&device.programs);
    let name = device.name();
    let numbers = device
        .node
        .as_ref()
        .map_or_else(String::new, |_| format!(" ({})", device.number));
    if device.is_opened() {
        let made = match device.access.contains('m') {
            true => ", which it makes itself",
            false => "",
        };
        let access: String = device.access.replace('m', "");
        format!("device {name}{numbers} {access}{made}{by}")
    } else if device.access.contains('m') {
        format!("device node of {name}{numbers}, made and never opened{by}: needs only CAP_MKNOD")
    } else {
        format!("device {name}{numbers}: asked about with access(2), never opened{by}")
    }
}

fn sysctl(sysctl: &Sysctl, privileges: &Privileges) -> String {
    let what = match (
        set_to(sysctl),
        sysctl.is_namespaced(&privileges.engine_grants),
    ) {
        (_, false) => " of the host, for which no container has an option of its own",
        (None, true) => ", of this container's namespaces",
        (Some(_), true) => "",
    };
    let values = sysctl.values.iter().cloned().collect::<Vec<_>>();
    let value = match values.is_empty() {
        true => String::new(),
        false => format!("={}", values.join("|")),
    };
    format!(
        "sysctl {}{value} written{what}{}",
        sysctl.name,
        by(&sysctl.programs)
    )
}

/// The system calls, grouped by subject.
fn calls(privileges: &Privileges) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, group) in [
        ("mounts", Group::Mounts),
        ("namespaces", Group::Namespaces),
        ("system calls that seccomp filters keep back", Group::Others),
    ] {
        let calls: Vec<_> = privileges
            .syscalls
            .iter()
            .filter(|call| Group::of(&call.name) == group)
            .collect();
        if calls.is_empty() {
            continue;
        }
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        let programs: BTreeSet<String> = calls
            .iter()
            .flat_map(|call| call.programs.iter().cloned())
            .collect();
        lines.push(format!("{title}: {}{}", names.join(", "), by(&programs)));
    }
    lines
}

/// The objects of a system call.
#[derive(PartialEq, Eq)]
enum Group {
    Mounts,
    Namespaces,
    Others,
}

impl Group {
    fn of(call: &str) -> Self {
        if mounts(call) {
            Self::Mounts
        } else if enters_namespaces(call) {
            Self::Namespaces
        } else {
            Self::Others
        }
    }
}

fn by(programs: &BTreeSet<String>) -> String {
    let names: Vec<String> = programs
        .iter()
        .filter(|name| !name.is_empty())
        .take(3)
        .cloned()
        .collect();
    match (names.is_empty(), programs.len().saturating_sub(3)) {
        (true, _) => String::new(),
        (false, 0) => format!(", by {}", names.join(", ")),
        (false, more) => format!(", by {}, +{more}", names.join(", ")),
    }
}
