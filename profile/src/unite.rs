//! Makes one answer of several recordings of a workload.
//!
//! A first start may need capabilities that no later start needs: it initialises a volume, or makes a user. So the answer is the union of all
//! needs. The newest complete recording is the base, and the others add what it lacks.

use crate::need::{CheckSummary, Need};
use crate::object::Object;
use crate::observation::{BlindSpot, PortUse};
use crate::part::{Today, TriedBy};
use crate::profile::Profile;
use crate::recording::Mode;
use crate::{Capability, CapabilitySet};
use std::collections::BTreeMap;

impl Profile {
    /// Returns true if another recording is of the same workload: image, command and user; where no engine says the image, the container's own name or
    /// id. The engine must have given both the same.
    pub fn is_of_workload(&self, other: &Self) -> bool {
        let (one, two) = (&self.origin, &other.origin);
        let of_image = match (&one.workload.image, &two.workload.image) {
            (Some(_), Some(_)) => one.workload.is_of_image(&two.workload),
            (None, None) => {
                one.container_id == two.container_id || (one.name.is_some() && one.name == two.name)
            }
            _ => false,
        };
        of_image
            && one.process == two.process
            && self.conditions.original == other.conditions.original
    }
}

/// Unites recordings of one workload; `None` if there are none. `recordings` come newest first.
///
/// The united profile has the identity of the newest complete recording; one with everything granted comes before one that was observed. If
/// none is complete, it has the identity of the newest. An incomplete recording adds its observations; its losses count only if no other recording
/// is complete.
pub fn unite(mut recordings: Vec<Profile>) -> Option<Profile> {
    if recordings.is_empty() {
        return None;
    }
    let newest = |of: &dyn Fn(&Profile) -> bool| recordings.iter().position(of);
    let base = newest(&|profile| profile.complete && !is_observed(profile))
        .or_else(|| newest(&|profile| profile.complete))
        .unwrap_or(0);
    let mut united = recordings.remove(base);
    if recordings.is_empty() {
        return Some(united);
    }
    let ids = |profile: &Profile| profile.origin.recording_id.clone();
    united.united = std::iter::once(&united)
        .chain(&recordings)
        .map(ids)
        .collect();
    united.united.sort_by(|one, other| other.cmp(one));
    for need in &mut united.findings.needed {
        need.recordings = 1;
    }
    let kept = Kept::newest(&united, &recordings);
    let mut needs: BTreeMap<Capability, Need> = std::mem::take(&mut united.findings.needed)
        .into_iter()
        .map(|need| (need.capability, need))
        .collect();
    let mut sets = united.findings.minimized_sets;
    for other in recordings {
        for need in other.findings.needed {
            match needs.get_mut(&need.capability) {
                Some(known) => add_need(known, need),
                None => {
                    let capability = need.capability;
                    needs.insert(
                        capability,
                        Need {
                            recordings: 1,
                            ..need
                        },
                    );
                }
            }
        }
        sets = sets.union(&other.findings.minimized_sets);
        add_summaries(&mut united.findings.dismissed, other.findings.dismissed);
        add_summaries(&mut united.findings.denied, other.findings.denied);
        add_blind_spots(&mut united.findings.blind_spots, other.findings.blind_spots);
        add_ports(
            &mut united.findings.unprivileged_ports,
            other.findings.unprivileged_ports,
        );
        add_lines(&mut united.findings.notes, other.findings.notes);
        if !other.complete {
            add_lines(
                &mut united.findings.notes,
                vec![format!(
                    "recording {} is incomplete: {}",
                    other.origin.recording_id,
                    other.incomplete_because.join("; ")
                )],
            );
        }
        united.privileges = match (united.privileges.take(), other.privileges) {
            (Some(one), Some(other)) => Some(one.union(other)),
            (one, other) => one.or(other),
        };
    }
    absorb(&mut needs);
    let minimized: CapabilitySet = needs.keys().copied().collect();
    united.findings.minimized = minimized;
    united.findings.minimized_sets = sets.at_most(minimized);
    united.findings.needed = needs.into_values().collect();
    united.findings.blind_spots.retain(|spot| {
        spot.capability
            .is_none_or(|capability| !minimized.contains(capability))
    });
    kept.apply(&mut united);
    Some(united)
}

fn is_observed(profile: &Profile) -> bool {
    profile.conditions.mode == Mode::Observe
}

/// Returns what an observed recording proves: the workload works today if the recording ended without an error, or in the same way as with
/// everything granted.
fn observed_today(profile: &Profile, base: &Profile) -> Option<Today> {
    if !is_observed(profile) || is_observed(base) || !profile.complete {
        return None;
    }
    let passed = profile
        .exit
        .is_some_and(|exit| !exit.is_failure() || profile.exit == base.exit);
    passed.then(|| Today {
        passed,
        by: TriedBy::Observed,
        set: profile.conditions.granted.bounding,
        run: profile.origin.recording_id.clone(),
        date: profile.origin.finished.clone(),
        failures: Vec::new(),
    })
}

/// The facts about the workload that were added after its recording, from the newest recording that has them.
struct Kept {
    shrunk: Option<(crate::profile::Shrunk, CapabilitySet)>,
    today: Option<Today>,
    verifications: Vec<crate::verification::Verification>,
}

impl Kept {
    fn newest(base: &Profile, others: &[Profile]) -> Self {
        let all = || std::iter::once(base).chain(others);
        Self {
            shrunk: all()
                .filter_map(|profile| Some((profile.shrunk.clone()?, profile.findings.minimized)))
                .max_by(|(one, _), (other, _)| one.finished.cmp(&other.finished)),
            today: all()
                .filter_map(|profile| {
                    profile
                        .today
                        .clone()
                        .or_else(|| observed_today(profile, base))
                })
                .max_by(|one, other| one.date.cmp(&other.date)),
            verifications: all()
                .filter_map(|profile| profile.verification.clone())
                .collect(),
        }
    }

    fn apply(self, united: &mut Profile) {
        if let Some(today) = self.today {
            united.settle(today);
        }
        united.shrunk = None;
        if let Some((mut shrunk, tried)) = self.shrunk {
            // shrink has not tried out capabilities that no recording needed at that time.
            let new = united
                .findings
                .minimized
                .difference(tried.union(shrunk.set).union(shrunk.left_out));
            shrunk.set = shrunk.set.union(new);
            shrunk.sets = united.sets_of(shrunk.set);
            united.shrunk = Some(shrunk);
            if !new.is_empty() {
                united.findings.notes.push(format!(
                    "needed in recordings that shrink did not know, and kept: {new}"
                ));
            }
        }
        let answer = united.answer().0;
        united.verification = self
            .verifications
            .into_iter()
            .max_by_key(|one| (one.sets.bounding == answer, one.date.clone()));
    }
}

fn add_need(known: &mut Need, other: Need) {
    known.part = known.part.min(other.part);
    known.reason = known.reason.min(other.reason);
    known
        .alternatives
        .retain(|alternative| other.alternatives.contains(alternative));
    add_lines(&mut known.programs, other.programs);
    add_lines(&mut known.syscalls, other.syscalls);
    add_lines(&mut known.sites, other.sites);
    Object::add_to(&mut known.objects, other.objects);
    known.count += other.count;
    known.first_ms = known.first_ms.min(other.first_ms);
    known.last_ms = known.last_ms.max(other.last_ms);
    known.recorders.extend(other.recorders);
    known.recorders.sort();
    known.recorders.dedup();
    // One recording that settles it is enough.
    known.unclear = known.unclear.take().and(other.unclear);
    add_lines(&mut known.notes, other.notes);
    known.recordings += 1;
}

/// Removes a capability if another member does as well in all recordings that needed it.
fn absorb(needs: &mut BTreeMap<Capability, Need>) {
    let capabilities: Vec<Capability> = needs.keys().rev().copied().collect();
    let mut instead_of_others = CapabilitySet::EMPTY;
    for capability in capabilities {
        if instead_of_others.contains(capability) {
            continue;
        }
        let Some(instead) = needs[&capability]
            .alternatives
            .iter()
            .copied()
            .find(|other| needs.contains_key(other))
        else {
            continue;
        };
        needs.remove(&capability);
        instead_of_others.insert(instead);
        if let Some(need) = needs.get_mut(&instead) {
            add_lines(
                &mut need.notes,
                vec![format!(
                    "{capability} was asked for too, where {instead} does as well"
                )],
            );
        }
    }
}

fn add_summaries(known: &mut Vec<CheckSummary>, others: Vec<CheckSummary>) {
    for other in others {
        match known
            .iter_mut()
            .find(|one| one.capability == other.capability && one.rule == other.rule)
        {
            None => known.push(other),
            Some(one) => {
                add_lines(&mut one.programs, other.programs);
                add_lines(&mut one.syscalls, other.syscalls);
                add_lines(&mut one.sites, other.sites);
                one.count += other.count;
                one.recorders.extend(other.recorders);
                one.recorders.sort();
                one.recorders.dedup();
                if let (Some(results), Some(more)) = (&mut one.outcome, other.outcome) {
                    results.add(&more);
                }
            }
        }
    }
    known.sort_by(|one, other| (one.capability, &one.rule).cmp(&(other.capability, &other.rule)));
}

fn add_blind_spots(known: &mut Vec<BlindSpot>, others: Vec<BlindSpot>) {
    for other in others {
        if !known.contains(&other) {
            known.push(other);
        }
    }
}

fn add_ports(known: &mut Vec<PortUse>, others: Vec<PortUse>) {
    for other in others {
        match known
            .iter_mut()
            .find(|one| one.port == other.port && one.program == other.program)
        {
            Some(one) => one.count += other.count,
            None => known.push(other),
        }
    }
}

fn add_lines(known: &mut Vec<String>, others: Vec<String>) {
    for other in others {
        if !known.contains(&other) {
            known.push(other);
        }
    }
}

#[cfg(test)]
mod tests;
