//! The output of `capprofctl why`.

use super::cause::Explanation;
use serde::{Deserialize, Serialize};

/// A distinct refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The program: its path if known, else its name.
    pub program: String,
    /// The process.
    pub pid: u32,
    /// The system call.
    pub call: String,
    /// The call with its arguments, as strace(1) writes it.
    pub text: String,
    /// The error's name; empty if the process was killed.
    pub error: String,
    /// The number of times.
    pub count: u64,
    /// True if the process ended with an error, and this was its last refusal.
    pub fatal: bool,
    /// True if programs make this call to see whether they may.
    pub probe: bool,
    /// The order in which refusals were first seen.
    pub order: u64,
    /// The part of the system that refused.
    pub explanation: Explanation,
    /// The remedy for each cause.
    pub remedies: Vec<String>,
}

/// All refusals of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalReport {
    /// Likeliest culprit first.
    pub refusals: Vec<Refusal>,
    /// Exit status of the command as a shell has it; `None` for containers.
    pub exit_status: Option<i32>,
    /// The gaps, a line each.
    pub missing: Vec<String>,
}
