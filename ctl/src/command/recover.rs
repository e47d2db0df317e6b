//! `capprofctl recover`

use crate::exit::Exit;
use crate::{hook, output};
use std::ffi::OsStr;
use std::path::Path;

/// Has the hook binary finish what is abandoned where the configuration says, or in `state`, and shows what it did.
///
/// # Errors
/// It could not be run, or something could not be finished.
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
