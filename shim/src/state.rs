//! The state directory: where it is, and whether it can be trusted.

use crate::privilege::is_root_of_host;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The state directory of the caller: as configured for root, in the user's own runtime directory for others. They cannot profile, but a
/// limit can be enforced for them.
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

/// Makes the state directory, mode 0700, if it is not there.
pub fn create(directory: &Path) {
    // An error shows when something is written into it.
    let _ = fs::DirBuilder::new().mode(0o700).create(directory);
}
