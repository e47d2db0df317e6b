//! The program that follows refused checks to the end of their system call. Every system call of the host passes it, so it is there only as long
//! as a recording wants that.

use super::error::{Error, describe};
use super::layout::Task;
use super::program_set::{ProgramSet, RESULTS, directory, is_pinned, lock, remove_pin};
use super::programs;
use super::slot;

/// Has refused checks followed while `work` enters a recording that wants it, and until the last such recording is [over](release).
///
/// # Errors
/// The program is refused by the kernel, or `work` failed; then it is as before.
pub(super) fn with<T>(
    set: &ProgramSet,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    // Until the recording is in the map, another hook could take the program for left over.
    let _lock = lock()?;
    let result = attach().and_then(|()| work());
    if result.is_err() {
        remove_unwanted(set)?;
    }
    result
}

fn attach() -> Result<(), Error> {
    let [program, link] = RESULTS.map(|name| directory().join(name));
    if is_pinned(&link)? {
        return Ok(());
    }
    let mut loaded = programs::load_results(directory())
        .map_err(|reason| Error::pin("load", &program, &reason))?;
    // Left by a hook that was killed in between.
    remove_pin(&program)?;
    for mut object in loaded
        .object
        .progs_mut()
        .filter(|program| program.autoload())
    {
        object
            .pin(&program)
            .map_err(|error| Error::pin("pin", &program, &describe(&error)))?;
    }
    loaded
        .link
        .pin(&link)
        .map_err(|error| Error::pin("pin", &link, &describe(&error)))
}

/// Unloads the program, if no recording wants it any more. Returns true if it was there.
pub(super) fn release(set: &ProgramSet) -> Result<bool, Error> {
    let mut found = false;
    for name in RESULTS {
        found |= is_pinned(&directory().join(name))?;
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
    let mut found = false;
    for name in RESULTS {
        found |= remove_pin(&directory().join(name))?;
    }
    Ok(found)
}

/// Returns true if a recording wants results that has processes. One without may never be forgotten: its state directory may be gone as well.
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
