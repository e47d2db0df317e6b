//! `capprofctl check`

mod allowed;
mod forms;
mod outcome;

use crate::cli::{CheckFormat, CheckOptions};
use crate::exit::Exit;
use crate::output;
use allowed::Allowed;
use capprof_store::profiles::Store;
use outcome::{CheckOutcome, findings};

/// Compares a profile with the allowed capabilities; status 5 if it needs more, 3 if it is incomplete.
///
/// # Errors
/// The profile or the limit was not found or cannot be read.
pub(crate) fn run(store: &Store, options: &CheckOptions) -> anyhow::Result<Exit> {
    let profile = store.find(&options.profile)?.profile;
    let limit = Allowed::read(store, &options.against)?;
    let outcome = CheckOutcome {
        profile: &profile,
        limit: &limit,
        findings: findings(&profile, &limit),
    };
    match options.format {
        CheckFormat::Text => output::print(&forms::text(&outcome))?,
        CheckFormat::Json => output::print_json(&forms::json(&outcome))?,
        CheckFormat::Sarif => output::print_json(&forms::sarif(&outcome))?,
        CheckFormat::Junit => output::print_raw(&forms::junit(&outcome))?,
    }
    let wants_more = outcome.findings.len() > usize::from(!profile.complete);
    Ok(match (wants_more, profile.complete) {
        (true, _) => Exit::WantsMore,
        (false, false) => Exit::Incomplete,
        (false, true) => Exit::Success,
    })
}
