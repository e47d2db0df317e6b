//! Checks with other credentials than the program's, or without an effect on the system call.

use crate::Capability;
use crate::atlas::paths;
use crate::classify::call_site::{
    ACCESS, asked_in, function, in_overlayfs, in_syscall, is_of_overlayfs,
};
use crate::classify::rule::{Decision, Rule};
use crate::observation::Observation;

pub(super) static RULES: &[Rule] = &[
    // fs/open.c do_faccessat(): only looks. Older kernels, and newer ones for users with capabilities, override the credentials for that.
    // If the program acts on the answer, the kernel checks that act by itself.
    Rule {
        name: "asked-by-access",
        explanation: "the program asked with access(2) whether it may, and was told yes: counts only if it acts on the answer",
        decision: Decision::Optional,
        applies: |check, _| in_syscall(check, ACCESS) && !(check.overridden && in_overlayfs(check)),
    },
    // An overlayfs that the container mounted itself works with the container's credentials. Of the capabilities that it asks for at each access to
    // a layer (private extended attributes, file handles), its mounter has shown that it holds them, or overlayfs goes on without.
    Rule {
        name: "own-overlay",
        explanation: "asked by overlayfs that the container mounted itself, for its own bookkeeping: a process that may mount it may do that, or it goes on without",
        decision: Decision::Dismissed,
        applies: |check, _| {
            is_overlay_bookkeeping(check)
                && (check.overridden && check.own_mount || is_mounting_overlay(check))
        },
    },
    // override_creds(): overlayfs with its mounter's credentials, core dumps, binfmt_misc. The rule does not apply where the kernel carries out a
    // user's own request with credentials that the user chose or had before (io_uring, cgroup.procs, the opener of a file, a tracer), nor to an
    // overlayfs that the container mounted itself.
    Rule {
        name: "overridden-credentials",
        explanation: "the kernel asked on its own behalf, with other credentials than the program's (overlayfs)",
        decision: Decision::Dismissed,
        applies: |check, _| {
            check.overridden
                && !(check.own_mount && in_overlayfs(check))
                && !carries_out_own_request(check)
        },
    },
    Rule {
        name: "without-effect",
        explanation: "the system call would have done the same without (setting ids that are set already, raising nothing)",
        decision: Decision::Dismissed,
        applies: |check, _| check.without_effect,
    },
    // To clear the set-user-ID bit, fs/attr.c notify_change() changes the mode, and setattr_prepare() then asks about the set-group-ID bit.
    // chown(2) has already cleared that bit itself, except where the group may not execute the file.
    Rule {
        name: "chown-mode",
        explanation: "asked while the owner of a set-user-ID file was changed; without it a set-group-ID bit without group execution is cleared",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::FSETID
                && in_syscall(check, &["chown", "fchown", "lchown", "fchownat"])
                && asked_in(check, paths::ATTRIBUTE_CHANGE)
        },
    },
];

/// Returns true if overlayfs asked for its own purposes (fs/overlayfs/super.c, namei.c, export.c): for its private extended attributes and file
/// handles; if a set-ID bit survives a copy, where overlayfs sets the mode afterwards anyway; to read a layer without a new access time; and to
/// set the times of a copy, where it goes on without.
fn is_overlay_bookkeeping(check: &Observation) -> bool {
    match check.capability {
        Capability::SYS_ADMIN => asked_in(check, paths::ATTRIBUTE_PERMISSION),
        Capability::DAC_READ_SEARCH => asked_in(check, paths::OVERLAY_HANDLE),
        Capability::FSETID => true,
        Capability::FOWNER => asked_in(check, paths::OVERLAY_COPY),
        _ => false,
    }
}

/// Returns true if overlayfs asked for file handles while it was mounted. Kernels before 6.7 do that before they override the credentials.
fn is_mounting_overlay(check: &Observation) -> bool {
    !check.overridden && asked_in(check, paths::OVERLAY_HANDLE)
}

/// Returns true if the innermost function of overlayfs had not yet overridden the credentials (fs/overlayfs/inode.c): these functions first check
/// the file as the program sees it, then the layer's file.
fn before_overlay_exchanged(check: &Observation) -> bool {
    let frames: Vec<&str> = check
        .call_site
        .iter()
        .map(|frame| function(frame))
        .collect();
    let position = frames.iter().position(|frame| is_of_overlayfs(frame));
    let calls = position.and_then(|position| frames.get(position.checked_sub(1)?..=position));
    [paths::OVERLAY_LOOKS_FIRST, paths::OVERLAY_SETS_FIRST]
        .iter()
        .any(|path| calls == Some(path))
}

fn carries_out_own_request(check: &Observation) -> bool {
    (!in_overlayfs(check) || before_overlay_exchanged(check))
        && (asked_in(check, paths::IO_URING_REQUEST)
            || asked_in(check, paths::CGROUP_MOVE)
            || asked_in(check, paths::CREDENTIALS_OF_OPENER))
}
