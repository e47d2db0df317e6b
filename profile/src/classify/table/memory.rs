//! Checks that come from the accounting of memory.

use crate::Capability;
use crate::classify::rule::{Decision, Rule};
use crate::observation::{Audit, Observation};

pub(super) static RULES: &[Rule] = &[
    // mm/util.c __vm_enough_memory(), at every mapping, fork and growth of the stack: security/commoncap.c cap_vm_enough_memory() asks with NOAUDIT.
    Rule {
        name: "overcommit",
        explanation: "asked at every growth of memory, to decide who may use the last 3 %",
        decision: Decision::Dismissed,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && check.call_site.is_empty()
                && only_overcommit_asks(check)
        },
    },
];

/// Returns true if the overcommit probe is the only silent check for CAP_SYS_ADMIN in the system call; for checks whose stack was lost.
///
/// clone(2) and unshare(2) ask also for new namespaces, but not silently; brk(2) and page faults ask for nothing else at all.
fn only_overcommit_asks(check: &Observation) -> bool {
    let Some(syscall) = &check.syscall else {
        return false;
    };
    syscall.number < 0
        || ["brk", "mmap", "mmap2", "mprotect", "mremap", "munmap"].contains(&syscall.name.as_str())
        || (check.audit == Audit::Silent
            && [
                "fork",
                "vfork",
                "clone",
                "clone3",
                "execve",
                "execveat",
                "memfd_create",
                "ftruncate",
                "shmget",
                "shmat",
                "madvise",
            ]
            .contains(&syscall.name.as_str()))
}
