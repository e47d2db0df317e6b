//! The choice of a set that satisfies all demands.

use super::demand::Demand;
use super::input::Input;
use crate::settings::Preference;
use crate::{Capability, CapabilitySet};
use std::collections::BTreeSet;

/// A set that satisfies all demands.
pub(super) fn choose(demands: &[Demand<'_>], input: &Input<'_>) -> CapabilitySet {
    let only = |demand: &&Demand<'_>| demand.options.len() == 1;
    let forced: CapabilitySet = demands
        .iter()
        .filter(only)
        .map(|demand| demand.asked)
        .collect();
    let open: BTreeSet<(Capability, u64)> = demands
        .iter()
        .filter(|demand| demand.options.intersection(forced).is_empty())
        .map(|demand| (demand.asked, demand.options.bits()))
        .collect();
    let mut set = forced;
    for (asked, options) in &open {
        set.insert(preferred(*asked, CapabilitySet::from_bits(*options), input));
    }
    // The choice for one demand may make the choice for another superfluous.
    for capability in set.difference(forced).iter() {
        let mut without = set;
        without.remove(capability);
        if open.iter().all(|(_, options)| {
            !CapabilitySet::from_bits(*options)
                .intersection(without)
                .is_empty()
        }) {
            set = without;
        }
    }
    set
}

/// Returns the capability to take where several would do: the one that the kernel asked for, but never CAP_SYS_ADMIN if a weaker one would do.
/// With [`Preference::Default`], one that the engine gives this container comes before one that it does not give.
fn preferred(asked: Capability, options: CapabilitySet, input: &Input<'_>) -> Capability {
    let mut weaker = options;
    weaker.remove(Capability::SYS_ADMIN);
    let first = if asked == Capability::SYS_ADMIN {
        weaker.iter().next().unwrap_or(asked)
    } else {
        asked
    };
    let given = input.original.bounding;
    if input.preference == Preference::Default && !given.contains(first) {
        return weaker.intersection(given).iter().next().unwrap_or(first);
    }
    first
}
