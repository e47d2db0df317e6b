//! The eBPF recorder: counts the kernel's capability checks of a container's processes.
//!
//! One program set serves the whole host. It is loaded by the first [`arm`] after boot, pinned in bpffs, and stays: containers are
//! entries in its maps, so that nothing but map updates stands between a container and its program. See `bpf/capprof.bpf.c`.

mod argument;
mod beside;
mod executables;
mod gather;
mod layout;
mod pins;
mod programs;
mod symbols;

use capprof_profile::observation::Evidence;
use capprof_profile::recording::{Process, Recording};
use layout::{Container, TASK_PENDING, Task};
use libbpf_rs::{MapCore, MapFlags};
use pins::Set;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use zerocopy::IntoBytes;

pub(crate) use programs::Report;

/// An operation of the eBPF recorder that failed, with its object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// bpffs is not there and could not be mounted.
    #[error("mount bpffs at {}: {source}", path.display())]
    Mount {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock that keeps two hooks from loading at once.
    #[error("lock {}: {source}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Every way to attach was refused.
    #[error("attach eBPF to cap_capable: {}", refused.join("; "))]
    Refused {
        /// Each way with its reason, a line each.
        refused: Vec<String>,
    },
    /// A pinned map, program or link could not be opened, written or removed.
    #[error("{operation} {}: {reason}", path.display())]
    Pin {
        /// What was tried: `open`, `pin`, `remove`.
        operation: &'static str,
        /// The pin.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A map could not be changed.
    #[error("update eBPF map {map}: {reason}")]
    Update {
        /// The map's name.
        map: &'static str,
        /// Why.
        reason: String,
    },
    /// A namespace of a process could not be looked at.
    #[error("read {}: {source}", path.display())]
    Namespace {
        /// Its link under /proc.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Process ids of this hook are not those of the kernel's initial namespace.
    #[error(
        "arm eBPF: this hook runs in a pid namespace of its own, whose process ids eBPF does not know"
    )]
    NestedPidNamespace,
    /// The process ended before it could be armed.
    #[error("arm eBPF: process {pid} is gone")]
    Gone {
        /// Its id.
        pid: i32,
    },
}

/// What [`arm`] leaves for [`collect`] and [`release`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Armed {
    /// The recording's key in the maps: boot time in nanoseconds at arming, unique on this host until it boots again.
    pub(crate) slot: u64,
    /// How the capability checks are seen: `tp_btf/cap_capable`.
    pub(crate) method: String,
    /// What was tried before and refused, a line each.
    pub(crate) refused: Vec<String>,
    /// When the recording was armed, nanoseconds of `CLOCK_BOOTTIME`.
    pub(crate) armed_ns: u64,
    /// How many runs of its programs the kernel had skipped by then (`recursion_misses`).
    pub(crate) missed: u64,
    /// Whether refused checks are followed to the end of their system call; in a recording that verifies, a line says why not.
    #[serde(default)]
    pub(crate) results: Option<Result<(), String>>,
}

/// Makes the container's first process known to the kernel side, which starts to count when it executes the container's program.
///
/// Loads and pins the program set if nobody has yet.
///
/// # Errors
/// Nothing can be attached ([`Error::Refused`] tells what was tried), or the process is gone. Then nothing stays armed.
pub(crate) fn arm(recording: &Recording, init: Process) -> Result<Armed, Error> {
    // Whoever may not look at process 1 is in a container itself, whose mount namespace is the one that matters.
    let unjoinable = [
        namespace("self", "mnt")?,
        namespace("1", "mnt").unwrap_or(0),
    ];
    if namespace("self", "pid")? != INITIAL_PID_NAMESPACE {
        return Err(Error::NestedPidNamespace);
    }
    let set = Set::ensure(None)?;
    let mut container = Container {
        user_namespace: 0,
        executed_ns: 0,
        root_dentry: 0,
        root_mount: 0,
        registers: 0,
        unlisted: 0,
        losses: [0; layout::LOSSES.len()],
        mount_namespace: 0,
        init: init.pid.unsigned_abs(),
        ended: 0,
        rows: 0,
        unjoinable,
        results_wanted: 0,
        exited: 0,
        exit_status: 0,
        unused: 0,
        mounters: [[0; 2]; 4],
        recording: [0; 64],
    };
    for (to, from) in container.recording.iter_mut().zip(recording.id.bytes()) {
        *to = from;
    }
    let (slot, results) = if recording.verifies().is_some() {
        container.results_wanted = 1;
        match set.with_results(|| enter(&set, &container)) {
            Ok(slot) => (slot, Some(Ok(()))),
            Err(error) => {
                container.results_wanted = 0;
                (enter(&set, &container)?, Some(Err(error.to_string())))
            }
        }
    } else {
        (enter(&set, &container)?, None)
    };
    let missed = set.missed();
    let armed = Armed {
        slot,
        method: set.method(),
        refused: set.refused(),
        armed_ns: slot,
        missed,
        results,
    };
    let task = Task {
        slot,
        program: 0,
        flags: TASK_PENDING,
        unused: 0,
    };
    let result = set.map("tasks").and_then(|tasks| {
        tasks
            .update(init.pid.as_bytes(), task.as_bytes(), MapFlags::ANY)
            .map_err(|error| Error::update("tasks", &error))
    });
    // Asked after the update: whoever dies from now on takes its entry along.
    let result = match init.exists() {
        false => result.and(Err(Error::Gone { pid: init.pid })),
        true => result,
    };
    if let Err(error) = result {
        let _ = drop_slot(slot);
        return Err(error);
    }
    Ok(armed)
}

/// Puts a recording into the map under a key that nobody else has; gives the key.
fn enter(set: &Set, container: &Container) -> Result<u64, Error> {
    let containers = set.map("containers")?;
    loop {
        let slot = boot_time();
        match containers.update(slot.as_bytes(), container.as_bytes(), MapFlags::NO_EXIST) {
            Ok(()) => return Ok(slot),
            // Two hooks in one nanosecond.
            Err(error) if error.kind() == libbpf_rs::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::update("containers", &error)),
        }
    }
}

/// Reads what the kernel counted for a recording.
///
/// Never fails as a whole: what could not be read is a line in [`Evidence::losses`].
pub(crate) fn collect(recording: &Recording, armed: &Armed) -> Evidence {
    gather::gather(recording, armed)
}

/// Forgets a recording; the programs stay loaded for the next one. A recording that is forgotten already is no error.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(crate) fn release(armed: &Armed) -> Result<(), Error> {
    drop_slot(armed.slot)
}

/// The recordings that the kernel side knows, by slot, with their ids.
///
/// # Errors
/// [`Error::Pin`]. Where nothing is loaded there are none.
pub(crate) fn live_slots() -> Result<Vec<(u64, String)>, Error> {
    let Some(set) = Set::open()? else {
        return Ok(Vec::new());
    };
    Ok(set
        .rows::<u64, Container>("containers")?
        .into_iter()
        .map(|(slot, container)| (slot, layout::text(&container.recording)))
        .collect())
}

/// Loads the program set, if none is, in one certain way.
///
/// # Errors
/// As [`arm`].
#[allow(dead_code, reason = "the tests try each way")]
pub(crate) fn load(method: &str) -> Result<(), Error> {
    Set::ensure(Some(method)).map(|_| ())
}

/// Why devices or writes to /proc/sys are not seen, a line each.
///
/// # Errors
/// [`Error::Pin`]. Where nothing is loaded there is nothing to say.
#[allow(dead_code, reason = "the tests look behind the scenes")]
pub(crate) fn unseen() -> Result<Vec<String>, Error> {
    Ok(Set::open()?.map_or_else(Vec::new, |set| beside::unseen(&set, None)))
}

/// The thread groups that belong to recordings, and the mount namespaces that lead to one, by number.
///
/// # Errors
/// [`Error::Pin`]. Where nothing is loaded there are none.
#[allow(dead_code, reason = "the tests look behind the scenes")]
pub(crate) fn processes() -> Result<(Vec<u32>, Vec<u32>), Error> {
    let Some(set) = Set::open()? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let tasks = set.rows::<u32, Task>("tasks")?;
    let joins = set.rows::<u32, u64>("joins")?;
    Ok((
        tasks.into_iter().map(|(tgid, _)| tgid).collect(),
        joins.into_iter().map(|(mounts, _)| mounts).collect(),
    ))
}

/// Removes everything that belongs to one slot.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(crate) fn drop_slot(slot: u64) -> Result<(), Error> {
    match Set::open()? {
        Some(set) => {
            gather::forget(&set, slot)?;
            set.release_results().map(|_| ())
        }
        None => Ok(()),
    }
}

/// Forgets the slots of recordings that are not in `live`; gives a line for each.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(crate) fn sweep(live: &[String]) -> Result<Vec<String>, Error> {
    /// A recording may have been armed after `live` was listed.
    const YOUNG: Duration = Duration::from_secs(60);
    let mut done = Vec::new();
    for (slot, recording) in live_slots()? {
        let age = Duration::from_nanos(boot_time().saturating_sub(slot));
        if live.contains(&recording) || age < YOUNG {
            continue;
        }
        drop_slot(slot)?;
        done.push(format!(
            "forgot eBPF state of recording {recording}, which is gone"
        ));
    }
    // A hook that was killed between attaching it and entering its recording.
    if let Some(set) = Set::open()?
        && set.release_results()?
    {
        done.push(
            "unloaded the eBPF program that follows refused checks, which no recording wants"
                .to_owned(),
        );
    }
    Ok(done)
}

/// Unloads the program set; gives whether there was one. Recordings in progress lose what they have.
///
/// # Errors
/// [`Error::Pin`], [`Error::Lock`].
pub(crate) fn unload() -> Result<bool, Error> {
    pins::unload()
}

/// Tries every way to attach, without leaving anything behind, and tells what came of each.
pub(crate) fn probe() -> Report {
    programs::probe()
}

/// `PROC_PID_INIT_INO`, include/linux/proc_ns.h.
const INITIAL_PID_NAMESPACE: u32 = 0xEFFF_FFFC;

fn namespace(process: &str, kind: &str) -> Result<u32, Error> {
    let path = PathBuf::from(format!("/proc/{process}/ns/{kind}"));
    match std::fs::metadata(&path) {
        Ok(metadata) => Ok(u32::try_from(metadata.ino()).unwrap_or(0)),
        Err(source) => Err(Error::Namespace { path, source }),
    }
}

fn boot_time() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl Error {
    fn update(map: &'static str, error: &libbpf_rs::Error) -> Self {
        Self::Update {
            map,
            reason: programs::describe(error),
        }
    }
}
