//! Reads profiles from their files.

use super::error::Error;
use crate::file;
use capprof_profile::profile::{Profile, SCHEMA};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The largest profile that is read, in bytes. One of ten thousand programs has some 20 MB.
pub const LARGEST: u64 = 64 << 20;

/// A stored result that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProfile {
    /// The profile's file.
    pub path: PathBuf,
    /// The profile.
    pub profile: Profile,
}

/// Reads a profile.
///
/// # Errors
/// [`Error::File`], [`Error::Schema`].
pub fn load(path: PathBuf) -> Result<StoredProfile, Error> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    let content = file::read_regular(&path, LARGEST)?;
    let malformed = || file::error("read profile", &path);
    let head: Head = serde_json::from_slice(&content).map_err(malformed())?;
    let schema = head.schema.unwrap_or_default();
    if schema != SCHEMA {
        return Err(Error::Schema { path, schema });
    }
    let profile = serde_json::from_slice(&content).map_err(malformed())?;
    Ok(StoredProfile { path, profile })
}

/// Reads the fields of a profile that `T` has, in any version.
pub(super) fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Error> {
    serde_json::from_slice(&file::read_regular(path, LARGEST)?)
        .map_err(file::error("read profile", path))
        .map_err(Error::from)
}

/// The directories of finished results or of containers in a directory, with their names; none where it does not exist.
pub(super) fn directories(path: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    Ok(names(path)?
        .map(|name| {
            let path = path.join(&name);
            (name, path)
        })
        .collect())
}

/// The names alone.
pub(super) fn names(path: &Path) -> Result<impl Iterator<Item = String>, Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        result => Some(result.map_err(file::error("list", path))?),
    };
    Ok(entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.')))
}
