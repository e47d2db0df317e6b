//! A profile for people and for engines.

mod form;
mod text;

pub use form::{Engine, Unable, form};
pub use text::{Styles, list, text};
