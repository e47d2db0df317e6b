//! The files of a stored result.

use super::error::Error;
use crate::file::{self, Attributes, OpenDirectory};
use capprof_profile::printable;
use capprof_profile::profile::Profile;
use std::ffi::OsStr;

/// The profile's file name, in the store and next to a bundle's config.json.
pub const PROFILE: &str = "capprof.json";

/// The file name of the configuration with minimized capability sets.
pub const CONFIGURATION: &str = "config.minimized.json";

/// A way to write a file into a directory.
type WriteInto = fn(&OpenDirectory, &OsStr, &[u8], Attributes<'_>) -> Result<(), file::Error>;

/// The two files of a result, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    profile: Vec<u8>,
    configuration: Vec<u8>,
}

impl Files {
    /// Encodes a profile; `configuration` is the text of the minimized configuration.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn new(profile: &Profile, configuration: Vec<u8>) -> Result<Self, Error> {
        let encoded = serde_json::to_string_pretty(profile).map_err(|source| Error::Encode {
            recording: profile.origin.recording_id.clone(),
            source,
        })?;
        let line = |mut bytes: Vec<u8>| {
            bytes.push(b'\n');
            bytes
        };
        Ok(Self {
            // Users look at it with cat(1), so nothing in it may control a terminal.
            profile: line(printable::json(&encoded).into_bytes()),
            configuration: line(configuration),
        })
    }

    /// Writes both files into a directory, each atomically and readable by their owner alone. It removes the temporary files that killed
    /// processes left there.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn write_to(&self, directory: &OpenDirectory) -> Result<(), file::Error> {
        self.write_by(OpenDirectory::write, directory)
    }

    /// As [`write_to()`](Self::write_to), but without waiting for the disk: for a second copy.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn copy_to(&self, directory: &OpenDirectory) -> Result<(), file::Error> {
        self.write_by(OpenDirectory::write_unsynced, directory)
    }

    fn write_by(&self, write: WriteInto, directory: &OpenDirectory) -> Result<(), file::Error> {
        let files = self.named();
        directory.remove_temporaries(&files.map(|(name, _)| OsStr::new(name)))?;
        for (name, content) in files {
            write(
                directory,
                OsStr::new(name),
                content,
                Attributes::Mode(0o600),
            )?;
        }
        Ok(())
    }

    pub(super) fn named(&self) -> [(&'static str, &[u8]); 2] {
        // The profile comes last: a directory with a profile is complete.
        [
            (CONFIGURATION, &self.configuration),
            (PROFILE, &self.profile),
        ]
    }
}
