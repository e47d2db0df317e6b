//! The verdict on a minimized set. It comes from a run of the workload with exactly that set.
//!
//! [`crate::verify`] makes it from the run.

use crate::CapabilitySet;
use crate::need::CheckSummary;
use crate::recording::ProcessSets;
use crate::report::RuntimeReport;
use serde::{Deserialize, Serialize};

/// The verdict on a minimized set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// With the set, the workload did the same as with every capability, as far as that was compared.
    Verified,
    /// It started with the set, and no system call failed for lack of a capability; it got no request.
    StartedOnly,
    /// Something failed, or nothing could be compared.
    NotVerified,
}

/// A property of a run that is compared with the profiled run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// The end of the container's first process.
    Exit,
    /// The command that was run next to the container.
    Check,
    /// System calls that failed for lack of a capability.
    Denied,
}

/// The outcome of one comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The subject of the comparison.
    pub what: Compared,
    /// The outcome in the profiled run, in one line; `None` if it is not known.
    pub profiled: Option<String>,
    /// The outcome now, in one line.
    pub verified: String,
    /// True if the outcome speaks for the set.
    pub passed: bool,
}

/// The verdict on a minimized set, and its grounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The verdict.
    pub verdict: Verdict,
    /// The end of the run, RFC 3339 in UTC.
    pub date: String,
    /// The run's own recording id.
    pub run: String,
    /// The command that ran it, word by word; empty where an annotation alone had asked for it.
    pub command: Vec<String>,
    /// The low-level runtime of the run.
    pub runtime: RuntimeReport,
    /// `uname -r` of the run.
    pub kernel: String,
    /// The sets that the container's process had.
    pub sets: ProcessSets,
    /// The comparisons.
    pub compared: Vec<Comparison>,
    /// All refused checks of the run.
    pub denied: Vec<CheckSummary>,
    /// The failures, a line each; empty if verified.
    #[serde(alias = "broke")]
    pub failures: Vec<String>,
    /// The capabilities to add to the set, as far as they are known; empty if verified.
    #[serde(alias = "add")]
    pub suggested: CapabilitySet,
    /// Other remarks, and the gaps of the comparison, a line each.
    pub notes: Vec<String>,
}

/// How the run came to its end, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Not known: it may have been stopped.
    Unknown,
    /// The program ended of its own accord; with the status of the command that had started it, if that is the program's.
    Itself(Option<u8>),
    /// It was stopped when everything had been seen.
    Stopped,
}

/// The command that was run next to the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The shell command.
    pub command: String,
    /// True if it succeeded in the end.
    pub passed: bool,
    /// How often it was run.
    pub tries: u32,
    /// How it ended the last time, in one line.
    pub last: String,
    /// True if it has succeeded in a run with everything granted.
    pub baseline: bool,
}

/// The facts about the run that are seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The command that ran it.
    pub command: Vec<String>,
    /// How it ended.
    pub end: RunEnd,
    /// The check, if there was one.
    pub check: Option<Check>,
    /// True if a system call that failed for lack of a capability counts although the program went on and did all that was compared.
    pub strict: bool,
    /// True if a run of another image, command or user is judged all the same.
    pub anyway: bool,
    /// True if the run had what the workload has today: what was refused then is refused in production as well, and says nothing of a failure.
    pub today: bool,
}

impl Outside {
    /// Nothing was seen from outside.
    pub fn nothing() -> Self {
        Self {
            command: Vec::new(),
            end: RunEnd::Unknown,
            check: None,
            strict: true,
            anyway: false,
            today: false,
        }
    }
}
