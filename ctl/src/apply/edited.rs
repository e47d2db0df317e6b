//! The result of an edit.

use super::document::Error as DocumentError;

/// The reason why an answer cannot be put into a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is of no known kind.
    #[error("neither a compose file, a Kubernetes manifest, a .container nor a .service unit")]
    Kind,
    /// There is no such service in it.
    #[error("no {what} \"{name}\" in it, but {known}")]
    Missing {
        /// `service` or `container`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The text cannot be edited.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// A file with an answer in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    /// Its text.
    pub(crate) text: String,
    /// The things to check by hand, a line each.
    pub(crate) notes: Vec<String>,
}

/// A capability's name without `CAP_`, in upper case: all ways to write it are equal.
pub(super) fn plain_name(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}
