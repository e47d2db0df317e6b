//! Checks that come from the permissions of namespaced sysctls.

use crate::Capability;
use crate::classify::call_site::{ACCESS, in_syscall, listed_as};
use crate::classify::rule::{Context, Decision, Rule, in_atlas};
use crate::observation::Observation;
use crate::profile::Reason;

/// The rule of sysctls, under which the atlas lists their permissions.
pub const SYSCTL: &str = "sysctl";

pub(super) static RULES: &[Rule] = &[
    // The permissions callback of a namespaced sysctl runs at every access to the file, before the kernel knows the kind of access; see
    // fs/proc/proc_sysctl.c sysctl_perm(). The recorder finds out if the process only reads, or may write as the host's root.
    Rule {
        name: "sysctl-write",
        explanation: "a sysctl was written, or opened for it, that this process may not write without",
        decision: Decision::Needed(Reason::EnforcingSilent),
        applies: |check, context| {
            !check.without_effect
                && !root_may_write(check, context)
                && !in_syscall(check, READING)
                && !in_syscall(check, ACCESS)
                && sysctl(check)
        },
    },
    Rule {
        name: SYSCTL,
        explanation: "asked at every look at a sysctl, which may be read (and by root written) without",
        decision: Decision::Dismissed,
        applies: in_atlas,
    },
];

/// Returns true if the check was about the permissions of a sysctl.
fn sysctl(check: &Observation) -> bool {
    listed_as(check, SYSCTL)
}

/// System calls that read, or look up names.
const READING: &[&str] = &[
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "stat",
    "lstat",
    "newfstatat",
    "statx",
    "readlink",
    "readlinkat",
    "getdents64",
];

/// Returns true if the file's mode lets this container's root write without the capability.
///
/// net/sysctl_net.c keeps the mode (test_perm() lets the initial namespace's root write); kernel/pid.c accepts the pid namespace's root;
/// kernel/ucount.c (/proc/sys/user) and ipc/ipc_sysctl.c (next_id) accept no user.
fn root_may_write(check: &Observation, context: &Context) -> bool {
    context.uid == 0
        && match check.capability {
            Capability::NET_ADMIN => !context.user_namespace,
            Capability::SYS_ADMIN => true,
            _ => false,
        }
}
