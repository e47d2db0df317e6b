//! The reason why a capability is needed, in words.

use capprof_profile::Capability;
use capprof_profile::atlas::{self, Site};
use capprof_profile::profile::{Need, Reason};

/// The number of purposes that are named of a function with several.
const PURPOSES: usize = 2;

/// The reason in a few words.
pub(super) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Used => "used",
        Reason::EnforcingSilent => "used, asked silently",
        Reason::PreExec => "to start the program",
        Reason::FileCapability => "file capability",
        Reason::CapsetCompatibility => "set by capset(2)",
        Reason::SeccompFilter => "seccomp filter",
    }
}

/// The capabilities that would do as well.
pub(super) fn would_do(others: impl Iterator<Item = Capability>) -> String {
    let others: Vec<String> = others.map(|other| other.to_string()).collect();
    format!("{} would do instead", others.join(" or "))
}

/// The purpose of the check at the first place, from the atlas: in plain words, and the effect without the capability, with the function that asks.
pub(crate) fn purpose(need: &Need) -> Option<(String, String)> {
    let functions = need.sites.first()?.split(" < ").map(function);
    let places = atlas::asked(need.capability, functions);
    let unique = |text: fn(&Site) -> &'static str| {
        let mut texts: Vec<&str> = places.iter().map(|place| text(place)).collect();
        texts.dedup();
        match texts.len() > PURPOSES {
            true => format!("{}, …", texts.get(..PURPOSES)?.join(", or ")).into(),
            false => Some(texts.join(", or ")),
        }
    };
    let place = places.first()?;
    let without = format!(
        "{}: {} ({})",
        place.class.meaning(),
        unique(|place| place.without)?,
        place.function
    );
    Some((unique(|place| place.plain)?, without))
}

/// A frame's function: without offset, module and the suffixes of copies.
fn function(frame: &str) -> &str {
    frame.split(['.', '+', ' ']).next().unwrap_or(frame)
}
