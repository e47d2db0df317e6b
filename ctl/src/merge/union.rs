//! Unites documents, one after the other.

use super::document::{
    Error, FirstObject, Identity, Merged, MergedNeed, MergedRun, SCHEMA, SetName,
};
use capprof_profile::object::Object;
use capprof_profile::observation::{BlindSpot, RecorderName};
use capprof_profile::privileges::Privileges;
use capprof_profile::profile::{self, Reason};
use capprof_profile::recording::{ContainerProcess, ProcessSets, Workload};
use capprof_profile::{Capability, CapabilitySet};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The parts of a profile that merging reads.
#[derive(Deserialize)]
struct Source {
    recording_id: Box<str>,
    container_id: Box<str>,
    name: Option<String>,
    workload: Workload,
    started: Box<str>,
    finished: Box<str>,
    complete: bool,
    process: ContainerProcess,
    host: SourceHost,
    original: ProcessSets,
    minimized_sets: ProcessSets,
    needed: Vec<SourceNeed>,
    blind_spots: Vec<BlindSpot>,
    #[serde(default)]
    privileges: Option<Privileges>,
}

#[derive(Deserialize)]
struct SourceHost {
    kernel: Box<str>,
}

#[derive(Deserialize)]
struct SourceNeed {
    capability: Capability,
    reason: Reason,
    alternatives: CapabilitySet,
    programs: BTreeSet<String>,
    syscalls: BTreeSet<String>,
    count: u64,
    recorders: BTreeSet<RecorderName>,
    #[serde(default)]
    objects: Vec<Object>,
}

#[derive(Clone, Debug)]
struct Evidence {
    reason: Reason,
    alternatives: CapabilitySet,
    programs: BTreeSet<String>,
    syscalls: BTreeSet<String>,
    recorders: BTreeSet<RecorderName>,
    sets: BTreeSet<SetName>,
    first_object: Option<FirstObject>,
}

/// A union in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merge {
    names: BTreeSet<String>,
    workloads: BTreeMap<String, Identity>,
    runs: BTreeMap<Box<str>, MergedRun>,
    needs: BTreeMap<Capability, Evidence>,
    blind_spots: BTreeSet<BlindSpot>,
    privileges: Option<Privileges>,
}

impl Merge {
    /// Adds one JSON document, a profile or a merged profile.
    ///
    /// # Errors
    /// [`Error::Schema`], [`Error::Malformed`]; then nothing of it was added.
    pub(crate) fn add(&mut self, document: &[u8]) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            schema: String,
        }
        let head: Head = serde_json::from_slice(document)?;
        match head.schema.as_str() {
            profile::SCHEMA => self.add_profile(serde_json::from_slice(document)?),
            SCHEMA => self.add_merged(serde_json::from_slice(document)?),
            _ => return Err(Error::Schema(head.schema)),
        }
        Ok(())
    }

    fn add_profile(&mut self, profile: Source) {
        self.names
            .extend(profile.name.or_else(|| profile.workload.container.clone()));
        self.add_workload(Identity {
            image: profile.workload.image,
            process: profile.process,
            original: profile.original,
        });
        for need in &profile.needed {
            self.add_need(
                need.capability,
                Evidence {
                    reason: need.reason,
                    alternatives: need.alternatives,
                    programs: need.programs.clone(),
                    syscalls: need.syscalls.clone(),
                    recorders: need.recorders.clone(),
                    sets: sets_with(need.capability, &profile.minimized_sets),
                    first_object: need.objects.first().map(|object| FirstObject {
                        started: profile.started.to_string(),
                        run: profile.recording_id.to_string(),
                        object: object.clone(),
                    }),
                },
            );
        }
        self.blind_spots.extend(profile.blind_spots);
        self.add_privileges(profile.privileges);
        self.add_run(
            profile.recording_id,
            MergedRun {
                started: profile.started,
                finished: profile.finished,
                container_id: profile.container_id,
                pod: profile.workload.pod.map(String::into_boxed_str),
                kernel: profile.host.kernel,
                complete: profile.complete,
                needs: profile
                    .needed
                    .into_iter()
                    .map(|need| (need.capability, need.count))
                    .collect::<BTreeMap<_, _>>()
                    .into(),
            },
        );
    }

    fn add_merged(&mut self, merged: Merged) {
        self.names.extend(merged.names);
        for workload in merged.workloads {
            self.add_workload(workload);
        }
        for need in merged.needed {
            self.add_need(
                need.capability,
                Evidence {
                    reason: need.reason,
                    alternatives: need.alternatives,
                    programs: need.programs,
                    syscalls: need.syscalls,
                    recorders: need.recorders,
                    sets: need.sets,
                    first_object: need.first_object,
                },
            );
        }
        self.blind_spots.extend(merged.blind_spots);
        self.add_privileges(merged.privileges);
        for (id, run) in merged.runs {
            self.add_run(id, run);
        }
    }

    fn add_privileges(&mut self, privileges: Option<Privileges>) {
        self.privileges = match (self.privileges.take(), privileges) {
            (Some(known), Some(new)) => Some(known.union(new)),
            (known, new) => known.or(new),
        };
    }

    fn add_workload(&mut self, workload: Identity) {
        // The key sorts the workloads and shows which are equal; any other unique text would do.
        let key = serde_json::to_string(&workload).unwrap_or_default();
        self.workloads.entry(key).or_insert(workload);
    }

    /// Adds a run. Of two different documents that claim to be of one recording, the choice does not depend on their order.
    fn add_run(&mut self, id: Box<str>, run: MergedRun) {
        self.runs
            .entry(id)
            .and_modify(|known| {
                if run > *known {
                    known.clone_from(&run);
                }
            })
            .or_insert(run);
    }

    fn add_need(&mut self, capability: Capability, evidence: Evidence) {
        match self.needs.get_mut(&capability) {
            None => {
                self.needs.insert(capability, evidence);
            }
            Some(known) => {
                known.reason = known.reason.min(evidence.reason);
                known.alternatives = known.alternatives.intersection(evidence.alternatives);
                known.programs.extend(evidence.programs);
                known.syscalls.extend(evidence.syscalls);
                known.recorders.extend(evidence.recorders);
                known.sets.extend(evidence.sets);
                known.first_object = known
                    .first_object
                    .take()
                    .into_iter()
                    .chain(evidence.first_object)
                    .min();
            }
        }
    }

    /// The merged profile. Different workloads are refused unless `mixed`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Different`].
    pub(crate) fn finish(self, mixed: bool) -> Result<Merged, Error> {
        if self.runs.is_empty() {
            return Err(Error::Empty);
        }
        let workloads: Vec<Identity> = self.workloads.into_values().collect();
        if !mixed && let [one, rest @ ..] = workloads.as_slice() {
            for other in rest {
                one.must_equal(other)?;
            }
        }
        let needed = counted(self.needs, &self.runs);
        let minimized = minimized(&needed);
        let in_set = |set: SetName| {
            needed
                .iter()
                .filter(|need| minimized.contains(need.capability) && need.sets.contains(&set))
                .map(|need| need.capability)
                .collect()
        };
        let minimized_sets = ProcessSets {
            bounding: minimized,
            effective: in_set(SetName::Effective),
            permitted: in_set(SetName::Permitted),
            inheritable: in_set(SetName::Inheritable),
            ambient: in_set(SetName::Ambient),
        };
        let last_new = needed.iter().map(|need| need.first_seen.clone()).max();
        let found: CapabilitySet = needed.iter().map(|need| need.capability).collect();
        Ok(Merged {
            schema: SCHEMA.to_owned(),
            names: self.names,
            workloads,
            complete: self.runs.values().all(|run| run.complete),
            incomplete_runs: self
                .runs
                .iter()
                .filter(|(_, run)| !run.complete)
                .map(|(id, _)| id.to_string())
                .collect(),
            minimized,
            minimized_sets,
            runs_since_last_new: self
                .runs
                .values()
                .filter(|run| {
                    run.complete && last_new.as_ref().is_none_or(|last| *run.started > **last)
                })
                .count(),
            last_new,
            blind_spots: self
                .blind_spots
                .into_iter()
                .filter(|spot| {
                    spot.capability
                        .is_none_or(|capability| !found.contains(capability))
                })
                .collect(),
            needed,
            privileges: self.privileges,
            runs: self.runs,
        })
    }
}

/// The needs, each with the number of runs that had it.
fn counted(
    needs: BTreeMap<Capability, Evidence>,
    runs: &BTreeMap<Box<str>, MergedRun>,
) -> Vec<MergedNeed> {
    let mut needed = Vec::new();
    for (capability, evidence) in needs {
        let having = runs
            .iter()
            .filter(|(_, run)| run.needs.contains(capability));
        let first = having.clone().map(|(id, run)| (&run.started, id)).min();
        needed.push(MergedNeed {
            capability,
            reason: evidence.reason,
            alternatives: evidence.alternatives,
            programs: evidence.programs,
            syscalls: evidence.syscalls,
            recorders: evidence.recorders,
            sets: evidence.sets,
            runs: having.count(),
            first_seen: first.map(|(time, _)| time.to_string()).unwrap_or_default(),
            first_run: first.map(|(_, id)| id.to_string()).unwrap_or_default(),
            first_object: evidence.first_object,
        });
    }
    needed
}

fn sets_with(capability: Capability, sets: &ProcessSets) -> BTreeSet<SetName> {
    [
        (SetName::Bounding, sets.bounding),
        (SetName::Effective, sets.effective),
        (SetName::Permitted, sets.permitted),
        (SetName::Inheritable, sets.inheritable),
        (SetName::Ambient, sets.ambient),
    ]
    .into_iter()
    .filter(|(_, set)| set.contains(capability))
    .map(|(name, _)| name)
    .collect()
}

/// Returns all needed capabilities, without those that another member could replace in every run. Of two that could replace each other, the one with
/// the lower number stays.
fn minimized(needed: &[MergedNeed]) -> CapabilitySet {
    let mut set: CapabilitySet = needed.iter().map(|need| need.capability).collect();
    for need in needed.iter().rev() {
        let mut others = set;
        others.remove(need.capability);
        if !need.alternatives.intersection(others).is_empty() {
            set = others;
        }
    }
    set
}
