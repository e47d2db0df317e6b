//! Checks that the kernel makes without an audit record (NOAUDIT).

use crate::classify::call_site::{function, silent, silent_or_unknown};
use crate::classify::rule::{Decision, Rule};
use crate::profile::Reason;

/// The rule that counts a silent check no other rule knows.
pub(crate) const SILENT_UNKNOWN_SITE: &str = "silent-unknown-site";

pub(super) static RULES: &[Rule] = &[
    // NOAUDIT and enforced: kernel/seccomp.c, security/landlock/syscalls.c, kernel/capability.c ptracer_capable(), fs/namespace.c, fs/nsfs.c,
    // io_uring/register.c.
    Rule {
        name: "enforced-silently",
        explanation: "the kernel asks without an audit record, and refuses the system call without",
        decision: Decision::Needed(Reason::EnforcingSilent),
        applies: |check, _| {
            check.call_site.iter().any(|frame| {
                let frame = function(frame);
                [
                    "do_seccomp",
                    "seccomp_prepare_filter",
                    "seccomp_prepare_user_filter",
                    "seccomp_set_mode_filter",
                    "prctl_set_seccomp",
                    "ptracer_capable",
                    "may_see_all_namespaces",
                    "may_use_nsfs_ioctl",
                    "io_register_restrictions_task",
                    "io_register_bpf_filter_task",
                    "do_statmount",
                    "do_listmount",
                ]
                .contains(&frame)
                    || [
                        "sys_seccomp",
                        "landlock_restrict_self",
                        "sys_statmount",
                        "sys_listmount",
                    ]
                    .iter()
                    .any(|part| frame.contains(part))
            }) && silent_or_unknown(check)
        },
    },
    Rule {
        name: SILENT_UNKNOWN_SITE,
        explanation: "the kernel asked without an audit record, at a place that capprof has no rule for: counted to be safe",
        decision: Decision::Needed(Reason::EnforcingSilent),
        applies: |check, _| silent(check),
    },
];
