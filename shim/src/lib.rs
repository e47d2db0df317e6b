//! `capprof`: an OCI runtime that gives a container every capability and records which it uses, or gives it only the capabilities of a profile, and
//! becomes runc or crun.
//!
//! ```text
//! argv ──▶ call ──▶ create, run ──▶ create ─▶ bundle ─▶ annotations ─▶ limit ─▶ rewrite ─▶ delivery ─┐
//!               ├──▶ exec ────────▶ exec ───▶ process file ─────────▶ rewrite ─▶ delivery ──────────┼──▶ runtime::hand_over (execve)
//!               ├──▶ delete ──────▶ sweep ────────────────────────────────────────────────────────────┤
//!               └──▶ anything else ─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! It writes nothing to standard output, and only errors to standard error: on `create` both belong to the container.

pub mod annotations;
pub mod argv;
pub mod bundle;
pub mod call;
mod cloned_binary;
pub mod create;
pub mod delivery;
pub mod engine;
pub mod engine_grants;
pub mod exec;
pub mod family;
mod helper;
pub mod label;
pub mod limit;
mod mount_attributes;
mod mount_namespace;
mod privilege;
pub mod report;
pub mod rewrite;
pub mod runtime;
pub mod state;
pub mod sweep;
