//! A profile for people and for engines.

mod atlas;
mod engine;
mod form;
mod list;
mod merged;
mod names;
mod observed;
mod page;
mod printable;
mod privileged;
mod refusals;
mod sections;
mod styles;
#[cfg(test)]
mod tests;
mod text;
mod verdict;
mod why;

pub(crate) use atlas::{
    Kernel, capability as explain_capability, manual as atlas_manual, sites as explain_sites,
};
pub(crate) use engine::Engine;
pub(crate) use form::form;
pub(crate) use list::list;
pub(crate) use merged::merged;
pub(crate) use privileged::options as beyond_capabilities;
pub(crate) use refusals::refusals;
pub(crate) use styles::Styles;
pub(crate) use text::text;
pub(crate) use verdict::verdict;
