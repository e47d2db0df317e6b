//! The vocabulary of capprof as types, and the rules that lead from what was observed to the answer. Pure: nothing here reads or writes.
//!
//! Data flows one way. The shim writes a [`recording::Recording`]; the hooks arm recorders for it and collect
//! [`observation::Evidence`]; [`classify`] and [`minimize`] turn evidence into a [`profile::Profile`], which the store crate keeps.

pub mod alternative;
pub mod atlas;
pub mod capability;
pub mod classify;
pub mod default_filter;
pub mod error;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod live;
pub mod minimize;
pub mod need;
pub mod object;
pub mod observation;
pub mod part;
pub mod pod_security;
pub mod printable;
pub mod privileges;
pub mod profile;
pub mod recorded_profile;
pub mod recording;
pub mod report;
pub mod serde_path;
pub mod settings;
pub mod today;
pub mod unite;
pub mod verification;
pub mod verify;
pub mod why;

pub use capability::{Capability, CapabilitySet};
