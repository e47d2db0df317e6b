//! A profile for people and for engines.

mod atlas;
mod beyond;
mod form;
mod text;

pub(crate) use atlas::{
    Kernel, capability as explain_capability, manual as atlas_manual, sites as explain_sites,
};
pub(crate) use form::{Engine, Workload, form};
pub(crate) use text::{Styles, list, merged, text, verdict};
