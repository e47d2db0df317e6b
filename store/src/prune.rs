//! Selects and removes profiles of the store.

use crate::file;
use crate::profiles::{
    CONFIGURATION, Contribution, Error, KeptRecordings, PROFILE, Store, Summary,
};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The number of threads that remove profiles: a removal mostly waits for the file system.
const THREADS: usize = 4;

/// The conditions of [`Store::prune`], which removes the profiles that meet all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// The recording ended before this time, which has the form at the beginning of recording ids ([`crate::time::compact`]).
    pub before: Option<String>,
    /// The workload has at least this many newer profiles.
    pub keep: Option<usize>,
}

impl Prune {
    /// Returns true if a profile may be removed that is the `number`th of its workload and whose recording ended at this time.
    fn allows(&self, number: usize, ended: &str) -> bool {
        self.before
            .as_ref()
            .is_none_or(|before| ended < before.as_str())
            && self.keep.is_none_or(|keep| number > keep)
    }
}

/// The result of [`Store::prune`], or of its dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The recording ids of the removed profiles, newest first.
    pub removed: Vec<String>,
    /// The number of profiles that are left.
    pub kept: usize,
    /// The number of these that are left only because the answer for their workload rests on them.
    pub needed: usize,
}

impl Store {
    /// Returns at most `limit` profiles, newest first: those of recordings that began no earlier than `since` (a time as in recording ids) and
    /// that `accept` accepts. Profiles that cannot be read are returned as errors.
    ///
    /// # Errors
    /// [`Error::File`]. A store that does not exist counts as empty.
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

    /// Removes the profiles of these recordings, and the directories of containers that have no other. It is no error if one does not exist.
    ///
    /// # Errors
    /// The first [`Error::File`]; the other profiles are removed nevertheless.
    pub fn remove(&self, recordings: &HashSet<String>) -> Result<(), Error> {
        let paths: Vec<PathBuf> = self
            .newest_first()?
            .into_iter()
            .filter(|(recording, _, _)| recordings.contains(recording))
            .map(|(_, _, path)| path)
            .collect();
        remove_all(&paths)
    }

    /// Removes the profiles that meet one of these rules; with `dry_run` it only says which. A recording on which its workload's answer rests stays
    /// as long as another recording of the workload stays. A profile that cannot be read counts as a workload of its own.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn prune(&self, rules: &[Prune], dry_run: bool) -> Result<Pruned, Error> {
        let mut workloads: HashMap<u64, (usize, KeptRecordings)> = HashMap::new();
        let mut pruned = Pruned::default();
        let mut named = Vec::new();
        self.each_with_workload(|recording, path, known| {
            let Some((summary, workload)) = known else {
                if rules.iter().any(|rule| rule.allows(1, recording)) {
                    named.push((recording.to_owned(), path, None));
                } else {
                    pruned.kept += 1;
                }
                return;
            };
            let (number, kept) = workloads.entry(workload).or_default();
            *number += 1;
            let contribution = Contribution::from(summary);
            let ended = summary.finished.replace(['-', ':'], "");
            if rules.iter().any(|rule| rule.allows(*number, &ended)) {
                let known = Some((workload, contribution));
                named.push((recording.to_owned(), path, known));
            } else {
                kept.add(contribution);
                pruned.kept += 1;
            }
        })?;
        let mut paths = Vec::new();
        for (recording, path, known) in named {
            let known =
                known.and_then(|(workload, one)| Some((&mut workloads.get_mut(&workload)?.1, one)));
            match known {
                Some((kept, one)) if kept.rests_on(one) => {
                    kept.add(one);
                    pruned.kept += 1;
                    pruned.needed += 1;
                }
                _ => {
                    pruned.removed.push(recording);
                    paths.push(path);
                }
            }
        }
        if !dry_run {
            remove_all(&paths)?;
        }
        Ok(pruned)
    }
}

/// Removes the directories of these profiles with several threads.
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

/// Removes a profile's directory, and the container's directory if that is then empty.
fn remove(profile: &Path) -> Result<(), file::Error> {
    let Some(recording) = profile.parent() else {
        return Ok(());
    };
    // A directory with a profile counts as complete, so the profile goes first. Most results have only these two files, and their directory need not
    // be listed.
    for name in [PROFILE, CONFIGURATION] {
        let _ = fs::remove_file(recording.join(name));
    }
    if fs::remove_dir(recording).is_err() {
        file::remove_directory(recording)?;
    }
    if let Some(container) = recording.parent() {
        // This fails, as it should, if the container has other profiles.
        let _ = fs::remove_dir(container);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles::Files;
    use crate::profiles::tests::ids;
    use capprof_profile::fixtures::{full_evidence, host, recording, reports};
    use capprof_profile::profile::Profile;
    use capprof_profile::recording::ProcessSets;
    use capprof_profile::verification::{Verdict, Verification};
    use capprof_profile::{Capability, CapabilitySet};
    use tempfile::TempDir;

    fn add(store: &Store, container: &str, id: &str, image: &str) {
        add_edited(store, container, id, image, |_| {});
    }

    /// Adds a profile of an image, whose recording began and ended at midnight.
    fn add_edited(
        store: &Store,
        container: &str,
        id: &str,
        image: &str,
        edit: impl FnOnce(&mut Profile),
    ) {
        let part = |from, to| id.get(from..to).unwrap();
        let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
        let mut profile = capprof_profile::recorded_profile::profile(
            &recording(container, id),
            reports(),
            full_evidence(),
            format!("{year}-{month}-{day}T00:00:00Z"),
            host(),
        );
        profile.origin.workload.image = Some(image.to_owned());
        edit(&mut profile);
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, 0).unwrap();
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
        let would = store.prune(std::slice::from_ref(&keep), true).unwrap();
        assert_eq!(would.removed.len(), 2);
        assert_eq!(ids(&store).len(), 4);
        assert_eq!(store.prune(&[keep], false).unwrap(), would);
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

    /// The index knows the workloads of the profiles that were read before; newer ones count too.
    #[test]
    fn what_is_new_counts_in_addition_to_what_is_known() {
        let (_directory, store) = filled();
        assert_eq!(ids(&store).len(), 4);
        add(&store, "e", "20260104T000000Z-00000005", "redis");
        let keep = Prune {
            keep: Some(1),
            ..Prune::default()
        };
        store.prune(&[keep], false).unwrap();
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
        let pruned = store.prune(std::slice::from_ref(&old), false).unwrap();
        assert_eq!(pruned.removed, ["20260101T000000Z-00000001"]);
        let old = Prune { keep: None, ..old };
        assert_eq!(store.prune(&[old], false).unwrap().kept, 2);
        assert_eq!(
            ids(&store),
            ["20260103T000000Z-00000003", "20260102T000000Z-00000002"]
        );
    }

    /// A container may run for months, and only its end completes the recording.
    #[test]
    fn a_profile_is_as_old_as_the_end_of_its_recording() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add_edited(&store, "a", "20260101T000000Z-00000001", "nginx", |it| {
            it.origin.finished = "2026-07-01T00:00:00Z".to_owned();
        });
        let before = |time: &str| Prune {
            before: Some(time.to_owned()),
            keep: None,
        };
        let pruned = store.prune(&[before("20260701T000000Z")], false).unwrap();
        assert_eq!(pruned.kept, 1);
        let pruned = store.prune(&[before("20260701T000001Z")], false).unwrap();
        assert_eq!(pruned.removed.len(), 1);
    }

    #[test]
    fn what_one_of_several_rules_names_goes() {
        let (_directory, store) = filled();
        let rules = [
            Prune {
                keep: Some(2),
                ..Prune::default()
            },
            Prune {
                before: Some("20260102T000000Z".to_owned()),
                ..Prune::default()
            },
        ];
        let pruned = store.prune(&rules, false).unwrap();
        assert_eq!(pruned.removed.len(), 2);
        assert_eq!(
            ids(&store),
            ["20260103T000000Z-00000003", "20260102T000000Z-00000002"]
        );
    }

    fn needing(profile: &mut Profile, capability: Capability) {
        profile.complete = true;
        profile.incomplete_because.clear();
        profile.findings.minimized = [capability].into_iter().collect();
    }

    /// Only the first start fills a volume: without its recording the workload could not be set up again.
    #[test]
    fn what_the_answer_of_a_workload_rests_on_stays_while_the_workload_does() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let id = |day: u32| format!("2026010{day}T000000Z-0000000{day}");
        let add = |day: u32, capability: Capability, edit: &dyn Fn(&mut Profile)| {
            let container = format!("c{day}");
            add_edited(&store, &container, &id(day), "web", |profile| {
                needing(profile, capability);
                edit(profile);
            });
        };
        let lose = |profile: &mut Profile| {
            profile.complete = false;
            profile.incomplete_because = vec!["2 checks lost".to_owned()];
        };
        let verify = |profile: &mut Profile| {
            profile.verification = Some(Verification {
                verdict: Verdict::Verified,
                date: "2026-01-03T00:00:00Z".to_owned(),
                run: id(9),
                command: Vec::new(),
                runtime: profile.origin.runtime.clone(),
                kernel: "6.18".to_owned(),
                sets: ProcessSets {
                    bounding: profile.answer().0,
                    ..ProcessSets::default()
                },
                compared: Vec::new(),
                denied: Vec::new(),
                failures: Vec::new(),
                suggested: CapabilitySet::EMPTY,
                notes: Vec::new(),
            });
        };
        add(1, Capability::CHOWN, &|_| {});
        add(2, Capability::SETUID, &|_| {});
        add(3, Capability::SETUID, &verify);
        add(4, Capability::SETUID, &|_| {});
        add(5, Capability::SETUID, &lose);
        let keep = |keep| Prune {
            keep: Some(keep),
            ..Prune::default()
        };
        let old = |time: &str| Prune {
            before: Some(time.to_owned()),
            keep: None,
        };
        let pruned = store.prune(&[keep(1)], false).unwrap();
        assert_eq!(pruned.removed, [id(2)]);
        assert_eq!((pruned.kept, pruned.needed), (4, 3));
        assert_eq!(ids(&store), [id(5), id(4), id(3), id(1)]);
        let pruned = store.prune(&[old("20260105T000000Z")], false).unwrap();
        assert_eq!((pruned.kept, pruned.needed), (4, 3));
        // It has not run since.
        let pruned = store.prune(&[old("20260106T000000Z")], false).unwrap();
        assert_eq!((pruned.kept, pruned.needed), (0, 0));
        assert!(ids(&store).is_empty());
    }
}
