//! Processes, as /proc shows them (proc_pid_stat(5)).

use capprof_profile::recording::Process;
use std::fs;

/// Returns the process with this id, as it is now; `None` if there is none.
pub fn find(pid: i32) -> Option<Process> {
    let start_time = Stat::read(pid)?.start_time;
    Some(Process { pid, start_time })
}

/// Returns true if this very process still exists, running or as a zombie.
pub fn exists(process: Process) -> bool {
    find(process.pid) == Some(process)
}

/// Returns true if the process with this id has ended and its parent has not waited for it yet.
pub fn is_zombie(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.state == "Z")
}

/// The fields of `/proc/PID/stat` that are of use here.
struct Stat {
    /// Field 3.
    state: String,
    /// Field 22, in clock ticks since boot.
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, parentheses and spaces included: count from the last one.
        let after_name = stat.iter().rposition(|byte| *byte == b')')?;
        let text = String::from_utf8_lossy(stat.get(after_name + 2..)?);
        let mut fields = text.split(' ');
        let state = fields.next()?.to_owned();
        let start_time = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_exists_and_another_start_time_does_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = find(pid).unwrap();
        assert!(exists(own));
        assert!(!is_zombie(pid));
        assert!(!exists(Process {
            pid,
            start_time: own.start_time + 1
        }));
    }

    #[test]
    fn a_process_that_nobody_waited_for_is_a_zombie() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let started = std::time::Instant::now();
        while !is_zombie(pid) {
            assert!(started.elapsed().as_secs() < 10);
            std::thread::yield_now();
        }
        assert!(find(pid).is_some_and(exists));
        child.wait().unwrap();
        assert!(!is_zombie(pid));
    }
}
