use super::{ROOT, gives};
use crate::Capability;
use crate::classify::Decision::{Dismissed, Needed};
use crate::fixtures::check;
use crate::profile::Reason;

#[test]
fn seccomp_filter_is_enforced_and_its_compilation_is_not() {
    for frames in [
        &["ns_capable_noaudit", "do_seccomp", "__x64_sys_seccomp"][..],
        &[
            "ns_capable_noaudit",
            "seccomp_prepare_filter",
            "prctl_set_seccomp",
        ],
        &["ns_capable_noaudit", "__do_sys_landlock_restrict_self"],
    ] {
        gives(
            &check(Capability::SYS_ADMIN, "seccomp", frames),
            &ROOT,
            "enforced-silently",
            Needed(Reason::EnforcingSilent),
        );
    }
    gives(
        &check(
            Capability::SYS_ADMIN,
            "seccomp",
            &[
                "ns_capable_noaudit",
                "do_jit",
                "bpf_int_jit_compile",
                "bpf_prog_select_runtime",
                "do_seccomp",
            ],
        ),
        &ROOT,
        "bpf-compiler",
        Dismissed,
    );
}

#[test]
fn silent_at_an_unknown_site_counts() {
    let check = check(
        Capability::SYS_ADMIN,
        "ioctl",
        &["ns_capable_noaudit", "something_new"],
    );
    gives(
        &check,
        &ROOT,
        "silent-unknown-site",
        Needed(Reason::EnforcingSilent),
    );
}
