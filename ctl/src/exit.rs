//! The exit status, and its meanings.

use std::process::ExitCode;

/// An exit status with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did its work.
    Success,
    /// The command failed; the reason is on standard error.
    Error,
    /// The command line was not understood.
    Usage,
    /// `--strict`, and the profile is incomplete; or a search that stopped before its end.
    Incomplete,
    /// `verify`, and the set has not passed.
    NotVerified,
    /// More is needed than before (`diff`), or than is allowed (`check`).
    WantsMore,
    /// The user interrupted it.
    Interrupted,
    /// The exit status of the command that was run.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::NotVerified => 4,
            Exit::WantsMore => 5,
            Exit::Interrupted => 130,
            Exit::Command(status) => status,
        })
    }
}
