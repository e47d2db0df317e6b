use super::{ROOT, gives, is_used};
use crate::Capability;
use crate::classify::Decision::{Denied, Dismissed};
use crate::fixtures::check;
use crate::observation::{Audit, CheckAnswer, Namespace, Observation};

#[test]
fn overcommit() {
    for frames in [
        // Linux 6.18, seen by the tracepoint: mmap, fork, growth of the stack.
        &[
            "security_vm_enough_memory_mm",
            "__mmap_region",
            "mmap_region",
            "do_mmap",
            "vm_mmap_pgoff",
        ][..],
        &[
            "security_vm_enough_memory_mm",
            "dup_mmap",
            "copy_process",
            "kernel_clone",
            "__do_sys_clone",
        ],
        &[
            "security_vm_enough_memory_mm",
            "expand_stack",
            "exc_page_fault",
            "asm_exc_page_fault",
        ],
        // fexit sees what is not inlined; a build may rename copies.
        &[
            "cap_vm_enough_memory",
            "security_vm_enough_memory_mm",
            "shmem_zero_setup",
        ],
        &["__vm_enough_memory.part.0", "do_brk_flags"],
    ] {
        gives(
            &check(Capability::SYS_ADMIN, "mmap", frames),
            &ROOT,
            "overcommit",
            Dismissed,
        );
    }
    // The same capability, asked for new namespaces in the same system call.
    is_used(&check(
        Capability::SYS_ADMIN,
        "clone",
        &[
            "ns_capable",
            "copy_namespaces",
            "copy_process",
            "kernel_clone",
        ],
    ));
}

#[test]
fn overcommit_without_a_stack() {
    for syscall in ["", "brk", "mremap"] {
        gives(
            &check(Capability::SYS_ADMIN, syscall, &[]),
            &ROOT,
            "overcommit",
            Dismissed,
        );
    }
    // clone(2) asks also for namespaces, which is not a probe; known to be silent, it can only be the probe.
    is_used(&check(Capability::SYS_ADMIN, "clone", &[]));
    let silent = Observation {
        audit: Audit::Silent,
        ..check(Capability::SYS_ADMIN, "clone", &[])
    };
    gives(&silent, &ROOT, "overcommit", Dismissed);
}

#[test]
fn refused_overcommit_is_still_a_probe() {
    let refused = Observation {
        verdict: CheckAnswer::Denied,
        namespace: Namespace::Initial,
        ..check(
            Capability::SYS_ADMIN,
            "mmap",
            &["security_vm_enough_memory_mm", "mmap_region"],
        )
    };
    gives(&refused, &ROOT, "overcommit", Denied);
}
