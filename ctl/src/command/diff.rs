//! `capprofctl diff`

use crate::cli::ListFormat;
use crate::exit::Exit;
use crate::output;
use crate::render;
use capprof_profile::profile::{Need, Profile};
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::profiles::Store;
use serde::Serialize;

/// The value of [`Difference::schema`].
const SCHEMA: &str = "capprof.diff/v1";

/// The differences between the needs of two profiles.
#[derive(Debug, Serialize)]
struct Difference<'a> {
    schema: &'static str,
    /// The recording that the other one is compared with.
    from: &'a str,
    to: &'a str,
    /// True if nothing was lost in either.
    complete: bool,
    more: CapabilitySet,
    less: CapabilitySet,
    both: CapabilitySet,
    /// The evidence for the members of `more`.
    needed: Vec<&'a Need>,
}

/// Compares two profiles; status 5 if the second one needs a capability that the first one does not.
///
/// # Errors
/// One of them was not found or cannot be read.
pub(crate) fn run(store: &Store, from: &str, to: &str, format: ListFormat) -> anyhow::Result<Exit> {
    let (from, to) = (store.find(from)?.profile, store.find(to)?.profile);
    let (before, after) = (from.answer().0, to.answer().0);
    let more = after.difference(before);
    let difference = Difference {
        schema: SCHEMA,
        from: &from.origin.recording_id,
        to: &to.origin.recording_id,
        complete: from.complete && to.complete,
        more,
        less: before.difference(after),
        both: before.intersection(after),
        needed: evidence(&to, more),
    };
    match format {
        ListFormat::Json => output::print_json(&difference)?,
        ListFormat::Text => output::print(&text(&difference, &from, &to))?,
    }
    for profile in [&from, &to] {
        if !profile.complete {
            output::message(&format!(
                "{} is incomplete: {}",
                profile.origin.recording_id,
                profile.incomplete_because.join("; ")
            ));
        }
    }
    Ok(match more.is_empty() {
        true => Exit::Success,
        false => Exit::WantsMore,
    })
}

/// The reasons for these members of a profile's set.
pub(super) fn evidence(profile: &Profile, set: CapabilitySet) -> Vec<&Need> {
    let wanted = |need: &&Need| set.contains(need.capability);
    profile.findings.needed.iter().filter(wanted).collect()
}

/// The reason why a profile has this capability in its set, in one line; empty if it does not say.
pub(super) fn because(profile: &Profile, capability: Capability) -> String {
    let needed = &profile.findings.needed;
    needed
        .iter()
        .find(|need| need.capability == capability)
        .map_or_else(String::new, render::because)
}

fn text(difference: &Difference<'_>, from: &Profile, to: &Profile) -> String {
    let mut text = format!("{} -> {}\n", render::title(from), render::title(to));
    for (word, set, profile) in [
        ("more", difference.more, to),
        ("less", difference.less, from),
    ] {
        for capability in set.iter() {
            text.push_str(&format!(
                "{word}  {capability}  {}",
                because(profile, capability)
            ));
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
    }
    text.push_str(&format!("both  {}\n", difference.both));
    text
}
