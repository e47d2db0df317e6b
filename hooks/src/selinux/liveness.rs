//! The liveness of a container: finds out if one of its processes is left.

use super::recorded_processes::RecordedProcesses;
use capprof_profile::recording::Process;
use capprof_store::process;
use rustix::process::PidfdFlags;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The container's first process and the marks of the others, as the listener sees them.
#[derive(Debug)]
pub(super) struct Liveness {
    init: Process,
    /// Readable when the first process has ended; `None` if it has, or if this kernel has no such descriptors.
    descriptor: Option<OwnedFd>,
    has_ended: bool,
    /// True if it is the first process of a pid namespace: then the kernel ends all others of that namespace before it ends (pid_namespaces(7)).
    takes_all: bool,
    target: RecordedProcesses,
}

impl Liveness {
    pub(super) fn new(init: Process, target: RecordedProcesses) -> Self {
        let descriptor = rustix::process::Pid::from_raw(init.pid)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let status = fs::read_to_string(format!("/proc/{}/status", init.pid)).unwrap_or_default();
        // The descriptor is opened first, because the process may have ended and another may have its number.
        let has_ended = !process::exists(init);
        Self {
            init,
            descriptor: descriptor.filter(|_| !has_ended),
            has_ended,
            takes_all: !has_ended && is_first_of_its_pid_namespace(&status),
            target,
        }
    }

    /// The descriptor that becomes readable when the first process ends.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Returns true if no process of the container is left. `first_has_ended` is true if the descriptor is readable.
    pub(super) fn is_over(&mut self, first_has_ended: bool) -> bool {
        if !self.has_ended && (first_has_ended || self.descriptor.is_none()) {
            self.has_ended = !process::exists(self.init);
            if self.has_ended {
                self.descriptor = None;
            }
        }
        self.has_ended && (self.takes_all || !self.target.is_in_use())
    }

    /// The text of a fence after the container's last record.
    pub(super) fn fence(&self, nonce: &str) -> String {
        format!("{}{nonce}", self.target.fence)
    }
}

/// Returns true if a process with this `/proc/PID/status` is the first of a pid namespace. `NSpid` (proc_pid_status(5)) has its ids in the namespace of
/// the reader and in those below, ending with its own.
fn is_first_of_its_pid_namespace(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|ids| {
            let ids: Vec<&str> = ids.split_whitespace().collect();
            ids.len() > 1 && ids.last() == Some(&"1")
        })
}

impl RecordedProcesses {
    /// Returns true if a process runs under the recording's label. A process that this one may not look at does not count.
    fn is_in_use(&self) -> bool {
        let label = format!(":{}:{}", self.type_, self.range);
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .any(|pid| {
                fs::read_to_string(format!("/proc/{pid}/attr/current"))
                    .is_ok_and(|context| context.trim_end_matches(['\0', '\n']).ends_with(&label))
                    && process::find(pid).is_some()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_of_a_pid_namespace_is_known_by_its_ids() {
        let is_first =
            |ids: &str| is_first_of_its_pid_namespace(&format!("Name:\tsh\nNSpid:\t{ids}\nx:\n"));
        assert!(is_first("4711\t1"));
        assert!(is_first("4711\t12\t1"));
        // A process that joined, one in the reader's own namespace, and the first one of that namespace.
        assert!(!is_first("4711\t8"));
        assert!(!is_first("4711"));
        assert!(!is_first("1"));
        assert!(!is_first_of_its_pid_namespace(""));
    }
}
