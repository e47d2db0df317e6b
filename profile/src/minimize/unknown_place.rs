//! Checks at places that the atlas does not have.

use super::input::Classified;
use super::tally;
use crate::classify;
use crate::profile::UNKNOWN_PLACE;

/// One line for each capability and place. A check whose place is not known counts, unless a rule says otherwise.
pub(super) fn notes(classified: &[Classified<'_>]) -> impl Iterator<Item = String> {
    classified
        .iter()
        .map(|entry| entry.check)
        .filter(|check| !check.call_site.is_empty() && classify::asked_at(check).is_empty())
        .map(|check| {
            format!(
                "{} {UNKNOWN_PLACE}: {}",
                check.capability,
                tally::site(&check.call_site)
            )
        })
}
