//! The processes of a recording, as audit records name them.

use serde::{Deserialize, Serialize};

/// The processes of one recording, as audit records show them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RecordedProcesses {
    /// The type of the recording's label.
    pub(crate) type_: String,
    /// The range of its levels, in the kernel's form.
    pub(crate) range: String,
    /// The prefix of the fence's text; a nonce follows.
    pub(crate) fence: String,
    /// True if the container has a user namespace of its own.
    pub(crate) user_namespace: bool,
    /// Milliseconds since the epoch when the recording was armed.
    pub(crate) armed: u64,
}
