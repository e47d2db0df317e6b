//! Merges many profiles of one workload.
//!
//! Merging is a union: it is commutative, associative and idempotent. A merged profile can be merged again, so nodes can merge their own profiles
//! before they pass them on.

mod document;
#[cfg(test)]
mod tests;
mod union;

pub(crate) use document::{Error, Merged};
pub(crate) use union::Merge;
