//! Control groups: the mount points of their hierarchies, and the group of a process (cgroups(7)).

use crate::mountinfo::{self, MountEntry};
use std::fs;
use std::path::PathBuf;

/// The name of the hierarchy of version 2 in the functions here: `/proc/PID/cgroup` lists no controllers for it.
pub const VERSION_2: &str = "";

/// The file with the processes of a control group, in each group of each hierarchy.
pub const PROCESSES: &str = "cgroup.procs";

/// Returns the mount point of the hierarchy of a version 1 controller, or of the version 2 hierarchy, in this thread's mount namespace. It must be
/// mounted from its root on. `None` if it is not.
pub fn mount(controller: &str) -> Option<PathBuf> {
    mounted(&own_mounts()?, controller)
        .filter(|mount| mount.is_whole)
        .map(|mount| mount.point)
        .find(|point| point.join(PROCESSES).exists())
}

/// Returns true if such a hierarchy, or a part of it, is mounted.
pub fn is_mounted(controller: &str) -> bool {
    let mounts = own_mounts().unwrap_or_default();
    mounted(&mounts, controller).any(|mount| mount.point.join(PROCESSES).exists())
}

/// A mount of a hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Its path.
    point: PathBuf,
    /// True if it begins at the hierarchy's root, as far as this cgroup namespace shows it.
    is_whole: bool,
}

fn own_mounts() -> Option<String> {
    fs::read_to_string("/proc/thread-self/mountinfo").ok()
}

/// The mounts of a hierarchy, the latest first: it covers the others.
fn mounted(mounts: &str, controller: &str) -> impl Iterator<Item = Mount> {
    let is_wanted = move |entry: &MountEntry<'_>| match entry.file_system {
        "cgroup2" => controller == VERSION_2,
        "cgroup" => mountinfo::has_option(entry.super_options, controller),
        _ => false,
    };
    mountinfo::entries(mounts)
        .rev()
        .filter(is_wanted)
        .map(|entry| Mount {
            point: PathBuf::from(entry.point),
            is_whole: entry.root == "/",
        })
}

/// The control group of a process in such a hierarchy, as a path from the hierarchy's root on: `/system.slice/nginx.service`. `None` if the process
/// is gone or the hierarchy is not there.
pub fn of(pid: u32, controller: &str) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    listed(&groups, controller)
}

fn listed(groups: &str, controller: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        mountinfo::has_option(controllers, controller).then(|| path.to_owned())
    })
}

/// The directory of a control group that is named as [`of()`] or systemd names it. `None` if it is the root, or not there.
///
/// systemd in a cgroup namespace of its own names groups from the root of that namespace. A process outside sees the hierarchy mounted from that
/// group on, so the name is valid below the mount point.
pub fn directory(controller: &str, group: &str) -> Option<PathBuf> {
    let group = group.strip_prefix('/').filter(|group| !group.is_empty())?;
    mounted(&own_mounts()?, controller)
        .map(|mount| mount.point.join(group))
        .find(|path| path.join(PROCESSES).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let all = |mounts: &str, controller: &str| -> Vec<PathBuf> {
            mounted(mounts, controller)
                .filter(|mount| mount.is_whole)
                .map(|mount| mount.point)
                .collect()
        };
        let hybrid = "37 31 0:35 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(
            all(hybrid, VERSION_2),
            [Path::new("/sys/fs/cgroup/unified")]
        );
        assert_eq!(all(hybrid, "pids"), [Path::new("/sys/fs/cgroup/pids")]);
        assert!(all(hybrid, "devices").is_empty());
        let pure =
            "28 24 0:25 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(all(pure, VERSION_2), [Path::new("/sys/fs/cgroup")]);
        let twice = format!("{pure}29 24 0:25 / /control\\040groups rw - cgroup2 none rw\n");
        assert_eq!(
            all(&twice, VERSION_2),
            [Path::new("/control groups"), Path::new("/sys/fs/cgroup")]
        );
        // The part of the hierarchy that a container sees is not the root.
        let part = "28 24 0:25 /../.. /mnt rw shared:9 - cgroup2 cgroup rw\n";
        assert!(all(part, VERSION_2).is_empty());
        let mount = Mount {
            point: PathBuf::from("/mnt"),
            is_whole: false,
        };
        assert_eq!(mounted(part, VERSION_2).collect::<Vec<_>>(), [mount]);
        assert!(all("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n", VERSION_2).is_empty());
    }

    #[test]
    fn a_process_is_in_one_group_of_each_hierarchy() {
        let groups = "4:cpu,cpuacct:/docker/a\n1:name=systemd:/x\n0::/system.slice/nginx.service\n";
        let of = |controller| listed(groups, controller);
        assert_eq!(of("cpuacct").as_deref(), Some("/docker/a"));
        assert_eq!(
            of(VERSION_2).as_deref(),
            Some("/system.slice/nginx.service")
        );
        assert_eq!(of("pids"), None);
    }

    /// A thread of its own has the mount namespace.
    #[test]
    fn the_hierarchy_is_found_and_used_where_else_it_is_mounted() {
        use nix::mount::{MntFlags, MsFlags, mount as mount_at, umount2};
        use nix::sched::{CloneFlags, unshare};
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root, to mount control groups");
            return;
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let point = elsewhere.path().join("control groups");
        fs::create_dir(&point).unwrap();
        let seen = std::thread::scope(|scope| {
            let child = scope.spawn(|| {
                unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
                let none: Option<&str> = None;
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount_at(none, "/", none, private, none).unwrap();
                while let Some(former) = mount(VERSION_2) {
                    umount2(&former, MntFlags::MNT_DETACH).unwrap();
                }
                let before = mount(VERSION_2);
                let flags = MsFlags::empty();
                mount_at(Some("none"), &point, Some("cgroup2"), flags, none).unwrap();
                let name = format!("/capprof-test-{}", std::process::id());
                let group = point.join(name.trim_start_matches('/'));
                fs::create_dir(&group).unwrap();
                let found = directory(VERSION_2, &name);
                fs::remove_dir(&group).unwrap();
                let gone = directory(VERSION_2, &name);
                (before, mount(VERSION_2), found == Some(group), gone)
            });
            child.join().unwrap()
        });
        assert_eq!(seen, (None, Some(point.clone()), true, None));
    }
}
