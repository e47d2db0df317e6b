//! From everything that the recorders brought home to the minimized set, with the reason for each member.
//!
//! Pure. Each check that counts is a *demand*: a set of capabilities of which any one would have satisfied the kernel. The
//! minimized set satisfies all demands. A demand that only one capability satisfies decides itself; the others take what is
//! there already, else what [`Preference`] says. More evidence therefore never takes a capability out of the set, unless
//! another one has come in that satisfies the same demand.

mod blind_spots;
mod choice;
mod demand;
mod denied;
mod difference;
mod dismissed;
mod input;
mod need;
mod process_sets;
mod tally;
#[cfg(test)]
mod tests;

use crate::CapabilitySet;
use crate::classify::Decision;
use crate::observation::BlindSpot;
use crate::recording::ProcessSets;
use crate::result::{CheckSummary, Need};
use demand::demands;
use input::classified;

pub use denied::denied_needs;
pub use input::Input;
pub use need::describe;

/// The parts of a [`crate::result::Profile`] that follow from evidence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Minimized {
    /// See [`crate::result::Profile::minimized`].
    pub set: CapabilitySet,
    /// See [`crate::result::Profile::minimized_sets`].
    pub sets: ProcessSets,
    /// See [`crate::result::Profile::needed`].
    pub needed: Vec<Need>,
    /// See [`crate::result::Profile::dismissed`].
    pub dismissed: Vec<CheckSummary>,
    /// See [`crate::result::Profile::denied`].
    pub denied: Vec<CheckSummary>,
    /// See [`crate::result::Profile::blind_spots`].
    pub blind_spots: Vec<BlindSpot>,
    /// See [`crate::result::Profile::incomplete_because`].
    pub incomplete_because: Vec<String>,
    /// See [`crate::result::Profile::notes`].
    pub notes: Vec<String>,
}

/// Makes the minimized set. The order of observations does not matter.
pub fn minimize(input: &Input<'_>) -> Minimized {
    let mut classified = classified(input);
    let seen_through = dismissed::dismiss_what_ebpf_saw_through(input, &mut classified);

    let mut result = Minimized::default();
    let demands = demands(input, &classified, &mut result.notes);
    result.set = choice::choose(&demands, input);
    result.needed = result
        .set
        .iter()
        .map(|capability| need::need(capability, result.set, &demands, input))
        .collect();
    result.sets = process_sets::sets(input, &demands, result.set);
    result.dismissed = dismissed::summary(&classified, |decision| {
        matches!(decision, Decision::Dismissed | Decision::Optional)
    });
    result.denied = dismissed::summary(&classified, |decision| decision == Decision::Denied);
    result.blind_spots = blind_spots::blind_spots(input, &classified, result.set);
    result.incomplete_because = blind_spots::losses(input);
    result.notes.extend(seen_through);
    result.notes.sort();
    result.notes.dedup();
    result
}
