//! `capprof`: an OCI runtime that gives a container every capability and has its use of them recorded, or gives it what a profile says and no
//! more, and becomes runc or crun.
//!
//! ```text
//! argv ──▶ argv::globals ──▶ create, run ──▶ bundle ─▶ annotations ─▶ limit ─▶ rewrite ─▶ recording ─┐
//!                       ├──▶ exec ─────────▶ process file ─▶ rewrite ────────────────────────────────┼──▶ runtime::hand_over (execve)
//!                       ├──▶ delete ───────▶ sweep ──────────────────────────────────────────────────┤
//!                       └──▶ anything else ──────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing is written to standard output, and to standard error only what made it fail: on `create` both are the container's.

pub mod annotations;
pub mod argv;
pub mod bundle;
pub mod create;
pub mod document;
pub mod engine;
pub mod exec;
pub mod given;
pub mod label;
pub mod limit;
mod read_only;
pub mod report;
pub mod rewrite;
pub mod runtime;
pub mod shim;
pub mod sweep;
