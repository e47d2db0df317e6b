//! All profiles of a store, newest first, without keeping them in memory: from the index where it is up to date, else from their files.

use super::error::Error;
use super::files::PROFILE;
use super::index::{Entry, HEADER, Known, Line, Listed, NAME, Version, digest};
use super::load::{load, names};
use super::summary::{Summary, workload};
use crate::file::{self, Attributes};
use crate::trust;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

/// The number of bytes of the index to read at once.
const BUFFER: usize = 64 << 10;

/// The number of bytes of the index for which another thread pays off.
const WORTH_A_THREAD: u64 = 256 << 10;

/// All profiles of a store, as they were when the listing was made.
pub struct Listing {
    profiles: PathBuf,
    /// The index; `None` if there is none that can be trusted.
    index: Option<File>,
    digests: RandomState,
    /// Digests, in ascending order, of the containers for which the index is up to date.
    known: Vec<u64>,
    /// The readable profiles of all other containers, newest first.
    others: Vec<Entry>,
    /// Profiles that cannot be read, newest first: recording, container, and the error.
    unreadable: Vec<(String, String, Error)>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Listing");
        shown
            .field("profiles", &self.profiles)
            .finish_non_exhaustive()
    }
}

impl Listing {
    /// Compares the index with the files, reads what it lacks, and rewrites it if it was out of date.
    ///
    /// # Errors
    /// [`Error::File`]: the store cannot be listed.
    pub(super) fn of(store: &Path, profiles: &Path) -> Result<Self, Error> {
        Self::at(store, profiles, SystemTime::now())
    }

    pub(super) fn at(store: &Path, profiles: &Path, now: SystemTime) -> Result<Self, Error> {
        let path = store.join(NAME);
        let mut listing = Self {
            profiles: profiles.to_owned(),
            index: open(&path, store),
            digests: RandomState::new(),
            known: Vec::new(),
            others: Vec::new(),
            unreadable: Vec::new(),
        };
        let Some(directory) = Directory::open(profiles)? else {
            return Ok(listing);
        };
        let part = listing.length().div_ceil(processors()).max(WORTH_A_THREAD);
        let outdated = listing.compare(&directory, part);
        let mut unknown: HashMap<String, Vec<Entry>> = names(profiles)?
            .filter(|name| !listing.knows(name))
            .map(|name| (name, Vec::new()))
            .collect();
        if outdated.has_changed {
            listing.remember(&mut unknown)?;
        }
        let looks = look_at_each(unknown.into_iter().collect(), &directory)?;
        let is_news = looks.iter().any(|look| look.is_news(now));
        for look in looks {
            listing.others.extend(look.entries);
            listing.unreadable.extend(look.errors);
        }
        let key = |entry: &Entry| (entry.recording.clone(), entry.container.clone());
        listing
            .others
            .sort_by_cached_key(|entry| Reverse(key(entry)));
        listing
            .unreadable
            .sort_by(|one, other| (&other.0, &other.1).cmp(&(&one.0, &one.1)));
        if outdated.has_gone || is_news {
            // The index is only a cache: a process that may not write it reads the profiles again.
            let _ = listing.write(&path, now);
        }
        Ok(listing)
    }

    /// Calls `work` with at most `limit` readable profiles, newest first: those of recordings that began no earlier than `since` (a time as in
    /// recording ids) and that `accept` accepts.
    ///
    /// # Errors
    /// [`Error::File`]: the index cannot be read; and those of `work`.
    pub fn each<E: From<Error>>(
        &self,
        since: Option<&str>,
        limit: Option<usize>,
        mut accept: impl FnMut(&Summary) -> bool,
        mut work: impl FnMut(Cow<'_, Summary>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut rows = self.rows();
        while left > 0
            && let Some(listed) = rows.next()?
        {
            if let Some((summary, _)) = listed.summary()
                && since.is_none_or(|since| summary.recording_id.as_str() >= since)
                && accept(&summary)
            {
                work(summary)?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// Returns true if there are profiles that cannot be read.
    pub const fn has_errors(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// Returns the errors of profiles that cannot be read, newest first.
    pub fn into_errors(self) -> Vec<Error> {
        self.unreadable
            .into_iter()
            .map(|(_, _, error)| error)
            .collect()
    }

    /// The profiles, newest first.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            listing: self,
            reader: self.index.as_ref().map(|index| reader(index, 0)),
            line: Vec::new(),
            row: 0,
            recording: String::new(),
            container: String::new(),
            has_line: false,
            others: &self.others,
            unreadable: &self.unreadable,
        }
    }

    fn knows(&self, container: &str) -> bool {
        let digest = self.digests.hash_one(container);
        self.known.binary_search(&digest).is_ok()
    }

    /// The length of the index in bytes.
    fn length(&self) -> u64 {
        let metadata = self.index.as_ref().map(File::metadata);
        metadata.map_or(0, |it| it.map_or(0, |metadata| metadata.len()))
    }

    /// Finds the containers for which the index is up to date. Most of the work is to ask the kernel for versions, so several threads share it, each
    /// with `part` bytes of the index.
    fn compare(&mut self, directory: &Directory<'_>, part: u64) -> Outdated {
        let Some(index) = &self.index else {
            return Outdated::default();
        };
        let length = self.length();
        let compare_part = |begin: u64| {
            let mut compared = Vec::new();
            let mut reader = reader(index, begin);
            let mut text = Vec::new();
            // A line that begins where a part does belongs to the part before; the first line is the header.
            let mut at = begin + reader.read_until(b'\n', &mut text).unwrap_or(0) as u64;
            while at <= begin + part {
                text.clear();
                match reader.read_until(b'\n', &mut text) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => at += length as u64,
                }
                if let Some(line) = Line::parse(&text) {
                    let digest = self.digests.hash_one(&*line.head.1);
                    compared.push((digest, line.head.2.0, directory.holds(&line)));
                }
            }
            compared
        };
        let mut compared = thread::scope(|scope| {
            let threads: Vec<_> = (1..)
                .map(|number| number * part)
                .take_while(|begin| *begin < length)
                .map(|begin| scope.spawn(move || compare_part(begin)))
                .collect();
            let mut compared = compare_part(0);
            for thread in threads {
                let more = thread.join();
                compared.extend(more.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            compared
        });
        let has = |what| compared.iter().any(|(_, _, holds)| *holds == what);
        let outdated = Outdated {
            has_gone: has(Holds::Gone),
            has_changed: has(Holds::Changed),
        };
        compared.sort_unstable_by_key(|(digest, _, _)| *digest);
        self.known = compared
            .chunk_by(|one, other| one.0 == other.0)
            .filter(|lines| {
                let is_right = |(_, number, holds): &(u64, usize, Holds)| {
                    *number == lines.len() && *holds == Holds::Right
                };
                lines.iter().all(is_right)
            })
            .filter_map(|lines| lines.first())
            .map(|(digest, _, _)| *digest)
            .collect();
        outdated
    }

    /// Adds the index's entries to these containers: one profile of a container may have changed while another has not.
    fn remember(&self, containers: &mut HashMap<String, Vec<Entry>>) -> Result<(), Error> {
        let Some(index) = &self.index else {
            return Ok(());
        };
        let mut reader = reader(index, 0);
        let mut text = Vec::new();
        while next_line(&mut reader, &mut text)? {
            if let Some(line) = Line::parse(&text)
                && let Some(entries) = containers.get_mut(&*line.head.1)
            {
                entries.extend(line.entry());
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, now: SystemTime) -> Result<(), Error> {
        let mut content = HEADER.as_bytes().to_vec();
        content.push(b'\n');
        let mut rows = self.rows();
        while let Some(listed) = rows.next()? {
            match listed.known {
                Known::Row(line, _) => content.extend_from_slice(line),
                Known::Entry(entry) if entry.is_settled(now) => {
                    entry
                        .write_to(&mut content)
                        .map_err(file::error("write", path))?;
                }
                Known::Entry(_) | Known::Unreadable => {}
            }
        }
        // A crash may lose the index: it can be made again.
        Ok(file::write_unsynced(
            path,
            &content,
            Attributes::Mode(0o600),
        )?)
    }
}

fn processors() -> u64 {
    thread::available_parallelism().map_or(1, |number| number.get().min(8) as u64)
}

/// The index; `None` if there is none, if another version of capprof wrote it, or if other users could have written it.
fn open(path: &Path, store: &Path) -> Option<File> {
    let index = File::open(path).ok()?;
    trust::check(path, store).ok()?;
    let mut header = vec![0; HEADER.len() + 1];
    index.read_exact_at(&mut header, 0).ok()?;
    (header.strip_suffix(b"\n") == Some(HEADER.as_bytes())).then_some(index)
}

/// A file from an offset on, whose position other readers do not share.
struct After<'a>(&'a File, u64);

impl Read for After<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read_at(buffer, self.1)?;
        self.1 += length as u64;
        Ok(length)
    }
}

fn reader(file: &File, offset: u64) -> BufReader<After<'_>> {
    BufReader::with_capacity(BUFFER, After(file, offset))
}

/// Reads the next line of the index, with its newline. Returns false at the end.
fn next_line(reader: &mut BufReader<After<'_>>, text: &mut Vec<u8>) -> Result<bool, Error> {
    text.clear();
    let length = reader
        .read_until(b'\n', text)
        .map_err(file::error("read", Path::new(NAME)))?;
    Ok(length > 0)
}

/// The profiles of a listing, one after another.
pub(super) struct Rows<'a> {
    listing: &'a Listing,
    reader: Option<BufReader<After<'a>>>,
    /// The line that was read last; then the position of its row, and its names.
    line: Vec<u8>,
    row: usize,
    recording: String,
    container: String,
    /// True if that line was not returned yet.
    has_line: bool,
    others: &'a [Entry],
    unreadable: &'a [(String, String, Error)],
}

impl Rows<'_> {
    /// Returns the next one; `None` at the end.
    ///
    /// # Errors
    /// [`Error::File`]: the index cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Listed<'_>>, Error> {
        self.read_line()?;
        let of_line = self
            .has_line
            .then_some((self.recording.as_str(), self.container.as_str()));
        let other = self.others.split_first();
        let of_other = other.map(|(entry, _)| (entry.recording.as_str(), entry.container.as_str()));
        let unreadable = self.unreadable.split_first();
        let of_unreadable = unreadable.map(|(one, _)| (one.0.as_str(), one.1.as_str()));
        let newest = of_line.max(of_other).max(of_unreadable);
        let Some((recording, container)) = newest else {
            return Ok(None);
        };
        let known = if newest == of_line {
            self.has_line = false;
            Known::Row(&self.line, self.row)
        } else if let (true, Some((entry, rest))) = (newest == of_other, other) {
            self.others = rest;
            Known::Entry(entry)
        } else {
            self.unreadable = unreadable.map(|(_, rest)| rest).unwrap_or_default();
            Known::Unreadable
        };
        Ok(Some(Listed {
            recording,
            container,
            profiles: &self.listing.profiles,
            known,
        }))
    }

    /// Reads the next line of a container for which the index is up to date, unless a line is waiting to be returned.
    fn read_line(&mut self) -> Result<(), Error> {
        while let (false, Some(reader)) = (self.has_line, &mut self.reader) {
            if !next_line(reader, &mut self.line)? {
                self.reader = None;
                break;
            }
            // It was parsed when the index was compared with the files.
            if let Some(line) = Line::split(&self.line)
                && self.listing.knows(&line.head.1)
            {
                self.recording.clear();
                self.recording.push_str(&line.head.0);
                self.container.clear();
                self.container.push_str(&line.head.1);
                self.row = self.line.len() - line.row.len();
                self.has_line = true;
            }
        }
        Ok(())
    }
}

/// A line of the index, compared with the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Right,
    Changed,
    /// The container's directory is gone.
    Gone,
}

/// The way in which the index is out of date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outdated {
    /// It has a container that is gone.
    has_gone: bool,
    /// It has a container or a profile that has changed.
    has_changed: bool,
}

/// The directory of all containers, held open: the kernel need not follow the whole path for each file.
struct Directory<'a> {
    path: &'a Path,
    descriptor: OwnedFd,
}

impl<'a> Directory<'a> {
    /// `None` if it does not exist.
    fn open(path: &'a Path) -> Result<Option<Self>, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(None),
            result => Ok(Some(Self {
                path,
                descriptor: result.map_err(file::error("list", path))?,
            })),
        }
    }

    /// The version of the file at a path in it; `None` if there is none.
    fn version(&self, path: &str) -> Option<Version> {
        let found = statat(&self.descriptor, path, AtFlags::empty()).ok()?;
        Some(Version::of(&found))
    }

    fn holds(&self, line: &Line<'_>) -> Holds {
        let (recording, container) = (&line.head.0, &line.head.1);
        match self.version(container) {
            None => Holds::Gone,
            Some(version) if version != line.head.2.1 => Holds::Changed,
            Some(_) => match self.version(&format!("{container}/{recording}/{PROFILE}")) {
                Some(version) if version == line.head.3 => Holds::Right,
                _ => Holds::Changed,
            },
        }
    }
}

/// The profiles of a container whose entries in the index are out of date.
struct Look {
    entries: Vec<Entry>,
    /// Profiles that cannot be read: recording, container, and the error.
    errors: Vec<(String, String, Error)>,
}

impl Look {
    /// Returns true if this belongs into the index: it lacks nothing, and every later change is sure to have another version.
    fn is_news(&self, now: SystemTime) -> bool {
        !self.entries.is_empty()
            && self.errors.is_empty()
            && self.entries.iter().all(|entry| entry.is_settled(now))
    }
}

/// Reads these containers, with their entries in the index; leaves out those that have gone in the meantime.
fn look_at_each(
    mut containers: Vec<(String, Vec<Entry>)>,
    directory: &Directory<'_>,
) -> Result<Vec<Look>, Error> {
    const WORTH_A_THREAD: usize = 1000;
    let processors = usize::try_from(processors()).unwrap_or(1);
    let size = containers.len().div_ceil(processors).max(WORTH_A_THREAD);
    let mut parts = Vec::new();
    while containers.len() > size {
        parts.push(containers.split_off(containers.len() - size));
    }
    let look_at_part = |part: Vec<(String, Vec<Entry>)>| -> Result<Vec<Look>, Error> {
        part.into_iter()
            .filter_map(|(name, known)| look(directory, &name, known).transpose())
            .collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = parts
            .into_iter()
            .map(|part| scope.spawn(|| look_at_part(part)))
            .collect();
        let mut looks = look_at_part(containers)?;
        for thread in threads {
            let part = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            looks.extend(part?);
        }
        Ok(looks)
    })
}

/// Reads a container's directory; `None` if it is gone. A profile whose file has a known version is not read again.
fn look(
    directory: &Directory<'_>,
    container: &str,
    mut known: Vec<Entry>,
) -> Result<Option<Look>, Error> {
    let Some(of) = directory.version(container) else {
        return Ok(None);
    };
    let path = directory.path.join(container);
    let recordings: Vec<String> = names(&path)?.collect();
    let of = (recordings.len(), of);
    let mut errors = Vec::new();
    let mut entries = Vec::with_capacity(recordings.len());
    for recording in recordings {
        let version = directory.version(&format!("{container}/{recording}/{PROFILE}"));
        let is_known =
            |entry: &Entry| entry.recording == recording && Some(entry.version) == version;
        if let Some(at) = known.iter().position(is_known) {
            entries.push(Entry {
                of,
                ..known.swap_remove(at)
            });
            continue;
        }
        // The version is taken before the file is read. If another process writes in between, the next listing reads the file again.
        let error = match (load(path.join(&recording).join(PROFILE)), version) {
            (Ok(found), Some(version)) => {
                entries.push(Entry {
                    recording,
                    container: container.to_owned(),
                    of,
                    version,
                    workload: digest(&workload(&found.profile)),
                    summary: Summary::from(found.profile),
                });
                continue;
            }
            // The profile was added in between.
            (Ok(found), None) => Error::NotFound {
                wanted: found.profile.origin.recording_id,
                path: found.path,
            },
            (Err(error), _) => error,
        };
        errors.push((recording, container.to_owned(), error));
    }
    Ok(Some(Look { entries, errors }))
}

#[cfg(test)]
mod tests;
