//! A profile for people and for engines.

mod atlas;
mod engine;
mod form;
mod printable;
mod privileged;
mod text;

pub(crate) use atlas::{
    Kernel, capability as explain_capability, manual as atlas_manual, sites as explain_sites,
};
pub(crate) use engine::Engine;
pub(crate) use form::form;
pub(crate) use text::{Styles, list, merged, text, verdict};
