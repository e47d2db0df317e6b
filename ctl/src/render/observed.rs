//! The capabilities that an observed container has and does not use.

use super::shortened::first_few;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;

/// The capabilities that it holds and did not use, although a use would have been seen.
pub(crate) fn unused(profile: &Profile) -> CapabilitySet {
    let held = profile.conditions.original.bounding;
    let unseen: CapabilitySet = profile
        .findings
        .blind_spots
        .iter()
        .filter_map(|spot| spot.capability)
        .collect();
    held.difference(profile.findings.minimized)
        .difference(unseen)
}

/// The refusals, and those that made system calls fail.
pub(super) fn refused(profile: &Profile) -> Option<String> {
    let refused: Vec<String> = profile
        .denied_needs
        .iter()
        .map(|need| format!("{} ({})", need.capability, first_few(&need.programs)))
        .collect();
    (!refused.is_empty()).then(|| {
        format!(
            "refused, and made system calls fail: {}",
            refused.join(", ")
        )
    })
}
