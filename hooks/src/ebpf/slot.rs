//! A recording's slot: its key in every map.

use super::error::Error;
use super::layout::{
    CapsetKey, CheckKey, Container, DeviceKey, InSlot, ProgramKey, SysctlKey, Task,
};
use super::program_set::ProgramSet;
use libbpf_rs::{MapCore, MapFlags};
use rustix::time::{ClockId, clock_gettime};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Time since boot in nanoseconds (`CLOCK_BOOTTIME`), which slots are numbered by.
pub(super) fn boot_time() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Puts a recording into the map of containers under a key that no other has; returns the key.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn enter(set: &ProgramSet, container: &Container) -> Result<u64, Error> {
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

/// Removes all rows of a slot. Rows that are gone already are no error.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn forget(set: &ProgramSet, slot: u64) -> Result<(), Error> {
    // Without this row the kernel side counts nothing more.
    set.delete("containers", [slot])?;
    let tasks = set.rows::<u32, Task>("tasks")?;
    set.delete(
        "tasks",
        tasks
            .iter()
            .filter(|(_, task)| task.slot == slot)
            .map(|(tgid, _)| *tgid),
    )?;
    let joins = set.rows::<u32, u64>("joins")?;
    set.delete(
        "joins",
        joins
            .iter()
            .filter(|(_, joined)| *joined == slot)
            .map(|(mounts, _)| *mounts),
    )?;
    forget_rows::<CheckKey>(set, "checks", slot)?;
    forget_rows::<ProgramKey>(set, "programs", slot)?;
    forget_rows::<CapsetKey>(set, "capsets", slot)?;
    forget_rows::<DeviceKey>(set, "devices", slot)?;
    forget_rows::<SysctlKey>(set, "sysctls", slot)
}

fn forget_rows<K>(set: &ProgramSet, map: &'static str, slot: u64) -> Result<(), Error>
where
    K: InSlot + FromBytes + IntoBytes + KnownLayout + Immutable,
{
    let keys = set.keys(map, |key: &K| key.slot() == slot)?;
    set.delete(map, keys)
}
