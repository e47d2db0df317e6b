//! Walks a path as a process sees it: from its root directory, link by link, without entering its namespaces.

use super::mounts::Mounts;
use capprof_profile::why::facts::{AclEntry, FileKind, PathComponent, Walk};
use rustix::fs::{
    AtFlags, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatfs, fstatvfs,
    getxattr, openat, readlinkat, statx,
};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The number of links that the kernel follows (include/linux/namei.h, `MAXSYMLINKS`).
const LINKS: usize = 40;

/// The start of a walk.
pub(super) struct Start<'a> {
    /// The process's root directory.
    pub(super) root: BorrowedFd<'a>,
    /// The mounts of the process.
    pub(super) mounts: &'a Mounts,
    /// The process's id in its own pid namespace, for /proc/self.
    pub(super) pid: Option<u32>,
}

/// A directory that was entered.
struct Directory {
    fd: OwnedFd,
    step: PathComponent,
    mount: u64,
}

struct Walker<'a> {
    start: &'a Start<'a>,
    /// The directories from the root directory to the walk's present place.
    stack: Vec<Directory>,
    pending: VecDeque<String>,
    links: usize,
    walk: Walk,
}

/// Walks to `path`, which is relative to `base` unless it begins with a slash.
pub(super) fn walk(start: &Start<'_>, base: &str, path: &str, no_follow: bool) -> Walk {
    let name = match path.starts_with('/') {
        true => path.to_owned(),
        false if path.is_empty() => base.to_owned(),
        false => format!("{}/{path}", base.trim_end_matches('/')),
    };
    let mut walker = Walker {
        start,
        stack: Vec::new(),
        pending: components(&name),
        links: 0,
        walk: Walk {
            name,
            ..Walk::default()
        },
    };
    if walker.enter_root().is_some() {
        // A name that ends with a slash is followed.
        let no_follow = no_follow && !path.ends_with('/');
        while walker.pending.front().is_some() {
            if walker.advance(no_follow).is_none() {
                break;
            }
        }
        walker.finish();
    }
    walker.walk
}

fn components(path: &str) -> VecDeque<String> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .map(ToOwned::to_owned)
        .collect()
}

impl Walker<'_> {
    fn enter_root(&mut self) -> Option<()> {
        let fd = openat(
            self.start.root,
            ".",
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        let (step, mount) = self.describe(fd.as_fd(), "/".to_owned(), None)?;
        self.stack.push(Directory { fd, step, mount });
        Some(())
    }

    /// Walks one component further; `None` at the end.
    fn advance(&mut self, no_follow: bool) -> Option<()> {
        let name = self.pending.pop_front()?;
        let here = self.stack.last()?;
        self.walk.passed.push(here.step.clone());
        if name == ".." {
            if self.stack.len() > 1 {
                self.stack.pop();
            }
            return Some(());
        }
        let path = format!("{}/{name}", here.step.path.trim_end_matches('/'));
        let open = |flags: OFlags| {
            openat(
                &here.fd,
                name.as_str(),
                flags | OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
            )
        };
        let fd = match open(OFlags::NOFOLLOW) {
            Ok(fd) => fd,
            Err(error) => {
                self.walk.whole = error == Errno::NOENT;
                self.pending.clear();
                self.stack.clear();
                return None;
            }
        };
        let (step, mount) = self.describe(fd.as_fd(), path, Some(here))?;
        match step.kind {
            FileKind::Link if no_follow && self.pending.is_empty() => self.end(step),
            FileKind::Link => {
                let magic =
                    step.mount.file_system == "proc" && name != "self" && name != "thread-self";
                match magic {
                    true => {
                        let fd = open(OFlags::empty()).ok()?;
                        let target = readlinkat(&here.fd, name.as_str(), Vec::new()).ok()?;
                        let target = target.to_string_lossy().into_owned();
                        let (target, mount) = self.describe(fd.as_fd(), target, None)?;
                        self.take(fd, target, mount)
                    }
                    false => self.follow(step, &name),
                }
            }
            _ => self.take(fd, step, mount),
        }
    }

    fn take(&mut self, fd: OwnedFd, step: PathComponent, mount: u64) -> Option<()> {
        if step.kind == FileKind::Directory {
            self.stack.push(Directory { fd, step, mount });
            return Some(());
        }
        match self.pending.is_empty() {
            true => self.look_at_capabilities(&fd, &step),
            // This is not a directory: the kernel returns ENOTDIR.
            false => return None,
        }
        self.end(step)
    }

    fn look_at_capabilities(&mut self, fd: &OwnedFd, step: &PathComponent) {
        if step.kind == FileKind::File && step.mode & 0o111 != 0 {
            self.walk.file_capabilities = super::executable::capabilities(fd.as_fd());
        }
    }

    fn end(&mut self, step: PathComponent) -> Option<()> {
        self.walk.last = Some(step);
        self.walk.whole = true;
        self.pending.clear();
        self.stack.clear();
        None
    }

    fn follow(&mut self, link: PathComponent, name: &str) -> Option<()> {
        self.links += 1;
        if self.links > LINKS {
            return None;
        }
        let target = match (name, self.start.pid) {
            ("self", Some(pid)) if link.mount.file_system == "proc" => pid.to_string(),
            ("thread-self", Some(pid)) if link.mount.file_system == "proc" => {
                format!("{pid}/task/{pid}")
            }
            _ => {
                let here = self.stack.last()?;
                readlinkat(&here.fd, name, Vec::new())
                    .ok()?
                    .to_string_lossy()
                    .into_owned()
            }
        };
        self.walk.passed.push(link);
        if target.starts_with('/') {
            self.stack.truncate(1);
        }
        for component in components(&target).into_iter().rev() {
            self.pending.push_front(component);
        }
        Some(())
    }

    /// A walk that ends at a directory.
    fn finish(&mut self) {
        if self.pending.is_empty()
            && let Some(directory) = self.stack.pop()
        {
            self.walk.last = Some(directory.step);
            self.walk.whole = true;
        }
    }

    /// Returns the facts about a file, and the number of its mount.
    fn describe(
        &self,
        fd: BorrowedFd<'_>,
        path: String,
        parent: Option<&Directory>,
    ) -> Option<(PathComponent, u64)> {
        let found = statx(
            fd,
            "",
            AtFlags::EMPTY_PATH,
            StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
        )
        .ok()?;
        let mode = u32::from(found.stx_mode);
        let id = found.stx_mnt_id;
        let mut mount = match parent {
            Some(parent) if parent.mount == id => parent.step.mount.clone(),
            _ => self.start.mounts.find(id, &path),
        };
        if parent.is_none_or(|parent| parent.mount != id) {
            let flags = fstatvfs(fd).ok()?.f_flag;
            mount.nosuid = flags.contains(StatVfsMountFlags::NOSUID);
            mount.noexec = flags.contains(StatVfsMountFlags::NOEXEC);
            mount.nodev = flags.contains(StatVfsMountFlags::NODEV);
            if !flags.contains(StatVfsMountFlags::RDONLY) {
                mount.read_only = None;
            }
            if mount.file_system.is_empty()
                && let Ok(file_system) = fstatfs(fd)
            {
                file_system_name(file_system.f_type.cast_unsigned())
                    .clone_into(&mut mount.file_system);
            }
        }
        let step = PathComponent {
            path,
            kind: kind(mode),
            mode: mode & 0o7777,
            uid: found.stx_uid,
            gid: found.stx_gid,
            acl: list(fd),
            immutable: found.stx_attributes.contains(StatxAttributes::IMMUTABLE),
            append_only: found.stx_attributes.contains(StatxAttributes::APPEND),
            device: (found.stx_rdev_major, found.stx_rdev_minor),
            mount,
        };
        Some((step, id))
    }
}

fn kind(mode: u32) -> FileKind {
    match mode & 0o170_000 {
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Link,
        0o020_000 => FileKind::Character,
        0o060_000 => FileKind::Block,
        0o010_000 => FileKind::Fifo,
        0o140_000 => FileKind::Socket,
        _ => FileKind::File,
    }
}

/// Reads the access control list (include/uapi/linux/posix_acl_xattr.h): a version, then entries of eight bytes.
fn list(fd: BorrowedFd<'_>) -> Vec<AclEntry> {
    let mut bytes = [0; 1024];
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let length = getxattr(path, "system.posix_acl_access", &mut bytes).unwrap_or(0);
    let entries = bytes.get(4..length).unwrap_or_default();
    entries
        .chunks_exact(8)
        .filter_map(|entry| {
            let half =
                |at: usize| Some(u16::from_le_bytes(entry.get(at..at + 2)?.try_into().ok()?));
            Some(AclEntry {
                tag: half(0)?,
                permissions: half(2)?,
                id: u32::from_le_bytes(entry.get(4..8)?.try_into().ok()?),
            })
        })
        .collect()
}

/// Names a file system by its magic number (include/uapi/linux/magic.h).
fn file_system_name(magic: u64) -> &'static str {
    match magic & 0xffff_ffff {
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0x0102_1994 => "tmpfs",
        0xef53 => "ext4",
        0x794c_7630 => "overlay",
        0x9123_683e => "btrfs",
        0x5846_5342 => "xfs",
        0x6367_7270 => "cgroup2",
        0x1cd1 => "devpts",
        _ => "",
    }
}
