//! The store of profiles, which outlives bundles.
//!
//! ```text
//! /var/lib/capprof/profiles/<container id>/<recording id>/     root-only
//!     capprof.json              the profile
//!     config.minimized.json     the engine's configuration with the minimized sets
//!     verification.json         the latest run with these sets, in the form of a profile
//! ```

mod add;
mod change;
mod error;
mod files;
mod find;
mod index;
mod index_file;
mod kept_recordings;
mod listing;
mod load;
mod pieces;
mod store;
mod summary;

pub use change::RUN;
pub use error::Error;
pub use files::{CONFIGURATION, Files, PROFILE};
pub(crate) use kept_recordings::{Contribution, KeptRecordings};
pub use listing::Listing;
pub use load::{LARGEST, StoredProfile, load};
pub use pieces::Selection;
pub use store::Store;
pub use summary::{Summary, VerificationSummary};

#[cfg(test)]
pub(crate) mod tests;
