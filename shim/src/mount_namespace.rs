//! A mount namespace in which another file is mounted over config.json: runc has no option for another configuration.
//!
//! The shim leaves the engine's mount namespace for a copy of it, mounts the recording's config.json over the bundle's there, and becomes
//! the runtime. Only this process and its children see that. The bundle's own file is neither written nor locked, and nothing has to be restored,
//! whenever the process ends. The mounts stay in their peer groups (mount_namespaces(7)), so that a container's mounts below a shared volume
//! still reach the host.

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
/// `EPERM` without CAP_SYS_ADMIN, `ENOSYS` before Linux 5.12, and those of the system calls. The process may then be in a new namespace without
/// the mount.
pub(crate) fn enter(replacement: &Path, file: &Path) -> io::Result<()> {
    let replacement = open_tree(CWD, replacement, CLONE)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let around = around(file)?;
    let peer = open_tree(&around, "", CLONE | OpenTreeFlags::AT_EMPTY_PATH)?;
    // A mount in a shared mount also appears in its peers, and so in the engine's namespace.
    mount_attributes::change(&around, Change::Slave)?;
    move_mount(
        &replacement,
        "",
        CWD,
        file,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    if join(&peer, &around) == Err(Errno::INVAL) && can_join_peers() {
        // Only a private mount can join a group. On an older kernel it stays a slave, which at least gets new mounts from the group.
        mount_attributes::change(&around, Change::Private)?;
        // EINVAL: the mount was in no peer group.
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

/// Returns true if the kernel can put a mount into a peer group (Linux 5.15). On older kernels the mount stays a slave of its group.
fn can_join_peers() -> bool {
    // The kernel checks the flags before the descriptors, so the call fails with EINVAL or EBADF and never changes anything.
    let nothing = move_mount(
        CWD,
        "/nonexistent/from",
        CWD,
        "/nonexistent/to",
        MoveMountFlags::MOVE_MOUNT_SET_GROUP,
    );
    nothing != Err(Errno::INVAL)
}
