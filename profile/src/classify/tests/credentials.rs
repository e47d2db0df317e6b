use super::{ROOT, gives, is_used};
use crate::Capability;
use crate::classify::Decision::{Dismissed, Optional};
use crate::fixtures::check;
use crate::observation::Observation;

#[test]
fn overridden_credentials() {
    let overlay = Observation {
        overridden: true,
        ..check(
            Capability::SYS_ADMIN,
            "statx",
            &[
                "capable",
                "xattr_permission",
                "vfs_getxattr",
                "ovl_check_metacopy_xattr",
                "ovl_lookup",
            ],
        )
    };
    gives(&overlay, &ROOT, "overridden-credentials", Dismissed);
    // The program's own request on the same file system.
    is_used(&check(
        Capability::DAC_OVERRIDE,
        "openat",
        &[
            "capable_wrt_inode_uidgid",
            "generic_permission",
            "ovl_permission",
            "inode_permission",
        ],
    ));
}

#[test]
fn overlay_of_the_containers_own() {
    let own = |capability, frames: &[&str]| Observation {
        overridden: true,
        own_mount: true,
        ..check(capability, "openat", frames)
    };
    for (capability, frames) in [
        (
            Capability::CHOWN,
            &["setattr_prepare", "notify_change", "ovl_set_attr"][..],
        ),
        (
            Capability::DAC_OVERRIDE,
            &["generic_permission", "vfs_tmpfile", "ovl_copy_up_one"],
        ),
    ] {
        is_used(&own(capability, frames));
    }
    for (capability, frames) in [
        (
            Capability::SYS_ADMIN,
            &["capable", "xattr_permission", "ovl_check_metacopy_xattr"][..],
        ),
        (
            Capability::DAC_READ_SEARCH,
            &["capable", "ovl_can_decode_fh"],
        ),
        (Capability::FOWNER, &["ns_capable", "ovl_path_open"]),
    ] {
        gives(&own(capability, frames), &ROOT, "own-overlay", Dismissed);
    }
    // Linux 6.1 asks for file handles before it exchanges the credentials.
    let mounting = check(
        Capability::DAC_READ_SEARCH,
        "mount",
        &["capable", "ovl_can_decode_fh", "ovl_fill_super"],
    );
    gives(&mounting, &ROOT, "own-overlay", Dismissed);
    // A core dump has credentials of the program's, too.
    let dump = own(
        Capability::DAC_OVERRIDE,
        &["generic_permission", "do_coredump"],
    );
    gives(&dump, &ROOT, "overridden-credentials", Dismissed);
}

#[test]
fn the_outer_check_of_overlayfs_is_the_rings_own() {
    let ring = |frames: &[&str]| Observation {
        overridden: true,
        ..check(Capability::DAC_READ_SEARCH, "io_uring_enter", frames)
    };
    is_used(&ring(&[
        "capable_wrt_inode_uidgid",
        "generic_permission",
        "ovl_permission",
        "inode_permission",
        "io_issue_sqe",
    ]));
    let layer = ring(&[
        "capable_wrt_inode_uidgid",
        "generic_permission",
        "inode_permission",
        "ovl_permission",
        "inode_permission",
        "io_issue_sqe",
    ]);
    gives(&layer, &ROOT, "overridden-credentials", Dismissed);
}

#[test]
fn access_only_asks() {
    let frames = [
        "capable_wrt_inode_uidgid",
        "generic_permission",
        "ovl_permission",
        "inode_permission",
        "do_faccessat",
    ];
    let access = check(Capability::DAC_OVERRIDE, "faccessat2", &frames);
    gives(&access, &ROOT, "asked-by-access", Optional);
    // With exchanged credentials, on another file system than overlayfs.
    let exchanged = Observation {
        overridden: true,
        call_site: vec!["generic_permission".into(), "do_faccessat".into()],
        ..access.clone()
    };
    gives(&exchanged, &ROOT, "asked-by-access", Optional);
    let layer = Observation {
        overridden: true,
        ..access
    };
    gives(&layer, &ROOT, "overridden-credentials", Dismissed);
    is_used(&check(Capability::DAC_OVERRIDE, "openat", &frames));
}

#[test]
fn chown_of_a_set_user_id_file() {
    let frames = [
        "capable_wrt_inode_uidgid",
        "setattr_prepare",
        "notify_change",
        "chown_common",
    ];
    gives(
        &check(Capability::FSETID, "fchownat", &frames),
        &ROOT,
        "chown-mode",
        Optional,
    );
    is_used(&check(Capability::CHOWN, "fchownat", &frames));
    is_used(&check(
        Capability::FSETID,
        "fchmodat",
        &[
            "capable_wrt_inode_uidgid",
            "setattr_prepare",
            "chmod_common",
        ],
    ));
}

#[test]
fn requests_under_chosen_credentials_count() {
    let ring = Observation {
        overridden: true,
        ..check(
            Capability::DAC_READ_SEARCH,
            "io_uring_enter",
            &[
                "capable_wrt_inode_uidgid",
                "generic_permission",
                "path_openat",
                "io_openat2",
                "io_issue_sqe",
            ],
        )
    };
    is_used(&ring);
}

#[test]
fn without_effect() {
    let own_id = Observation {
        without_effect: true,
        ..check(
            Capability::SETGID,
            "setgid",
            &["ns_capable_setid", "__sys_setgid"],
        )
    };
    gives(&own_id, &ROOT, "without-effect", Dismissed);
    is_used(&check(
        Capability::SETGID,
        "setgid",
        &["ns_capable_setid", "__sys_setgid"],
    ));
}
