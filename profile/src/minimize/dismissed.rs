//! Checks that do not count: SELinux's records that eBPF explains, and the summary by rule.

use super::input::{Classified, Input, recorded_completely};
use super::tally::{Field, Tally};
use crate::classify::{self, Decision, Rule};
use crate::observation::RecorderName;
use crate::profile::CheckSummary;
use crate::{Capability, CapabilitySet};
use std::collections::{BTreeMap, BTreeSet};

/// SELinux sees neither the kernel's call site nor system call arguments. If eBPF lost nothing, and saw a capability asked for only in ways that
/// do not count, SELinux's records are of the same checks.
pub(super) fn dismiss_what_ebpf_saw_through(
    input: &Input<'_>,
    classified: &mut [Classified<'_>],
) -> Vec<String> {
    if !recorded_completely(input, RecorderName::Ebpf) {
        return Vec::new();
    }
    let mut needed = CapabilitySet::EMPTY;
    let mut dismissed: BTreeMap<Capability, (&Rule, Decision)> = BTreeMap::new();
    for Classified {
        check,
        decision,
        rule,
    } in classified.iter()
    {
        if check.recorder != RecorderName::Ebpf {
            continue;
        }
        match decision {
            Decision::Needed(_) => needed.insert(check.capability),
            // Silent checks leave no record, and checks with other credentials leave one with another label than the container's. The credentials
            // of an overlayfs that the container mounted itself do have the container's label.
            Decision::Dismissed | Decision::Optional
                if !classify::silent(check) && (!check.overridden || check.own_mount) =>
            {
                let entry = dismissed
                    .entry(check.capability)
                    .or_insert((*rule, *decision));
                if rule.name < entry.0.name {
                    *entry = (*rule, *decision);
                }
            }
            _ => {}
        }
    }
    let mut notes = BTreeSet::new();
    for Classified {
        check,
        decision,
        rule,
    } in classified.iter_mut()
    {
        if check.recorder == RecorderName::Selinux
            && matches!(decision, Decision::Needed(_))
            && !needed.contains(check.capability)
            && let Some((known, what)) = dismissed.get(&check.capability)
        {
            *decision = *what;
            *rule = *known;
            notes.insert(format!(
                "{}: recorded by SELinux, which cannot see why the kernel asked; eBPF saw it asked in this way only: {}",
                check.capability, known.explanation
            ));
        }
    }
    notes.into_iter().collect()
}

pub(super) fn summary(
    classified: &[Classified<'_>],
    wanted: impl Fn(Decision) -> bool,
) -> Vec<CheckSummary> {
    let mut tallies: BTreeMap<(Capability, &str), (&Rule, Tally)> = BTreeMap::new();
    for entry in classified {
        if wanted(entry.decision) {
            tallies
                .entry((entry.check.capability, entry.rule.name))
                .or_insert_with(|| (entry.rule, Tally::default()))
                .1
                .check(entry.check);
        }
    }
    tallies
        .into_iter()
        .map(|((capability, _), (rule, tally))| CheckSummary {
            capability,
            rule: rule.name.to_owned(),
            explanation: rule.explanation.to_owned(),
            optional: rule.decision == Decision::Optional,
            programs: tally.list(Field::Program),
            syscalls: tally.list(Field::Syscall),
            sites: tally.list(Field::Site),
            count: tally.count(),
            outcome: tally.results,
            recorders: tally.recorders(),
        })
        .collect()
}
