//! Demands on the minimized set.

use super::filter::{self, FilteredCall};
use super::input::{Classified, Input};
use crate::alternative::alternatives;
use crate::classify::Decision;
use crate::observation::{Capset, Execution, Observation, RecorderName};
use crate::profile::Reason;
use crate::{Capability, CapabilitySet};

/// One reason to have a capability.
pub(super) struct Demand<'a> {
    /// The capability that the kernel asked for, or that a program listed.
    pub(super) asked: Capability,
    /// The same capability, and those that would have done instead.
    pub(super) options: CapabilitySet,
    pub(super) reason: Reason,
    pub(super) source: Source<'a>,
}

pub(super) enum Source<'a> {
    Check(&'a Observation),
    File(RecorderName, &'a Execution),
    List(RecorderName, &'a Capset),
    /// A system call that the engine's filter refuses, and the program that made it.
    Filter(RecorderName, FilteredCall),
}

impl Source<'_> {
    pub(super) fn recorder(&self) -> RecorderName {
        match self {
            Self::Check(check) => check.recorder,
            Self::File(recorder, _) | Self::List(recorder, _) | Self::Filter(recorder, _) => {
                *recorder
            }
        }
    }
}

pub(super) fn demands<'a>(
    input: &Input<'a>,
    classified: &[Classified<'a>],
    notes: &mut Vec<String>,
) -> Vec<Demand<'a>> {
    let mut demands: Vec<Demand<'a>> = classified
        .iter()
        .filter_map(|entry| match entry.decision {
            Decision::Needed(reason) => Some(Demand {
                asked: entry.check.capability,
                options: alternatives(entry.check)
                    .union([entry.check.capability].into_iter().collect()),
                reason,
                source: Source::Check(entry.check),
            }),
            _ => None,
        })
        .collect();
    for (recorder, evidence) in input.evidence {
        for execution in &evidence.executions {
            // Without the effective bit the program starts with fewer capabilities, and the recorders see which of them it uses.
            let Some(capabilities) = execution.file_capabilities.filter(|file| file.effective)
            else {
                continue;
            };
            demands.extend(capabilities.permitted.iter().map(|capability| Demand {
                asked: capability,
                options: [capability].into_iter().collect(),
                reason: Reason::FileCapability,
                source: Source::File(*recorder, execution),
            }));
        }
        for capset in &evidence.capsets {
            let listed = listed(capset, input.context.granted).union(capset.ambient);
            demands.extend(listed.iter().map(|capability| Demand {
                asked: capability,
                options: [capability].into_iter().collect(),
                reason: Reason::CapsetCompatibility,
                source: Source::List(*recorder, capset),
            }));
            let kept = capset
                .permitted
                .difference(listed)
                .intersection(capset.held);
            if capset.ambient.is_empty() && capset.permitted != capset.held && !kept.is_empty() {
                notes.push(format!(
                    "{} set its capabilities to what it held but for {}: taken for dropping these, not for needing the rest",
                    capset.program,
                    capset.held.difference(capset.permitted)
                ));
            }
        }
    }
    demands.extend(filter::calls(input).into_iter().map(|(recorder, call)| {
        Demand {
            asked: call
                .opened_by
                .iter()
                .next()
                .unwrap_or(Capability::SYS_ADMIN),
            options: call.opened_by,
            reason: Reason::SeccompFilter,
            source: Source::Filter(recorder, call),
        }
    }));
    demands
}

/// The capabilities that a program asked to keep by name.
///
/// capset(2) fails with EPERM for a capability that is not held, so a program that sets a fixed list needs all of it, used or not. A program that
/// drops some of the capabilities that it holds does not need the rest. The size tells the two apart: a set with more than half of the held
/// capabilities, where the program held all that the recording had granted, is not a list.
fn listed(capset: &Capset, granted: CapabilitySet) -> CapabilitySet {
    let all_held = capset.held.len() * 2 >= granted.len();
    [capset.permitted, capset.effective, capset.inheritable]
        .into_iter()
        .filter(|set| !(all_held && set.len() * 2 > capset.held.len()))
        .fold(CapabilitySet::EMPTY, CapabilitySet::union)
}
