//! The meaning of each argument of system calls.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The kinds of arguments, in the order of the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    /// A path, relative to the descriptor before it, else to the working directory.
    Path,
    /// A descriptor to which a path is relative.
    Directory,
    /// A descriptor.
    Descriptor,
    OpenFlags,
    Mode,
    /// A user or group; -1 is written as -1.
    Id,
    Signal,
    Pid,
    Integer,
    Hexadecimal,
    /// An address of a socket.
    Address,
    Option,
    Request,
    CloneFlags,
    MountFlags,
    Family,
    SocketType,
    Resource,
    Protection,
    MapFlags,
    Access,
    Device,
    /// Text that is not a path.
    Text,
    /// An argument of no interest.
    Skip,
}

/// A line of the table.
pub(super) struct Call {
    pub(super) kinds: Vec<ArgumentKind>,
    /// Bits of `enum call_error`.
    errors: u32,
}

impl Call {
    /// Returns true if the call names a file, or has a descriptor that leads to one.
    pub(super) fn names_file(&self) -> bool {
        self.kinds
            .iter()
            .any(|kind| matches!(kind, ArgumentKind::Path | ArgumentKind::Descriptor))
    }
}

/// The decoded calls: name, arguments, and errors that count as a refusal only for this call.
const TABLE: &str = "
open path openflags mode
openat dir path openflags mode
openat2 dir path skip
creat path mode
access path access
faccessat dir path access
faccessat2 dir path access hex
stat path
lstat path
newfstatat dir path skip hex
statx dir path hex hex
readlink path
readlinkat dir path
chdir path
fchdir fd
chroot path
execve path
execveat dir path skip skip hex
mkdir path mode
mkdirat dir path mode
mknod path mode device
mknodat dir path mode device
rmdir path
unlink path
unlinkat dir path hex
rename path path :exdev
renameat dir path dir path :exdev
renameat2 dir path dir path hex :exdev
link path path :exdev
linkat dir path dir path hex :exdev
symlink text path
symlinkat text dir path
chmod path mode
fchmod fd mode
fchmodat dir path mode
fchmodat2 dir path mode hex
chown path id id
lchown path id id
fchown fd id id
fchownat dir path id id hex
utime path
utimes path
utimensat dir path
futimesat dir path
truncate path int
ftruncate fd int
fallocate fd int int int :efbig
setxattr path text
lsetxattr path text
fsetxattr fd text
removexattr path text
lremovexattr path text
fremovexattr fd text
getxattr path text
lgetxattr path text
listxattr path
uselib path
acct path
swapon path
swapoff path
quotactl hex text int
mount text path text mountflags
umount2 path hex
pivot_root path path
move_mount dir path dir path hex
open_tree dir path hex
mount_setattr dir path hex
fsopen text hex
fspick dir path hex
inotify_init
inotify_init1 hex
inotify_add_watch fd path hex :enospc
fanotify_init hex hex
fanotify_mark fd hex hex dir path
name_to_handle_at dir path
open_by_handle_at fd skip openflags
mq_open text openflags mode
mq_unlink text
bind fd address
connect fd address
sendto fd skip int hex address
sendmsg fd
setsockopt fd int int
getsockopt fd int int
socket family socketkind int
socketpair family socketkind int
ioctl fd request hex
fcntl fd int hex
flock fd int
write fd skip int :efbig
pwrite64 fd skip int int :efbig
writev fd skip int :efbig
read fd skip int
pread64 fd skip int int
getdents64 fd
sendfile fd fd skip int :efbig
copy_file_range fd skip fd skip int :efbig
mmap hex int prot mapflags fd :eagain,enomem
mprotect hex int prot
mremap hex int int hex :enomem
brk hex
mlock hex int :eagain,enomem
mlock2 hex int hex :eagain,enomem
mlockall hex :eagain,enomem
madvise hex int int
remap_file_pages hex int
kill pid signal
tkill pid signal
tgkill pid pid signal
rt_sigqueueinfo pid signal
rt_tgsigqueueinfo pid pid signal
pidfd_send_signal fd signal
pidfd_open pid hex
pidfd_getfd fd int hex
ptrace request pid hex
process_vm_readv pid
process_vm_writev pid
process_madvise fd
process_mrelease fd
kcmp pid pid int
setuid id
setgid id
setreuid id id
setregid id id
setresuid id id id
setresgid id id id
setfsuid id
setfsgid id
setgroups int
capset
prctl option hex hex
arch_prctl int hex
setpriority int int int
nice int
sched_setscheduler pid int
sched_setparam pid
sched_setattr pid
sched_setaffinity pid
ioprio_set int pid int
setrlimit resource
prlimit64 pid resource
clone cloneflags :eagain,enospc
clone3 :eagain,enospc
fork :eagain
vfork :eagain
unshare cloneflags :enospc
setns fd cloneflags
setsid
setpgid pid pid
sethostname text int
setdomainname text int
settimeofday
clock_settime int
clock_adjtime int
adjtimex
stime
syslog int skip int
reboot hex hex int
kexec_load
kexec_file_load fd fd
init_module
finit_module fd text hex
delete_module text hex
bpf int
perf_event_open skip pid int int hex
userfaultfd hex
io_uring_setup int
io_uring_register fd int
seccomp int hex
landlock_create_ruleset
landlock_add_rule fd
landlock_restrict_self fd
keyctl int
add_key text text
request_key text text
personality hex
iopl int
ioperm hex int int
modify_ldt int
mbind hex int int
set_mempolicy int
get_mempolicy
migrate_pages pid
move_pages pid
vhangup
quotactl_fd fd hex
lookup_dcookie hex
shmget int int hex
shmat int hex hex
shmctl int int
semget int int hex
semctl int int int
msgget int hex
msgctl int int
timer_create int
timerfd_create int hex
timerfd_settime fd
epoll_create int
epoll_create1 hex
eventfd2 int hex
memfd_create text hex
memfd_secret hex
dup fd
dup2 fd int
dup3 fd int hex
pipe2 skip hex
accept fd
accept4 fd
";

fn kind(word: &str) -> Option<ArgumentKind> {
    Some(match word {
        "path" => ArgumentKind::Path,
        "dir" => ArgumentKind::Directory,
        "fd" => ArgumentKind::Descriptor,
        "openflags" => ArgumentKind::OpenFlags,
        "mode" => ArgumentKind::Mode,
        "id" => ArgumentKind::Id,
        "signal" => ArgumentKind::Signal,
        "pid" => ArgumentKind::Pid,
        "int" => ArgumentKind::Integer,
        "hex" => ArgumentKind::Hexadecimal,
        "address" => ArgumentKind::Address,
        "option" => ArgumentKind::Option,
        "request" => ArgumentKind::Request,
        "cloneflags" => ArgumentKind::CloneFlags,
        "mountflags" => ArgumentKind::MountFlags,
        "family" => ArgumentKind::Family,
        "socketkind" => ArgumentKind::SocketType,
        "resource" => ArgumentKind::Resource,
        "prot" => ArgumentKind::Protection,
        "mapflags" => ArgumentKind::MapFlags,
        "access" => ArgumentKind::Access,
        "device" => ArgumentKind::Device,
        "text" => ArgumentKind::Text,
        "skip" => ArgumentKind::Skip,
        _ => return None,
    })
}

static CALLS: LazyLock<HashMap<&'static str, Call>> = LazyLock::new(|| {
    TABLE
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next().filter(|name| !name.is_empty())?;
            let mut call = Call {
                kinds: Vec::new(),
                errors: 0,
            };
            for word in words {
                match word.strip_prefix(':') {
                    Some(errors) => {
                        call.errors = errors.split(',').map(error).sum();
                    }
                    None => call.kinds.extend(kind(word)),
                }
            }
            Some((name, call))
        })
        .collect()
});

/// Bits of `enum call_error` in bpf/why_layout.h.
fn error(name: &str) -> u32 {
    match name {
        "eagain" => 1,
        "enomem" => 2,
        "enospc" => 4,
        "efbig" => 8,
        "exdev" => 16,
        _ => 0,
    }
}

/// Returns true if the call has the address of a socket as an argument.
pub(super) fn takes_address(name: &str) -> bool {
    call(name).is_some_and(|call| call.kinds.contains(&ArgumentKind::Address))
}

/// Returns the call's line of the table.
pub(super) fn call(name: &str) -> Option<&'static Call> {
    CALLS.get(name)
}

/// The name of a system call of this architecture.
pub(super) fn name(number: i32) -> String {
    usize::try_from(number)
        .ok()
        .and_then(syscalls::Sysno::new)
        .map_or_else(
            || format!("system call {number}"),
            |call| call.name().to_owned(),
        )
}

/// The positions of paths, descriptors and data in a call's arguments, for the kernel side (`enum call_shift` in bpf/why_layout.h).
pub(super) fn shape(number: u32) -> u32 {
    let Some(call) = i32::try_from(number)
        .ok()
        .and_then(|number| call(&name(number)))
    else {
        return 0;
    };
    let place = |wanted: &dyn Fn(ArgumentKind) -> bool, skip: usize| {
        call.kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| wanted(**kind))
            .nth(skip)
            .and_then(|(index, _)| u32::try_from(index + 1).ok())
            .unwrap_or(0)
    };
    let is_path = |kind: ArgumentKind| kind == ArgumentKind::Path;
    let is_name = |kind: ArgumentKind| matches!(kind, ArgumentKind::Path | ArgumentKind::Text);
    let has_path = call.kinds.contains(&ArgumentKind::Path);
    let has_two = call
        .kinds
        .iter()
        .filter(|kind| **kind == ArgumentKind::Path)
        .count()
        > 1;
    let (path, path2) = match has_path {
        true if has_two => (place(&is_path, 0), place(&is_path, 1)),
        // Further texts: the source of a mount, the target of a link.
        true => (
            place(&is_path, 0),
            place(&|kind| kind == ArgumentKind::Text, 0),
        ),
        false => (place(&is_name, 0), place(&is_name, 1)),
    };
    let directory = |kind: ArgumentKind| {
        kind == ArgumentKind::Directory || (kind == ArgumentKind::Descriptor && !has_path)
    };
    path | path2 << 3
        | place(&directory, 0) << 6
        | place(&directory, 1) << 9
        | place(&|kind| kind == ArgumentKind::Address, 0) << 12
        | call.errors << 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_understood() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            for word in line.split(' ').skip(1) {
                assert!(
                    kind(word).is_some() || word.starts_with(':'),
                    "{line}: {word}"
                );
            }
        }
    }

    #[test]
    fn shapes_say_where_paths_and_descriptors_are() {
        let shape = |name: &str| {
            let number = name.parse::<syscalls::Sysno>().unwrap();
            super::shape(u32::try_from(number.id()).unwrap())
        };
        assert_eq!(shape("openat"), 2 | 1 << 6);
        assert_eq!(shape("renameat2"), 2 | 4 << 3 | 1 << 6 | 3 << 9 | 16 << 15);
        assert_eq!(shape("mount"), 2 | 1 << 3);
        assert_eq!(shape("bind"), 1 << 6 | 2 << 12);
        assert_eq!(shape("getpid"), 0);
    }
}
