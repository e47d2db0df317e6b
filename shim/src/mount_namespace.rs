//! A mount namespace in which a file has another content: how runc, which has no option for it, gets a configuration of its own.
//!
//! The shim leaves the engine's mount namespace for a copy of it, mounts the recording's config.json over the bundle's there, and becomes
//! the runtime. Only this one process and what it starts see that. The bundle's own file is neither written nor locked, and nothing is left to
//! put back, whenever the process ends. The mounts stay in their peer groups (mount_namespaces(7)), so that what a container mounts below a
//! shared volume still reaches the host.

use crate::mount_attributes::{self, Change};
use nix::sched::{CloneFlags, unshare};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags, open, statx};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use std::io;
use std::path::Path;

/// Enters a mount namespace in which `replacement` is mounted over `file`. Both are absolute, and no component of them is a link.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `ENOSYS` before Linux 5.12, and what the calls name. The process may then be in a namespace in which nothing
/// has changed.
pub(crate) fn enter(replacement: &Path, file: &Path) -> io::Result<()> {
    let replacement = open_tree(CWD, replacement, CLONE)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let around = around(file)?;
    let peer = open_tree(&around, "", CLONE | OpenTreeFlags::AT_EMPTY_PATH)?;
    // What is mounted in a shared mount appears in its peers, those in the engine's namespace among them.
    mount_attributes::change(&around, Change::Slave)?;
    move_mount(
        &replacement,
        "",
        CWD,
        file,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    if join(&peer, &around) == Err(Errno::INVAL) && can_join_peers() {
        // Only a private mount can be put into a group; else it is a slave that hears of it.
        mount_attributes::change(&around, Change::Private)?;
        // EINVAL: there was no group.
        let _ = join(&peer, &around);
    }
    Ok(())
}

/// Puts a mount into the peer group of another one.
fn join(peer: &OwnedFd, mount: &OwnedFd) -> Result<(), Errno> {
    move_mount(
        peer,
        "",
        mount,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_SET_GROUP,
    )
}

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// The root of the mount that a file is in.
fn around(file: &Path) -> io::Result<OwnedFd> {
    for path in file.ancestors() {
        let opened = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let status = statx(
            opened.as_fd(),
            "",
            AtFlags::EMPTY_PATH,
            StatxFlags::BASIC_STATS,
        )?;
        let attributes = status.stx_attributes & status.stx_attributes_mask;
        if !status
            .stx_attributes_mask
            .contains(StatxAttributes::MOUNT_ROOT)
        {
            return Err(Errno::NOSYS.into());
        }
        if attributes.contains(StatxAttributes::MOUNT_ROOT) {
            return Ok(opened);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Returns true if the kernel can put a mount into a peer group (Linux 5.15). Before, it stays a slave of its group.
fn can_join_peers() -> bool {
    // The flags are looked at before the descriptors: EINVAL or EBADF, never a change.
    let nothing = move_mount(
        CWD,
        "/nonexistent/from",
        CWD,
        "/nonexistent/to",
        MoveMountFlags::MOVE_MOUNT_SET_GROUP,
    );
    nothing != Err(Errno::INVAL)
}
