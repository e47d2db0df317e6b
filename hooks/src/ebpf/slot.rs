//! The slot of a recording: its key in every map.

use super::error::Error;
use super::layout::{
    self, AttributeKey, CapsetKey, CheckKey, Container, DeviceKey, InSlot, PortKey, ProgramKey,
    SysctlKey, Task,
};
use super::program_set::ProgramSet;
use super::tasks;
use libbpf_rs::{MapCore, MapFlags};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The time since boot in nanoseconds (`CLOCK_BOOTTIME`). It becomes the number of a slot.
pub(super) fn boot_time() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The age below which a recording is not taken for gone: it may have been armed after its state directory was listed.
const YOUNG: Duration = Duration::from_secs(60);

/// Returns true if a recording is so young that arming may still be in progress.
pub(super) fn is_young(slot: u64) -> bool {
    Duration::from_nanos(boot_time().saturating_sub(slot)) < YOUNG
}

/// The recording that owns a slot, as the kernel side keeps it: `RECORDING@STATE`, where STATE stands for the state directory. Only that directory
/// shows if the recording is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The recording's id.
    pub(super) recording: String,
    /// [`layout::hash`] of the state directory's path, in hexadecimal.
    state: String,
}

impl Owner {
    pub(super) fn new(recording: &str, state: &Path) -> Self {
        Self {
            recording: recording.to_owned(),
            state: format!("{:016x}", layout::hash(state.as_os_str().as_bytes())),
        }
    }

    pub(super) fn of(container: &Container) -> Self {
        let text = layout::text(&container.recording);
        let (recording, state) = text.split_once('@').unwrap_or((&text, ""));
        Self {
            recording: recording.to_owned(),
            state: state.to_owned(),
        }
    }

    pub(super) fn write_to(&self, container: &mut Container) {
        let text = format!("{}@{}", self.recording, self.state);
        for (to, from) in container.recording.iter_mut().zip(text.bytes()) {
            *to = from;
        }
    }

    /// Returns true if the recording belongs to this state directory.
    pub(super) fn is_in(&self, state: &Path) -> bool {
        *self == Self::new(&self.recording, state)
    }
}

/// Does the same in every map whose keys begin with a slot: `work::<Key>(set, name of the map, argument)?`.
macro_rules! in_every_map {
    ($work:ident($set:expr, $argument:expr)) => {
        $work::<CheckKey>($set, "checks", $argument)?;
        $work::<ProgramKey>($set, "programs", $argument)?;
        $work::<CapsetKey>($set, "capsets", $argument)?;
        $work::<DeviceKey>($set, "devices", $argument)?;
        $work::<SysctlKey>($set, "sysctls", $argument)?;
        $work::<PortKey>($set, "ports", $argument)?;
        $work::<AttributeKey>($set, "attributes", $argument)?;
    };
}

/// The slots with rows in any map but that of the containers.
///
/// # Errors
/// [`Error::Pin`].
pub(super) fn in_use(set: &ProgramSet) -> Result<BTreeSet<u64>, Error> {
    let mut slots = BTreeSet::new();
    let tasks = set.rows::<u32, Task>("tasks")?;
    slots.extend(tasks.iter().map(|(_, task)| task.slot));
    slots.extend(set.rows::<u32, u64>("joins")?.iter().map(|(_, slot)| *slot));
    slots.extend(
        set.rows::<u64, u64>("groups")?
            .iter()
            .map(|(_, slot)| *slot),
    );
    in_every_map!(add_slots(set, &mut slots));
    Ok(slots)
}

fn add_slots<K>(set: &ProgramSet, map: &str, slots: &mut BTreeSet<u64>) -> Result<(), Error>
where
    K: InSlot + FromBytes + IntoBytes + KnownLayout + Immutable,
{
    slots.extend(set.keys(map, |_: &K| true)?.iter().map(InSlot::slot));
    Ok(())
}

/// Adds a recording to the map of containers under an unused key. Returns the key.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn enter(set: &ProgramSet, container: &Container) -> Result<u64, Error> {
    let containers = set.map("containers")?;
    loop {
        let slot = boot_time();
        match containers.update(slot.as_bytes(), container.as_bytes(), MapFlags::NO_EXIST) {
            Ok(()) => return Ok(slot),
            // Two hooks have armed in the same nanosecond.
            Err(error) if error.kind() == libbpf_rs::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::update("containers", &error)),
        }
    }
}

/// Removes all rows of a slot. It is no error if rows are already gone.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn forget(set: &ProgramSet, slot: u64) -> Result<(), Error> {
    forget_processes(set, slot)?;
    in_every_map!(forget_rows(set, slot));
    Ok(())
}

/// Removes a slot and its processes, so that the kernel side stops counting. The counts stay.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn forget_processes(set: &ProgramSet, slot: u64) -> Result<(), Error> {
    set.delete("containers", [&slot])?;
    let members = set.rows::<u32, Task>("tasks")?;
    tasks::remove(
        set,
        members
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
            .map(|(mounts, _)| mounts),
    )?;
    let groups = set.rows::<u64, u64>("groups")?;
    set.delete(
        "groups",
        groups
            .iter()
            .filter(|(_, joined)| *joined == slot)
            .map(|(group, _)| group),
    )
}

fn forget_rows<K>(set: &ProgramSet, map: &'static str, slot: u64) -> Result<(), Error>
where
    K: InSlot + FromBytes + IntoBytes + KnownLayout + Immutable,
{
    let keys = set.keys(map, |key: &K| key.slot() == slot)?;
    set.delete(map, &keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn a_slot_tells_its_recording_and_state_directory() {
        let owner = Owner::new("20261123T150102Z-1a2b3c4d", Path::new("/run/capprof"));
        let mut container = Container::new_zeroed();
        owner.write_to(&mut container);
        let read = Owner::of(&container);
        assert_eq!(read, owner);
        assert_eq!(read.recording, "20261123T150102Z-1a2b3c4d");
        assert!(read.is_in(Path::new("/run/capprof")));
        assert!(!read.is_in(Path::new("/run/other")));
    }
}
