//! A profile for people and for engines.

mod answer;
mod atlas;
mod columns;
mod evidence;
mod form;
mod form_kind;
mod html;
mod list;
mod markdown;
mod merged;
mod object;
mod observed;
mod one_line;
mod page;
mod printable;
mod privileged;
mod refusals;
mod risk;
mod sections;
mod shortened;
mod styles;
#[cfg(test)]
mod tests;
mod text;
mod verdict;
mod why;

pub(crate) use atlas::{
    Kernel, capability as explain_capability, manual as atlas_manual, sites as explain_sites,
};
pub(crate) use columns::columns;
pub(crate) use form::{Form, Parts, form};
pub(crate) use form_kind::FormKind;
pub(crate) use html::html;
pub(crate) use list::List;
pub(crate) use markdown::markdown;
pub(crate) use merged::merged;
pub(crate) use observed::unused;
pub(crate) use one_line::{because, title};
pub(crate) use printable::printable;
pub(crate) use privileged::options as beyond_capabilities;
pub(crate) use refusals::refusals;
pub(crate) use risk::words;
pub(crate) use shortened::first_few;
pub(crate) use styles::Styles;
pub(crate) use text::{Detail, text};
pub(crate) use verdict::verdict;
pub(crate) use why::purpose;
