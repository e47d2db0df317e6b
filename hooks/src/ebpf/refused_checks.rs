//! The programs that follow refused checks to the end of their system call. Every system call of the host runs them, so they are loaded only as long as
//! a recording wants that.

use super::error::{Error, describe};
use super::layout::Task;
use super::program_set::{ProgramSet, directory, is_pinned, lock, remove_pin, result_pins};
use super::programs;
use super::slot;
use std::path::PathBuf;

/// Loads the programs before `work` enters a recording that wants them. They stay until the last such recording is [over](release).
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
    remove_pins()?;
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

/// Removes the pins, and with them the programs. Returns true if any existed.
fn remove_pins() -> Result<bool, Error> {
    let mut found = false;
    for pin in link_pins().chain(result_pins()) {
        found |= remove_pin(&pin)?;
    }
    Ok(found)
}

/// Unloads the programs if no recording wants them any more. Returns true if they were loaded.
pub(super) fn release(set: &ProgramSet) -> Result<bool, Error> {
    let mut found = false;
    for pin in link_pins().chain(result_pins()) {
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
    remove_pins()
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
