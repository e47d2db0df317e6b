//! The errors of the store.

use crate::file;
use crate::trust;
use capprof_profile::profile::SCHEMA;
use std::path::PathBuf;

/// A store operation that failed, with its object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An id that cannot be a directory's name.
    #[error("store profile: id \"{0}\" cannot name a directory")]
    Id(String),
    /// A profile could not be written as JSON.
    #[error("encode profile of {recording}: {source}")]
    Encode {
        /// The recording's id.
        recording: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A file or directory could not be read, written or locked.
    #[error(transparent)]
    File(#[from] file::Error),
    /// A user other than root could have written the profile that is to be enforced.
    #[error(transparent)]
    Untrusted(#[from] trust::Untrusted),
    /// A profile of another version.
    #[error("read profile {}: schema \"{schema}\", expected \"{SCHEMA}\"", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema that it names.
        schema: String,
    },
    /// The store is empty.
    #[error("no profile in {}: run a container with capprof as its runtime first", path.display())]
    Empty {
        /// The store.
        path: PathBuf,
    },
    /// No profile has that name.
    #[error("no profile \"{wanted}\" in {}: `capprofctl list` shows all", path.display())]
    NotFound {
        /// The name that the caller asked for.
        wanted: String,
        /// The store.
        path: PathBuf,
    },
    /// Each recording of that name is incomplete.
    #[error("profile \"{wanted}\" is incomplete ({recording}: {reason}): record it again")]
    Incomplete {
        /// The name that the caller asked for.
        wanted: String,
        /// The newest recording.
        recording: String,
        /// The losses.
        reason: String,
    },
    /// Profiles of several programs have that name.
    #[error("\"{wanted}\" names profiles of different programs: {}: name one of these", found.join(", "))]
    AmbiguousName {
        /// The name that the caller asked for.
        wanted: String,
        /// The newest recording of each.
        found: Vec<String>,
    },
    /// Several ids begin like this.
    #[error("\"{wanted}\" is the beginning of several ids: {}", found.join(", "))]
    Ambiguous {
        /// The name that the caller asked for.
        wanted: String,
        /// A few of them.
        found: Vec<String>,
    },
}
