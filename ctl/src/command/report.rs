//! `capprofctl report`

use crate::cli::Format;
use crate::exit::Exit;
use crate::output;
use crate::render;
use capprof_store::profiles::Store;

/// Prints one profile.
///
/// # Errors
/// It was not found or cannot be read, or the engine asked for cannot carry it out.
pub(crate) fn run(
    store: &Store,
    wanted: &str,
    format: Format,
    strict: bool,
) -> anyhow::Result<Exit> {
    let profile = store.find(wanted)?.profile;
    match format.engine() {
        Some(engine) => {
            output::print_raw(&render::form(engine, &profile)?)?;
            // The reader of a single form does not see the report's first line.
            if !profile.complete {
                output::message(&format!(
                    "{} is incomplete: {}",
                    profile.origin.recording_id,
                    profile.incomplete_because.join("; ")
                ));
            }
        }
        None if format == Format::Json => {
            output::print_json(&profile)?;
        }
        None => output::print(&render::text(&profile, &output::styles()))?,
    }
    Ok(match strict && !profile.complete {
        true => Exit::Incomplete,
        false => Exit::Success,
    })
}
