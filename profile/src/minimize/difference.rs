//! The reason why one of two recorders saw a use of a capability and the other did not.

use super::demand::{Demand, Source};
use super::input::{Input, evidence_of};
use crate::Capability;
use crate::atlas::paths;
use crate::classify;
use crate::observation::{Evidence, Observation, RecorderName};
use std::collections::BTreeSet;

/// The reason why only one of two recorders saw this capability.
pub(super) fn difference(
    capability: Capability,
    evidence: &[&Demand<'_>],
    input: &Input<'_>,
) -> Option<String> {
    let (Some(ebpf), Some(selinux)) = (
        evidence_of(input, RecorderName::Ebpf),
        evidence_of(input, RecorderName::Selinux),
    ) else {
        return None;
    };
    let saw: BTreeSet<RecorderName> = evidence
        .iter()
        .map(|demand| demand.source.recorder())
        .collect();
    if saw.len() != 1 {
        return None;
    }
    let checks: Vec<&Observation> = evidence
        .iter()
        .filter_map(|demand| match demand.source {
            Source::Check(check) => Some(check),
            _ => None,
        })
        .collect();
    if checks.is_empty() {
        // File capabilities and capset(2) are not capability checks: SELinux has no record of them.
        return None;
    }
    let (blind, other) = if saw.contains(&RecorderName::Ebpf) {
        (selinux, RecorderName::Selinux)
    } else {
        (ebpf, RecorderName::Ebpf)
    };
    let asked = checks.first().map_or(capability, |check| check.capability);
    let reason = known_reason(asked, blind)
        .or_else(|| match other {
            RecorderName::Selinux => selinux_reason(asked, &checks, selinux),
            RecorderName::Ebpf => None,
        })
        .unwrap_or_else(|| "unexplained".to_owned());
    let seer = match other {
        RecorderName::Ebpf => RecorderName::Selinux,
        RecorderName::Selinux => RecorderName::Ebpf,
    };
    Some(format!(
        "seen by {} alone; {} did not: {reason}",
        seer.display_name(),
        other.display_name()
    ))
}

/// The explanation by the recorder that did not see it.
fn known_reason(asked: Capability, blind: &Evidence) -> Option<String> {
    blind
        .blind_spots
        .iter()
        .find(|spot| spot.capability.is_none_or(|spot| spot == asked))
        .map(|spot| spot.reason.clone())
        .or_else(|| blind.losses.first().cloned())
}

fn selinux_reason(
    asked: Capability,
    checks: &[&Observation],
    selinux: &Evidence,
) -> Option<String> {
    let reason = if checks.iter().all(|check| classify::silent(check)) {
        "the kernel asks without an audit record"
    } else if checks.iter().all(|check| check.pre_exec) {
        "the runtime has not taken the container's label yet"
    } else if checks
        .iter()
        .all(|check| asks_capability_module_alone(check))
    {
        "commoncap.c asks itself alone there, not the other security modules"
    } else if selinux_saw_stronger(asked, selinux) {
        "the kernel asks for another capability first there"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

/// security/commoncap.c calls `cap_capable()` directly in these: no other security module hears of it.
fn asks_capability_module_alone(check: &Observation) -> bool {
    classify::asked_in(check, paths::CAPABILITY_MODULE_ALONE)
}

fn selinux_saw_stronger(asked: Capability, selinux: &Evidence) -> bool {
    let pair = match asked {
        Capability::DAC_READ_SEARCH => Capability::DAC_OVERRIDE,
        Capability::DAC_OVERRIDE => Capability::DAC_READ_SEARCH,
        _ => return false,
    };
    selinux
        .observations
        .iter()
        .any(|check| check.capability == pair)
}
