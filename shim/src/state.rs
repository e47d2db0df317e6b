//! The state directory: its path, and whether it can be trusted.

use crate::privilege::is_root_of_host;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The state directory of the caller: for root the configured one, for other users one in their own runtime directory. Other users cannot profile,
/// but they can enforce a limit.
pub fn directory(configured: PathBuf) -> PathBuf {
    if is_root_of_host() {
        return configured;
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if Path::new(&directory).is_absolute() => {
            Path::new(&directory).join("capprof")
        }
        _ => configured,
    }
}

/// Returns true if a directory belongs to the caller and no other user can write to it.
pub fn is_own(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|it| {
        it.is_dir() && it.uid() == nix::unistd::geteuid().as_raw() && it.mode() & 0o022 == 0
    })
}

/// Makes the state directory, mode 0700, if it does not exist.
pub fn create(directory: &Path) {
    // If this fails, the first write into it reports the error.
    let _ = fs::DirBuilder::new().mode(0o700).create(directory);
}
