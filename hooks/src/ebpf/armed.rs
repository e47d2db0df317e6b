//! What arming leaves for the end of a recording.

use super::layers::Layers;
use super::method::Method;
use serde::{Deserialize, Serialize};

/// The eBPF recorder's state of an armed recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EbpfState {
    /// The recording's key in the maps: boot time in nanoseconds at arming, unique on this host until it boots again.
    pub slot: u64,
    /// How the capability checks are seen.
    pub method: Method,
    /// The methods that were refused before, a line each.
    pub refused: Vec<String>,
    /// When the recording was armed, nanoseconds of `CLOCK_BOOTTIME`.
    pub armed_ns: u64,
    /// How many runs of its programs the kernel had skipped by then (`recursion_misses`).
    pub missed: u64,
    /// `Ok` if refused checks are followed to the end of their system call, else the reason; `None` unless the recording verifies.
    #[serde(default)]
    pub results: Option<Result<(), String>>,
    /// What the container's root file system is made of, where it is an overlayfs.
    #[serde(default)]
    pub(super) layers: Option<Layers>,
}
