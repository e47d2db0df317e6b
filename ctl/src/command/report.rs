//! `capprofctl report`

use crate::cli::{DetailOptions, Format};
use crate::exit::Exit;
use crate::live;
use crate::output;
use crate::render::{self, Detail};
use anyhow::Context;
use capprof_profile::profile::Profile;
use capprof_store::profiles::Store;
use capprof_store::recording::Directory;
use std::path::Path;

/// The interim result of a recording in progress.
fn so_far(state: &Path, directory: &Directory, wanted: &str) -> anyhow::Result<Profile> {
    let progress = live::so_far(state, std::slice::from_ref(directory))?.pop();
    progress
        .map(|progress| progress.profile)
        .with_context(|| format!("{wanted}: its program has not been started yet"))
}

/// Prints one profile, or the interim result of a container that still runs.
///
/// # Errors
/// The profile was not found or cannot be read, or the chosen engine cannot carry the answer out.
pub(crate) fn run(
    store: &Store,
    state: &Path,
    wanted: &str,
    (format, strict): (Format, bool),
    detail: &DetailOptions,
) -> anyhow::Result<Exit> {
    let profile = match live::find(state, wanted)? {
        Some(directory) => so_far(state, &directory, wanted)?,
        None => store.find(wanted)?.profile,
    };
    match format {
        Format::Form(kind) => {
            output::form(&render::form(kind, &profile)?)?;
            // A single form does not contain the report's first line, which says so.
            if !profile.complete {
                output::message(&format!(
                    "{} is incomplete: {}",
                    profile.origin.recording_id,
                    profile.incomplete_because.join("; ")
                ));
            }
        }
        Format::Json => output::print_json(&profile)?,
        Format::Markdown => output::print_raw(&render::markdown(&profile))?,
        Format::Html => output::print_raw(&render::html(&profile))?,
        Format::Text => {
            let detail = Detail {
                verbose: detail.verbose,
                all_forms: detail.all_forms,
            };
            output::print(&render::text(&profile, detail, &output::styles()))?;
        }
    }
    Ok(match strict && !profile.complete {
        true => Exit::Incomplete,
        false => Exit::Success,
    })
}
