//! What a profile says of the recorders, the runtime and the host.

use crate::observation::Recorder;
use serde::{Deserialize, Serialize};

/// The report of one recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderReport {
    /// The recorder.
    pub recorder: Recorder,
    /// True if it recorded.
    pub recorded: bool,
    /// How: `tp_btf/cap_capable`, `audit log, scope domain`; empty if it did not.
    pub method: String,
    /// What was tried and refused, a line each.
    pub refused: Vec<String>,
}

/// The runtime that ran the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeReport {
    /// `runc` or `crun`.
    pub name: String,
    /// The binary.
    #[serde(with = "crate::serde_path")]
    pub path: std::path::PathBuf,
}

/// The kernel that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub architecture: String,
    /// capprof's own version.
    pub capprof: String,
}
