//! The blind spots and the losses of a recording.

use super::filter;
use super::input::{Classified, Input, evidence_of, recorded_completely};
use crate::atlas::paths;
use crate::classify::{self, Decision};
use crate::observation::{BlindSpot, Evidence, Namespace, PortUse, RecorderName};
use crate::recording::Mode;
use crate::settings::Scope;
use crate::{Capability, CapabilitySet};
use std::collections::BTreeSet;

/// All blind spots, sorted.
pub(super) fn blind_spots(
    input: &Input<'_>,
    classified: &[Classified<'_>],
    set: CapabilitySet,
) -> Vec<BlindSpot> {
    let mut spots: BTreeSet<BlindSpot> = BTreeSet::new();
    for (recorder, evidence) in input.evidence {
        spots.extend(
            evidence
                .blind_spots
                .iter()
                .filter(|spot| !covered(spot, *recorder, input))
                .cloned(),
        );
        spots.extend(unreadable_files(*recorder, evidence));
    }
    for entry in classified {
        spots.extend(hard_link(entry, set));
        spots.extend(shared_memory_lock(entry, set));
        spots.extend(id_map(entry, set));
        spots.extend(not_granted(entry, input));
        spots.extend(nested_unclear(entry, input, set));
    }
    spots.extend(unprivileged_ports(input, set));
    spots.extend(filter::blind_spots(input, set));
    spots.extend(ambient_from_the_start(input, set));
    spots.extend(refused_before_selinux(input));
    spots.into_iter().collect()
}

fn unreadable_files(
    recorder: RecorderName,
    evidence: &Evidence,
) -> impl Iterator<Item = BlindSpot> {
    evidence.executions.iter().filter_map(move |execution| {
        let reason = execution.unreadable.as_ref()?;
        Some(BlindSpot {
            capability: None,
            recorder,
            reason: format!(
                "file capabilities of {} could not be read: {reason}",
                execution.path.display()
            ),
        })
    })
}

fn hard_link(entry: &Classified<'_>, set: CapabilitySet) -> Option<BlindSpot> {
    let check = entry.check;
    (entry.rule.name == classify::HARD_LINK && !set.contains(check.capability)).then(|| BlindSpot {
        capability: Some(check.capability),
        recorder: check.recorder,
        reason: format!(
            "{} made hard links to files that it may not both read and write by their mode: fails without, or without CAP_FOWNER, \
             for files of other users; which files these were was not seen",
            check.program
        ),
    })
}

fn shared_memory_lock(entry: &Classified<'_>, set: CapabilitySet) -> Option<BlindSpot> {
    let check = entry.check;
    (entry.rule.name == classify::SHARED_MEMORY_LOCK && !set.contains(check.capability)).then(
        || BlindSpot {
            capability: Some(check.capability),
            recorder: check.recorder,
            reason: format!(
                "{} locked shared memory segments: fails without for those of other users, which was not seen",
                check.program
            ),
        },
    )
}

/// kernel/user_namespace.c `verify_root_map()` tests a bit that `create_user_ns()` has stored, so no check is made then. A process that writes the
/// map from inside can map only itself (`new_idmap_permitted()`), so this is about root; for a parent that writes its child's map the kernel
/// makes a check. A program that eBPF saw start as another user is root only if it used `CAP_SETUID`.
fn id_map(entry: &Classified<'_>, set: CapabilitySet) -> Option<BlindSpot> {
    let check = entry.check;
    let maps = classify::asked_in(check, paths::ID_MAP);
    let perhaps_root = check.recorder != RecorderName::Ebpf
        || check.executable.is_none()
        || check.as_root
        || set.contains(Capability::SETUID);
    (maps && perhaps_root && !set.contains(Capability::SETFCAP)).then(|| BlindSpot {
        capability: Some(Capability::SETFCAP),
        recorder: check.recorder,
        reason: format!(
            "{} wrote the id map of a user namespace that it made: if that maps user 0 of the container, the kernel wants this \
             capability without asking for it",
            check.program
        ),
    })
}

fn not_granted(entry: &Classified<'_>, input: &Input<'_>) -> Option<BlindSpot> {
    let check = entry.check;
    let refused = entry.decision == Decision::Denied && entry.rule.name == classify::REFUSED.name;
    (refused && input.mode == Mode::Profile && !input.granted.bounding.contains(check.capability)).then(|| {
        BlindSpot {
            capability: Some(check.capability),
            recorder: check.recorder,
            reason: format!(
                "{} asked for it and was refused, as capprof does not hold it itself and could not grant it: what the program would have \
                 done with it was not seen",
                check.program
            ),
        }
    })
}

/// A record of SELinux's class `cap_userns` does not say whether the process lives in the nested namespace or acts on it from outside.
fn nested_unclear(
    entry: &Classified<'_>,
    input: &Input<'_>,
    set: CapabilitySet,
) -> Option<BlindSpot> {
    let check = entry.check;
    let unclear = check.namespace == Namespace::NestedUnclear
        && !set.contains(check.capability)
        && !recorded_completely(input, RecorderName::Ebpf);
    unclear.then(|| BlindSpot {
        capability: Some(check.capability),
        recorder: check.recorder,
        reason: format!(
            "{} was asked for it in a user namespace that the container made: needed if the process lives outside that namespace and another user made it, which SELinux does not record",
            check.program
        ),
    })
}

/// Ports below 1024 that were bound without a capability check.
pub(super) fn unasked_ports(input: &Input<'_>) -> Vec<PortUse> {
    let Some(start) = input.unprivileged_port_start else {
        return Vec::new();
    };
    input
        .evidence
        .iter()
        .filter_map(|(_, evidence)| evidence.ports.as_ref())
        .flatten()
        .filter(|bound| bound.port >= start)
        .cloned()
        .collect()
}

/// net/ipv4/af_inet.c `inet_port_requires_bind_service()`: the kernel makes no check for a port at or above the sysctl's value.
fn unprivileged_ports(input: &Input<'_>, set: CapabilitySet) -> Option<BlindSpot> {
    let start = input.unprivileged_port_start.filter(|port| *port < 1024)?;
    let (recorder, evidence) = input
        .evidence
        .iter()
        .find(|(_, evidence)| evidence.ports.is_some())
        .or_else(|| input.evidence.first())?;
    let bound: BTreeSet<String> = match &evidence.ports {
        Some(ports) => ports
            .iter()
            .filter(|bound| bound.port >= start)
            .map(|bound| format!("{} bound port {}", bound.program, bound.port))
            .collect(),
        None => ["it was not seen which ports were bound".to_owned()].into(),
    };
    (!bound.is_empty() && !set.contains(Capability::NET_BIND_SERVICE)).then(|| BlindSpot {
        capability: Some(Capability::NET_BIND_SERVICE),
        recorder: *recorder,
        reason: format!(
            "{}: here every process may bind ports from {start} on, by the engine's net.ipv4.ip_unprivileged_port_start, and the kernel \
             does not ask; where that is not set, as under other engines and in the host's network, it fails without",
            bound.into_iter().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// security/commoncap.c, `cap_task_prctl()`: a program that raises a capability which is already ambient leaves no trace.
fn ambient_from_the_start(input: &Input<'_>, set: CapabilitySet) -> Option<BlindSpot> {
    let unseen = input.granted.ambient.difference(set);
    let (recorder, _) = input.evidence.first()?;
    (input.context.uid != 0 && input.mode != Mode::Verify && !unseen.is_empty()).then(|| BlindSpot {
        capability: None,
        recorder: *recorder,
        reason: "ambient capabilities were there from the start: a program that raises one itself (PR_CAP_AMBIENT_RAISE) needs it, which could \
                 not be seen"
            .to_owned(),
    })
}

/// The kernel calls `cap_capable()` before SELinux, which never hears of a refusal there (security/security.c).
fn refused_before_selinux(input: &Input<'_>) -> impl Iterator<Item = BlindSpot> {
    let blind = evidence_of(input, RecorderName::Selinux).is_some()
        && input.mode == Mode::Profile
        && !recorded_completely(input, RecorderName::Ebpf);
    let granted = input.granted.bounding;
    Capability::all()
        .filter(move |capability| blind && !granted.contains(*capability))
        .map(|capability| BlindSpot {
            capability: Some(capability),
            recorder: RecorderName::Selinux,
            reason: "capprof does not hold it itself and could not grant it; what is refused for that leaves no record".to_owned(),
        })
}

/// Returns true if the other recorder would have seen it.
///
/// eBPF helps SELinux, because it sees all checks. The reverse does not hold: where eBPF names a capability as a blind spot, security/commoncap.c
/// calls its own check, inlined, and no other security module hears of it.
fn covered(spot: &BlindSpot, recorder: RecorderName, input: &Input<'_>) -> bool {
    recorder == RecorderName::Selinux
        && recorded_completely(input, RecorderName::Ebpf)
        && evidence_of(input, RecorderName::Ebpf).is_some_and(|evidence| {
            !evidence
                .blind_spots
                .iter()
                .any(|own| own.capability.is_none() || own.capability == spot.capability)
        })
}

/// In scope `host` the container keeps its engine's domain, in which SELinux leaves no record of what the policy allows or silences: such a
/// recording cannot be complete by itself.
fn unseen_in_scope_host(input: &Input<'_>) -> Option<String> {
    let report = input
        .reports
        .iter()
        .find(|report| report.recorder == RecorderName::Selinux && report.recorded)?;
    let evidence = evidence_of(input, RecorderName::Selinux)?;
    let of_domain = evidence
        .blind_spots
        .iter()
        .filter_map(|spot| spot.capability);
    let unseen: CapabilitySet = of_domain
        .filter(|capability| input.granted.bounding.contains(*capability))
        .collect();
    let is_alone = !recorded_completely(input, RecorderName::Ebpf);
    (report.scope == Some(Scope::Host) && is_alone && !unseen.is_empty()).then(|| {
        format!(
            "SELinux alone, in scope host, leaves no record of {} of the {} capabilities that the container had: let eBPF record as well, or \
             take scope domain",
            unseen.len(),
            input.granted.bounding.len()
        )
    })
}

/// The reasons why the result is incomplete; empty if nothing was lost.
pub(super) fn losses(input: &Input<'_>) -> Vec<String> {
    let mut losses = BTreeSet::new();
    for (recorder, evidence) in input.evidence {
        for loss in &evidence.losses {
            losses.insert(format!("{}: {loss}", recorder.display_name()));
        }
    }
    for report in input.reports {
        if report.recorded && evidence_of(input, report.recorder).is_none() {
            losses.insert(format!(
                "{}: was armed and recorded nothing",
                report.recorder.display_name()
            ));
        }
    }
    if input.evidence.is_empty() {
        losses.insert("no recorder recorded".to_owned());
    }
    losses.extend(unseen_in_scope_host(input));
    losses.into_iter().collect()
}
