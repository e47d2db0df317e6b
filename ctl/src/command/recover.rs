//! `capprofctl recover`

use crate::exit::Exit;
use crate::{hook, output};
use std::ffi::OsStr;
use std::path::Path;

/// Makes the hook binary finish abandoned recordings, in `state` or else in the configured directory, and shows its output.
///
/// # Errors
/// The hook binary could not be run, or a recording could not be finished.
pub(crate) fn run(state: Option<&Path>, stopped: bool, unload: bool) -> anyhow::Result<Exit> {
    let mut arguments = vec![OsStr::new("recover")];
    arguments.extend(hook::state(state));
    if stopped {
        arguments.push(OsStr::new("--stopped"));
    }
    if unload {
        arguments.push(OsStr::new("--unload"));
    }
    output::print(&hook::run(&arguments)?)?;
    Ok(Exit::Success)
}
