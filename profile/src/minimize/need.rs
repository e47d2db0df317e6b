//! The reasons for one member of the set.

use super::demand::{Demand, Source};
use super::difference::difference;
use super::input::Input;
use super::tally::{Field, Tally};
use super::unclear::{are_all_checks, unclear};
use crate::object::Object;
use crate::part::Part;
use crate::profile::{Need, Reason};
use crate::{Capability, CapabilitySet};
use std::collections::BTreeSet;

/// The reason why a capability is a member of the set.
pub(super) fn need(
    capability: Capability,
    set: CapabilitySet,
    demands: &[Demand<'_>],
    input: &Input<'_>,
) -> Need {
    let own: Vec<&Demand<'_>> = demands
        .iter()
        .filter(|demand| demand.asked == capability)
        .collect();
    let taken_over: Vec<&Demand<'_>> = demands
        .iter()
        .filter(|demand| {
            demand.asked != capability
                && demand.options.contains(capability)
                && !set.contains(demand.asked)
        })
        .collect();
    let evidence = if own.is_empty() { &taken_over } else { &own };
    let reason = evidence
        .iter()
        .map(|demand| demand.reason)
        .min()
        .unwrap_or(Reason::Used);
    let mut notes = reason_notes(reason, evidence);
    notes.extend(taken_over_notes(capability, &taken_over, own.is_empty()));
    if is_of_joined_alone(evidence) {
        notes.push("used only by processes that joined the container (exec)".to_owned());
    }
    notes.extend(difference(capability, evidence, input));

    let tally = tally(evidence);
    let interchangeable = evidence
        .iter()
        .map(|demand| demand.options)
        .reduce(CapabilitySet::intersection)
        .unwrap_or_default();
    Need {
        capability,
        part: Part::default(),
        reason,
        alternatives: interchangeable
            .iter()
            .filter(|other| *other != capability)
            .collect(),
        programs: tally.list(Field::Program),
        syscalls: tally.list(Field::Syscall),
        sites: tally.list(Field::Site),
        objects: objects(evidence),
        count: tally.count(),
        first_ms: tally.first.unwrap_or_default(),
        last_ms: tally.last.unwrap_or_default(),
        recorders: tally.recorders(),
        recordings: 0,
        unclear: unclear(evidence, demands, input),
        notes,
    }
}

/// The other reasons, and the files whose capabilities are one.
fn reason_notes(reason: Reason, evidence: &[&Demand<'_>]) -> Vec<String> {
    let reasons: BTreeSet<Reason> = evidence.iter().map(|demand| demand.reason).collect();
    let mut notes: Vec<String> = reasons
        .into_iter()
        .filter(|other| *other != reason)
        .map(|other| format!("also {}", describe(other)))
        .collect();
    let files: BTreeSet<String> = evidence
        .iter()
        .filter_map(|demand| match demand.source {
            Source::File(_, execution) => Some(execution.path.display().to_string()),
            _ => None,
        })
        .collect();
    if !files.is_empty() {
        notes.push(format!(
            "file capability of {}, which cannot be executed without",
            files.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    notes
}

/// The capability that the kernel checked instead of this one.
fn taken_over_notes(capability: Capability, taken_over: &[&Demand<'_>], only: bool) -> Vec<String> {
    let asked: CapabilitySet = taken_over.iter().map(|demand| demand.asked).collect();
    asked
        .iter()
        .map(|asked| {
            if !only {
                return format!("{asked} was asked for too, where {capability} does as well");
            }
            let why = match asked {
                Capability::SYS_ADMIN => "gives less",
                _ => "the engine grants it",
            };
            format!("the kernel asked for {asked} first; {capability} does as well and {why}")
        })
        .collect()
}

fn is_of_joined_alone(evidence: &[&Demand<'_>]) -> bool {
    !evidence.is_empty() && are_all_checks(evidence, |check| check.joined)
}

fn tally(evidence: &[&Demand<'_>]) -> Tally {
    let mut tally = Tally::default();
    for demand in evidence {
        match &demand.source {
            Source::Check(check) => tally.check(check),
            Source::Filter(recorder, call) => {
                tally.program(*recorder, call.program.clone(), 1);
                tally.add(*recorder, Field::Syscall, call.name.to_owned(), 1);
            }
            Source::File(recorder, execution) => {
                let name = execution.path.file_name().map_or_else(
                    || execution.path.display().to_string(),
                    |name| name.to_string_lossy().into_owned(),
                );
                tally.program(*recorder, name, execution.count);
            }
            Source::List(recorder, capset) => {
                tally.program(*recorder, capset.program.clone(), capset.count);
                tally.add(*recorder, Field::Syscall, "capset".to_owned(), capset.count);
            }
        }
    }
    tally
}

/// The objects of the checks, the first one first.
fn objects(evidence: &[&Demand<'_>]) -> Vec<Object> {
    let mut known: Vec<(u64, &Object)> = evidence
        .iter()
        .filter_map(|demand| match demand.source {
            Source::Check(check) => Some((check.first_ms, check.object.as_ref()?)),
            _ => None,
        })
        .collect();
    known.sort();
    let mut objects = Vec::new();
    Object::add_to(
        &mut objects,
        known.into_iter().map(|(_, object)| object.clone()),
    );
    objects
}

/// The meaning of a reason, for a sentence.
pub fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::Used => "used",
        Reason::EnforcingSilent => "used where the kernel enforces without an audit record",
        Reason::PreExec => "needed by the runtime to start the program",
        Reason::FileCapability => "a file capability of an executed program",
        Reason::CapsetCompatibility => "in a set that a program asked for with capset(2)",
        Reason::SeccompFilter => {
            "asked for by the engine's seccomp filter alone: another engine's may not"
        }
    }
}
