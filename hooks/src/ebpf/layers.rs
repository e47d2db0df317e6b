//! The layers of a container's root file system, for an engine that unmounts it before the poststop hook runs (CRI-O does).

use capprof_store::mountinfo;
use rustix::fs::{Mode, OFlags, stat, statfs};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// include/uapi/linux/magic.h
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;

/// The overlayfs at a root directory when the container started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layers {
    /// The device and inode of the root directory at that time.
    device: u64,
    inode: u64,
    /// The layers in the form of `lowerdir` for a read-only mount, the topmost first.
    lower: String,
}

impl Layers {
    /// Reads the mount at the root directory; `None` if it is not an overlayfs, or if this process cannot name its layers.
    pub(super) fn of(root: &Path) -> Option<Self> {
        let kind = statfs(root).ok()?.f_type;
        if u64::try_from(kind).ok()? != OVERLAYFS_SUPER_MAGIC {
            return None;
        }
        let directory = stat(root).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Some(Self {
            device: directory.st_dev,
            inode: directory.st_ino,
            lower: layers_at(&mounts, root.to_str()?)?,
        })
    }

    /// Returns true if it is still mounted there.
    pub(super) fn is_mounted(&self, root: &Path) -> bool {
        stat(root).is_ok_and(|now| (now.st_dev, now.st_ino) == (self.device, self.inode))
    }

    /// Mounts the same tree again, read-only and detached: it goes with the descriptor.
    pub(super) fn mount(&self) -> Result<OwnedFd, Errno> {
        let system = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&system, "lowerdir", self.lower.as_str())?;
        fsconfig_create(&system)?;
        let mount = fsmount(
            &system,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_RDONLY
                | MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        )?;
        rustix::fs::openat(
            &mount,
            ".",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }
}

/// The layers of the overlayfs that is mounted last at a path (proc_pid_mountinfo(5)), upper layer first, joined for `lowerdir`.
fn layers_at(mounts: &str, path: &str) -> Option<String> {
    let mount = mountinfo::entries(mounts)
        .rev()
        .find(|entry| entry.point == path && entry.file_system == "overlay")?;
    let mut upper = None;
    let mut lower = Vec::new();
    for option in mount.super_options.split(',') {
        match option.split_once('=') {
            Some(("upperdir", directory)) => upper = Some(directory),
            Some(("lowerdir" | "lowerdir+", directories)) => lower.push(directories),
            _ => {}
        }
    }
    let layers: Vec<&str> = upper.into_iter().chain(lower).collect();
    // A path that the kernel escapes, or that is relative to an unknown directory, cannot be named again.
    let is_plain = |layer: &&str| {
        layer.split(':').all(|directory| directory.starts_with('/')) && !layer.contains('\\')
    };
    (layers.len() > 1 && layers.iter().all(is_plain)).then(|| layers.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_those_of_the_last_mount_at_the_path() {
        let mounts = "\
            30 1 0:30 / /merged rw - overlay overlay rw,lowerdir=/old,upperdir=/o,workdir=/w\n\
            31 1 0:31 / /merged rw,relatime shared:9 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/diff,workdir=/work,nouserxattr\n\
            32 1 0:32 / /other rw - overlay overlay rw,lowerdir+=/a,lowerdir+=/b,upperdir=/c,workdir=/w\n\
            33 1 0:33 / /relative rw - overlay overlay rw,lowerdir=l/A,upperdir=/c,workdir=/w\n";
        assert_eq!(
            layers_at(mounts, "/merged").as_deref(),
            Some("/diff:/l/A:/l/B")
        );
        assert_eq!(layers_at(mounts, "/other").as_deref(), Some("/c:/a:/b"));
        assert_eq!(layers_at(mounts, "/relative"), None);
        assert_eq!(layers_at(mounts, "/nowhere"), None);
    }
}
