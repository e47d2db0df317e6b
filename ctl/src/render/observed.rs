//! What an observed container holds, and what of that it does without.

use super::names::first_few;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;

/// What is held and was not used, though a use would have been seen.
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

/// What comes first in the report: how many are used of how many, and what that means, a line each.
pub(super) fn headline(profile: &Profile) -> (String, Vec<String>) {
    let held = profile.conditions.original.bounding;
    let used = profile.findings.minimized.intersection(held).len();
    let headline = match held.len() {
        0 => "holds no capabilities".to_owned(),
        1 => format!("uses {used} of the 1 capability that it holds"),
        number => format!("uses {used} of the {number} capabilities that it holds"),
    };
    let mut lines = Vec::new();
    let unused = unused(profile);
    if !unused.is_empty() {
        lines.push(format!("drop {unused}"));
    }
    let refused: Vec<String> = profile
        .denied_needs
        .iter()
        .map(|need| format!("{} ({})", need.capability, first_few(&need.programs)))
        .collect();
    if !refused.is_empty() {
        lines.push(format!(
            "refused, and made system calls fail: {}",
            refused.join(", ")
        ));
    }
    (headline, lines)
}
