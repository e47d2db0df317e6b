//! An index of the store: what `list` shows of each profile, so that a hundred thousand of them need not be read.
//!
//! It lies next to the profiles and is only a cache: of each directory and each profile it keeps which version of the file it
//! was made from, and reads again what has another version now. Each process that reads the store writes it; without it, all profiles are read.

use super::error::Error;
use super::files::PROFILE;
use super::load::{load, names};
use super::summary::{Standing, Summary, workload};
use crate::file::{self, Attributes};
use crate::trust;
use capprof_profile::CapabilitySet;
use capprof_profile::observation::Exit;
use capprof_profile::profile::SCHEMA;
use capprof_profile::recording::Workload;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, statat};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

/// Its name in the store.
const NAME: &str = "index";

/// What its first line is. Another version's index is none.
const HEADER: &str = "capprof.index/v3";

/// A file that changed this short a time ago may change again without having another version: clocks of file systems are coarse.
const YOUNG: Duration = Duration::from_secs(2);

/// Which version of a file or directory something was read from: a digest of its inode, size and times, and when it changed last, in seconds
/// since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u64, i64);

impl Version {
    fn of(found: &Stat) -> Self {
        let times = [
            found.st_mtime.into(),
            i128::from(found.st_mtime_nsec),
            found.st_ctime.into(),
            i128::from(found.st_ctime_nsec),
        ];
        let digest = digest(&(found.st_ino, found.st_size, times));
        Self(digest, found.st_mtime.max(found.st_ctime))
    }

    /// Returns true if a file that changes from now on has another one for certain.
    fn is_settled(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.1)
            .ok()
            .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        changed
            .and_then(|changed| now.duration_since(changed).ok())
            .is_some_and(|age| age > YOUNG)
    }
}

/// A number that stands for a value. Another compiler's may differ: then all profiles are read again.
fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What is known of one profile.
#[derive(Clone, Debug)]
struct Entry {
    recording: String,
    version: Version,
    /// A digest of what it has in common with the others of its workload.
    workload: u64,
    summary: Summary,
}

/// The profiles of one container's directory.
#[derive(Clone, Debug)]
struct Container {
    name: String,
    version: Version,
    entries: Vec<Entry>,
}

/// A line of the index: [`Container`], as short as possible, because a list may read a hundred thousand of them.
#[derive(Serialize, Deserialize)]
struct Line(String, Version, Vec<Row>);

/// [`Entry`]: the recording, its version, the workload's digest; then of the summary the recording's and the container's id where they are not the
/// directories' names, the name, the workload, the end, whether it is complete, the two sets as bits, the exit status and the verdict.
type Row = (
    String,
    Version,
    u64,
    Option<String>,
    Option<String>,
    Option<String>,
    [Option<String>; 6],
    String,
    bool,
    u64,
    u64,
    Option<Exit>,
    Option<Standing>,
);

impl Line {
    fn of(container: &Container) -> Self {
        let unless = |text: &str, known: &str| (text != known).then(|| text.to_owned());
        let row = |entry: &Entry| {
            let summary = entry.summary.clone();
            let workload = summary.workload;
            (
                entry.recording.clone(),
                entry.version,
                entry.workload,
                unless(&summary.recording_id, &entry.recording),
                unless(&summary.container_id, &container.name),
                summary.name,
                [
                    workload.image,
                    workload.pod,
                    workload.pod_namespace,
                    workload.container,
                    workload.engine,
                    workload.service,
                ],
                summary.finished,
                summary.complete,
                summary.minimized.bits(),
                summary.answer.bits(),
                summary.exit,
                summary.verification,
            )
        };
        Self(
            container.name.clone(),
            container.version,
            container.entries.iter().map(row).collect(),
        )
    }

    fn container(self) -> Container {
        let Self(name, version, rows) = self;
        let entry = |row: Row| {
            let [image, pod, pod_namespace, container, engine, service] = row.6;
            Entry {
                version: row.1,
                workload: row.2,
                summary: Summary {
                    // Others are not read.
                    schema: SCHEMA.to_owned(),
                    recording_id: row.3.unwrap_or_else(|| row.0.clone()),
                    container_id: row.4.unwrap_or_else(|| name.clone()),
                    name: row.5,
                    workload: Workload {
                        image,
                        pod,
                        pod_namespace,
                        container,
                        engine,
                        service,
                    },
                    finished: row.7,
                    complete: row.8,
                    minimized: CapabilitySet::from_bits(row.9),
                    answer: CapabilitySet::from_bits(row.10),
                    exit: row.11,
                    verification: row.12,
                },
                recording: row.0,
            }
        };
        Container {
            entries: rows.into_iter().map(entry).collect(),
            name,
            version,
        }
    }
}

/// A profile of the store.
#[derive(Debug)]
pub(super) struct Listed {
    /// The name of its directory: the recording's id.
    pub(super) recording: String,
    /// The name of its container's directory.
    pub(super) container: String,
    /// A digest of what it has in common with the others of its workload; `None` if it cannot be read.
    pub(super) workload: Option<u64>,
    /// What `list` shows of it, or why it cannot be read.
    pub(super) summary: Result<Summary, Error>,
}

/// All profiles of a store, newest first, from the index as far as that is up to date; it is rewritten if it was not.
///
/// # Errors
/// [`Error::File`]: the store cannot be listed.
pub(super) fn all(store: &Path, profiles: &Path) -> Result<Vec<Listed>, Error> {
    all_at(store, profiles, SystemTime::now())
}

fn all_at(store: &Path, profiles: &Path, now: SystemTime) -> Result<Vec<Listed>, Error> {
    let names = names(profiles)?;
    let mut known = read(&store.join(NAME));
    let work: Vec<Work> = names
        .into_iter()
        .map(|name| Work {
            known: known.remove(&name),
            name,
        })
        .collect();
    let has_more = !known.is_empty();
    let looks = look_at_each(work, profiles)?;
    if has_more || looks.iter().any(|look| look.is_news(now)) {
        // The index is only a cache: a process that may not write it reads all profiles again.
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
    /// What the index says of it.
    known: Option<Container>,
}

/// The directory of all containers, held open: the kernel need not follow the whole path for each file.
struct Profiles<'a> {
    path: &'a Path,
    descriptor: OwnedFd,
}

impl Profiles<'_> {
    /// The version of what is there at a path in it; `None` if there is nothing.
    fn version(&self, path: &str) -> Option<Version> {
        let found = statat(&self.descriptor, path, AtFlags::empty()).ok()?;
        Some(Version::of(&found))
    }
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
    /// Returns true if this may be kept: it says all that there is, and what changes later will have another version.
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

    /// Returns true if it may be kept and is not in the index.
    fn is_news(&self, now: SystemTime) -> bool {
        !self.is_known && self.is_lasting(now)
    }
}

/// Looks at all containers, those that are gone meanwhile left out. Asking for versions is most of the work, which several processors do in a
/// part of the time.
fn look_at_each(mut work: Vec<Work>, path: &Path) -> Result<Vec<Look>, Error> {
    const WORTH_A_THREAD: usize = 1000;
    if work.is_empty() {
        return Ok(Vec::new());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let profiles = Profiles {
        path,
        descriptor: openat(CWD, path, flags, Mode::empty()).map_err(file::error("list", path))?,
    };
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
            .filter_map(|work| look(&profiles, work).transpose())
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
fn look(profiles: &Profiles<'_>, work: Work) -> Result<Option<Look>, Error> {
    let Work { name, known } = work;
    let Some(version) = profiles.version(&name) else {
        return Ok(None);
    };
    let mut is_known = known.as_ref().is_some_and(|known| known.version == version);
    let mut known_entries = known.map_or_else(Vec::new, |known| known.entries);
    let path = profiles.path.join(&name);
    // What is there, with what is known of it.
    let found: Vec<(String, Option<Entry>)> = match is_known {
        true => known_entries
            .into_iter()
            .map(|entry| (entry.recording.clone(), Some(entry)))
            .collect(),
        false => names(&path)?
            .into_iter()
            .map(|recording| {
                let known = known_entries
                    .iter()
                    .position(|entry| entry.recording == recording)
                    .map(|at| known_entries.swap_remove(at));
                (recording, known)
            })
            .collect(),
    };
    let mut errors = Vec::new();
    let mut entries = Vec::with_capacity(found.len());
    for (recording, known) in found {
        let version = profiles.version(&format!("{name}/{recording}/{PROFILE}"));
        match known {
            Some(entry) if Some(entry.version) == version => entries.push(entry),
            _ => {
                is_known = false;
                // Of an older version than what is read, if another process writes in between: then it is read again next time.
                match (load(path.join(&recording).join(PROFILE)), version) {
                    (Ok(found), Some(version)) => entries.push(Entry {
                        recording,
                        version,
                        workload: digest(&workload(&found.profile.origin)),
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
    let mut containers = HashMap::new();
    let Ok(file) = File::open(path) else {
        return containers;
    };
    let is_trusted = path
        .parent()
        .is_some_and(|store| trust::check(path, store).is_ok());
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut text = Vec::new();
    let mut next = |text: &mut Vec<u8>| {
        text.clear();
        reader
            .read_until(b'\n', text)
            .is_ok_and(|length| length > 0)
    };
    if !is_trusted || !next(&mut text) || text.trim_ascii_end() != HEADER.as_bytes() {
        return containers;
    }
    while next(&mut text) {
        if let Ok(line) = serde_json::from_slice::<Line>(&text) {
            let container = line.container();
            containers.insert(container.name.clone(), container);
        }
    }
    containers
}

fn write(path: &Path, looks: &[Look], now: SystemTime) -> Result<(), file::Error> {
    let mut content = HEADER.as_bytes().to_vec();
    content.push(b'\n');
    for look in looks.iter().filter(|look| look.is_lasting(now)) {
        serde_json::to_writer(&mut content, &Line::of(&look.container))
            .map_err(file::error("write", path))?;
        content.push(b'\n');
    }
    // If a crash loses it, it is made again.
    file::write_unsynced(path, &content, Attributes::Mode(0o600))
}

#[cfg(test)]
mod tests;
