//! The map of tasks: the processes that belong to a recording, and their count as the kernel side keeps it (`bpf/members.h`).

use super::error::Error;
use super::layout::{MEMBERS, Members, Task};
use super::program_set::{ProgramSet, directory};
use libbpf_rs::{ErrorKind, MapCore, MapFlags};
use rustix::mm::{MapFlags as Mapping, ProtFlags, mmap, munmap};
use std::mem::offset_of;
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use zerocopy::IntoBytes;

/// Adds a process. Returns false if it already has a row, which stays.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn add(set: &ProgramSet, tgid: u32, task: &Task) -> Result<bool, Error> {
    // The count comes first: the kernel side does not look for a process that is not counted.
    count(set, tgid, 1)?;
    let result = set
        .map("tasks")?
        .update(tgid.as_bytes(), task.as_bytes(), MapFlags::NO_EXIST);
    if result.is_err() {
        count(set, tgid, -1)?;
    }
    match result {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        result => result
            .map(|()| true)
            .map_err(|error| Error::update("tasks", &error)),
    }
}

/// Removes processes. It is no error if one is already gone.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub(super) fn remove(set: &ProgramSet, tgids: impl IntoIterator<Item = u32>) -> Result<(), Error> {
    let map = set.map("tasks")?;
    for tgid in tgids {
        match map.delete(tgid.as_bytes()) {
            // The kernel side also removes rows, and corrects the count itself.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => {
                result.map_err(|error| Error::update("tasks", &error))?;
                count(set, tgid, -1)?;
            }
        }
    }
    Ok(())
}

/// Adds to the count of a process, in memory that is shared with the kernel, because both sides count at the same time.
#[allow(unsafe_code)]
fn count(set: &ProgramSet, tgid: u32, more: i32) -> Result<(), Error> {
    let map = set.map("members")?;
    let length = size_of::<Members>();
    let failed = |error| Error::pin("map", &directory().join("members"), &error);
    // SAFETY: this is a new mapping, of a map whose values have this size; else it would not be pinned in the directory of this layout.
    let address = unsafe {
        mmap(
            ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            Mapping::SHARED,
            map.as_fd(),
            0,
        )
    }
    .map_err(failed)?;
    let bucket = usize::try_from(tgid).unwrap_or_default() % MEMBERS;
    for offset in [
        offset_of!(Members, all),
        offset_of!(Members, of) + bucket * size_of::<u32>(),
    ] {
        // SAFETY: the offset is inside the mapping and aligned like the structure, and every other writer writes there atomically.
        let counter = unsafe { AtomicU32::from_ptr(address.byte_add(offset).cast()) };
        counter.fetch_add(more.cast_unsigned(), Ordering::SeqCst);
    }
    // SAFETY: the mapping is this function's own, and nothing refers to it any more.
    unsafe { munmap(address, length) }.map_err(failed)
}
