//! The vocabulary of capprof as types: capabilities, observations, recordings, profiles, and the rules that lead from one to the next.
//!
//! Data flows one way. The shim writes a [`recording::Recording`]; the hooks arm recorders for it and collect
//! [`observation::Evidence`]; [`classify`] and [`minimize`] turn evidence into a [`result::Profile`]; [`store`] keeps it and [`render`] shows it.

pub mod alternative;
pub mod assemble;
pub mod capability;
pub mod classify;
pub mod configuration;
pub mod error;
pub mod file;
pub mod merge;
pub mod minimize;
pub mod observation;
pub mod path;
pub mod privileges;
pub mod random;
pub mod recording;
pub mod render;
pub mod result;
pub mod shrink;
pub mod store;
#[cfg(test)]
mod testing;
pub mod verification;

pub use capability::{Capability, CapabilitySet};
