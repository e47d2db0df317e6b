//! The kernel's decision by mode and access control list (fs/namei.c, `acl_permission_check()`; fs/posix_acl.c).

use super::facts::{Credentials, PathComponent};

/// To read.
pub(super) const READ: u32 = 4;
/// To write.
pub(super) const WRITE: u32 = 2;
/// To execute, or to pass through a directory.
pub(super) const EXECUTE: u32 = 1;

/// Returns true if the mode or the access control list allows the access without any capability.
pub(super) fn allowed(
    credentials: &Credentials,
    uid: u32,
    step: &PathComponent,
    wanted: u32,
) -> bool {
    if uid == step.uid {
        return step.mode >> 6 & wanted == wanted;
    }
    if !step.acl.is_empty() {
        return allowed_by_list(credentials, uid, step, wanted);
    }
    match in_group(credentials, step.gid) {
        true => step.mode >> 3 & wanted == wanted,
        false => step.mode & wanted == wanted,
    }
}

fn in_group(credentials: &Credentials, group: u32) -> bool {
    credentials.fsgid == group || credentials.groups.contains(&group)
}

/// Tags of entries (include/uapi/linux/posix_acl.h).
const USER: u16 = 0x02;
const GROUP_OBJECT: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

fn allowed_by_list(credentials: &Credentials, uid: u32, step: &PathComponent, wanted: u32) -> bool {
    let mask = step
        .acl
        .iter()
        .find(|entry| entry.tag == MASK)
        .map_or(7, |entry| u32::from(entry.permissions));
    let grants = |permissions: u16| u32::from(permissions) & mask & wanted == wanted;
    if let Some(entry) = step
        .acl
        .iter()
        .find(|entry| entry.tag == USER && entry.id == uid)
    {
        return grants(entry.permissions);
    }
    let mut named = false;
    for entry in &step.acl {
        let ours = match entry.tag {
            GROUP_OBJECT => in_group(credentials, step.gid),
            GROUP => in_group(credentials, entry.id),
            _ => false,
        };
        if ours {
            named = true;
            if grants(entry.permissions) {
                return true;
            }
        }
    }
    !named
        && step
            .acl
            .iter()
            .find(|entry| entry.tag == OTHER)
            .is_some_and(|entry| u32::from(entry.permissions) & wanted == wanted)
}
