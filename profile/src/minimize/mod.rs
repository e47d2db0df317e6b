//! Makes the minimized set of all evidence, with the reason for each member.
//!
//! Pure. Each check that counts is a *demand*: a set of capabilities of which any one would have satisfied the kernel. The
//! minimized set satisfies all demands. Where only one capability satisfies a demand, there is no choice; the other demands take a member that is
//! already in the set, else the one that `Preference` says. More evidence therefore never takes a capability out of the set, unless another one
//! has come in that satisfies the same demand.

mod blind_spots;
mod choice;
mod demand;
mod denied;
mod difference;
mod dismissed;
mod filter;
mod input;
mod need;
mod process_sets;
mod tally;
#[cfg(test)]
mod tests;
mod unclear;
mod unknown_place;

use crate::classify::Decision;
use crate::profile::Findings;
use demand::demands;
use input::classified;

pub use denied::denied_needs;
pub use input::Input;
pub use need::describe;

/// The results of evidence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Minimized {
    /// The set, with the reasons.
    pub findings: Findings,
    /// See [`crate::profile::Profile::incomplete_because`].
    pub incomplete_because: Vec<String>,
}

/// Makes the minimized set. The order of observations does not matter.
pub fn minimize(input: &Input<'_>) -> Minimized {
    let mut classified = classified(input);
    let seen_through = dismissed::dismiss_what_ebpf_saw_through(input, &mut classified);

    let mut notes = Vec::new();
    let demands = demands(input, &classified, &mut notes);
    let minimized = choice::choose(&demands, input);
    notes.extend(seen_through);
    notes.extend(unknown_place::notes(&classified));
    notes.sort();
    notes.dedup();
    Minimized {
        findings: Findings {
            minimized,
            minimized_sets: process_sets::sets(input, &demands, minimized),
            needed: minimized
                .iter()
                .map(|capability| need::need(capability, minimized, &demands, input))
                .collect(),
            dismissed: dismissed::summary(&classified, |decision| {
                matches!(decision, Decision::Dismissed | Decision::Optional)
            }),
            denied: dismissed::summary(&classified, |decision| decision == Decision::Denied),
            blind_spots: blind_spots::blind_spots(input, &classified, minimized),
            unprivileged_ports: blind_spots::unasked_ports(input),
            notes,
        },
        incomplete_because: blind_spots::losses(input),
    }
}
