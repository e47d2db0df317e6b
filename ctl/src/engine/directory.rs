//! Lists the entries of a directory.

use std::fs;
use std::path::{Path, PathBuf};

/// The paths of a directory's entries; none if it cannot be listed.
pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}
