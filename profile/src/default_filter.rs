//! The default seccomp filters of docker and podman, and the purpose of the system calls that they refuse.

use crate::{Capability, CapabilitySet};

/// The condition on which a seccomp filter refuses a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// The filter lets it pass whatever the container holds.
    Never,
    /// The filter refuses it unless the container is given one of these; empty: it always refuses.
    Unless(&'static [Capability]),
}

impl Filtered {
    /// Returns true if the filter refuses it to a container with these capabilities.
    pub fn refuses(self, set: CapabilitySet) -> bool {
        match self {
            Self::Never => false,
            Self::Unless(capabilities) => !capabilities.iter().any(|one| set.contains(*one)),
        }
    }
}

/// A system call, with the conditions of docker's and of podman's default filter.
type Gate = (&'static str, Filtered, Filtered);

/// moby, profiles/seccomp/default_linux.go; containers/common, pkg/seccomp/default_linux.go.
const GATES: &[Gate] = {
    use Filtered::{Never, Unless};
    const ADMIN: Filtered = Unless(&[Capability::SYS_ADMIN]);
    const NO: Filtered = Unless(&[]);
    const PTRACE: Filtered = Unless(&[Capability::SYS_PTRACE]);
    const MODULE: Filtered = Unless(&[Capability::SYS_MODULE]);
    const RAWIO: Filtered = Unless(&[Capability::SYS_RAWIO]);
    const TIME: Filtered = Unless(&[Capability::SYS_TIME]);
    const NICE: Filtered = Unless(&[Capability::SYS_NICE]);
    const CHROOT: Filtered = Unless(&[Capability::SYS_CHROOT]);
    const PACCT: Filtered = Unless(&[Capability::SYS_PACCT]);
    const TTY: Filtered = Unless(&[Capability::SYS_TTY_CONFIG]);
    const HANDLE: Filtered = Unless(&[Capability::DAC_READ_SEARCH]);
    &[
        ("acct", PACCT, PACCT),
        ("add_key", NO, NO),
        (
            "bpf",
            Unless(&[Capability::SYS_ADMIN, Capability::BPF]),
            ADMIN,
        ),
        ("chroot", CHROOT, CHROOT),
        ("clock_settime", TIME, TIME),
        ("clone", ADMIN, Never),
        ("clone3", ADMIN, Never),
        ("delete_module", MODULE, MODULE),
        ("fanotify_init", ADMIN, ADMIN),
        ("finit_module", MODULE, MODULE),
        ("fsconfig", ADMIN, Never),
        ("fsmount", ADMIN, Never),
        ("fsopen", ADMIN, Never),
        ("fspick", ADMIN, Never),
        ("get_mempolicy", NICE, NICE),
        ("init_module", MODULE, MODULE),
        ("ioperm", RAWIO, RAWIO),
        ("iopl", RAWIO, RAWIO),
        ("kcmp", PTRACE, PTRACE),
        ("kexec_file_load", NO, NO),
        ("kexec_load", NO, NO),
        ("keyctl", NO, Never),
        ("lookup_dcookie", ADMIN, ADMIN),
        ("mbind", NICE, NICE),
        ("migrate_pages", NO, NO),
        ("mount", ADMIN, Never),
        ("mount_setattr", ADMIN, NO),
        ("move_mount", ADMIN, Never),
        ("move_pages", NO, NO),
        ("open_by_handle_at", HANDLE, HANDLE),
        ("open_tree", ADMIN, Never),
        (
            "perf_event_open",
            Unless(&[Capability::SYS_ADMIN, Capability::PERFMON]),
            ADMIN,
        ),
        ("pidfd_getfd", PTRACE, Never),
        ("pivot_root", NO, Never),
        ("process_madvise", PTRACE, PTRACE),
        ("process_vm_readv", Never, PTRACE),
        ("process_vm_writev", Never, PTRACE),
        ("ptrace", Never, PTRACE),
        ("quotactl", ADMIN, ADMIN),
        ("quotactl_fd", ADMIN, NO),
        ("reboot", Unless(&[Capability::SYS_BOOT]), Never),
        ("request_key", NO, NO),
        ("set_mempolicy", NICE, NICE),
        ("set_mempolicy_home_node", NICE, NO),
        ("setdomainname", ADMIN, ADMIN),
        ("sethostname", ADMIN, ADMIN),
        ("setns", ADMIN, Never),
        ("settimeofday", TIME, TIME),
        ("stime", TIME, TIME),
        ("swapoff", NO, NO),
        ("swapon", NO, NO),
        (
            "syslog",
            Unless(&[Capability::SYS_ADMIN, Capability::SYSLOG]),
            Never,
        ),
        ("umount", ADMIN, Never),
        ("umount2", ADMIN, Never),
        ("unshare", ADMIN, Never),
        ("userfaultfd", NO, NO),
        ("vhangup", TTY, TTY),
    ]
};

/// The conditions of docker's and podman's default filter for a system call; `None` if both always let it pass, or it is not known.
pub fn filtered(call: &str) -> Option<(Filtered, Filtered)> {
    GATES
        .iter()
        .find(|(name, ..)| *name == call)
        .map(|(_, docker, podman)| (*docker, *podman))
}

/// System calls that these filters let pass if a container is given a capability. Each comes with the capabilities of which any one will do: by
/// docker's filter, or by podman's where docker's always lets the call pass.
pub fn opened_by_capabilities() -> impl Iterator<Item = (&'static str, CapabilitySet)> {
    GATES.iter().filter_map(|(name, docker, podman)| {
        [docker, podman]
            .into_iter()
            .find_map(|filter| match filter {
                Filtered::Unless(capabilities) if !capabilities.is_empty() => {
                    Some((*name, capabilities.iter().copied().collect()))
                }
                _ => None,
            })
    })
}

/// Returns true if a system call changes what is mounted.
pub fn mounts(call: &str) -> bool {
    [
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "mount",
        "mount_setattr",
        "move_mount",
        "open_tree",
        "pivot_root",
        "umount",
        "umount2",
    ]
    .contains(&call)
}

/// Returns true if a system call makes a namespace or joins one.
pub fn enters_namespaces(call: &str) -> bool {
    ["clone", "clone3", "setns", "unshare"].contains(&call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_let_pass_what_a_capability_opens() {
        let (docker, podman) = filtered("bpf").unwrap();
        let bpf = CapabilitySet::from_iter([Capability::BPF]);
        assert!(!docker.refuses(bpf));
        assert!(podman.refuses(bpf));
        assert!(
            filtered("pivot_root")
                .unwrap()
                .0
                .refuses(Capability::all().collect())
        );
        assert_eq!(filtered("read"), None);
        assert!(GATES.is_sorted_by(|one, other| one.0 < other.0));
    }
}
