//! What a capability was used on, in a plain clause: `opened /var/log/nginx/error.log`.

use capprof_profile::need::Need;
use capprof_profile::object::Object;

/// The first object of a need, with the program where the need has several; `None` if none is known.
pub(super) fn first(need: &Need) -> Option<String> {
    let object = need.objects.first()?;
    match need.programs.len() {
        ..2 => Some(clause(object)),
        _ => Some(with_program(object)),
    }
}

/// The clause with its program.
pub(super) fn with_program(object: &Object) -> String {
    format!("{} {}", object.program, clause(object))
}

fn clause(object: &Object) -> String {
    if let Some(path) = &object.path {
        let cut = if object.cut { "…" } else { "" };
        return of_path(object, &format!("{}{cut}", path.display()));
    }
    if let Some(file_system) = &object.file_system {
        return format!("prepared a mount of {file_system}");
    }
    if let Some(port) = object.port {
        return match object.syscall.as_str() {
            "connect" => format!("connected to port {port}"),
            _ => format!("bound port {port}"),
        };
    }
    if let Some(process) = object.process {
        return of_process(&object.syscall, process);
    }
    match (object.user, object.group) {
        (Some(user), _) => format!("became user {user}"),
        (None, Some(group)) => format!("became group {group}"),
        (None, None) => format!("called {}", object.syscall),
    }
}

fn of_path(object: &Object, path: &str) -> String {
    let verb = match object.syscall.as_str() {
        "mount" => {
            return match &object.file_system {
                Some(file_system) => format!("mounted {file_system} at {path}"),
                None => format!("changed the mounts at {path}"),
            };
        }
        "mknod" | "mknodat" => {
            return match &object.device {
                Some(device) => format!("created device {device} at {path}"),
                None => format!("created {path}"),
            };
        }
        "open" | "openat" | "openat2" => "opened",
        "bind" => "bound the socket",
        "connect" => "connected to",
        "creat" => "created",
        "mkdir" | "mkdirat" => "made the directory",
        "rmdir" => "removed the directory",
        "unlink" | "unlinkat" => "removed",
        "rename" | "renameat" | "renameat2" => "renamed",
        "link" | "linkat" => "made a hard link to",
        "symlink" | "symlinkat" => "made the symbolic link",
        "chmod" | "fchmodat" | "fchmodat2" => "changed the mode of",
        "chown" | "lchown" | "fchownat" => "changed the owner of",
        "utime" | "utimes" | "utimensat" | "futimesat" => "set the times of",
        "truncate" => "truncated",
        "setxattr" | "lsetxattr" => "set an attribute of",
        "removexattr" | "lremovexattr" => "removed an attribute of",
        "getxattr" | "lgetxattr" | "listxattr" | "llistxattr" => "read the attributes of",
        "access" | "faccessat" | "faccessat2" => "asked if it may use",
        "stat" | "lstat" | "newfstatat" | "fstatat" | "statx" | "statfs" => "looked at",
        "readlink" | "readlinkat" => "read the link",
        "chdir" => "changed its directory to",
        "chroot" => "changed its root to",
        "pivot_root" => "changed its root mount to",
        "umount2" => "unmounted",
        "open_tree" | "mount_setattr" | "fspick" => "changed the mount at",
        "move_mount" => "attached a mount at",
        "swapon" => "began to swap to",
        "swapoff" => "ceased to swap to",
        "acct" => "had process accounts written to",
        "quotactl" => "managed quotas of",
        "inotify_add_watch" => "watched",
        "name_to_handle_at" => "took a handle of",
        "execve" | "execveat" => "executed",
        other => return format!("called {other} for {path}"),
    };
    format!("{verb} {path}")
}

fn of_process(syscall: &str, process: i32) -> String {
    let is_signal = matches!(
        syscall,
        "kill" | "tkill" | "tgkill" | "rt_sigqueueinfo" | "rt_tgsigqueueinfo"
    );
    let whom = match process {
        -1 if is_signal => "all processes".to_owned(),
        0 if is_signal => "its own process group".to_owned(),
        0 => "itself".to_owned(),
        group @ ..0 if is_signal => format!("process group {}", group.unsigned_abs()),
        process => format!("process {process}"),
    };
    let verb = match syscall {
        _ if is_signal => "signalled",
        "ptrace" => "traced",
        "process_vm_readv" => "read the memory of",
        "process_vm_writev" => "wrote the memory of",
        "prlimit64" => "set the limits of",
        "setpriority" | "ioprio_set" | "sched_setscheduler" | "sched_setparam"
        | "sched_setattr" => "set the priority of",
        "sched_setaffinity" => "set the processors of",
        "migrate_pages" | "move_pages" => "moved the memory of",
        other => return format!("called {other} for {whom}"),
    };
    format!("{verb} {whom}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(object: Object, syscall: &str) -> String {
        clause(&Object {
            syscall: syscall.to_owned(),
            ..object
        })
    }

    fn at(path: &str) -> Object {
        Object {
            path: Some(path.into()),
            ..Object::default()
        }
    }

    fn process(number: i32) -> Object {
        Object {
            process: Some(number),
            ..Object::default()
        }
    }

    #[test]
    fn each_kind_of_object_has_a_clause() {
        let mount = Object {
            file_system: Some("tmpfs".to_owned()),
            ..at("/mnt")
        };
        assert_eq!(said(mount, "mount"), "mounted tmpfs at /mnt");
        assert_eq!(said(at("/mnt"), "mount"), "changed the mounts at /mnt");
        let device = Object {
            device: Some("c 1:3".to_owned()),
            ..at("/n")
        };
        assert_eq!(said(device, "mknod"), "created device c 1:3 at /n");
        let port = Object {
            port: Some(80),
            ..Object::default()
        };
        assert_eq!(said(port, "bind"), "bound port 80");
        let user = Object {
            user: Some(33),
            ..Object::default()
        };
        assert_eq!(said(user, "setresuid"), "became user 33");
        assert_eq!(said(at("/x"), "new_call"), "called new_call for /x");
    }

    #[test]
    fn processes_are_numbered_as_kill_does() {
        for (number, syscall, expected) in [
            (7, "kill", "signalled process 7"),
            (-7, "kill", "signalled process group 7"),
            (-1, "kill", "signalled all processes"),
            (i32::MIN, "kill", "signalled process group 2147483648"),
            (0, "prlimit64", "set the limits of itself"),
        ] {
            assert_eq!(said(process(number), syscall), expected);
        }
    }

    #[test]
    fn a_cut_path_is_marked() {
        let long = Object {
            cut: true,
            ..at("/aaa")
        };
        assert_eq!(said(long, "openat"), "opened /aaa…");
    }
}
