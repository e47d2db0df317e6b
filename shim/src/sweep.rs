//! Finishes recordings whose container is gone and whose poststop hook never ran.

use crate::helper;
use crate::runtime;
use capprof_store::recording::{Directory, is_abandoned};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time that recovery may delay a `create` or `delete`. containerd allows five seconds for a whole clean-up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Finds the hook's binary: next to capprof itself, else in the `libexec` of the same tree, else in the usual directories.
pub fn hook() -> Option<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe").ok()?;
    let directory = own.parent()?;
    let mut candidates = vec![directory.join("capprof-hook")];
    if let Some(prefix) = directory.parent() {
        candidates.push(prefix.join("libexec/capprof/capprof-hook"));
    }
    candidates.push("/usr/local/libexec/capprof/capprof-hook".into());
    candidates.push("/usr/libexec/capprof/capprof-hook".into());
    candidates
        .into_iter()
        .find(|path| runtime::is_executable(path))
}

/// Runs the hook's binary to finish abandoned recordings, if there are any. An error does not concern the caller: the recordings stay, and the next
/// call tries again.
pub fn sweep(state: &Path) {
    let abandoned: Vec<Directory> = Directory::list(state, None)
        .unwrap_or_default()
        .into_iter()
        .filter(is_abandoned)
        .collect();
    let mut recover = false;
    for directory in abandoned {
        match directory.is_described() {
            Ok(true) => recover = true,
            // Its shim died before it had changed anything.
            Ok(false) => {
                let _ = directory.remove();
            }
            Err(_) => {}
        }
    }
    if recover && let Some(hook) = hook() {
        let arguments = [
            OsStr::new("recover"),
            OsStr::new("--state"),
            state.as_os_str(),
        ];
        let _ = helper::run(&hook, &arguments, PATIENCE);
    }
}
