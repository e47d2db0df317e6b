//! A store that stays tidy: removing profiles, and choosing those that are shown.

use crate::file;
use crate::profiles::{CONFIGURATION, Error, PROFILE, Store, Summary};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many threads remove: a removal mostly waits for the file system.
const THREADS: usize = 4;

/// Which profiles [`Store::prune`] removes: those that all of its conditions allow to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Those recorded before this time, as recording ids begin ([`crate::time::compact`]).
    pub before: Option<String>,
    /// Those of which so many newer ones of the same workload exist.
    pub keep: Option<usize>,
}

/// What [`Store::prune`] did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Recording ids of what was removed, newest first.
    pub removed: Vec<String>,
    /// How many profiles are left.
    pub kept: usize,
}

impl Store {
    /// Profiles, newest first, of recordings that began no earlier than `since` (as recording ids begin), as far as `accept` wants them, and no
    /// more than `limit`. Those that cannot be read come along as errors.
    ///
    /// # Errors
    /// [`Error::File`]. A store that does not exist holds nothing.
    pub fn select(
        &self,
        since: Option<&str>,
        limit: Option<usize>,
        accept: impl FnMut(&Summary) -> bool,
    ) -> Result<(Vec<Summary>, Vec<Error>), Error> {
        let listing = self.listing()?;
        let mut summaries = Vec::new();
        listing.each(since, limit, accept, |summary| {
            summaries.push(summary.into_owned());
            Ok::<_, Error>(())
        })?;
        Ok((summaries, listing.into_errors()))
    }

    /// Removes the profiles of these recordings, and the directories of containers that have no other. What is gone already is no error.
    ///
    /// # Errors
    /// [`Error::File`], the first; the others are removed all the same.
    pub fn remove(&self, recordings: &HashSet<String>) -> Result<(), Error> {
        let paths: Vec<PathBuf> = self
            .newest_first()?
            .into_iter()
            .filter(|(recording, _, _)| recordings.contains(recording))
            .map(|(_, _, path)| path)
            .collect();
        remove_all(&paths)
    }

    /// Removes what is old or one of too many; with `dry_run` it only says what would go. A profile that cannot be read counts as a workload of its
    /// own.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn prune(&self, prune: &Prune, dry_run: bool) -> Result<Pruned, Error> {
        let mut newer: HashMap<u64, usize> = HashMap::new();
        let mut paths = Vec::new();
        let mut pruned = Pruned::default();
        for (recording, workload, path) in self.with_workloads(prune.keep.is_some())? {
            let is_old = prune
                .before
                .as_ref()
                .is_none_or(|before| recording.as_str() < before.as_str());
            let is_beyond = match prune.keep {
                None => true,
                Some(keep) => {
                    let count = workload.map_or(1, |workload| {
                        let count = newer.entry(workload).or_default();
                        *count += 1;
                        *count
                    });
                    count > keep
                }
            };
            match is_old && is_beyond {
                true => {
                    pruned.removed.push(recording);
                    paths.push(path);
                }
                false => pruned.kept += 1,
            }
        }
        if !dry_run {
            remove_all(&paths)?;
        }
        Ok(pruned)
    }
}

/// Removes the directories of these profiles by several threads.
fn remove_all(profiles: &[PathBuf]) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..THREADS.min(profiles.len()) {
            scope.spawn(|| {
                while let Some(path) = profiles.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = remove(path) {
                        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        failure.get_or_insert(error);
                    }
                }
            });
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Removes a profile's directory, and the container's if nothing else is in it.
fn remove(profile: &Path) -> Result<(), file::Error> {
    let Some(recording) = profile.parent() else {
        return Ok(());
    };
    // Where the profile is, all is: it goes first, so that no process reads half of it. Most results have these two files and no other, and need not be
    // listed.
    for name in [PROFILE, CONFIGURATION] {
        let _ = fs::remove_file(recording.join(name));
    }
    if fs::remove_dir(recording).is_err() {
        file::remove_directory(recording)?;
    }
    if let Some(container) = recording.parent() {
        // Fails if there are others.
        let _ = fs::remove_dir(container);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles::Files;
    use capprof_profile::fixtures::{full_evidence, host, recording, reports};
    use tempfile::TempDir;

    /// Adds a profile of an image; the fixture's workload has no name.
    fn add(store: &Store, container: &str, id: &str, image: &str) {
        let mut profile = capprof_profile::recorded_profile::profile(
            &recording(container, id),
            reports(),
            full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        );
        profile.origin.workload.image = Some(image.to_owned());
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, 0).unwrap();
    }

    fn ids(store: &Store) -> Vec<String> {
        let (summaries, errors) = store.select(None, None, |_| true).unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        summaries
            .into_iter()
            .map(|summary| summary.recording_id)
            .collect()
    }

    fn filled() -> (TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add(&store, "a", "20260101T000000Z-00000001", "nginx");
        add(&store, "b", "20260102T000000Z-00000002", "nginx");
        add(&store, "c", "20260103T000000Z-00000003", "nginx");
        add(&store, "d", "20260101T000000Z-00000004", "redis");
        (directory, store)
    }

    #[test]
    fn what_is_chosen_is_the_newest() {
        let (_directory, store) = filled();
        let of = |since, limit| {
            let (summaries, _) = store
                .select(since, limit, |summary| {
                    summary.workload.image.as_deref() == Some("nginx")
                })
                .unwrap();
            summaries.len()
        };
        assert_eq!(of(None, None), 3);
        assert_eq!(of(None, Some(2)), 2);
        assert_eq!(of(Some("20260102T000000Z"), None), 2);
    }

    #[test]
    fn removing_takes_nothing_else() {
        let (directory, store) = filled();
        let gone = HashSet::from(["20260101T000000Z-00000001".to_owned(), "gone".to_owned()]);
        store.remove(&gone).unwrap();
        assert_eq!(ids(&store).len(), 3);
        assert!(!directory.path().join("profiles/a").exists());
        assert!(directory.path().join("profiles/b").exists());
    }

    #[test]
    fn each_workload_keeps_its_newest() {
        let (_directory, store) = filled();
        let keep = Prune {
            keep: Some(1),
            ..Prune::default()
        };
        let would = store.prune(&keep, true).unwrap();
        assert_eq!(would.removed.len(), 2);
        assert_eq!(ids(&store).len(), 4);
        assert_eq!(store.prune(&keep, false).unwrap(), would);
        assert_eq!(
            ids(&store),
            ["20260103T000000Z-00000003", "20260101T000000Z-00000004"]
        );
    }

    #[test]
    fn a_result_is_removed_with_all_that_others_put_next_to_it() {
        let (directory, store) = filled();
        let place = directory
            .path()
            .join("profiles/a/20260101T000000Z-00000001");
        fs::create_dir(place.join("notes")).unwrap();
        fs::write(place.join("notes/one"), "").unwrap();
        fs::write(place.join("shrink.json"), "").unwrap();
        let gone = HashSet::from(["20260101T000000Z-00000001".to_owned()]);
        store.remove(&gone).unwrap();
        assert!(!directory.path().join("profiles/a").exists());
    }

    /// The index knows the workload of what has been read before; what has come since counts all the same.
    #[test]
    fn what_is_new_counts_in_addition_to_what_is_known() {
        let (_directory, store) = filled();
        assert_eq!(ids(&store).len(), 4);
        add(&store, "e", "20260104T000000Z-00000005", "redis");
        let keep = Prune {
            keep: Some(1),
            ..Prune::default()
        };
        store.prune(&keep, false).unwrap();
        assert_eq!(
            ids(&store),
            ["20260104T000000Z-00000005", "20260103T000000Z-00000003"]
        );
    }

    #[test]
    fn what_is_old_goes_unless_it_is_to_be_kept() {
        let (_directory, store) = filled();
        let old = Prune {
            before: Some("20260102T000000Z".to_owned()),
            keep: Some(1),
        };
        let pruned = store.prune(&old, false).unwrap();
        assert_eq!(pruned.removed, ["20260101T000000Z-00000001"]);
        let old = Prune { keep: None, ..old };
        assert_eq!(store.prune(&old, false).unwrap().kept, 2);
        assert_eq!(
            ids(&store),
            ["20260103T000000Z-00000003", "20260102T000000Z-00000002"]
        );
    }
}
