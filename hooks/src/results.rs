//! Writes the result of a recording.

use anyhow::Context;
use capprof_profile::error::line;
use capprof_profile::profile::Profile;
use capprof_profile::recording::{JudgedBy, Recording};
use capprof_profile::verification::Outside;
use capprof_profile::verify;
use capprof_store::file::{self, OpenDirectory};
use capprof_store::recording::Directory;
use capprof_store::{config_json, profiles};
use std::io;

/// Writes the result to the store, next to the bundle's config.json, and to the directory of an annotation. Returns true if the store has it: the
/// other places belong to the engine and to the container, and may be gone a moment later.
///
/// Errors are added to `problems`, a line each.
pub(crate) fn write(
    directory: &Directory,
    recording: &Recording,
    profile: &Profile,
    problems: &mut Vec<String>,
) -> bool {
    let files = match files(directory, profile) {
        Ok(files) => files,
        Err(error) => {
            problems.push(line(error.as_ref()));
            return false;
        }
    };
    let store = profiles::Store::at(&recording.results.store);
    let stored = match recording.verifies() {
        None => store.add(profile, &files, recording.results.retention),
        Some(verified) => store_run(&store, verified, profile, recording.judge),
    };
    let is_stored = match &stored {
        // Retention removed the profile while the container ran, so there is no place for the verdict.
        Err(profiles::Error::NotFound { .. }) => true,
        result => result.is_ok(),
    };
    problems.extend(stored.err().map(|error| error.to_string()));
    // A run that verifies has no result of its own.
    let copied = match recording.verifies() {
        // capprof does not write to the bundle of a container that it does not run.
        None if !recording.is_from_outside() => copy_to_bundle(recording, &files),
        _ => Ok(()),
    };
    for result in [copied, write_to_output(recording, &files)] {
        problems.extend(result.err().map(|error| error.to_string()));
    }
    is_stored
}

/// Stores the interim result of a recording in progress.
///
/// # Errors
/// The engine's configuration cannot be read, or the store cannot be written.
pub(crate) fn store_so_far(
    directory: &Directory,
    recording: &Recording,
    profile: &Profile,
) -> anyhow::Result<()> {
    let store = profiles::Store::at(&recording.results.store);
    store.add(
        profile,
        &files(directory, profile)?,
        recording.results.retention,
    )?;
    Ok(())
}

fn copy_to_bundle(recording: &Recording, files: &profiles::Files) -> Result<(), file::Error> {
    let container = &recording.container;
    match OpenDirectory::open_again(&container.bundle, container.bundle_identity) {
        Ok(bundle) => files.copy_to(&bundle),
        // The engine may have removed the bundle already.
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the result to the directory of an annotation, unless the container has replaced that by a link or by another directory.
fn write_to_output(recording: &Recording, files: &profiles::Files) -> Result<(), file::Error> {
    let results = &recording.results;
    match &results.output {
        Some(output) => {
            files.write_to(&OpenDirectory::open_again(output, results.output_identity)?)
        }
        None => Ok(()),
    }
}

fn files(directory: &Directory, profile: &Profile) -> anyhow::Result<profiles::Files> {
    let minimized = file::read(&directory.original_configuration())
        .map_err(anyhow::Error::from)
        .and_then(|content| Ok(String::from_utf8(content)?))
        .and_then(|text| Ok(config_json::minimized_configuration(&text, profile)?))
        .context("read the engine's configuration")?;
    Ok(profiles::Files::new(profile, minimized)?)
}

/// Stores the record of a run with a profile's set next to that profile, and the verdict on it unless the caller judges the run.
fn store_run(
    store: &profiles::Store,
    verified: &str,
    run: &Profile,
    judge: JudgedBy,
) -> Result<(), profiles::Error> {
    store.add_run(verified, run)?;
    match judge {
        JudgedBy::Caller => Ok(()),
        JudgedBy::Hook => {
            let profile = store.find(verified)?.profile;
            let verdict = verify::judge(&profile, run, &Outside::nothing());
            store.set_verification(verified, Some(&verdict))
        }
    }
}
