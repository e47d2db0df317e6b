//! crun's binary on a read-only mount of its own, which crun calls its cloned binary.
//!
//! A container could overwrite the runtime through `/proc/PID/exe` (CVE-2019-5736). crun therefore checks first if its binary is on a read-only
//! mount. If not, it makes one (open_tree(2), mount_setattr(2)) and executes itself again from there, so every call starts it twice
//! (crun `src/libcrun/cloned_binary.c`). capprof executes it from such a mount at once. The mount is detached, and it ends with the last process
//! that runs from it.

use crate::mount_attributes::{self, Change};
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::io;
use std::path::Path;

/// Opens the file on a read-only mount of its own. The descriptor can be executed, not read, and is closed by execve(2).
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN over the mount namespace, `ENOSYS` before Linux 5.12, and those of open_tree(2).
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let mount = open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    mount_attributes::change(&mount, Change::ReadOnly)?;
    Ok(mount)
}
