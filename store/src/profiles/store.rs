//! The store's directory, and the paths of its files.

use super::error::Error;
use super::files::PROFILE;
use super::listing::Listing;
use super::load::directories;
use super::summary::Summary;
use std::path::PathBuf;

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store(pub(super) PathBuf);

impl Store {
    /// The store in this directory, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// All profiles that can be read, newest first, and the errors of the others.
    ///
    /// # Errors
    /// [`Error::File`]. A store that does not exist counts as empty.
    pub fn list(&self) -> Result<(Vec<Summary>, Vec<Error>), Error> {
        self.select(None, None, |_| true)
    }

    /// The same, as a listing that can be read repeatedly and does not keep the profiles in memory.
    ///
    /// # Errors
    /// As [`list()`](Self::list).
    pub fn listing(&self) -> Result<Listing, Error> {
        Listing::of(&self.0, &self.profiles())
    }

    /// Calls `look` with each profile, newest first: the recording's id, the profile's file, and, if it can be read, its summary and the digest
    /// that all profiles of its workload share.
    pub(crate) fn each_with_workload(
        &self,
        mut look: impl FnMut(&str, PathBuf, Option<(&Summary, u64)>),
    ) -> Result<(), Error> {
        let listing = self.listing()?;
        let mut rows = listing.rows();
        while let Some(listed) = rows.next()? {
            let summary = listed.summary();
            let known = summary
                .as_ref()
                .map(|(summary, workload)| (&**summary, *workload));
            look(listed.recording, listed.file(), known);
        }
        Ok(())
    }

    pub(super) fn path_of(&self, recording_id: &str) -> Result<PathBuf, Error> {
        self.newest_first()?
            .into_iter()
            .find(|(recording, _, _)| recording == recording_id)
            .map(|(_, _, path)| path)
            .ok_or_else(|| Error::NotFound {
                wanted: recording_id.to_owned(),
                path: self.0.clone(),
            })
    }

    pub(super) fn profiles(&self) -> PathBuf {
        self.0.join("profiles")
    }

    /// Returns the recording id, container id and file of all profiles, ordered by the recording id, which begins with the time.
    pub(crate) fn newest_first(&self) -> Result<Vec<(String, String, PathBuf)>, Error> {
        let mut all = Vec::new();
        for (container, path) in directories(&self.profiles())? {
            for (recording, path) in directories(&path)? {
                all.push((recording, container.clone(), path.join(PROFILE)));
            }
        }
        all.sort_by(|one, other| other.cmp(one));
        Ok(all)
    }
}

/// Returns the name of an id's directory. runc accepts ids of `[\w+-.]+`, so also `..`, and crun anything without a slash. A leading dot is escaped:
/// it marks unfinished directories here.
pub(super) fn directory_name(id: &str) -> Result<String, Error> {
    if id.is_empty() || [".", ".."].contains(&id) || id.len() > 250 || id.contains(['/', '\0']) {
        return Err(Error::Id(id.to_owned()));
    }
    Ok(match id.strip_prefix('.') {
        Some(rest) => format!("%2e{rest}"),
        None => id.to_owned(),
    })
}
