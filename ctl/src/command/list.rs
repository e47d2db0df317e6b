//! `capprofctl list`

use crate::cli::{ListFormat, ListOptions, ProfileState};
use crate::exit::Exit;
use crate::output;
use crate::render;
use capprof_profile::verification::Verdict;
use capprof_store::profiles::{Listing, Selection, Store, Summary};

/// Prints the chosen profiles, newest first; errors of those that cannot be read go to standard error.
///
/// # Errors
/// The store cannot be listed, or a profile in it cannot be read.
pub(crate) fn run(store: &Store, options: &ListOptions) -> anyhow::Result<Exit> {
    let listing = store.listing()?;
    let selection = Selection {
        since: options.since.as_ref().map(|since| since.compact()),
        limit: options.limit,
        accept: |summary: &Summary| is_wanted(summary, options),
    };
    match options.format {
        ListFormat::Text => print_table(&listing, options, &selection)?,
        ListFormat::Json => {
            let mut summaries = Vec::new();
            let work = |piece: &mut Vec<Summary>, summary: &Summary| piece.push(summary.clone());
            let done = |piece: Vec<Summary>| -> anyhow::Result<()> {
                summaries.extend(piece);
                Ok(())
            };
            listing.in_pieces(&selection, work, done)?;
            output::print_json(&summaries)?;
        }
    }
    let errors = listing.into_errors();
    for error in &errors {
        output::message(&error.to_string());
    }
    Ok(match errors.is_empty() {
        true => Exit::Success,
        false => Exit::Error,
    })
}

/// Prints the table. It reads the profiles twice, first for the widths of the columns: a hundred thousand of them would take too much memory.
fn print_table(
    listing: &Listing,
    options: &ListOptions,
    selection: &Selection<impl Fn(&Summary) -> bool + Sync>,
) -> anyhow::Result<()> {
    let mut table = render::List::default();
    let done = |piece: render::List| -> anyhow::Result<()> {
        table.include(&piece);
        Ok(())
    };
    listing.in_pieces(selection, render::List::measure, done)?;
    let styles = output::styles();
    let heading = table.heading(&styles);
    if heading.is_empty() && !listing.has_errors() {
        output::message(match options.chooses() {
            true => "no profile matches: `capprofctl list` shows all",
            false => "no profiles yet: capprofctl profile -- docker run IMAGE makes the first",
        });
    }
    output::print(&heading)?;
    let work = |text: &mut String, summary: &Summary| table.write_row(text, summary, &styles);
    listing.in_pieces(selection, work, |text| output::print(&text))
}

fn is_wanted(summary: &Summary, options: &ListOptions) -> bool {
    let name = options.name.as_deref();
    let image = options.image.as_deref();
    name.is_none_or(|name| summary.answers_to(name))
        && image.is_none_or(|image| summary.is_of_image(image))
        && options
            .needs
            .iter()
            .all(|capability| summary.answer.contains(*capability))
        && options.state.is_none_or(|state| is_in(summary, state))
}

/// Returns true if a profile is in this state.
fn is_in(summary: &Summary, state: ProfileState) -> bool {
    let verdict = summary
        .verification
        .as_ref()
        .map(|standing| standing.verdict);
    match state {
        ProfileState::Complete => summary.complete,
        ProfileState::Incomplete => !summary.complete,
        ProfileState::Verified => summary.complete && verdict == Some(Verdict::Verified),
        ProfileState::NotVerified => verdict != Some(Verdict::Verified),
        ProfileState::Failed => summary.exit.is_some_and(|exit| exit.is_failure()),
    }
}
