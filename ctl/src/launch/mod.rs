//! An engine's command line that runs a container, parsed as far as necessary to run it through capprof.
//!
//! New options go directly after `run`, so they do not depend on the words that follow. Those words are parsed only to find options that contradict
//! the new ones. Where that is not certain, the command line is refused.

mod command_line;
mod compose;
#[cfg(test)]
mod fuzz;
mod launcher;
mod options;
mod prepare;
mod prepared;
mod service;
mod sudo;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use command_line::{Launch, without_sudo};
pub(crate) use launcher::Launcher;
pub(crate) use prepare::{By, RunMode};
pub(crate) use prepared::{LaunchedContainer, Prepared};
