//! A profile for people and for engines.

mod beyond;
mod form;
mod text;

pub use form::{Engine, Unable, Workload, form};
pub use text::{Styles, list, merged, text, verdict};
