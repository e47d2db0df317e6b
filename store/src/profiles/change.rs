//! Adds the results of later runs to a stored profile.

use super::error::Error;
use super::load::{load, read};
use super::store::Store;
use crate::file::{self, Attributes};
use capprof_profile::part::Today;
use capprof_profile::profile::{Profile, Shrunk};
use capprof_profile::verification::Verification;
use std::time::Duration;

/// The file name of the latest run that verified the profile.
pub const RUN: &str = "verification.json";

/// The time to wait for another process that writes to a profile.
const PATIENCE: Duration = Duration::from_secs(5);

/// A profile as JSON.
type Document = serde_json::Map<String, serde_json::Value>;

impl Store {
    /// Stores the record of a run that verified a profile next to that profile. It replaces an earlier record.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Encode`], [`Error::File`].
    pub fn add_run(&self, recording_id: &str, run: &Profile) -> Result<(), Error> {
        let path = self.path_of(recording_id)?.with_file_name(RUN);
        let mut content = serde_json::to_vec_pretty(run).map_err(|source| Error::Encode {
            recording: run.origin.recording_id.clone(),
            source,
        })?;
        content.push(b'\n');
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }

    /// The latest run that verified a profile; `None` if there was none.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading.
    pub fn run_of(&self, recording_id: &str) -> Result<Option<Profile>, Error> {
        let path = self.path_of(recording_id)?.with_file_name(RUN);
        match file::exists(&path)? {
            true => Ok(Some(load(path)?.profile)),
            false => Ok(None),
        }
    }

    /// Writes the outcome of a verification into a profile of this store, or removes it, and changes nothing else.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading and writing; then the profile is as it was.
    pub fn set_verification(
        &self,
        recording_id: &str,
        verification: Option<&Verification>,
    ) -> Result<(), Error> {
        self.change(recording_id, |profile| {
            match verification {
                Some(verification) => {
                    let value = serde_json::to_value(verification)?;
                    profile.insert("verification".to_owned(), value);
                }
                None => {
                    profile.remove("verification");
                }
            }
            Ok(())
        })
    }

    /// Writes the result of `capprofctl shrink` into a profile of this store ([`Profile::take_shrunk`]).
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading and writing; then the profile is as it was.
    pub fn set_shrunk(&self, recording_id: &str, shrunk: &Shrunk) -> Result<(), Error> {
        self.change_needs(recording_id, "shrunk", |profile| {
            profile.take_shrunk(shrunk.clone());
            serde_json::to_value(shrunk)
        })
    }

    /// Writes the result of a run with what the workload has today into a profile of this store ([`Profile::settle`]).
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading and writing; then the profile is as it was.
    pub fn settle(&self, recording_id: &str, today: &Today) -> Result<(), Error> {
        self.change_needs(recording_id, "today", |profile| {
            profile.settle(today.clone());
            serde_json::to_value(&profile.today)
        })
    }

    /// Applies a change to the needs of a profile and writes them, with the value that the change returns as a field.
    fn change_needs(
        &self,
        recording_id: &str,
        field: &str,
        change: impl FnOnce(&mut Profile) -> serde_json::Result<serde_json::Value>,
    ) -> Result<(), Error> {
        self.change(recording_id, |document| {
            let mut profile: Profile =
                serde_json::from_value(serde_json::Value::Object(document.clone()))?;
            let value = change(&mut profile)?;
            let needed = serde_json::to_value(&profile.findings.needed)?;
            document.insert("needed".to_owned(), needed);
            document.insert(field.to_owned(), value);
            Ok(())
        })
    }

    /// Changes fields of a profile; fields of other versions stay as they are.
    fn change(
        &self,
        recording_id: &str,
        change: impl FnOnce(&mut Document) -> serde_json::Result<()>,
    ) -> Result<(), Error> {
        let path = self.path_of(recording_id)?;
        let directory = path.parent().unwrap_or(&self.0);
        let _lock =
            file::lock_directory(directory, PATIENCE).map_err(file::error("lock", directory))?;
        let mut document: Document = read(&path)?;
        let encode = |source| Error::Encode {
            recording: recording_id.to_owned(),
            source,
        };
        change(&mut document).map_err(encode)?;
        let mut content = serde_json::to_vec_pretty(&document).map_err(encode)?;
        content.push(b'\n');
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }
}
