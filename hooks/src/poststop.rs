//! The poststop hook: ends the recording. Runs after the container's last process is gone.

use crate::{container_state, finish, journal};
use capprof_store::recording::Directory;

/// Finishes the recording, unless `state` is another container's.
///
/// # Errors
/// Any error, if the configuration says that the hook fails then. Else errors are only logged, because a failing hook makes runc's `delete` fail
/// although the container is gone.
pub fn run(directory: &Directory, state: anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    // This is read before finishing, because afterwards the recording is gone.
    let recording = directory.load().ok();
    let fail = recording
        .as_ref()
        .is_some_and(|recording| recording.results.fail_on_error);
    let own = match (&recording, state) {
        (Some(recording), Ok(state)) => {
            container_state::parse(&state, directory, recording).map(|_| ())
        }
        // A missing state must not keep the recording from being finished.
        _ => Ok(()),
    };
    match own.and_then(|()| finish::finish_known(directory, recording)) {
        Err(error) if !fail => {
            journal::hook_error(&capprof_profile::error::line(error.as_ref()));
            Ok(())
        }
        result => result,
    }
}
