//! The merged profile as a document.

use capprof_profile::object::Object;
use capprof_profile::observation::{BlindSpot, RecorderName};
use capprof_profile::privileges::Privileges;
use capprof_profile::profile::{self, Reason};
use capprof_profile::recording::{ContainerProcess, ProcessSets};
use capprof_profile::{Capability, CapabilitySet};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The value of [`Merged::schema`].
pub(crate) const SCHEMA: &str = "capprof.merged/v1";

/// The reason why documents could not be merged.
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
        /// The property in which they differ.
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

/// The properties that are equal in all profiles of one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The image's name, where the engine says it.
    pub(crate) image: Option<String>,
    /// The container's process.
    pub(crate) process: ContainerProcess,
    /// The sets in the engine's configuration.
    pub(crate) original: ProcessSets,
}

/// One of the merged recordings. It takes as little memory as possible, because there may be a hundred thousand of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MergedRun {
    /// Its start, RFC 3339 in UTC.
    pub(crate) started: Box<str>,
    /// The time of its collection.
    pub(crate) finished: Box<str>,
    /// The id that the engine gave.
    pub(crate) container_id: Box<str>,
    /// Kubernetes pod.
    pub(crate) pod: Option<Box<str>>,
    /// `uname -r` of its host.
    pub(crate) kernel: Box<str>,
    /// True if nothing was lost.
    pub(crate) complete: bool,
    /// The needs, and the number of checks.
    pub(crate) needs: Needs,
}

/// Capabilities, each with the number of checks; in JSON an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "BTreeMap<Capability, u64>")]
pub(crate) struct Needs(Box<[(Capability, u64)]>);

impl Needs {
    /// Returns true if the capability is one of them.
    pub(super) fn contains(&self, capability: Capability) -> bool {
        self.0.iter().any(|(needed, _)| *needed == capability)
    }
}

impl From<BTreeMap<Capability, u64>> for Needs {
    fn from(needs: BTreeMap<Capability, u64>) -> Self {
        Self(needs.into_iter().collect())
    }
}

impl Serialize for Needs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(capability, count)| (capability, count)))
    }
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

/// The first object of the earliest run that knows one. The order of members is that by which the earliest is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FirstObject {
    /// The begin of that run.
    pub(crate) started: String,
    /// Its recording id.
    pub(crate) run: String,
    /// What it was used on.
    pub(crate) object: Object,
}

/// A capability that at least one run needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergedNeed {
    /// The capability.
    pub(crate) capability: Capability,
    /// The strongest reason of any run.
    pub(crate) reason: Reason,
    /// Capabilities that would have done instead in every run that needed it.
    pub(crate) alternatives: CapabilitySet,
    /// Programs, by name.
    pub(crate) programs: BTreeSet<String>,
    /// System calls, by name.
    pub(crate) syscalls: BTreeSet<String>,
    /// The recorders that saw it.
    pub(crate) recorders: BTreeSet<RecorderName>,
    /// The sets in which it is needed.
    pub(crate) sets: BTreeSet<SetName>,
    /// The number of runs that needed it.
    pub(crate) runs: usize,
    /// The start of the first of them.
    pub(crate) first_seen: String,
    /// That run's recording id.
    pub(crate) first_run: String,
    /// What it was used on, if a run knows that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) first_object: Option<FirstObject>,
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
    /// True if all runs were complete.
    pub(crate) complete: bool,
    /// Recording ids of the runs that were not.
    pub(crate) incomplete_runs: Vec<String>,
    /// The answer: what any run needed, in kernel order.
    pub(crate) minimized: CapabilitySet,
    /// The same as five sets.
    pub(crate) minimized_sets: ProcessSets,
    /// Evidence per capability, in kernel order. A capability that an alternative in the set makes superfluous is here but not in
    /// [`Merged::minimized`].
    pub(crate) needed: Vec<MergedNeed>,
    /// The start of the last run that needed a capability for the first time. Null if nothing is needed.
    pub(crate) last_new: Option<String>,
    /// The number of complete runs that began after that and needed nothing new.
    pub(crate) runs_since_last_new: usize,
    /// The blind spots of all runs, except for capabilities that another run found to be needed.
    pub(crate) blind_spots: BTreeSet<BlindSpot>,
    /// The privileges besides capabilities of all runs, and their use; `None` if no profile has them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) privileges: Option<Privileges>,
    /// The runs by recording id.
    pub(crate) runs: BTreeMap<Box<str>, MergedRun>,
}

impl Identity {
    /// Both are of one workload.
    ///
    /// # Errors
    /// [`Error::Different`].
    pub(super) fn must_equal(&self, other: &Self) -> Result<(), Error> {
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
