//! An engine's command line that runs a container, understood as far as it must be to run it through capprof.
//!
//! New options go right after `run`, so that nothing behind it need be understood for them. What is behind it is read to find what contradicts
//! them, and refused rather than guessed at where that cannot be done.

mod command_line;
mod compose;
mod engine;
#[cfg(test)]
mod fuzz;
mod options;
mod prepare;
mod prepared;
mod service;
mod sudo;
#[cfg(test)]
mod tests;

pub(crate) use command_line::{Launch, without_sudo};
pub(crate) use engine::Engine;
pub(crate) use prepare::{By, Wish};
pub(crate) use prepared::{Container, Prepared};
