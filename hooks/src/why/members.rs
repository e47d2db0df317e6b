//! The processes of a running container.

use crate::ebpf::INITIAL_PID_NAMESPACE;
use anyhow::{Context, bail};
use capprof_store::process;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

/// Processes to watch.
pub(super) struct Members {
    /// Their process ids.
    pub(super) processes: Vec<u32>,
    /// The container's mount namespace; `None` if it is this process's own.
    pub(super) mount_namespace: Option<u32>,
}

/// Returns true if the process has not ended.
pub(super) fn lives(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| process::find(pid).is_some())
}

fn namespace(pid: &str, kind: &str) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok()?.ino())
}

/// Makes sure that this process sees the same process ids as the kernel side.
///
/// # Errors
/// They are not.
pub(super) fn initial_pid_namespace() -> anyhow::Result<()> {
    if namespace("self", "pid") != Some(INITIAL_PID_NAMESPACE.into()) {
        bail!(
            "watch processes: this is a pid namespace of its own, whose process ids eBPF does not know"
        );
    }
    Ok(())
}

/// Returns all processes that share the mount or pid namespace of this one. If it shares both with this program, returns the process and its
/// descendants.
///
/// # Errors
/// There is no such process, or it belongs to another user.
pub(super) fn of(pid: u32) -> anyhow::Result<Members> {
    let name = pid.to_string();
    let mounts = match fs::metadata(format!("/proc/{pid}/ns/mnt")) {
        Ok(namespace) => namespace.ino(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("watch process {pid}: {error}: run it with sudo")
        }
        Err(_) => bail!("watch process {pid}: there is no such process"),
    };
    let pids = namespace(&name, "pid");
    let own_mounts = namespace("self", "mnt") == Some(mounts);
    let own_pids = namespace("self", "pid") == pids;
    let mut processes = vec![pid];
    for entry in fs::read_dir("/proc").context("list processes")? {
        let Some(other) = entry
            .ok()
            .and_then(|entry| entry.file_name().into_string().ok())
        else {
            continue;
        };
        let Ok(number) = other.parse() else { continue };
        let shares = |kind: &str, own: bool, wanted: Option<u64>| {
            !own && wanted.is_some() && namespace(&other, kind) == wanted
        };
        if shares("mnt", own_mounts, Some(mounts)) || shares("pid", own_pids, pids) {
            processes.push(number);
        }
    }
    if own_mounts && own_pids {
        add_descendants(&mut processes);
    }
    Ok(Members {
        processes,
        mount_namespace: match own_mounts {
            true => None,
            false => u32::try_from(mounts).ok(),
        },
    })
}

fn add_descendants(processes: &mut Vec<u32>) {
    let mut at = 0;
    while let Some(pid) = processes.get(at) {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten();
        let children: Vec<u32> = tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
            .flat_map(|text| {
                text.split_whitespace()
                    .filter_map(|child| child.parse().ok())
                    .collect::<Vec<u32>>()
            })
            .collect();
        processes.extend(children);
        at += 1;
    }
}
