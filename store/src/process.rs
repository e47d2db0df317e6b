//! Processes, as /proc shows them (proc_pid_stat(5)).

use capprof_profile::CapabilitySet;
use capprof_profile::recording::{Process, ProcessSets};
use std::fs::{self, File};
use std::io::{self, Read};

/// Returns the process that has this id now; `None` if there is none, or if it is a zombie.
pub fn find(pid: i32) -> Option<Process> {
    with_parent(pid).map(|(process, _)| process)
}

/// As [`find()`], with the id of the process's parent. 0 is a parent in another pid namespace, or none.
pub fn with_parent(pid: i32) -> Option<(Process, i32)> {
    let stat = Stat::read(pid)?;
    // A first thread that has ended is in state Z too, as long as other threads run.
    let has_ended = stat.state == "Z" && stat.threads <= 1;
    let process = Process {
        pid,
        start_time: stat.start_time,
    };
    (!has_ended).then_some((process, stat.parent))
}

/// All processes that /proc shows, with the ids of their parents.
pub fn all() -> Vec<(Process, i32)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| with_parent(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Returns true if exactly this process has not ended.
pub fn exists(process: Process) -> bool {
    find(process.pid) == Some(process)
}

/// The capability sets of a process (proc_pid_status(5)).
///
/// # Errors
/// The process is gone, or /proc is not mounted.
pub fn capabilities(pid: i32) -> io::Result<ProcessSets> {
    let status = read(pid, "status")?;
    let status = String::from_utf8_lossy(&status);
    let of = |name: &str| {
        let bits = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
            .and_then(|bits| u64::from_str_radix(bits, 16).ok());
        bits.map(CapabilitySet::from_bits)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no {name}")))
    };
    Ok(ProcessSets {
        bounding: of("CapBnd")?,
        effective: of("CapEff")?,
        permitted: of("CapPrm")?,
        inheritable: of("CapInh")?,
        ambient: of("CapAmb")?,
    })
}

/// Reads a process's file in /proc. The kernel does not report its length, so `fs::read` would read it in many small pieces.
fn read(pid: i32, name: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(4096);
    File::open(format!("/proc/{pid}/{name}"))?.read_to_end(&mut content)?;
    Ok(content)
}

/// The fields of `/proc/PID/stat` that are used here.
struct Stat {
    /// Field 3.
    state: String,
    /// Field 4.
    parent: i32,
    /// Field 20.
    threads: u64,
    /// Field 22, in clock ticks since boot.
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let stat = read(pid, "stat").ok()?;
        // The name in parentheses may contain anything, parentheses and spaces included: fields are counted from the last parenthesis.
        let after_name = stat.iter().rposition(|byte| *byte == b')')?;
        let text = String::from_utf8_lossy(stat.get(after_name + 2..)?);
        let mut fields = text.split(' ');
        let state = fields.next()?.to_owned();
        let parent = fields.next()?.parse().ok()?;
        let threads = fields.nth(15)?.parse().ok()?;
        let start_time = fields.nth(1)?.parse().ok()?;
        Some(Self {
            state,
            parent,
            threads,
            start_time,
        })
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
        assert!(!exists(Process {
            pid,
            start_time: own.start_time + 1
        }));
    }

    #[test]
    fn a_process_that_waits_for_its_parent_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let started = std::time::Instant::now();
        while Stat::read(pid).unwrap().state != "Z" {
            assert!(started.elapsed().as_secs() < 10);
            std::thread::yield_now();
        }
        assert_eq!(find(pid), None);
        child.wait().unwrap();
        assert_eq!(find(pid), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_has_not() {
        let program = "import ctypes, threading, time\n\
                       threading.Thread(target=time.sleep, args=(60,)).start()\n\
                       ctypes.CDLL(None).pthread_exit(None)";
        let Ok(mut child) = std::process::Command::new("python3")
            .args(["-c", program])
            .spawn()
        else {
            eprintln!("skipped: python3 is not installed");
            return;
        };
        let pid = i32::try_from(child.id()).unwrap();
        let started = std::time::Instant::now();
        while Stat::read(pid).unwrap().state != "Z" {
            assert!(started.elapsed().as_secs() < 10);
            std::thread::yield_now();
        }
        assert!(find(pid).is_some_and(exists));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
