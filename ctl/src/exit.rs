//! What the exit status says.

use std::process::ExitCode;

/// An exit status with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Success,
    /// It could not be done; the reason is on standard error.
    Error,
    /// The command line was not understood.
    Usage,
    /// `--strict`, and the profile is incomplete.
    Incomplete,
    /// `verify`, and the set has not passed.
    NotVerified,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::NotVerified => 4,
        })
    }
}
