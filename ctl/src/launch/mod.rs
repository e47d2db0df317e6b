//! An engine's command line that runs a container, understood as far as it must be to run it through capprof.
//!
//! New options go directly after `run`, so that the words after it need not be understood for them. These words are read to find what contradicts
//! them, and refused rather than guessed at where that cannot be done.

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
