//! `capprofctl list`

use crate::cli::{ListFormat, ListOptions, State};
use crate::exit::Exit;
use crate::output;
use crate::render;
use capprof_profile::verification::Verdict;
use capprof_store::profiles::{Store, Summary};

/// Prints the profiles that are asked for, newest first; those that cannot be read are told on standard error.
///
/// # Errors
/// The store cannot be listed, or a profile in it cannot be read.
pub(crate) fn run(store: &Store, options: &ListOptions) -> anyhow::Result<Exit> {
    let since = options.since.as_ref().map(|since| since.compact());
    let (summaries, errors) = store.select(since.as_deref(), options.limit, |summary| {
        is_wanted(summary, options)
    })?;
    match options.format {
        ListFormat::Text if summaries.is_empty() && errors.is_empty() => {
            output::message(match options.chooses() {
                true => "no profile matches: `capprofctl list` shows all",
                false => "no profiles yet: capprofctl profile -- docker run IMAGE makes the first",
            });
        }
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

fn is_wanted(summary: &Summary, options: &ListOptions) -> bool {
    let is_called = |name: &Option<String>| name.as_ref().is_none_or(|it| summary.answers_to(it));
    is_called(&options.name)
        && is_called(&options.image)
        && options
            .needs
            .iter()
            .all(|capability| summary.answer.contains(*capability))
        && options.state.is_none_or(|state| is_in(summary, state))
}

/// Returns true if a profile is in this state.
fn is_in(summary: &Summary, state: State) -> bool {
    let verdict = summary
        .verification
        .as_ref()
        .map(|standing| standing.verdict);
    match state {
        State::Complete => summary.complete,
        State::Incomplete => !summary.complete,
        State::Verified => summary.complete && verdict == Some(Verdict::Verified),
        State::NotVerified => verdict != Some(Verdict::Verified),
        State::Failed => summary.exit.is_some_and(|exit| exit.is_failure()),
    }
}
