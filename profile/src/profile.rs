//! The profile: the result of a recording. Written as `capprof.json`; the schema is documented in `docs/profile.md`.

use crate::CapabilitySet;
use crate::observation::{BlindSpot, PortUse, ProgramExit};
use crate::part::Today;
use crate::privileges::Privileges;
use crate::recording::{ContainerProcess, Mode, ProcessSets, Relaxation, Workload};
use crate::settings::Recorders;
use crate::verification::Verification;
use serde::{Deserialize, Serialize};

pub use crate::need::{CheckSummary, Need, Reason};
pub use crate::report::{HostReport, RecorderReport, RuntimeReport};

/// The value of [`Profile::schema`].
pub const SCHEMA: &str = "capprof.profile/v1";

/// The result of `capprofctl shrink`: a smaller set that passes a test, and fails it without any one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shrunk {
    /// The set.
    pub set: CapabilitySet,
    /// The same as the five sets of config.json.
    pub sets: ProcessSets,
    /// The members of the minimized set that it does without.
    pub left_out: CapabilitySet,
    /// The capabilities that were blind spots and turned out to be needed.
    pub added: CapabilitySet,
    /// The command that judged each run. Without one, the program had to end by itself with status 0.
    pub check: Option<String>,
    /// The engine's command line that was run.
    pub command: Vec<String>,
    /// The number of runs.
    pub runs: usize,
    /// The time at which it was found, RFC 3339 in UTC.
    pub finished: String,
}

/// The container and the run that a profile is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// See [`crate::recording::Recording::id`].
    pub recording_id: String,
    /// The id that the engine gave.
    pub container_id: String,
    /// Annotation `io.capprof.name`.
    pub name: Option<String>,
    /// The workload.
    pub workload: Workload,
    /// The start of the recording, RFC 3339 in UTC.
    pub started: String,
    /// The time of its collection.
    pub finished: String,
    /// The low-level runtime.
    pub runtime: RuntimeReport,
    /// The container's process.
    pub process: ContainerProcess,
    /// The host.
    pub host: HostReport,
}

/// The conditions of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The mode of the container.
    #[serde(default)]
    pub mode: Mode,
    /// True if capprof was attached to the container while it ran, so that its start was not seen.
    #[serde(skip_serializing_if = "is_false", default)]
    pub attached: bool,
    /// True if the container still ran when the profile was made.
    #[serde(skip_serializing_if = "is_false", default)]
    pub in_progress: bool,
    /// The recorders that the configuration asked for.
    pub recorders_wanted: Recorders,
    /// The sets in the engine's configuration.
    pub original: ProcessSets,
    /// The container's sets while it was recorded.
    pub granted: ProcessSets,
    /// A relaxation in config.json.
    pub relaxed: Vec<Relaxation>,
    /// The recorders.
    pub recorders: Vec<RecorderReport>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The reason why the profile of a container that capprof was attached to is incomplete.
pub const START_UNSEEN: &str =
    "capprof was attached to the container while it ran: its earlier activity was not seen";

/// The reason why the profile of a container that still runs is incomplete.
pub const STILL_RUNS: &str = "the container still runs: its later activity is not known";

/// The text of a line of [`Findings::notes`] about a check from a place that the atlas does not have; the capability precedes it, the call site
/// follows.
pub const UNKNOWN_PLACE: &str = "was asked at a place that the atlas does not have";

/// The result of the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The answer, in kernel order.
    pub minimized: CapabilitySet,
    /// The answer as the five sets of config.json: for a user other than root also inheritable and ambient.
    pub minimized_sets: ProcessSets,
    /// One entry per member of [`Findings::minimized`], in kernel order.
    pub needed: Vec<Need>,
    /// Granted checks that do not count, with the rule.
    #[serde(alias = "silent")]
    pub dismissed: Vec<CheckSummary>,
    /// Refused checks.
    pub denied: Vec<CheckSummary>,
    /// The gaps.
    pub blind_spots: Vec<BlindSpot>,
    /// Ports below 1024 that were bound without a capability check (`net.ipv4.ip_unprivileged_port_start`): under another engine they need
    /// `CAP_NET_BIND_SERVICE`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unprivileged_ports: Vec<PortUse>,
    /// Other remarks for the reader, a line each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The result of a recording. In JSON the fields of the first three groups stand side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`SCHEMA`].
    pub schema: String,
    /// The run that it is of.
    #[serde(flatten)]
    pub origin: Origin,
    /// True if nothing was lost.
    pub complete: bool,
    /// The losses, a line each.
    pub incomplete_because: Vec<String>,
    /// The conditions of the recording.
    #[serde(flatten)]
    pub conditions: Conditions,
    /// The result of the evidence.
    #[serde(flatten)]
    pub findings: Findings,
    /// How the container's first process ended; `None` where eBPF did not record.
    #[serde(default)]
    pub exit: Option<ProgramExit>,
    /// The recording whose minimized sets this container ran with; `None` for a profile proper.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verifies: Option<String>,
    /// While verifying: the capabilities whose refusal made system calls fail, each as a need.
    #[serde(skip_serializing_if = "Vec::is_empty", default, alias = "missed")]
    pub denied_needs: Vec<Need>,
    /// The verdict on a run with the minimized sets; `None` if it has not been run again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Verification>,
    /// The result of a run with nothing but what the workload has today; `None` if that was not tried.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub today: Option<Today>,
    /// The container's privileges besides capabilities, and its use of them; `None` in a profile of an older version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub privileges: Option<Privileges>,
    /// The recordings that this profile unites ([`crate::unite`]), newest first; empty where it is of one alone.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub united: Vec<String>,
    /// The result of `capprofctl shrink`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shrunk: Option<Shrunk>,
}

impl Profile {
    /// Marks the profile as the interim answer of a container that still runs.
    #[must_use]
    pub fn so_far(mut self) -> Self {
        self.complete = false;
        self.conditions.in_progress = true;
        self.incomplete_because.push(STILL_RUNS.to_owned());
        self
    }

    /// The losses of the recording, a line each.
    pub fn losses(&self) -> impl Iterator<Item = &String> {
        self.incomplete_because
            .iter()
            .filter(|line| ![START_UNSEEN, STILL_RUNS].contains(&line.as_str()))
    }

    /// Adds the result of `capprofctl shrink`. A run failed without any one member of its set, so none of them is unclear any more.
    pub fn take_shrunk(&mut self, shrunk: Shrunk) {
        for need in &mut self.findings.needed {
            if shrunk.set.contains(need.capability) {
                need.unclear = None;
            }
        }
        self.shrunk = Some(shrunk);
    }

    /// The answer that counts: the shrunk set, if there is one; else, if a run with no more than the workload has today passed, the capabilities of
    /// today that it uses; else the minimized set.
    pub fn answer(&self) -> (CapabilitySet, ProcessSets) {
        let passed = self.today.as_ref().is_some_and(|today| today.passed);
        match &self.shrunk {
            Some(shrunk) => (shrunk.set, shrunk.sets),
            None if passed => {
                let set = self.todays_set();
                (set, self.sets_of(set))
            }
            None => (self.findings.minimized, self.findings.minimized_sets),
        }
    }

    /// Returns the five sets that give a process this list and no more. A member of the minimized set is in those sets in which it was needed.
    pub fn sets_of(&self, list: CapabilitySet) -> ProcessSets {
        let beyond = list.difference(self.findings.minimized);
        self.findings
            .minimized_sets
            .at_most(list)
            .union(&ProcessSets::of_list(
                beyond,
                self.origin.process.uid,
                &self.conditions.original,
            ))
    }
}
