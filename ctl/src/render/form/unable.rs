//! The error of an engine that has no form for a workload.

use super::super::form_kind::FormKind;

/// The engine cannot give this workload its capabilities; on one line, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{engine} cannot give this workload its capabilities: {reason}")]
pub(crate) struct Unable {
    /// The engine.
    pub(crate) engine: FormKind,
    /// The reason, and the remedy.
    pub(crate) reason: String,
}
