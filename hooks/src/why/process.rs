//! Reads /proc for a watched process directly after a refusal.

use super::mounts::Mounts;
use capprof_profile::why::facts::{DeviceRule, Modules};
use capprof_store::control_group::{self, VERSION_2};
use nix::sched::CloneFlags;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

/// Root directories and mounts by the inode number of their mount namespace, kept for processes that end before their refusal is processed.
#[derive(Default)]
pub(super) struct Roots(HashMap<u32, Root>);

struct Root {
    directory: Rc<OwnedFd>,
    mounts: Rc<Mounts>,
    /// Keeps the namespace: the kernel unmounts everything in a namespace that has no user.
    namespace: fs::File,
}

impl Roots {
    /// Reads the present root directory and mounts of the process. If it is gone, reads the present mounts of its namespace.
    pub(super) fn refresh(&mut self, pid: u32, mount_namespace: u32) {
        if let Some(fresh) = read(pid, mount_namespace) {
            self.0.insert(mount_namespace, fresh);
        } else if let Some(root) = self.0.get_mut(&mount_namespace) {
            root.look_again();
        }
    }

    /// Returns true if a process was seen in this mount namespace.
    pub(super) fn know(&self, mount_namespace: u32) -> bool {
        self.0.contains_key(&mount_namespace)
    }

    /// Returns the process's root directory and mounts. If the process is gone, returns the root directory that was last seen in its mount namespace.
    pub(super) fn of(
        &mut self,
        pid: u32,
        mount_namespace: u32,
    ) -> Option<(Rc<OwnedFd>, Rc<Mounts>)> {
        self.refresh(pid, mount_namespace);
        let root = self.0.get(&mount_namespace)?;
        Some((Rc::clone(&root.directory), Rc::clone(&root.mounts)))
    }
}

impl Root {
    /// Reads the mounts from the namespace itself, without a process. If a process was last seen before its runtime called pivot_root(2), its root
    /// directory is now another: that of the namespace.
    fn look_again(&mut self) {
        let Some((directory, mounts)) = root_of_namespace(&self.namespace) else {
            return;
        };
        let is_mounted = mount_of(self.directory.as_fd()).is_some_and(|id| mounts.has(id));
        if !is_mounted {
            self.directory = Rc::new(directory);
        }
        self.mounts = Rc::new(mounts);
    }
}

fn read(pid: u32, mount_namespace: u32) -> Option<Root> {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
    // The process may have changed its namespace, or be another one with the same number.
    if namespace.metadata().ok()?.ino() != u64::from(mount_namespace) {
        return None;
    }
    let directory = open_root(&format!("/proc/{pid}/root"))?;
    let mounts = Mounts::of(&fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?);
    (!mounts.is_empty()).then(|| Root {
        directory: Rc::new(directory),
        mounts: Rc::new(mounts),
        namespace,
    })
}

fn open_root(path: &str) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).ok()
}

/// The number of the mount that contains a directory.
fn mount_of(directory: BorrowedFd<'_>) -> Option<u64> {
    let found = statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    found.ok().map(|found| found.stx_mnt_id)
}

/// The root directory that a thread gets when it enters the namespace with setns(2), and the mounts there. A separate thread enters it.
fn root_of_namespace(namespace: &fs::File) -> Option<(OwnedFd, Mounts)> {
    let enter = || {
        // The /proc of that namespace may not show this thread.
        let this = open_root("/proc/thread-self")?;
        // setns(2) fails for a thread that shares its root directory with others.
        nix::sched::unshare(CloneFlags::CLONE_FS).ok()?;
        nix::sched::setns(namespace, CloneFlags::CLONE_NEWNS).ok()?;
        let list = openat(
            &this,
            "mountinfo",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let mounts = std::io::read_to_string(fs::File::from(list.ok()?)).ok()?;
        Some((open_root("/")?, Mounts::of(&mounts)))
    };
    std::thread::scope(|scope| scope.spawn(enter).join().ok().flatten())
}

/// The process's id in its own pid namespace.
pub(super) fn pid_inside(pid: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?
        .split_whitespace()
        .last()?
        .parse()
        .ok()
}

/// The executable of the process; `None` for a file that is itself the root of a mount, like runc's copy of itself.
pub(super) fn executable(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let path = path.to_string_lossy();
    let path = path.trim_end_matches(" (deleted)");
    (path != "/").then(|| path.to_owned())
}

/// Limits by their number (include/uapi/asm-generic/resource.h).
const LIMITS: [(usize, &str); 8] = [
    (1, "RLIMIT_FSIZE"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
];

/// The soft limits, and the number of open files unless the process is gone.
pub(super) fn limits(pid: u32, limits: &[[u64; 2]; 16]) -> BTreeMap<String, (u64, Option<u64>)> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()
        .and_then(|entries| u64::try_from(entries.count()).ok())
        .filter(|count| *count > 0);
    LIMITS
        .iter()
        .filter_map(|(number, name)| {
            let [soft, _] = limits.get(*number)?;
            let used = open.filter(|_| *name == "RLIMIT_NOFILE");
            Some(((*name).to_owned(), (*soft, used)))
        })
        .collect()
}

/// Network namespaces of watched processes, kept for those that end before their refusal is processed.
#[derive(Default)]
pub(super) struct Networks(HashMap<u32, fs::File>);

impl Networks {
    /// The process's network namespace.
    pub(super) fn of(&mut self, pid: u32, number: u32) -> Option<&fs::File> {
        if !self.0.contains_key(&number)
            && let Ok(file) = fs::File::open(format!("/proc/{pid}/ns/net"))
        {
            self.0.insert(number, file);
        }
        self.0.get(&number)
    }
}

/// Sysctls that bear upon a system call.
pub(super) fn sysctls(call: &str, network: Option<&fs::File>) -> BTreeMap<String, i64> {
    let names: &[&str] = match call {
        "perf_event_open" => &["kernel.perf_event_paranoid"],
        "syslog" => &["kernel.dmesg_restrict"],
        "bpf" => &["kernel.unprivileged_bpf_disabled"],
        "userfaultfd" => &["vm.unprivileged_userfaultfd"],
        "io_uring_setup" => &["kernel.io_uring_disabled"],
        "kexec_load" | "kexec_file_load" => &["kernel.kexec_load_disabled"],
        "init_module" | "finit_module" | "delete_module" => &["kernel.modules_disabled"],
        "ptrace" | "process_vm_readv" | "process_vm_writev" | "pidfd_getfd" => {
            &["kernel.yama.ptrace_scope"]
        }
        "inotify_init" | "inotify_init1" => &["fs.inotify.max_user_instances"],
        "inotify_add_watch" => &["fs.inotify.max_user_watches"],
        "unshare" | "clone" | "clone3" => &[
            "kernel.unprivileged_userns_clone",
            "user.max_user_namespaces",
            "user.max_mnt_namespaces",
            "user.max_uts_namespaces",
            "user.max_ipc_namespaces",
            "user.max_pid_namespaces",
            "user.max_net_namespaces",
            "user.max_cgroup_namespaces",
            "user.max_time_namespaces",
        ],
        "prlimit64" | "setrlimit" => &["fs.nr_open"],
        "bind" => &["net.ipv4.ip_unprivileged_port_start"],
        "socket" => &["net.ipv4.ping_group_range"],
        "open" | "openat" | "openat2" | "creat" | "link" | "linkat" | "execve" | "newfstatat" => &[
            "fs.protected_symlinks",
            "fs.protected_hardlinks",
            "fs.protected_regular",
            "fs.protected_fifos",
            "fs.file-max",
        ],
        _ => &["fs.protected_symlinks", "fs.file-max"],
    };
    let read = || {
        names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), sysctl(name)?)))
            .collect()
    };
    match call {
        "bind" | "socket" => network
            .and_then(|network| in_network_namespace(network, &read))
            .unwrap_or_default(),
        _ => read(),
    }
}

/// The first number of a sysctl.
fn sysctl(name: &str) -> Option<i64> {
    fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/")))
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Runs `read` in a network namespace, because its sysctls differ from those of this process; `None` if that is refused.
fn in_network_namespace<T: Send>(namespace: &fs::File, read: &(dyn Fn() -> T + Sync)) -> Option<T> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                rustix::thread::move_into_link_name_space(
                    namespace.as_fd(),
                    Some(rustix::thread::LinkNameSpaceType::Network),
                )
                .ok()?;
                Some(read())
            })
            .join()
            .ok()
            .flatten()
    })
}

/// Reads the state of security modules for the process.
pub(super) fn modules(pid: u32, landlock: Option<bool>) -> Modules {
    let attribute = |path: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/attr/{path}")).ok()?;
        let text = text.trim_end_matches(['\0', '\n']).to_owned();
        (!text.is_empty()).then_some(text)
    };
    Modules {
        selinux: selinux_is_on().then(|| attribute("current")).flatten(),
        selinux_enforcing: fs::read_to_string("/sys/fs/selinux/enforce")
            .is_ok_and(|text| text.trim() == "1"),
        apparmor: attribute("apparmor/current").filter(|profile| profile.ends_with("(enforce)")),
        landlock,
        lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
            .ok()
            .and_then(|text| {
                let (_, mode) = text.split_once('[')?;
                let (mode, _) = mode.split_once(']')?;
                (mode != "none").then(|| mode.to_owned())
            }),
        // Records fill in the rest, at the end, when their stacks have names.
        ..Modules::default()
    }
}

/// Returns true if SELinux is enabled in this kernel, enforcing or not.
pub(super) fn selinux_is_on() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Returns true if AppArmor is enabled in this kernel.
pub(super) fn apparmor_is_on() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.trim() == "Y")
}

/// Returns the limit on processes of the process's control group, or of one above it, if that has been reached.
pub(super) fn pids_limit(pid: u32) -> Option<u64> {
    let (controller, path) = match control_group::of(pid, "pids") {
        Some(path) => ("pids", path),
        None => (VERSION_2, control_group::of(pid, VERSION_2)?),
    };
    let mount = control_group::mount(controller)?;
    let mut path = path.as_str();
    loop {
        let read = |name: &str| {
            let group = mount.join(path.trim_start_matches('/'));
            fs::read_to_string(group.join(name)).ok()
        };
        let limit = read("pids.max").and_then(|text| text.trim().parse::<u64>().ok());
        let refused = read("pids.events").is_some_and(|text| {
            text.lines().any(|line| {
                line.strip_prefix("max ")
                    .is_some_and(|number| number != "0")
            })
        });
        let full = limit.is_some_and(|limit| {
            read("pids.current")
                .and_then(|text| text.trim().parse::<u64>().ok())
                .is_some_and(|current| current >= limit)
        });
        if let Some(limit) = limit
            && (refused || full)
        {
            return Some(limit);
        }
        path = path
            .rsplit_once('/')
            .map(|(above, _)| above)
            .filter(|_| !path.is_empty())?;
    }
}

/// Returns the answer of the device rules of control groups version 1, which are not eBPF programs; `None` if they have none.
pub(super) fn device_list_refuses(pid: u32, rule: &DeviceRule) -> Option<bool> {
    let path = control_group::of(pid, "devices")?;
    let group = control_group::mount("devices")?.join(path.trim_start_matches('/'));
    let list = fs::read_to_string(group.join("devices.list")).ok()?;
    list_refuses(&list, rule)
}

fn list_refuses(list: &str, rule: &DeviceRule) -> Option<bool> {
    let mut wanted = rule.access;
    for line in list.lines() {
        let mut fields = line.split([' ', ':']);
        let (kind, major, minor, access) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        // After a rule for everything, the exceptions are not listed.
        if kind == "a" {
            return None;
        }
        let is = |pattern: &str, number: u32| pattern == "*" || pattern.parse() == Ok(number);
        if (kind == "b") == rule.block && is(major, rule.major) && is(minor, rule.minor) {
            for (letter, bit) in [('m', 1), ('r', 2), ('w', 4)] {
                if access.contains(letter) {
                    wanted &= !bit;
                }
            }
        }
    }
    Some(wanted != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_that_is_gone_is_looked_at_in_the_root_that_it_had_at_last() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: mounting needs root");
            return;
        }
        let script = "mount -t tmpfs -o size=8m new /mnt && mkdir /mnt/old /mnt/sys && cp /bin/busybox /mnt && mount --rbind -o ro /sys /mnt/sys \
            && cd /mnt && echo before && cat && pivot_root . old && exec /busybox umount -l old";
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "before\n");
        let namespace = fs::metadata(format!("/proc/{}/ns/mnt", child.id()))
            .unwrap()
            .ino();
        let namespace = u32::try_from(namespace).unwrap();
        let mut roots = Roots::default();
        let (before, _) = roots.of(child.id(), namespace).unwrap();
        assert!(statx(&before, "etc", AtFlags::empty(), StatxFlags::TYPE).is_ok());
        drop(child.stdin.take());
        child.wait().unwrap();
        let (after, mounts) = roots.of(child.id(), namespace).unwrap();
        assert!(statx(&after, "etc", AtFlags::empty(), StatxFlags::TYPE).is_err());
        let sys = statx(&after, "sys", AtFlags::empty(), StatxFlags::MNT_ID).unwrap();
        let mount = mounts.find(sys.stx_mnt_id, "");
        assert_eq!(mount.point, "/sys");
        assert!(mount.read_only.is_some());
    }

    #[test]
    fn a_list_of_devices_refuses_what_it_does_not_hold() {
        let rule = |major, minor, access| DeviceRule {
            block: false,
            major,
            minor,
            access,
            refused: None,
        };
        let list = "c *:* m\nb *:* m\nc 1:3 rwm\n";
        assert_eq!(list_refuses(list, &rule(1, 3, 6)), Some(false));
        assert_eq!(list_refuses(list, &rule(10, 200, 6)), Some(true));
        assert_eq!(list_refuses(list, &rule(10, 200, 1)), Some(false));
        assert_eq!(list_refuses("a *:* rwm\n", &rule(10, 200, 6)), None);
    }
}
