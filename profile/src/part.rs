//! The three parts of the answer: capabilities that a container has and uses, that it needs beyond these, and that it only asks for.
//!
//! While it is profiled, a container is granted everything. It may do without a capability that it uses then and that its engine does not give,
//! as it does today. A single recording cannot show that; a run with nothing but what the container has today can ([`Today`]).

use crate::CapabilitySet;
use serde::{Deserialize, Serialize};

/// The part of the answer that a needed capability belongs to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The engine gives it, and it is used.
    #[default]
    Held,
    /// The engine does not give it, and something fails without.
    Beyond,
    /// The engine does not give it, and the program asks for it. If the workload works today, it does without.
    Asked,
}

impl Part {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Beyond => "beyond",
            Self::Asked => "asked",
        }
    }
}

/// The trial of the workload with nothing but what it has today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriedBy {
    /// A run with what it has today and uses, and nothing else (`capprofctl verify --today`).
    Verified,
    /// A recording in which nothing was granted that the engine does not give.
    Observed,
}

/// The result of that trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Today {
    /// True if the workload did the same as with everything granted.
    pub passed: bool,
    /// The kind of trial.
    pub by: TriedBy,
    /// The capabilities of that run.
    pub set: CapabilitySet,
    /// That run's recording id.
    pub run: String,
    /// Its end, RFC 3339 in UTC.
    pub date: String,
    /// The failures, a line each; empty if it passed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<String>,
}
