//! Executables of the container: their paths and their file capabilities.

use super::features;
use super::layers::Layers;
use super::layout::{self, Program, program};
use capprof_profile::CapabilitySet;
use capprof_profile::observation::FileCapabilities;
use capprof_profile::recording::BindMount;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, getxattr, openat2};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// include/uapi/linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// `VFS_CAP_REVISION_MASK`, and the revisions and the flag below it, include/uapi/linux/capability.h.
const REVISION_MASK: u32 = 0xff00_0000;
const REVISION_1: u32 = 0x0100_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const EFFECTIVE: u32 = 1;

/// The executable's path inside the container; relative if it is in no file system of the container (memfd_create(2)).
pub(super) fn path(row: &Program) -> PathBuf {
    let length = usize::try_from(row.length).unwrap_or(usize::MAX);
    let mut names: Vec<&[u8]> = row
        .path
        .get(..length.min(row.path.len()))
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .collect();
    names.reverse();
    let mut path = Vec::new();
    for name in names {
        if !path.is_empty() || row.flags & (program::OUTSIDE | program::TRUNCATED) == 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        // The file never had a name in a directory.
        return PathBuf::from(format!("anonymous file ({})", layout::text(&row.comm)));
    }
    PathBuf::from(OsString::from_vec(path))
}

/// A program of the container: its name, and its path if it is in the container's file systems.
pub(super) struct Executable {
    pub(super) comm: String,
    pub(super) path: Option<PathBuf>,
    /// True if it was executed with user id 0 inside the container.
    pub(super) as_root: bool,
}

impl Executable {
    /// Returns the program of this row.
    pub(super) fn of(row: &Program) -> Self {
        let reachable = row.flags & (program::OUTSIDE | program::TRUNCATED) == 0;
        Self {
            comm: layout::text(&row.comm),
            path: reachable.then(|| path(row)),
            as_root: row.flags & program::NOT_ROOT == 0,
        }
    }
}

/// The reason why the file capabilities of an executable could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// The recording has no path of the root file system.
    #[error("the recording does not know the container's root file system")]
    UnknownRoot,
    /// The engine has unmounted the root file system, and it could not be mounted again.
    #[error("mount its layers again: {0}")]
    Layers(Errno),
    /// The directory at which the path begins could not be opened.
    #[error("open {}: {errno}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The reason.
        errno: Errno,
    },
    /// The kernel side could not keep the whole path.
    #[error("its path is too long")]
    TooLong,
    /// It has no path: a memfd, for example.
    #[error("it lies in no file system of the container")]
    Outside,
    /// It was on another mount than the root file system, and that mount is no bind mount from the host.
    #[error("it lies on a mount that is gone with the container")]
    MountGone,
    /// There is no file at its path.
    #[error("it was removed from the root file system")]
    Removed,
    /// Its path could not be opened.
    #[error("open: {0}")]
    Open(Errno),
    /// Its kind could not be read.
    #[error("look at it: {0}")]
    Status(Errno),
    /// There is a directory, a link, a device or a FIFO at its path.
    #[error("it was replaced by something that is not a regular file")]
    Replaced,
    /// Its inode has changed since the execution.
    #[error("it was changed after it was executed")]
    Changed,
    /// getxattr(2) failed.
    #[error("read security.capability: {0}")]
    Attribute(Errno),
    /// include/uapi/linux/capability.h does not have the revision.
    #[error("security.capability has an unknown revision")]
    Revision,
    /// The length is not that of the revision.
    #[error("security.capability has a wrong length")]
    Length,
}

/// The container's root file system, and the mounts over it, as the host sees them.
pub(super) struct Root<'a> {
    directory: Result<OwnedFd, Unreadable>,
    bind_mounts: &'a [BindMount],
}

impl<'a> Root<'a> {
    /// Opens the root. `layers` are those of the mount at its path, which an engine may have unmounted since.
    pub(super) fn open(
        path: Option<&Path>,
        layers: Option<&Layers>,
        bind_mounts: &'a [BindMount],
    ) -> Self {
        let directory = path
            .ok_or(Unreadable::UnknownRoot)
            .and_then(|path| match layers {
                Some(layers) if !layers.is_mounted(path) => {
                    layers.mount().map_err(Unreadable::Layers)
                }
                _ => open_directory(path),
            });
        Self {
            directory,
            bind_mounts,
        }
    }

    /// Returns the host's path for a path on another mount: the bind mount's source, and the path below it.
    fn on_bind_mount<'b>(&self, path: &'b Path) -> Option<(&'a Path, &'b Path)> {
        self.bind_mounts
            .iter()
            .rev()
            .filter_map(|mount| {
                let below = path.strip_prefix(&mount.destination).ok()?;
                Some((mount.source.as_path(), below))
            })
            // The innermost mount decides. Of several at one place, the last covers the others.
            .min_by_key(|(_, below)| below.components().count())
    }

    /// Returns true if a change of a file's extended attributes leaves its time of change as it is: on a tmpfs before Linux 6.1 (mm/shmem.c,
    /// `shmem_xattr_handler_set()`).
    pub(super) fn hides_changes(&self) -> bool {
        let is_tmpfs = |directory| {
            fstatfs(directory).is_ok_and(|it| u64::try_from(it.f_type) == Ok(TMPFS_MAGIC))
        };
        features::is_older_than(6, 1) && self.directory.as_ref().is_ok_and(is_tmpfs)
    }

    /// Reads the file capabilities of an executable.
    pub(super) fn file_capabilities(
        &self,
        row: &Program,
        path: &Path,
        user_namespace: bool,
    ) -> Result<Option<FileCapabilities>, Unreadable> {
        if row.flags & program::TRUNCATED != 0 {
            return Err(Unreadable::TooLong);
        }
        if row.flags & program::OUTSIDE != 0 {
            return Err(Unreadable::Outside);
        }
        let mounted;
        let (root, path) = if row.flags & program::OTHER_MOUNT != 0 {
            let (source, below) = self.on_bind_mount(path).ok_or(Unreadable::MountGone)?;
            // The source of a bind mount may be a file or a directory.
            let (directory, below) = match (source.parent(), source.file_name()) {
                (Some(parent), Some(name)) if below.as_os_str().is_empty() => {
                    (parent, Path::new(name))
                }
                _ => (source, below),
            };
            mounted = open_directory(directory)?;
            (&mounted, below)
        } else {
            (self.directory.as_ref().map_err(Clone::clone)?, path)
        };
        let file = look_at(root, path)?;
        let mut value = [0_u8; 24];
        // fgetxattr(2) does not accept an O_PATH descriptor.
        let place = format!("/proc/self/fd/{}", file.as_raw_fd());
        match getxattr(place, "security.capability", &mut value) {
            Ok(length) => parse(value.get(..length).unwrap_or_default(), user_namespace),
            Err(Errno::NODATA | Errno::NOTSUP) => match was_changed(&file, row) {
                true => Err(Unreadable::Changed),
                false => Ok(None),
            },
            Err(errno) => Err(Unreadable::Attribute(errno)),
        }
    }
}

/// Finds a regular file of the container without opening it. The container controls this path and may have replaced the program by a device or a
/// FIFO, which would have an effect when opened. No link in the path may lead out of the root.
fn look_at(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Unreadable> {
    let file = openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS,
    )
    .map_err(|errno| match errno {
        Errno::NOENT => Unreadable::Removed,
        errno => Unreadable::Open(errno),
    })?;
    let status = fstat(&file).map_err(Unreadable::Status)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(Unreadable::Replaced),
    }
}

/// Returns true if the inode has changed since the execution: its capabilities may have been removed.
fn was_changed(file: &OwnedFd, row: &Program) -> bool {
    fstat(file).is_ok_and(|now| {
        now.st_ctime != row.changed
            || i64::try_from(now.st_ctime_nsec) != Ok(i64::from(row.changed_ns))
    })
}

fn open_directory(path: &Path) -> Result<OwnedFd, Unreadable> {
    rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| Unreadable::Directory {
        path: path.to_owned(),
        errno,
    })
}

/// Parses `struct vfs_cap_data` or `struct vfs_ns_cap_data`, capabilities(7) "File capability extended attribute versioning".
fn parse(value: &[u8], user_namespace: bool) -> Result<Option<FileCapabilities>, Unreadable> {
    let words: Vec<u32> = value
        .chunks_exact(4)
        .filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?)))
        .collect();
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    let revision = word(0) & REVISION_MASK;
    let expected = match revision {
        REVISION_1 => 12,
        REVISION_2 => 20,
        REVISION_3 => 24,
        _ => return Err(Unreadable::Revision),
    };
    if value.len() != expected {
        return Err(Unreadable::Length);
    }
    // Capabilities that were set inside a user namespace count only there; read from outside, they have that root's id.
    if revision == REVISION_3 && word(5) != 0 && !user_namespace {
        return Ok(None);
    }
    let high = |index: usize| match revision {
        REVISION_1 => 0,
        _ => u64::from(word(index)) << 32,
    };
    Ok(Some(FileCapabilities {
        permitted: CapabilitySet::from_bits(u64::from(word(1)) | high(3)),
        inheritable: CapabilitySet::from_bits(u64::from(word(2)) | high(4)),
        effective: word(0) & EFFECTIVE != 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use nix::unistd::mkfifo;
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;
    use zerocopy::FromZeros;

    fn program(names: &[u8], flags: u32) -> Program {
        let mut row = Program::new_zeroed();
        row.path[..names.len()].copy_from_slice(names);
        row.length = u32::try_from(names.len()).unwrap();
        row.flags = flags;
        row
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn names_from_the_file_upwards_make_a_path() {
        assert_eq!(
            path(&program(b"ping\0bin\0usr\0", 0)),
            Path::new("/usr/bin/ping")
        );
        assert_eq!(
            path(&program(b"memfd:x\0", program::OUTSIDE)),
            Path::new("memfd:x")
        );
        let anonymous = program(b"", program::OUTSIDE);
        assert_eq!(path(&anonymous), Path::new("anonymous file ()"));
    }

    /// Opening a FIFO for reading wakes its writer, and opening a device can do more.
    #[test]
    fn what_was_put_in_a_programs_place_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("probe");
        mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let writer = || {
            OpenOptions::new()
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(&fifo)
        };
        let root = Root::open(Some(directory.path()), None, &[]);
        let read = root.file_capabilities(&program(b"probe\0", 0), Path::new("/probe"), false);
        assert_eq!(read, Err(Unreadable::Replaced));
        // No process has it open for reading.
        assert_eq!(
            writer().unwrap_err().raw_os_error(),
            Some(Errno::NXIO.raw_os_error())
        );
        std::fs::remove_file(&fifo).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &fifo).unwrap();
        let read = root.file_capabilities(&program(b"probe\0", 0), Path::new("/probe"), false);
        assert!(read.is_err());
    }

    #[test]
    fn revisions_of_file_capabilities_are_told_apart() {
        let ping = parse(&words(&[REVISION_2 | EFFECTIVE, 1 << 13, 0, 0, 0]), false)
            .unwrap()
            .unwrap();
        assert!(ping.effective);
        assert_eq!(
            ping.permitted,
            CapabilitySet::from_iter([Capability::NET_RAW])
        );
        let bpf = parse(&words(&[REVISION_2, 0, 1 << 13, 1 << 7, 0]), false)
            .unwrap()
            .unwrap();
        assert!(!bpf.effective);
        assert_eq!(bpf.permitted, CapabilitySet::from_iter([Capability::BPF]));
        assert_eq!(
            bpf.inheritable,
            CapabilitySet::from_iter([Capability::NET_RAW])
        );
        let other_root = words(&[REVISION_3, 1 << 13, 0, 0, 0, 100_000]);
        assert_eq!(parse(&other_root, false), Ok(None));
        assert!(parse(&other_root, true).unwrap().is_some());
        assert!(parse(&words(&[REVISION_2, 0, 0, 0]), false).is_err());
        assert!(parse(&words(&[0, 0, 0, 0, 0]), false).is_err());
    }
}
