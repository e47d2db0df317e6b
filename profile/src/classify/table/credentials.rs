//! Checks with other credentials than the program's, or without an effect on what the system call does.

use crate::Capability;
use crate::classify::call_site::{ACCESS, asked_in, in_overlayfs, in_syscall};
use crate::classify::rule::{Decision, Rule};
use crate::observation::Observation;

pub(super) static RULES: &[Rule] = &[
    // fs/open.c do_faccessat(): looks and does nothing; older kernels, and newer ones for users with capabilities, exchange the
    // credentials for it. What the program does with the answer asks for itself.
    Rule {
        name: "asked-by-access",
        explanation: "the program asked with access(2) whether it may, and was told yes: counts only if it goes by the answer",
        decision: Decision::Optional,
        applies: |check, _| in_syscall(check, ACCESS) && !(check.overridden && in_overlayfs(check)),
    },
    // override_creds(): overlayfs with its mounter's credentials, coredumps, binfmt_misc. Not so where a user's own request is carried
    // out with credentials that it chose or had before: io_uring, cgroup.procs, the opener of a file, a tracer.
    Rule {
        name: "overridden-credentials",
        explanation: "the kernel asked on its own behalf, with other credentials than the program's (overlayfs)",
        decision: Decision::Dismissed,
        applies: |check, _| check.overridden && !carries_out_own_request(check),
    },
    Rule {
        name: "without-effect",
        explanation: "the system call would have done the same without (setting ids that are set already, raising nothing)",
        decision: Decision::Dismissed,
        applies: |check, _| check.without_effect,
    },
    // fs/attr.c notify_change() turns the loss of the set-user-ID bit into a change of mode, and setattr_prepare() then asks about the
    // set-group-ID bit, which chown(2) itself has dealt with unless the group may not execute the file.
    Rule {
        name: "chown-mode",
        explanation: "asked while the owner of a set-user-ID file was changed; without it a set-group-ID bit without group execution is cleared",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::FSETID
                && in_syscall(check, &["chown", "fchown", "lchown", "fchownat"])
                && asked_in(check, &["setattr_prepare", "setattr_copy"])
        },
    },
];

fn carries_out_own_request(check: &Observation) -> bool {
    !in_overlayfs(check)
        && (
            // io_uring carries requests out under credentials that their maker registered (IORING_REGISTER_PERSONALITY, SQPOLL).
            asked_in(check, &["io_issue_sqe", "__io_issue_sqe", "io_wq_submit_work", "io_sq_thread"])
            // kernel/cgroup/cgroup.c __cgroup_procs_write(): those who opened the file are asked.
            || asked_in(check, &["cgroup_attach_permissions", "cgroup_procs_write_permission"])
            // The credentials with which a file was opened, or a tracer's: others than the task's, and not the kernel's own.
            || asked_in(check, &["file_ns_capable", "ptracer_capable"])
        )
}
