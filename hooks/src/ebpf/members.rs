//! The processes that belong to a running container.

use capprof_profile::recording::Process;
use capprof_store::process;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The properties that all processes of a container share, read from its first process.
///
/// Its control group is the best mark: it also contains processes of `exec`, and those that have left its namespaces. If the container has no control
/// group of its own, its pid namespace and its mount namespace are the mark together, because containers of a pod may share one of them. A process
/// that a member has started is a member too.
#[derive(Debug)]
pub(super) struct Marks {
    init: Process,
    /// A line of /proc/PID/cgroup (cgroups(7)).
    control_group: Option<String>,
    /// Inode numbers of the pid namespace and the mount namespace, if the pid namespace is not the host's.
    namespaces: Option<(u64, u64)>,
}

impl Marks {
    /// Reads the marks of the container with this first process.
    pub(super) fn of(init: Process) -> Self {
        let pids = namespace(init.pid, "pid");
        Self {
            init,
            control_group: control_group(init.pid),
            namespaces: pids
                .filter(|pids| namespace(own(), "pid") != Some(*pids))
                .zip(namespace(init.pid, "mnt")),
        }
    }

    /// Returns true if there are no marks, so that only descendants of the first process can be told from other processes.
    pub(super) fn are_missing(&self) -> bool {
        self.control_group.is_none() && self.namespaces.is_none()
    }

    /// The container's processes, the first one included.
    pub(super) fn members(&self) -> Vec<Process> {
        let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
        let mut members = BTreeSet::from([self.init.pid]);
        let mut found = vec![self.init];
        for (process, parent) in process::all() {
            if members.contains(&process.pid) || process.pid == own() {
                continue;
            }
            children.entry(parent).or_default().push(process);
            if self.mark(process.pid) {
                members.insert(process.pid);
                found.push(process);
            }
        }
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            for child in children.remove(&parent.pid).unwrap_or_default() {
                if members.insert(child.pid) {
                    found.push(child);
                }
            }
            next += 1;
        }
        found
    }

    fn mark(&self, pid: i32) -> bool {
        if let Some(group) = &self.control_group {
            return lines(pid).any(|line| is_below(&line, group));
        }
        self.namespaces.is_some()
            && namespace(pid, "pid").zip(namespace(pid, "mnt")) == self.namespaces
    }
}

fn own() -> i32 {
    nix::unistd::getpid().as_raw()
}

fn namespace(pid: i32, kind: &str) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok()?.ino())
}

fn lines(pid: i32) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    text.lines()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// The line of the container's own control group: it contains neither this process nor the one that started the container.
fn control_group(pid: i32) -> Option<String> {
    let (_, parent) = process::with_parent(pid)?;
    // Parent 0 is in another pid namespace.
    let others: Vec<String> = [own(), parent]
        .into_iter()
        .filter(|pid| *pid > 0)
        .flat_map(lines)
        .collect();
    lines(pid)
        .filter(|line| !line.ends_with(":/"))
        .find(|line| !others.iter().any(|other| is_below(other, line)))
}

/// Returns true if a line names the same control group as another line, or one below it.
fn is_below(line: &str, group: &str) -> bool {
    line.strip_prefix(group)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_control_group_has_what_is_below_it() {
        assert!(is_below("0::/a/b", "0::/a/b"));
        assert!(is_below("0::/a/b/c", "0::/a/b"));
        assert!(!is_below("0::/a/bc", "0::/a/b"));
        assert!(!is_below("1:pids:/a/b", "0::/a/b"));
    }

    #[test]
    fn children_of_members_are_members() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let init = process::find(pid).unwrap();
        let marks = Marks::of(init);
        assert!(marks.are_missing(), "{marks:?}");
        let mut members = Vec::new();
        for _ in 0..100 {
            members = marks.members();
            if members.len() == 2 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        for member in members.iter().rev() {
            let _ = Command::new("kill").arg(member.pid.to_string()).status();
        }
        child.wait().unwrap();
        assert_eq!(members.len(), 2, "{members:?}");
        assert_eq!(members[0], init);
    }
}
