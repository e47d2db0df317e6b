//! Adds a container to the maps, so that the programs record it.

use super::armed::{EbpfState, Refusals};
use super::attach;
use super::error::Error;
use super::layers::Layers;
use super::layout::{Container, NO_PROCESS, TASK_PENDING, Task, flags_for};
use super::method::Method;
use super::program_set::ProgramSet;
use super::refused_checks;
use super::service_cgroups;
use super::slot::{self, Owner};
use super::tasks;
use capprof_profile::recording::{Process, Recording};
use capprof_store::recording::Directory;
use capprof_store::{file, process};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use zerocopy::FromZeros;

/// `PROC_PID_INIT_INO`, include/linux/proc_ns.h.
pub(crate) const INITIAL_PID_NAMESPACE: u32 = 0xEFFF_FFFC;

/// Makes the container's first process known to the kernel side, which starts to count when that process executes the container's program. Of a
/// running container, makes all processes known, which are counted from now on.
///
/// Loads and pins the program set if that has not been done yet.
///
/// # Errors
/// Nothing can be attached ([`Error::Refused`] lists the attempts), the process is gone, or it is already recorded. Then nothing stays armed.
pub fn arm(
    recording: &Recording,
    directory: &Directory,
    init: Process,
) -> Result<EbpfState, Error> {
    // A hook that may not look at process 1 is in a container itself; then its own mount namespace is the one that matters.
    let unjoinable = [
        namespace("self", "mnt")?,
        namespace("1", "mnt").unwrap_or(0),
    ];
    if namespace("self", "pid")? != INITIAL_PID_NAMESPACE {
        return Err(Error::NestedPidNamespace);
    }
    if recording.attached.is_some() {
        attach::check(init)?;
    }
    let set = ProgramSet::ensure(&Method::ALL)?;
    let mut container = Container::new_zeroed();
    container.init = init.pid.unsigned_abs();
    container.unjoinable = unjoinable;
    Owner::new(&recording.id, directory.state()).write_to(&mut container);
    if recording.attached.is_some() {
        container.executed_ns = slot::boot_time();
        container.mount_namespace = namespace(&init.pid.to_string(), "mnt")?;
    }
    if recording.unit.is_some() {
        container.executed_ns = slot::boot_time();
        // A service may have several main processes, one after the other. None of them represents the service.
        container.init = NO_PROCESS;
    }
    let (slot, results) = match recording.follows_refusals() {
        true => {
            let (slot, results) = enter_with_results(&set, &mut container)?;
            (slot, Some(results))
        }
        false => (slot::enter(&set, &container)?, None),
    };
    let armed = EbpfState {
        slot,
        method: set.method(),
        refused: set.refused().to_vec(),
        armed_ns: slot,
        missed: set.missed(),
        missed_results: set.missed_results(),
        results,
        layers: recording
            .container
            .root_filesystem
            .as_deref()
            .and_then(Layers::of),
    };
    let result = match (&recording.unit, recording.attached) {
        (Some(unit), _) => match &unit.control_group {
            Some(group) => service_cgroups::join(&set, slot, group, &container),
            None => Ok(()),
        },
        (None, None) => arm_process(&set, slot, init, &container),
        (None, Some(_)) => attach::join(&set, slot, init, &container),
    };
    if let Err(error) = result {
        // The first error is reported; sweeping tries again.
        let _ = slot::forget(&set, slot).and_then(|()| refused_checks::release(&set));
        return Err(error);
    }
    Ok(armed)
}

/// Enters a recording that wants the results of refused checks. If the checks cannot be followed, enters it without results and returns the reason.
fn enter_with_results(
    set: &ProgramSet,
    container: &mut Container,
) -> Result<(u64, Refusals), Error> {
    container.results_wanted = 1;
    match refused_checks::with(set, || slot::enter(set, container)) {
        Ok(slot) => Ok((slot, Refusals::Followed)),
        Err(error) => {
            container.results_wanted = 0;
            Ok((
                slot::enter(set, container)?,
                Refusals::NotFollowed(error.to_string()),
            ))
        }
    }
}

fn arm_process(
    set: &ProgramSet,
    slot: u64,
    init: Process,
    container: &Container,
) -> Result<(), Error> {
    let mut task = Task::new_zeroed();
    task.slot = slot;
    task.flags = TASK_PENDING | flags_for(container);
    let tgid = init.pid.unsigned_abs();
    if !tasks::add(set, tgid, &task)? {
        // The row belongs to a former process with the same number.
        tasks::remove(set, [tgid])?;
        tasks::add(set, tgid, &task)?;
    }
    // This comes after the update: a process that dies from now on removes its row itself.
    match process::exists(init) {
        true => Ok(()),
        false => Err(Error::Gone { pid: init.pid }),
    }
}

fn namespace(process: &str, kind: &str) -> Result<u32, Error> {
    let path = PathBuf::from(format!("/proc/{process}/ns/{kind}"));
    let metadata = std::fs::metadata(&path).map_err(file::error("read", &path))?;
    Ok(u32::try_from(metadata.ino()).unwrap_or(0))
}
