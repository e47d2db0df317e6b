//! The SELinux label of a recording.

use capprof_profile::configuration::Configuration;
use capprof_profile::recording::{Label, Scope};
use std::path::Path;

/// Why no label could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has SELinux, and this capprof makes no labels.
    #[error("choose an SELinux label: not built into this capprof")]
    Unsupported,
}

/// The label for a new recording; `None` on a host without SELinux.
///
/// `scope` is what an annotation asks for, `original` the engine's label or empty, `state` the state directory.
///
/// # Errors
/// The host has SELinux and no label can be made.
pub fn choose(
    _configuration: &Configuration,
    _scope: Option<Scope>,
    _original: &str,
    _state: &Path,
) -> Result<Option<Label>, Error> {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return Err(Error::Unsupported);
    }
    Ok(None)
}
