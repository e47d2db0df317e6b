//! `capprofctl list`

use crate::cli::ListFormat;
use crate::exit::Exit;
use crate::output;
use crate::render;
use capprof_store::profiles::Store;

/// Prints all profiles, or those of one workload; those that cannot be read are told on standard error.
///
/// # Errors
/// The store cannot be listed, or a profile in it cannot be read.
pub(crate) fn run(store: &Store, name: Option<&str>, format: ListFormat) -> anyhow::Result<Exit> {
    let (mut summaries, errors) = store.list()?;
    if let Some(name) = name {
        summaries.retain(|summary| summary.answers_to(name));
    }
    match format {
        ListFormat::Text => output::print(&render::list(&summaries, &output::styles()))?,
        ListFormat::Json => {
            output::print_json(&summaries)?;
        }
    }
    for error in &errors {
        output::message(&error.to_string());
    }
    Ok(match errors.is_empty() {
        true => Exit::Success,
        false => Exit::Error,
    })
}
