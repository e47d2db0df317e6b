//! The access that a system call asks for, file by file.

use capprof_profile::why::facts::Intent;

/// O_ACCMODE and others (include/uapi/asm-generic/fcntl.h).
const O_CREAT: u64 = 0o100;
const O_EXCL: u64 = 0o200;
const O_TRUNC: u64 = 0o1000;
const O_PATH: u64 = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
const O_NOFOLLOW: u64 = 0o400_000;
#[cfg(not(target_arch = "x86_64"))]
const O_NOFOLLOW: u64 = 0o100_000;
const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;

/// Returns the access that the call asks for, for the first and the second file that it names.
pub(super) fn intent(name: &str, arguments: &[u64; 6]) -> (Intent, Intent) {
    let of_one = content(name, arguments)
        .or_else(|| lookup(name, arguments))
        .or_else(|| attributes(name));
    match of_one {
        Some(first) => (first, Intent::default()),
        None => entries(name),
    }
}

/// Calls that access the content of a file.
fn content(name: &str, arguments: &[u64; 6]) -> Option<Intent> {
    let [_, a1, a2, a3, ..] = *arguments;
    Some(match name {
        "open" => opened(a1),
        "openat" => opened(a2),
        "creat" => opened(O_CREAT | O_TRUNC | 1),
        "truncate" => Intent {
            write: true,
            ..Intent::default()
        },
        "mmap" | "mprotect" => Intent {
            map_executable: a2 & PROT_EXEC != 0,
            write: a2 & PROT_WRITE != 0 && name == "mmap" && a3 & 1 != 0,
            ..Intent::default()
        },
        _ => return None,
    })
}

fn opened(flags: u64) -> Intent {
    if flags & O_PATH != 0 {
        return Intent::default();
    }
    Intent {
        read: matches!(flags & 3, 0 | 2),
        write: matches!(flags & 3, 1 | 2) || flags & O_TRUNC != 0,
        create: flags & O_CREAT != 0,
        exclusive: flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL,
        no_follow: flags & O_NOFOLLOW != 0,
        ..Intent::default()
    }
}

/// Calls that look a file up, pass through it, or ask what would be allowed.
fn lookup(name: &str, arguments: &[u64; 6]) -> Option<Intent> {
    let [_, a1, a2, a3, ..] = *arguments;
    let access = |mode: u64| Intent {
        read: mode & 4 != 0,
        write: mode & 2 != 0,
        execute: mode & 1 != 0,
        real_ids: true,
        ..Intent::default()
    };
    let found = |no_follow: bool| Intent {
        no_follow,
        ..Intent::default()
    };
    Some(match name {
        "access" => access(a1),
        "faccessat" | "faccessat2" => access(a2),
        "chdir" | "fchdir" | "chroot" | "execve" | "execveat" => Intent {
            execute: true,
            ..Intent::default()
        },
        "lstat" | "readlink" | "readlinkat" | "lgetxattr" => found(true),
        "statx" => found(a2 & AT_SYMLINK_NOFOLLOW != 0),
        "newfstatat" => found(a3 & AT_SYMLINK_NOFOLLOW != 0),
        _ => return None,
    })
}

/// Calls that change the attributes in an inode.
fn attributes(name: &str) -> Option<Intent> {
    let changed = Intent {
        attributes: true,
        ..Intent::default()
    };
    Some(match name {
        "lchown" | "lsetxattr" | "lremovexattr" => Intent {
            no_follow: true,
            ..changed
        },
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "chown" | "fchown" | "fchownat"
        | "setxattr" | "fsetxattr" | "removexattr" | "fremovexattr" | "utime" | "utimes"
        | "utimensat" | "futimesat" => changed,
        _ => return None,
    })
}

/// Calls that make, remove and move entries of directories, which may name two files. For all other calls the intent is unknown.
fn entries(name: &str) -> (Intent, Intent) {
    let none = Intent::default();
    let new = Intent {
        create: true,
        exclusive: true,
        no_follow: true,
        ..none
    };
    let removed = Intent {
        remove: true,
        no_follow: true,
        ..none
    };
    let replaced = Intent {
        create: true,
        ..removed
    };
    let linked = Intent {
        link: true,
        no_follow: true,
        ..none
    };
    match name {
        "mkdir" | "mkdirat" | "mknod" | "mknodat" | "symlink" | "symlinkat" => (new, none),
        "rmdir" | "unlink" | "unlinkat" => (removed, none),
        "rename" | "renameat" | "renameat2" => (removed, replaced),
        "link" | "linkat" => (linked, new),
        _ => (none, none),
    }
}
