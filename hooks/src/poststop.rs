//! The poststop hook: ends the recording. Runs after the container's last process is gone.

use crate::{finish, journal};
use capprof_store::recording::Directory;

/// Finishes the recording.
///
/// # Errors
/// What went wrong, if the configuration wants the hook to fail then; else it is only logged, for a hook that fails makes
/// runc's `delete` fail although the container is gone.
pub fn run(directory: &Directory) -> anyhow::Result<()> {
    // Read before finishing: afterwards the recording is gone.
    let fail = directory
        .load()
        .is_ok_and(|recording| recording.results.fail_on_error);
    match finish::finish(directory) {
        Err(error) if !fail => {
            journal::error(&capprof_profile::error::line(error.as_ref()));
            Ok(())
        }
        result => result,
    }
}
