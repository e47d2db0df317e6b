//! mount_setattr(2), for which neither rustix nor nix has a function.

use rustix::fd::{AsRawFd, OwnedFd};
use std::io;

/// A change to a mount.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// It becomes read-only.
    ReadOnly,
    /// New mounts in its peers appear in it, but new mounts in it do not appear in them.
    Slave,
    /// It has no peers.
    Private,
}

/// Changes the mount whose root the descriptor is. Unlike mount(2), this calls no SELinux check.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN over the mount namespace, `ENOSYS` before Linux 5.12.
#[allow(unsafe_code)]
pub(crate) fn change(mount: &OwnedFd, change: Change) -> io::Result<()> {
    let (attr_set, propagation) = match change {
        Change::ReadOnly => (libc::MOUNT_ATTR_RDONLY, 0),
        Change::Slave => (0, libc::MS_SLAVE),
        Change::Private => (0, libc::MS_PRIVATE),
    };
    let attributes = libc::mount_attr {
        attr_set,
        attr_clr: 0,
        propagation,
        userns_fd: 0,
    };
    // SAFETY: the kernel reads an empty string and a structure of the size that it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
