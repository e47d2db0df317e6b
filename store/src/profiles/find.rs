//! Finds profiles by the names that users give them.

use super::error::Error;
use super::files::PROFILE;
use super::index::Listed;
use super::listing::Listing;
use super::load::{StoredProfile, load, read};
use super::store::{Store, directory_name};
use super::summary::Summary;
use crate::trust;
use capprof_profile::profile::{Profile, SCHEMA};
use capprof_profile::unite::unite;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

impl Store {
    /// Finds the answer for a workload: the profile of [`find_recording()`](Self::find_recording), united with the other recordings of the same workload
    /// ([`unite`]), unless the caller asks for a file or a recording's id.
    ///
    /// # Errors
    /// Any of reading.
    pub fn find(&self, wanted: &str) -> Result<StoredProfile, Error> {
        if is_path(wanted) {
            return load_path(wanted);
        }
        let all = self.listing()?;
        let found = self.find_among(&all, wanted)?;
        match found.profile.origin.recording_id.starts_with(wanted) {
            true => Ok(found),
            false => {
                let others = others_listed(&all, &found)?;
                Ok(Self::united(found, others))
            }
        }
    }

    /// Returns the other recordings of the workload of a profile that is to be enforced. It reads the profiles themselves, not the index, and
    /// takes only those that only root could have written.
    fn others_trusted(&self, found: &StoredProfile) -> Result<Vec<(String, PathBuf)>, Error> {
        let is_other = |path: &Path| {
            self.is_trusted(path)
                && read::<Summary>(path).is_ok_and(|summary| {
                    summary.schema == SCHEMA && summary.may_be_of_workload(&found.profile)
                })
        };
        Ok(self
            .newest_first()?
            .into_iter()
            .filter(|(_, _, path)| *path == found.path || is_other(path))
            .map(|(recording, _, path)| (recording, path))
            .collect())
    }

    /// Unites a recording with the others of its workload, as far as they can be read.
    fn united(found: StoredProfile, others: Vec<(String, PathBuf)>) -> StoredProfile {
        let mut paths = BTreeMap::new();
        let mut recordings = Vec::new();
        for (recording, path) in others {
            let profile = match path == found.path {
                true => found.profile.clone(),
                false => match load(path.clone()) {
                    Ok(other) if other.profile.is_of_workload(&found.profile) => other.profile,
                    _ => continue,
                },
            };
            paths.insert(recording, path);
            recordings.push(profile);
        }
        let Some(profile) = unite(recordings) else {
            return found;
        };
        let path = paths.remove(&profile.origin.recording_id);
        StoredProfile {
            path: path.unwrap_or(found.path),
            profile,
        }
    }

    /// Finds one recording's profile by: `latest` or `last`; a path of a file, or of a directory with a `capprof.json` in it; a recording's id;
    /// a container's id or a name (annotation, container, pod, image), where the newest of several recordings counts; the unique beginning of an id.
    ///
    /// # Errors
    /// Any of reading.
    pub fn find_recording(&self, wanted: &str) -> Result<StoredProfile, Error> {
        match is_path(wanted) {
            true => load_path(wanted),
            false => self.find_among(&self.listing()?, wanted),
        }
    }

    /// As [`find_recording()`](Self::find_recording), among all profiles of the store.
    fn find_among(&self, all: &Listing, wanted: &str) -> Result<StoredProfile, Error> {
        if ["latest", "last"].contains(&wanted) {
            return match all.rows().next()? {
                Some(newest) => load(newest.file()),
                None => Err(Error::Empty {
                    path: self.0.clone(),
                }),
            };
        }
        // It is a part of `wanted`, and so of each id that is, or begins with, `wanted`.
        let texts = [Summary::text_of_answer(wanted)];
        let mut rows = all.rows_that_may_say(&texts);
        let mut answers = None;
        let mut beginning = Beginning::default();
        while let Some(listed) = rows.next()? {
            if listed.recording == wanted {
                return load(listed.file());
            }
            if answers.is_none()
                && listed
                    .summary()
                    .is_some_and(|(summary, _)| summary.answers_to(wanted))
            {
                answers = Some(listed.file());
            }
            if !wanted.is_empty() {
                beginning.look_at(&listed, wanted);
            }
        }
        match answers {
            Some(path) => load(path),
            None => load(beginning.the_only(wanted, &self.0)?),
        }
    }

    /// Unites a recording with the others of its workload, as [`find_complete()`](Self::find_complete) does.
    ///
    /// # Errors
    /// Any of reading.
    pub fn unite_trusted(&self, found: StoredProfile) -> Result<StoredProfile, Error> {
        let others = self.others_trusted(&found)?;
        Ok(Self::united(found, others))
    }

    /// Returns true if only root could have written this profile.
    fn is_trusted(&self, path: &Path) -> bool {
        trust::check(path, &self.0).is_ok()
    }

    /// Finds a complete profile: by a recording's id, or a workload's, united with its other recordings, by a container's id, the name of an
    /// annotation, or an engine's name (container, pod, image), in this order. Names must match in full, so that the enforced set does not depend
    /// on other workloads in the store. Nothing is taken for a path, because the author of a pod may have written the name.
    ///
    /// # Errors
    /// Any of reading; [`Error::Incomplete`]; [`Error::Untrusted`]; [`Error::AmbiguousName`] where an engine's name stands for several
    /// programs.
    pub fn find_complete(&self, wanted: &str) -> Result<StoredProfile, Error> {
        let all = self.newest_first()?;
        let directory = directory_name(wanted).ok();
        let by_id = |of: &dyn Fn(&(String, String, PathBuf)) -> bool| -> Vec<PathBuf> {
            let found = all.iter().filter(|entry| of(entry));
            found.map(|(_, _, path)| path.clone()).collect()
        };
        let mut candidates = by_id(&|(recording, _, _)| recording == wanted);
        if candidates.is_empty() {
            candidates = by_id(&|(_, container, _)| Some(container) == directory.as_ref());
        }
        let mut is_engines_name = false;
        if candidates.is_empty() {
            let called = |of: &dyn Fn(&Summary) -> bool| -> Vec<PathBuf> {
                all.iter()
                    .filter(|(_, _, path)| read::<Summary>(path).is_ok_and(|summary| of(&summary)))
                    .map(|(_, _, path)| path.clone())
                    .collect()
            };
            candidates = called(&|summary| summary.name.as_deref() == Some(wanted));
            if candidates.is_empty() {
                candidates = called(&|summary| summary.is_called(wanted));
                is_engines_name = true;
            }
        }
        let mut complete: Vec<StoredProfile> = Vec::new();
        let mut incomplete: Option<Profile> = None;
        for path in candidates {
            trust::check(&path, &self.0)?;
            let found = load(path)?;
            if !found.profile.complete {
                incomplete.get_or_insert(found.profile);
                continue;
            }
            if !is_engines_name {
                return match found.profile.origin.recording_id == wanted {
                    true => Ok(found),
                    false => self.unite_trusted(found),
                };
            }
            if complete
                .iter()
                .all(|known| known.profile.origin.process != found.profile.origin.process)
            {
                complete.push(found);
            }
        }
        match (complete.len(), incomplete) {
            (1, _) => self.unite_trusted(complete.remove(0)),
            (0, Some(profile)) => Err(Error::Incomplete {
                wanted: wanted.to_owned(),
                recording: profile.origin.recording_id,
                reason: profile.incomplete_because.join("; "),
            }),
            (0, None) => Err(Error::NotFound {
                wanted: wanted.to_owned(),
                path: self.0.clone(),
            }),
            _ => Err(Error::AmbiguousName {
                wanted: wanted.to_owned(),
                found: complete
                    .into_iter()
                    .map(|found| found.profile.origin.recording_id)
                    .collect(),
            }),
        }
    }
}

/// The other recordings that may be of a recording's workload, according to the index: recording's id and file, newest first.
fn others_listed(all: &Listing, found: &StoredProfile) -> Result<Vec<(String, PathBuf)>, Error> {
    let texts = Summary::texts_of_workload(&found.profile);
    let is_other = |listed: &Listed<'_>| {
        let summary = listed.summary();
        summary.is_some_and(|(summary, _)| summary.may_be_of_workload(&found.profile))
    };
    let mut others = Vec::new();
    let mut rows = all.rows_that_may_say(&texts);
    while let Some(listed) = rows.next()? {
        if is_other(&listed) {
            others.push((listed.recording.to_owned(), listed.file()));
        }
    }
    Ok(others)
}

/// Containers and recordings whose ids have the same beginning.
#[derive(Default)]
struct Beginning {
    /// The file of the newest recording.
    containers: BTreeMap<String, PathBuf>,
    recordings: Vec<(String, PathBuf)>,
}

impl Beginning {
    fn look_at(&mut self, listed: &Listed<'_>, wanted: &str) {
        if listed.container.starts_with(wanted) && !self.containers.contains_key(listed.container) {
            let container = listed.container.to_owned();
            self.containers.insert(container, listed.file());
        }
        if listed.recording.starts_with(wanted) {
            let recording = listed.recording.to_owned();
            self.recordings.push((recording, listed.file()));
        }
    }

    /// Returns the file of the only match.
    fn the_only(self, wanted: &str, store: &Path) -> Result<PathBuf, Error> {
        let wanted = wanted.to_owned();
        let mut paths = self
            .containers
            .values()
            .chain(self.recordings.iter().map(|(_, path)| path));
        match (paths.next(), paths.next()) {
            (None, _) => Err(Error::NotFound {
                wanted,
                path: store.to_owned(),
            }),
            (Some(path), None) => Ok(path.clone()),
            _ => Err(Error::Ambiguous {
                wanted,
                found: self
                    .containers
                    .into_keys()
                    .chain(self.recordings.into_iter().map(|(recording, _)| recording))
                    .take(5)
                    .collect(),
            }),
        }
    }
}

/// Reads a profile from a file, or from the file in a directory.
fn load_path(wanted: &str) -> Result<StoredProfile, Error> {
    let path = Path::new(wanted);
    load(match path.is_dir() {
        true => path.join(PROFILE),
        false => path.to_owned(),
    })
}

/// Returns true if the name is a path. An image's name has slashes too.
fn is_path(wanted: &str) -> bool {
    ["/", "./", "../"]
        .iter()
        .any(|start| wanted.starts_with(start))
        || wanted.ends_with(".json")
        || (wanted.contains('/') && Path::new(wanted).exists())
}
