//! The errors of an argument list.

use crate::family::Family;

/// An argument list that capprof cannot follow. The option is shown as far as it is Unicode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An option of a newer runtime: the next argument may be its value or not.
    #[error(
        "unknown option {0}: {1} may take a value with it or not; write it as {0}=VALUE if it does"
    )]
    Unknown(String, Family),
    /// An option of the other runtime.
    #[error("option {0}: {1} has no such option")]
    Foreign(String, Family),
    /// The list ends where a value should follow.
    #[error("option {0}: its value is missing")]
    MissingValue(String),
    /// A value of an option that takes none.
    #[error("option {0}: it takes no such value")]
    UnexpectedValue(String),
    /// Neither option nor argument.
    #[error("option {0}: not understood by {1}")]
    Syntax(String, Family),
    /// An abbreviation of several options.
    #[error("option {0}: it abbreviates more than one")]
    Ambiguous(String),
    /// An option by both of its names. Go's `flag` does not know that they are one option, and urfave/cli refuses that.
    #[error("option {0}: it is given by its long and by its short name, which runc refuses")]
    TwoNames(String),
    /// Two versions of the runtime accept the list, and read it differently.
    #[error(
        "{0}: versions of {1} read this differently; write options before the container's id, without blanks around an argument"
    )]
    TwoReadings(String, Family),
}

impl Error {
    /// Returns true if every version of the runtime refuses such a list by itself, before it creates anything.
    pub fn is_refused_by_the_runtime(&self) -> bool {
        match self {
            Self::MissingValue(_)
            | Self::UnexpectedValue(_)
            | Self::Syntax(..)
            | Self::TwoNames(_) => true,
            Self::Unknown(..) | Self::Foreign(..) | Self::Ambiguous(_) | Self::TwoReadings(..) => {
                false
            }
        }
    }
}
