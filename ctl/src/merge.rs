//! Many profiles of one workload made into one.
//!
//! Merging is a union: in any order, in any grouping, and with any profile given twice it comes to the same. A merged profile can be
//! merged again, so nodes can merge their own before they pass them on.

use capprof_profile::observation::{BlindSpot, Recorder};
use capprof_profile::privileges::Privileges;
use capprof_profile::profile::{self, Reason};
use capprof_profile::recording::{ContainerProcess, ProcessSets, Workload};
use capprof_profile::{Capability, CapabilitySet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The value of [`Merged::schema`].
pub(crate) const SCHEMA: &str = "capprof.merged/v1";

/// Why documents could not be merged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither a profile nor a merged profile.
    #[error("merge: schema \"{0}\", expected \"{profile}\" or \"{SCHEMA}\"", profile = profile::SCHEMA)]
    Schema(String),
    /// Not JSON, or not what the schema says.
    #[error("merge: {0}")]
    Malformed(#[from] serde_json::Error),
    /// They are of different workloads.
    #[error("merge: {field} differs: {one} and {other}")]
    Different {
        /// In what they differ.
        field: &'static str,
        /// One of them.
        one: String,
        /// Another.
        other: String,
    },
    /// Nothing to merge.
    #[error("merge: no profiles")]
    Empty,
}

/// What must be equal for two profiles to be of one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The image's name, where the engine says it.
    pub(crate) image: Option<String>,
    /// The container's process.
    pub(crate) process: ContainerProcess,
    /// What the engine had asked for.
    pub(crate) original: ProcessSets,
}

/// One of the recordings that were merged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Run {
    /// When it began, RFC 3339 in UTC.
    pub(crate) started: String,
    /// When it was collected.
    pub(crate) finished: String,
    /// The id that the engine gave.
    pub(crate) container_id: String,
    /// Kubernetes pod.
    pub(crate) pod: Option<String>,
    /// `uname -r` of its host.
    pub(crate) kernel: String,
    /// Whether nothing was lost.
    pub(crate) complete: bool,
    /// What it needed, and how many checks there were.
    pub(crate) needs: BTreeMap<Capability, u64>,
}

/// One of the five sets of config.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SetName {
    /// See [`ProcessSets::bounding`].
    Bounding,
    /// See [`ProcessSets::effective`].
    Effective,
    /// See [`ProcessSets::permitted`].
    Permitted,
    /// See [`ProcessSets::inheritable`].
    Inheritable,
    /// See [`ProcessSets::ambient`].
    Ambient,
}

/// A capability that at least one run needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergedNeed {
    /// Which.
    pub(crate) capability: Capability,
    /// The strongest reason of any run.
    pub(crate) reason: Reason,
    /// Capabilities that would have done instead in every run that needed it.
    pub(crate) alternatives: CapabilitySet,
    /// Programs, by name.
    pub(crate) programs: BTreeSet<String>,
    /// System calls, by name.
    pub(crate) syscalls: BTreeSet<String>,
    /// Who saw it.
    pub(crate) recorders: BTreeSet<Recorder>,
    /// In which sets it is needed.
    pub(crate) sets: BTreeSet<SetName>,
    /// How many runs needed it.
    pub(crate) runs: usize,
    /// When the first of them began.
    pub(crate) first_seen: String,
    /// That run's recording id.
    pub(crate) first_run: String,
}

/// Many profiles in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merged {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Names given to the workload by annotation, pod container, or engine.
    pub(crate) names: BTreeSet<String>,
    /// The workload; several where different ones were merged on purpose.
    pub(crate) workloads: Vec<Identity>,
    /// Whether all runs were complete.
    pub(crate) complete: bool,
    /// Recording ids of the runs that were not.
    pub(crate) incomplete_runs: Vec<String>,
    /// The answer: what any run needed, in kernel order.
    pub(crate) minimized: CapabilitySet,
    /// The same as five sets.
    pub(crate) minimized_sets: ProcessSets,
    /// Evidence per capability, in kernel order; one that an alternative in the set makes superfluous is here and not in
    /// [`Merged::minimized`].
    pub(crate) needed: Vec<MergedNeed>,
    /// When a capability that no earlier run had needed appeared last: the start of that run. Null if nothing is needed.
    pub(crate) last_new: Option<String>,
    /// How many complete runs began after that without a new one.
    pub(crate) runs_since_last_new: usize,
    /// What runs could not see, without what others found needed.
    pub(crate) blind_spots: BTreeSet<BlindSpot>,
    /// What any run was given beside capabilities, and used; `None` where no profile says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) privileges: Option<Privileges>,
    /// The runs by recording id.
    pub(crate) runs: BTreeMap<String, Run>,
}

/// What of a profile merging looks at.
#[derive(Deserialize)]
struct Source {
    recording_id: String,
    container_id: String,
    name: Option<String>,
    workload: Workload,
    started: String,
    finished: String,
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
    kernel: String,
}

#[derive(Deserialize)]
struct SourceNeed {
    capability: Capability,
    reason: Reason,
    alternatives: CapabilitySet,
    programs: BTreeSet<String>,
    syscalls: BTreeSet<String>,
    count: u64,
    recorders: BTreeSet<Recorder>,
}

#[derive(Clone, Debug)]
struct Evidence {
    reason: Reason,
    alternatives: CapabilitySet,
    programs: BTreeSet<String>,
    syscalls: BTreeSet<String>,
    recorders: BTreeSet<Recorder>,
    sets: BTreeSet<SetName>,
}

/// A union in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merge {
    names: BTreeSet<String>,
    workloads: BTreeMap<String, Identity>,
    runs: BTreeMap<String, Run>,
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
                },
            );
        }
        self.blind_spots.extend(profile.blind_spots);
        self.add_privileges(profile.privileges);
        self.add_run(
            profile.recording_id,
            Run {
                started: profile.started,
                finished: profile.finished,
                container_id: profile.container_id,
                pod: profile.workload.pod,
                kernel: profile.host.kernel,
                complete: profile.complete,
                needs: profile
                    .needed
                    .into_iter()
                    .map(|need| (need.capability, need.count))
                    .collect(),
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
        // The key orders them and tells equals; that it is JSON is of no account.
        let key = serde_json::to_string(&workload).unwrap_or_default();
        self.workloads.entry(key).or_insert(workload);
    }

    /// Two documents that claim to be of one recording and differ: the same one is taken whichever comes first.
    fn add_run(&mut self, id: String, run: Run) {
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
        let mut needed = Vec::new();
        for (capability, evidence) in self.needs {
            let runs = self
                .runs
                .iter()
                .filter(|(_, run)| run.needs.contains_key(&capability));
            let first = runs.clone().map(|(id, run)| (&run.started, id)).min();
            needed.push(MergedNeed {
                capability,
                reason: evidence.reason,
                alternatives: evidence.alternatives,
                programs: evidence.programs,
                syscalls: evidence.syscalls,
                recorders: evidence.recorders,
                sets: evidence.sets,
                runs: runs.count(),
                first_seen: first.map(|(time, _)| time.clone()).unwrap_or_default(),
                first_run: first.map(|(_, id)| id.clone()).unwrap_or_default(),
            });
        }
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
                .map(|(id, _)| id.clone())
                .collect(),
            minimized,
            minimized_sets,
            runs_since_last_new: self
                .runs
                .values()
                .filter(|run| {
                    run.complete && last_new.as_ref().is_none_or(|last| run.started > *last)
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

impl Identity {
    fn must_equal(&self, other: &Self) -> Result<(), Error> {
        fn compare<T: PartialEq + Serialize>(
            field: &'static str,
            one: &T,
            other: &T,
        ) -> Result<(), Error> {
            if one == other {
                return Ok(());
            }
            let show = |value: &T| serde_json::to_string(value).unwrap_or_default();
            Err(Error::Different {
                field,
                one: show(one),
                other: show(other),
            })
        }
        compare("image", &self.image, &other.image)?;
        compare("process", &self.process, &other.process)?;
        compare("original", &self.original, &other.original)
    }
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

/// All that was needed, without what another member could stand in for in every run. Of two that could stand in for each other the
/// one with the lower number stays.
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

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::assemble::profile;
    use capprof_profile::fixtures;
    use capprof_profile::fixtures::check;
    use capprof_profile::observation::{Evidence, Observation};
    use capprof_profile::profile::Profile;
    use proptest::prelude::*;

    fn read_file() -> Observation {
        check(
            Capability::DAC_READ_SEARCH,
            "openat",
            &["capable_wrt_inode_uidgid", "generic_permission"],
        )
    }

    fn write_file() -> Observation {
        Observation {
            capability: Capability::DAC_OVERRIDE,
            ..read_file()
        }
    }

    fn used(capability: Capability) -> Observation {
        check(capability, "syscall", &["ns_capable", "somewhere"])
    }

    fn run(day: u32, observations: Vec<Observation>, complete: bool) -> Profile {
        let mut recording =
            fixtures::recording("web-1", &format!("202611{day:02}T000000Z-000000{day:02}"));
        recording.created = format!("2026-11-{day:02}T00:00:00Z");
        let evidence = Evidence {
            observations,
            losses: match complete {
                true => vec![],
                false => vec!["1 check lost".to_owned()],
            },
            ..Evidence::default()
        };
        profile(
            &recording,
            fixtures::reports(),
            vec![(Recorder::Ebpf, evidence)],
            format!("2026-11-{day:02}T00:01:00Z"),
            fixtures::host(),
        )
    }

    fn merge(documents: &[Vec<u8>], mixed: bool) -> Result<Merged, Error> {
        let mut merge = Merge::default();
        for document in documents {
            merge.add(document)?;
        }
        merge.finish(mixed)
    }

    fn json<T: Serialize>(value: &T) -> Vec<u8> {
        serde_json::to_vec(value).unwrap()
    }

    #[test]
    fn what_is_used_beyond_capabilities_is_united() {
        use capprof_profile::observation::{DeviceKind, DeviceUse};
        let with = |day: u32, minor: u32| {
            let mut recording =
                fixtures::recording("vm-1", &format!("202611{day:02}T000000Z-000000{day:02}"));
            if let Some(given) = &mut recording.grant.engine_grants {
                given.all_devices = true;
            }
            let evidence = Evidence {
                devices: vec![DeviceUse {
                    kind: DeviceKind::Char,
                    major: 10,
                    minor,
                    node: None,
                    access: "rw".to_owned(),
                    access_only: false,
                    program: "qemu".to_owned(),
                    count: 1,
                }],
                looks_beyond: true,
                ..Evidence::default()
            };
            profile(
                &recording,
                fixtures::reports(),
                vec![(Recorder::Ebpf, evidence)],
                String::new(),
                fixtures::host(),
            )
        };
        let (one, other) = (with(1, 229), with(2, 232));
        let mut old = with(3, 200);
        old.privileges = None;
        let merged = merge(&[json(&one), json(&other), json(&old)], false).unwrap();
        let privileges = merged.privileges.clone().unwrap();
        assert!(privileges.engine_grants.is_privileged());
        assert_eq!(privileges.devices.len(), 2);
        let again = merge(&[json(&old), json(&merged), json(&one)], false).unwrap();
        assert_eq!(again, merged);
        assert_eq!(merge(&[json(&old)], false).unwrap().privileges, None);
    }

    #[test]
    fn runs_are_united_and_counted() {
        let merged = merge(
            &[
                json(&run(1, vec![used(Capability::CHOWN)], true)),
                json(&run(
                    2,
                    vec![used(Capability::CHOWN), used(Capability::KILL)],
                    true,
                )),
                json(&run(3, vec![used(Capability::CHOWN)], false)),
                json(&run(4, vec![], true)),
            ],
            false,
        )
        .unwrap();
        assert_eq!(
            merged.minimized,
            [Capability::CHOWN, Capability::KILL].into_iter().collect()
        );
        assert_eq!(merged.minimized_sets.effective, merged.minimized);
        assert!(merged.minimized_sets.ambient.is_empty());
        let [chown, kill] = &merged.needed[..] else {
            panic!()
        };
        assert_eq!(
            (chown.runs, chown.first_seen.as_str()),
            (3, "2026-11-01T00:00:00Z")
        );
        assert_eq!(
            (kill.runs, kill.first_run.as_str()),
            (1, "20261102T000000Z-00000002")
        );
        assert_eq!(merged.last_new.as_deref(), Some("2026-11-02T00:00:00Z"));
        assert_eq!(merged.runs_since_last_new, 1);
        assert!(!merged.complete);
        assert_eq!(merged.incomplete_runs, ["20261103T000000Z-00000003"]);
        assert_eq!(merged.runs.len(), 4);
    }

    #[test]
    fn a_profile_given_twice_counts_once() {
        let one = json(&run(1, vec![used(Capability::CHOWN)], true));
        let merged = merge(&[one.clone(), one.clone()], false).unwrap();
        assert_eq!(merged.needed[0].runs, 1);
        assert_eq!(merged, merge(&[json(&merged), one], false).unwrap());
    }

    #[test]
    fn an_alternative_that_another_run_needed_stands_in() {
        let reader = json(&run(1, vec![read_file()], true));
        let writer = json(&run(2, vec![write_file()], true));
        let merged = merge(&[reader.clone(), writer], false).unwrap();
        assert_eq!(
            merged.minimized,
            [Capability::DAC_OVERRIDE].into_iter().collect()
        );
        assert_eq!(merged.needed.len(), 2);
        // Not where one run needed it where nothing else would do.
        let handle = check(
            Capability::DAC_READ_SEARCH,
            "open_by_handle_at",
            &["capable", "may_decode_fh"],
        );
        let handle = json(&run(3, vec![handle], true));
        let merged = merge(&[json(&merged), handle], false).unwrap();
        assert_eq!(merged.minimized.len(), 2);
    }

    #[test]
    fn different_workloads_are_refused_unless_asked() {
        let one = run(1, vec![], true);
        let mut image = run(2, vec![], true);
        image.origin.workload.image = Some("redis".to_owned());
        let mut process = run(3, vec![], true);
        process.origin.process.uid = 7;
        let mut original = run(4, vec![], true);
        original.conditions.original.bounding = CapabilitySet::EMPTY;
        for (other, field) in [
            (image, "image"),
            (process, "process"),
            (original, "original"),
        ] {
            let documents = [json(&one), json(&other)];
            let error = merge(&documents, false).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("merge: {field} differs: ")),
                "{error}"
            );
            assert_eq!(merge(&documents, true).unwrap().workloads.len(), 2);
        }
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        assert!(matches!(merge(&[], false).unwrap_err(), Error::Empty));
        assert!(matches!(
            merge(&[b"{".to_vec()], false).unwrap_err(),
            Error::Malformed(_)
        ));
        assert!(matches!(
            merge(&[b"{}".to_vec()], false).unwrap_err(),
            Error::Schema(_)
        ));
    }

    #[test]
    fn a_blind_spot_that_another_run_saw_into_is_none() {
        let mut blind = run(1, vec![], true);
        blind.findings.blind_spots = vec![BlindSpot {
            capability: Some(Capability::KILL),
            recorder: Recorder::Selinux,
            reason: "allowed without a record".to_owned(),
        }];
        let blind = json(&blind);
        assert_eq!(
            merge(std::slice::from_ref(&blind), false)
                .unwrap()
                .blind_spots
                .len(),
            1
        );
        let seeing = json(&run(2, vec![used(Capability::KILL)], true));
        assert!(
            merge(&[blind, seeing], false)
                .unwrap()
                .blind_spots
                .is_empty()
        );
    }

    fn any_run() -> impl Strategy<Value = Profile> {
        let observation = prop_oneof![
            Just(read_file()),
            Just(write_file()),
            (0u8..41).prop_map(|number| used(Capability::from_number(number).unwrap())),
            Just(check(
                Capability::SYS_ADMIN,
                "ioprio_set",
                &["capable", "ioprio_check_cap"]
            )),
            Just(check(Capability::PERFMON, "perf_event_open", &["capable"])),
            Just(check(Capability::DAC_OVERRIDE, "link", &["may_linkat"])),
        ];
        (
            1u32..9,
            prop::collection::vec(observation, 0..4),
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(|(day, observations, complete, user)| {
                let mut profile = run(day, observations, complete);
                if user {
                    profile.origin.process.uid = 1000;
                }
                profile
            })
    }

    proptest! {
        #[test]
        fn neither_order_nor_grouping_nor_repetition_matter(
            (runs, shuffled) in prop::collection::vec(any_run(), 1..6)
                .prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle())),
            cut in 0usize..6,
        ) {
            let documents: Vec<_> = runs.iter().map(json).collect();
            let other: Vec<_> = shuffled.iter().map(json).collect();
            let whole = merge(&documents, true).unwrap();
            prop_assert_eq!(&whole, &merge(&other, true).unwrap());
            let (left, right) = other.split_at(cut.min(other.len()));
            let mut parts: Vec<Vec<u8>> = [left, right]
                .into_iter()
                .filter(|part| !part.is_empty())
                .map(|part| json(&merge(part, true).unwrap()))
                .collect();
            prop_assert_eq!(&whole, &merge(&parts, true).unwrap());
            parts.extend(documents);
            prop_assert_eq!(&whole, &merge(&parts, true).unwrap());
        }
    }
}
