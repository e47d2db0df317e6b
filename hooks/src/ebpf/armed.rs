//! The state that arming writes for the end of a recording.

use super::layers::Layers;
use super::method::Method;
use serde::{Deserialize, Serialize};

/// The eBPF recorder's state of an armed recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EbpfState {
    /// The recording's key in the maps: boot time in nanoseconds at arming, unique on this host until it boots again.
    pub slot: u64,
    /// The method of seeing capability checks.
    pub method: Method,
    /// The methods that were refused before, a line each.
    pub refused: Vec<String>,
    /// The time of arming, nanoseconds of `CLOCK_BOOTTIME`.
    pub armed_ns: u64,
    /// The number of program runs that the kernel had skipped by then (`recursion_misses`).
    pub missed: u64,
    /// The same of the programs that follow refused checks; `None` if it was not known, or in a state of an earlier version.
    #[serde(default)]
    pub missed_results: Option<u64>,
    /// The recorder's treatment of refused checks; `None` unless the recording verifies.
    #[serde(default)]
    pub results: Option<Refusals>,
    /// The layers of the container's root file system, if it is an overlayfs.
    #[serde(default)]
    pub(super) layers: Option<Layers>,
}

impl EbpfState {
    /// Returns why refused checks are not followed to the end of their system call; `None` if they are, or if the recording does not ask for it.
    pub(super) fn results_unseen(&self) -> Option<&str> {
        match &self.results {
            Some(Refusals::NotFollowed(reason)) => Some(reason),
            Some(Refusals::Followed) | None => None,
        }
    }
}

/// The recorder's treatment of refused checks in a recording that verifies. Earlier versions had the other names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusals {
    /// They are followed to the end of their system call.
    #[serde(alias = "Ok")]
    Followed,
    /// They are not, for this reason.
    #[serde(alias = "Err")]
    NotFollowed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_state_of_an_earlier_version_is_read() {
        let read = |value: Value| Refusals::deserialize(&value).unwrap();
        let refused = Refusals::NotFollowed("load: EPERM".to_owned());
        assert_eq!(read(json!({"Ok": null})), Refusals::Followed);
        assert_eq!(read(json!({"Err": "load: EPERM"})), refused);
        for refusals in [Refusals::Followed, refused] {
            assert_eq!(read(json!(refusals)), refusals);
        }
    }
}
