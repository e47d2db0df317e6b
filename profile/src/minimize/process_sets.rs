//! The five sets of the process that make the minimized set effective for its user.

use super::demand::{Demand, Source};
use super::input::Input;
use crate::CapabilitySet;
use crate::observation::Observation;
use crate::recording::ProcessSets;

pub(super) fn sets(input: &Input<'_>, demands: &[Demand<'_>], set: CapabilitySet) -> ProcessSets {
    if input.context.uid == 0 {
        return ProcessSets {
            bounding: set,
            effective: set,
            permitted: set,
            inheritable: input.original.inheritable.intersection(set),
            ambient: input.original.ambient.intersection(set),
        };
    }
    // A set-user-ID program, or one with file capabilities, gains these from the bounding set alone.
    let gained = |check: &Observation| {
        check.executable.as_ref().is_some_and(|executable| {
            input
                .evidence
                .iter()
                .flat_map(|(_, evidence)| &evidence.executions)
                .any(|execution| {
                    execution.path == *executable && execution.gained.contains(check.capability)
                })
        })
    };
    let mut carried = CapabilitySet::EMPTY;
    let mut by_runtime = CapabilitySet::EMPTY;
    for demand in demands {
        let satisfied_by = demand.options.intersection(set);
        match &demand.source {
            Source::File(..) | Source::Filter(..) => {}
            Source::Check(check) if check.as_root || gained(check) => {}
            Source::List(_, capset) if capset.as_root => {}
            Source::Check(check) if check.pre_exec => by_runtime = by_runtime.union(satisfied_by),
            Source::Check(_) | Source::List(..) => carried = carried.union(satisfied_by),
        }
    }
    // A capability that was not granted in one of these sets, the process had from the bounding set, by a set-user-ID program or file capabilities.
    let granted = input.granted;
    ProcessSets {
        bounding: set,
        effective: carried.intersection(granted.effective).union(by_runtime),
        permitted: carried.intersection(granted.permitted).union(by_runtime),
        inheritable: carried.intersection(granted.inheritable),
        ambient: carried.intersection(granted.ambient),
    }
}
