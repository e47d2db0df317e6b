//! Where the result of a recording is written.

use anyhow::Context;
use capprof_profile::error::line;
use capprof_profile::profile::Profile;
use capprof_profile::recording::Recording;
use capprof_profile::verification::{self, Outside};
use capprof_store::recording::Directory;
use capprof_store::{config_json, file, profiles};

/// Writes the result to the store, next to the bundle's config.json, and where an annotation asks for it. Returns true if the store has it:
/// the other places are the engine's and the container's, and may be gone a moment later.
///
/// What went wrong is added to `problems`, a line each.
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
        Some(verified) => store_verdict(&store, verified, profile),
    };
    let is_stored = match &stored {
        // Retention took the profile while the container ran: there is nothing left to say it of.
        Err(profiles::Error::NotFound { .. }) => true,
        result => result.is_ok(),
    };
    let bundle = &recording.container.bundle;
    // The bundle may be gone already, and that is the engine's right. A run that verifies says nothing of its own.
    let copied = match recording.verifies() {
        None if bundle.is_dir() => files.copy_to(bundle),
        _ => Ok(()),
    };
    let put_out = match &recording.results.output {
        Some(output) => files.write_to(output),
        None => Ok(()),
    };
    for result in [stored, copied, put_out] {
        problems.extend(result.err().map(|error| error.to_string()));
    }
    is_stored
}

fn files(directory: &Directory, profile: &Profile) -> anyhow::Result<profiles::Files> {
    let minimized = file::read(&directory.original_configuration())
        .map_err(anyhow::Error::from)
        .and_then(|content| Ok(String::from_utf8(content)?))
        .and_then(|text| Ok(config_json::minimized_configuration(&text, profile)?))
        .context("read the engine's configuration")?;
    Ok(profiles::Files::new(profile, minimized)?)
}

/// Writes what came of a run with a profile's set into that profile, and the run next to it.
fn store_verdict(
    store: &profiles::Store,
    verified: &str,
    run: &Profile,
) -> Result<(), profiles::Error> {
    let profile = store.find(verified)?.profile;
    store.add_run(verified, run)?;
    let verdict = verification::judge(&profile, run, &Outside::nothing());
    store.set_verification(verified, Some(&verdict))
}
