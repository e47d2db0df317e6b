//! An index of the store: what `list` shows of each profile, so that a hundred thousand of them need not be read.
//!
//! It lies beside the profiles and is nothing but a memory of them: of each directory and each profile it keeps which version of the file it
//! was made from, and what has another version now is read anew. Whoever reads the store writes it; without it, all is read.

use super::error::Error;
use super::files::PROFILE;
use super::load::{directories, load};
use super::summary::{Summary, workload};
use crate::file::{self, Attributes};
use crate::trust;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// Its name in the store.
const NAME: &str = "index";

/// What its first line is. Another version's index is none.
const HEADER: &str = "capprof.index/v2";

/// A file that changed this short a time ago may change again without having another version: clocks of file systems are coarse.
const YOUNG: Duration = Duration::from_secs(2);

/// Which version of a file or directory something was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u64, u64, i64, i64, i64, i64);

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self(
            metadata.ino(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        )
    }

    /// Whether a file that changes from now on has another one for certain.
    fn is_settled(&self, now: SystemTime) -> bool {
        let age = |seconds: i64| {
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?);
            now.duration_since(then).ok()
        };
        [self.2, self.4]
            .into_iter()
            .all(|seconds| age(seconds).is_some_and(|age| age > YOUNG))
    }
}

/// What is known of one profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    recording: String,
    version: Version,
    /// What it has in common with the others of its workload.
    workload: String,
    summary: Summary,
}

/// The profiles of one container's directory: a line of the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Container {
    name: String,
    version: Version,
    entries: Vec<Entry>,
}

/// A profile of the store.
#[derive(Debug)]
pub(super) struct Listed {
    /// The name of its directory: the recording's id.
    pub(super) recording: String,
    /// The name of its container's directory.
    pub(super) container: String,
    /// What it has in common with the others of its workload; `None` if it cannot be read.
    pub(super) workload: Option<String>,
    /// What `list` shows of it, or why it cannot be read.
    pub(super) summary: Result<Summary, Error>,
}

/// All profiles of a store, newest first, out of the index as far as that is right, which is written anew where it was not.
///
/// # Errors
/// [`Error::File`]: the store cannot be listed.
pub(super) fn all(store: &Path, profiles: &Path) -> Result<Vec<Listed>, Error> {
    all_at(store, profiles, SystemTime::now())
}

fn all_at(store: &Path, profiles: &Path, now: SystemTime) -> Result<Vec<Listed>, Error> {
    let names = directories(profiles)?;
    let mut known = read(&store.join(NAME));
    let work: Vec<Work> = names
        .into_iter()
        .map(|(name, path)| Work {
            known: known.remove(&name),
            name,
            path,
        })
        .collect();
    let has_more = !known.is_empty();
    let looks = look_at_each(work)?;
    if has_more || looks.iter().any(|look| look.is_news(now)) {
        // It is a help and no more: whoever may not write reads all again.
        let _ = write(&store.join(NAME), &looks, now);
    }
    let mut listed: Vec<Listed> = looks.into_iter().flat_map(Look::listed).collect();
    listed.sort_unstable_by(|one, other| {
        (&other.recording, &other.container).cmp(&(&one.recording, &one.container))
    });
    Ok(listed)
}

/// A container's directory to look at.
struct Work {
    name: String,
    path: PathBuf,
    /// What the index says of it.
    known: Option<Container>,
}

/// What is there of a container now.
struct Look {
    container: Container,
    /// Recordings whose profiles cannot be read.
    errors: Vec<(String, Error)>,
    /// The index says just the same.
    is_known: bool,
}

impl Look {
    /// Whether this may be kept: it says all that there is, and what changes later will have another version.
    fn is_lasting(&self, now: SystemTime) -> bool {
        let entries = &self.container.entries;
        self.errors.is_empty()
            && self.container.version.is_settled(now)
            && entries.iter().all(|entry| entry.version.is_settled(now))
    }

    fn listed(self) -> impl Iterator<Item = Listed> {
        let entries = self.container.entries.into_iter();
        let readable =
            entries.map(|entry| (entry.recording, Some(entry.workload), Ok(entry.summary)));
        let others = self.errors.into_iter();
        let container = self.container.name;
        readable
            .chain(others.map(|(recording, error)| (recording, None, Err(error))))
            .map(move |(recording, workload, summary)| Listed {
                recording,
                container: container.clone(),
                workload,
                summary,
            })
    }

    /// Whether it may be kept and is not in the index.
    fn is_news(&self, now: SystemTime) -> bool {
        !self.is_known && self.is_lasting(now)
    }
}

/// Looks at all containers, those that are gone meanwhile left out. Asking for versions is most of the work, which several processors do in a
/// part of the time.
fn look_at_each(mut work: Vec<Work>) -> Result<Vec<Look>, Error> {
    const WORTH_A_THREAD: usize = 1000;
    let processors = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let size = work.len().div_ceil(processors).max(WORTH_A_THREAD);
    let mut parts = Vec::new();
    while work.len() > size {
        parts.push(work.split_off(work.len() - size));
    }
    let look_at_part = |part: Vec<Work>| -> Result<Vec<Look>, Error> {
        part.into_iter()
            .filter_map(|work| look(work).transpose())
            .collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = parts
            .into_iter()
            .map(|part| scope.spawn(|| look_at_part(part)))
            .collect();
        let mut looks = look_at_part(work)?;
        for thread in threads {
            let part = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            looks.extend(part?);
        }
        Ok(looks)
    })
}

/// Looks at a container's directory; `None` if it is gone.
fn look(work: Work) -> Result<Option<Look>, Error> {
    let Work { name, path, known } = work;
    let Ok(metadata) = fs::metadata(&path) else {
        return Ok(None);
    };
    let version = Version::of(&metadata);
    let (known_version, known_entries) = match known {
        Some(known) => (Some(known.version), known.entries),
        None => (None, Vec::new()),
    };
    let mut is_known = known_version == Some(version);
    let mut known_entries: HashMap<String, Entry> = known_entries
        .into_iter()
        .map(|entry| (entry.recording.clone(), entry))
        .collect();
    let recordings: Vec<String> = match is_known {
        true => known_entries.keys().cloned().collect(),
        false => directories(&path)?
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
    };
    let mut errors = Vec::new();
    let mut entries = Vec::with_capacity(recordings.len());
    for recording in recordings {
        let profile = path.join(&recording).join(PROFILE);
        let version = fs::metadata(&profile)
            .ok()
            .map(|metadata| Version::of(&metadata));
        match known_entries.remove(&recording) {
            Some(entry) if Some(entry.version) == version => entries.push(entry),
            _ => {
                is_known = false;
                // Of an older version than what is read, if somebody writes in between: then it is read again next time.
                match (load(profile), version) {
                    (Ok(found), Some(version)) => entries.push(Entry {
                        recording,
                        version,
                        workload: workload(&found.profile.origin),
                        summary: Summary::from(found.profile),
                    }),
                    // It came in between.
                    (Ok(found), None) => errors.push((
                        recording,
                        Error::NotFound {
                            wanted: found.profile.origin.recording_id,
                            path: found.path,
                        },
                    )),
                    (Err(error), _) => errors.push((recording, error)),
                }
            }
        }
    }
    Ok(Some(Look {
        container: Container {
            name,
            version,
            entries,
        },
        errors,
        is_known,
    }))
}

/// What the index says, by container; nothing where there is none, or where others could have written it.
fn read(path: &Path) -> HashMap<String, Container> {
    let lines = || {
        let file = File::open(path).ok()?;
        trust::check(path, path.parent()?).ok()?;
        let mut lines = BufReader::new(file).split(b'\n');
        (lines.next()?.ok()? == HEADER.as_bytes()).then_some(lines)
    };
    lines()
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_slice::<Container>(&line).ok())
        .map(|container| (container.name.clone(), container))
        .collect()
}

fn write(path: &Path, looks: &[Look], now: SystemTime) -> Result<(), file::Error> {
    let mut content = HEADER.as_bytes().to_vec();
    content.push(b'\n');
    for look in looks.iter().filter(|look| look.is_lasting(now)) {
        serde_json::to_writer(&mut content, &look.container).map_err(file::error("write", path))?;
        content.push(b'\n');
    }
    // Lost in a crash, it is made anew.
    file::write_unsynced(path, &content, Attributes::Mode(0o600))
}

#[cfg(test)]
mod tests;
