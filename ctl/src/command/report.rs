//! `capprofctl report`

use crate::cli::{DetailOptions, Format};
use crate::exit::Exit;
use crate::output;
use crate::render::{self, Detail};
use capprof_store::profiles::Store;

/// Prints one profile.
///
/// # Errors
/// It was not found or cannot be read, or the engine asked for cannot carry it out.
pub(crate) fn run(
    store: &Store,
    wanted: &str,
    format: Format,
    detail: &DetailOptions,
    strict: bool,
) -> anyhow::Result<Exit> {
    let profile = store.find(wanted)?.profile;
    match format.engine() {
        Some(engine) => {
            output::form(&render::form(engine, &profile)?)?;
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
        None if format == Format::Markdown => output::print_raw(&render::markdown(&profile))?,
        None if format == Format::Html => output::print_raw(&render::html(&profile))?,
        None => {
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
