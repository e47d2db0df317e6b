//! Finds out why a system call was refused: the part of the kernel that refused it, and the remedy.
//!
//! [`facts`] are what a collector can know of a refusal; [`decide()`] turns them into an [`Explanation`]. It guesses nothing: if the facts allow
//! two causes, it names both, and if they allow none, the cause is [`Cause::Unknown`]. docs/why.md has a section for each cause.

mod access;
mod cause;
mod decide;
pub mod facts;
mod file;
mod modules;
mod rank;
pub mod report;
pub mod seccomp;
mod sysctls_and_limits;

#[cfg(test)]
mod tests;

pub use cause::{Cause, Explanation};
pub use decide::decide;
pub use rank::{is_probe, rank};
