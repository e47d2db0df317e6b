//! Adds a running container to the maps, so that the programs record it.

use super::error::Error;
use super::layout::{Container, TASK_FOUND, Task, flags_for};
use super::members::Marks;
use super::program_set::ProgramSet;
use super::slot::Owner;
use super::tasks;
use capprof_profile::recording::Process;
use capprof_store::process;
use libbpf_rs::{MapCore, MapFlags};
use zerocopy::{FromZeros, IntoBytes};

/// The number of searches for processes. A process that is not known yet may start others during a search.
const ROUNDS: usize = 32;

/// Makes sure that the process exists, belongs to no other recording, and that its container's processes can be told from others.
///
/// # Errors
/// [`Error::Gone`], [`Error::Recorded`], [`Error::NoContainer`], [`Error::Pin`].
pub(super) fn check(init: Process) -> Result<(), Error> {
    if !process::exists(init) {
        return Err(Error::Gone { pid: init.pid });
    }
    if let Some(set) = ProgramSet::open()?
        && let Some(task) = set.row::<u32, Task>("tasks", &init.pid.unsigned_abs())?
        && let Some(container) = set.row::<u64, Container>("containers", &task.slot)?
    {
        return Err(Error::Recorded {
            pid: init.pid,
            recording: Owner::of(&container).recording,
        });
    }
    match Marks::of(init).are_missing() {
        true => Err(Error::NoContainer { pid: init.pid }),
        false => Ok(()),
    }
}

/// Makes all processes of a container join its slot, and those that `exec` will add. Their children join by themselves.
///
/// # Errors
/// [`Error::Update`], [`Error::Pin`]; [`Error::Gone`] if the first process has ended in the meantime.
pub(super) fn join(
    set: &ProgramSet,
    slot: u64,
    init: Process,
    container: &Container,
) -> Result<(), Error> {
    let mounts = container.mount_namespace;
    if !container.unjoinable.contains(&mounts) {
        match set
            .map("joins")?
            .update(mounts.as_bytes(), slot.as_bytes(), MapFlags::NO_EXIST)
        {
            Err(error) if error.kind() != libbpf_rs::ErrorKind::AlreadyExists => {
                return Err(Error::update("joins", &error));
            }
            _ => {}
        }
    }
    let marks = Marks::of(init);
    for _ in 0..ROUNDS {
        let mut joined = false;
        for member in marks.members() {
            joined |= join_process(set, slot, member, container)?;
        }
        if !joined {
            break;
        }
    }
    match process::exists(init) {
        true => Ok(()),
        false => Err(Error::Gone { pid: init.pid }),
    }
}

/// Makes a process join a slot. Returns true if the process was not known before.
///
/// # Errors
/// [`Error::Update`], [`Error::Pin`].
pub(super) fn join_process(
    set: &ProgramSet,
    slot: u64,
    process: Process,
    container: &Container,
) -> Result<bool, Error> {
    let mut task = Task::new_zeroed();
    task.slot = slot;
    task.flags = TASK_FOUND | flags_for(container);
    let key = process.pid.unsigned_abs();
    if !tasks::add(set, key, &task)? {
        return Ok(false);
    }
    // This comes after the update: a process that dies from now on removes its row itself.
    if process::exists(process) {
        return Ok(true);
    }
    tasks::remove(set, [key])?;
    Ok(false)
}
