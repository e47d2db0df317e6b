//! Merges many profiles of one workload.
//!
//! Merging is a union: in any order, in any grouping, and with any profile given twice it comes to the same. A merged profile can be
//! merged again, so nodes can merge their own before they pass them on.

mod document;
#[cfg(test)]
mod tests;
mod union;

pub(crate) use document::{Error, Merged};
pub(crate) use union::Merge;
