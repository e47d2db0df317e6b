//! The programs that follow refused checks to the end of their system call. Every system call of the host runs them, so they are attached only as
//! long as a recording wants that. They stay loaded as long as the program set, because loading them takes several times as long as everything else
//! that the prestart hook does.

use super::error::{Error, describe};
use super::layout::Task;
use super::program_set::{
    ProgramSet, directory, is_pinned, lock, open_program, remove_pin, result_pins,
};
use super::programs;
use super::slot;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

/// Attaches the programs before `work` enters a recording that wants them. They stay attached until the last such recording is [over](release).
///
/// # Errors
/// The kernel refuses the programs, or `work` failed; then nothing has changed.
pub(super) fn with<T>(
    set: &ProgramSet,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    // Until the recording is in the map, another hook could take the programs for leftovers.
    let _lock = lock()?;
    let result = attach().and_then(|()| work());
    if result.is_err() {
        remove_unwanted(set)?;
    }
    result
}

fn attach() -> Result<(), Error> {
    let mut are_attached = true;
    for pin in link_pins() {
        are_attached &= is_pinned(&pin)?;
    }
    if are_attached {
        return Ok(());
    }
    // An earlier hook was killed before it had pinned all of them.
    remove(link_pins())?;
    if attach_loaded().is_some() {
        return Ok(());
    }
    // None are loaded yet, or the kernel does not attach them again.
    remove(link_pins().chain(result_pins()))?;
    load()
}

/// Attaches the programs that were loaded before; `None` if there are none that can be taken.
fn attach_loaded() -> Option<()> {
    let mut links = Vec::new();
    for pin in result_pins() {
        let program = open_program(&pin)?;
        links.push(attach_program(&program).ok()?);
    }
    for (link, pin) in links.iter().zip(link_pins()) {
        pin_link(link, &pin).ok()?;
    }
    Some(())
}

/// Attaches a program to the tracepoint that it was loaded for.
#[allow(unsafe_code)]
fn attach_program(program: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open, and without a name the kernel takes the tracepoint from the program.
    let link = unsafe { libbpf_sys::bpf_raw_tracepoint_open(ptr::null(), program.as_raw_fd()) };
    if link < 0 {
        return Err(io::Error::from_raw_os_error(-link));
    }
    // SAFETY: the call has returned a new descriptor, which no other code knows.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}

/// Pins a link, so that it outlives this process.
#[allow(unsafe_code)]
fn pin_link(link: &OwnedFd, pin: &Path) -> io::Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    // SAFETY: the descriptor is open, and the kernel reads a string that ends with NUL.
    match unsafe { libbpf_sys::bpf_obj_pin(link.as_raw_fd(), path.as_ptr()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// Loads the programs, attaches them and pins both.
fn load() -> Result<(), Error> {
    let mut loaded = programs::load_results(directory())
        .map_err(|reason| Error::pin("attach", directory(), &reason))?;
    // The links come last: they mark the set as complete.
    for (name, pin) in programs::results().iter().zip(result_pins()) {
        let program = loaded
            .object
            .progs_mut()
            .find(|program| program.name() == *name);
        if let Some(mut program) = program {
            program
                .pin(&pin)
                .map_err(|error| Error::pin("pin", &pin, &describe(&error)))?;
        }
    }
    for (link, pin) in loaded.links.iter_mut().zip(link_pins()) {
        link.pin(&pin)
            .map_err(|error| Error::pin("pin", &pin, &describe(&error)))?;
    }
    Ok(())
}

/// The pins of the links, which keep the programs attached.
fn link_pins() -> impl Iterator<Item = PathBuf> {
    let names = programs::results().iter();
    names.map(|name| directory().join(format!("link-{name}")))
}

/// Removes pins. Returns true if any existed.
fn remove(pins: impl Iterator<Item = PathBuf>) -> Result<bool, Error> {
    let mut found = false;
    for pin in pins {
        found |= remove_pin(&pin)?;
    }
    Ok(found)
}

/// Detaches the programs if no recording wants them any more. Returns true if they were attached.
pub(super) fn release(set: &ProgramSet) -> Result<bool, Error> {
    let mut found = false;
    for pin in link_pins() {
        found |= is_pinned(&pin)?;
    }
    if !found {
        return Ok(false);
    }
    let _lock = lock()?;
    remove_unwanted(set)
}

fn remove_unwanted(set: &ProgramSet) -> Result<bool, Error> {
    if are_wanted(set)? {
        return Ok(false);
    }
    remove(link_pins())
}

/// Returns true if a recording that has processes wants results. A recording without processes does not count, because it may never be forgotten: its
/// state directory may be gone as well.
fn are_wanted(set: &ProgramSet) -> Result<bool, Error> {
    let mut containers = set.containers()?;
    containers.retain(|(_, container)| container.results_wanted != 0);
    if containers.is_empty() {
        return Ok(false);
    }
    let tasks = set.rows::<u32, Task>("tasks")?;
    Ok(containers.iter().any(|(slot, container)| {
        // Its first process becomes known right after the recording does.
        let begins = container.ended == 0 && slot::is_young(*slot);
        begins || tasks.iter().any(|(_, task)| task.slot == *slot)
    }))
}
