use super::{ROOT, gives, is_used};
use crate::Capability;
use crate::classify::Context;
use crate::classify::Decision::{Dismissed, Needed, Optional};
use crate::classify::HARD_LINK;
use crate::fixtures::check;
use crate::observation::Observation;
use crate::profile::Reason;

#[test]
fn set_user_id_under_no_new_privs() {
    let start = check(
        Capability::SETUID,
        "execve",
        &[
            "ns_capable",
            "cap_bprm_creds_from_file",
            "security_bprm_creds_from_file",
            "begin_new_exec",
        ],
    );
    gives(
        &start,
        &Context {
            no_new_privileges: true,
            ..ROOT
        },
        "no-new-privileges",
        Dismissed,
    );
    is_used(&start);
}

#[test]
fn hard_link() {
    gives(
        &check(
            Capability::DAC_OVERRIDE,
            "linkat",
            &[
                "capable_wrt_inode_uidgid",
                "generic_permission",
                "inode_permission",
                "may_linkat",
                "do_linkat",
            ],
        ),
        &ROOT,
        HARD_LINK,
        Optional,
    );
    // The directory that the link is made in.
    is_used(&check(
        Capability::DAC_OVERRIDE,
        "linkat",
        &[
            "capable_wrt_inode_uidgid",
            "generic_permission",
            "inode_permission",
            "vfs_link",
            "do_linkat",
        ],
    ));
}

#[test]
fn pre_exec() {
    let entry = Observation {
        pre_exec: true,
        ..check(
            Capability::DAC_READ_SEARCH,
            "execve",
            &[
                "capable_wrt_inode_uidgid",
                "generic_permission",
                "link_path_walk",
                "do_open_execat",
            ],
        )
    };
    gives(&entry, &ROOT, "pre-exec", Needed(Reason::PreExec));
    let memory = Observation {
        call_site: vec!["security_vm_enough_memory_mm".into(), "alloc_bprm".into()],
        capability: Capability::SYS_ADMIN,
        ..entry
    };
    gives(&memory, &ROOT, "overcommit", Dismissed);
}
