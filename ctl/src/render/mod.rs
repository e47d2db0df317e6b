//! A profile for people and for engines.

mod beyond;
mod form;
mod text;

pub(crate) use form::{Engine, Workload, form};
pub(crate) use text::{Styles, list, merged, text, verdict};
