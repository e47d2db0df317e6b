//! All profiles of a store, newest first, without keeping them in memory: from the index where it is up to date, else from their files.

use super::error::Error;
use super::files::PROFILE;
use super::index::{Entry, HEADER, Known, Line, Listed, NAME, Version, digest, is_plain};
use super::index_file::{After, next_line, open, reader};
use super::load::{load, names};
use super::summary::{Summary, workload};
use crate::file::{self, Attributes};
use memchr::memmem;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

/// The number of bytes of the index that a thread works on at a time.
pub(super) const PART: u64 = 256 << 10;

/// All profiles of a store, as they were when the listing was made.
pub struct Listing {
    profiles: PathBuf,
    /// The index; `None` if there is none that can be trusted.
    index: Option<File>,
    digests: RandomState,
    /// Digests, in ascending order, of the containers for which the index is up to date.
    known: Vec<u64>,
    /// True if all lines of the index are of these.
    is_exact: bool,
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
            is_exact: false,
            others: Vec::new(),
            unreadable: Vec::new(),
        };
        let Some(directory) = Directory::open(profiles)? else {
            return Ok(listing);
        };
        let (outdated, containers) = listing.compare(&directory, PART)?;
        let mut unknown: HashMap<String, Vec<Entry>> = HashMap::new();
        // The names are many; they are listed again where some of them are news.
        if !containers.iter().all(|digest| listing.knows(*digest)) {
            let news = names(profiles)?.filter(|name| !listing.knows(listing.digest(name)));
            unknown.extend(news.map(|name| (name, Vec::new())));
        }
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
            others: &self.others,
            unreadable: &self.unreadable,
            ..self.rows_of_part(0..=u64::MAX)
        }
    }

    /// The same without those that the index has and whose summary has none of these texts.
    pub(super) fn rows_that_may_say<'a>(&'a self, texts: &'a [&str]) -> Rows<'a> {
        let finders = texts.iter().map(|text| memmem::Finder::new(*text));
        Rows {
            finders: match texts.iter().all(|text| is_plain(text)) {
                true => finders.collect(),
                false => Vec::new(),
            },
            ..self.rows()
        }
    }

    /// The profiles whose lines begin in a part of the index, as [`Self::compare_part`] has it.
    pub(super) fn rows_of_part(&self, part: RangeInclusive<u64>) -> Rows<'_> {
        let mut line = Vec::new();
        let mut reader = self
            .index
            .as_ref()
            .map(|index| reader(index, *part.start()));
        let before = reader.as_mut().map(|it| it.read_until(b'\n', &mut line));
        let before = before.map_or(0, |length| length.unwrap_or(0));
        Rows {
            listing: self,
            reader,
            at: part.start() + before as u64,
            end: *part.end(),
            finders: Vec::new(),
            line,
            row: 0,
            recording: String::new(),
            container: String::new(),
            has_line: false,
            others: &[],
            unreadable: &[],
        }
    }

    fn digest(&self, container: &str) -> u64 {
        self.digests.hash_one(container)
    }

    fn knows(&self, digest: u64) -> bool {
        self.known.binary_search(&digest).is_ok()
    }

    /// Returns true if the index has all profiles that can be read.
    pub(super) const fn is_all_of_index(&self) -> bool {
        self.others.is_empty()
    }

    /// The length of the index in bytes.
    pub(super) fn length(&self) -> u64 {
        let metadata = self.index.as_ref().map(File::metadata);
        metadata.map_or(0, |it| it.map_or(0, |metadata| metadata.len()))
    }

    /// Finds the containers of which the index says just what there is, and returns the digests of all containers. Asking for versions is most of
    /// the work, which several processors do in a part of the time, `part` bytes of the index after another.
    fn compare(
        &mut self,
        directory: &Directory<'_>,
        part: u64,
    ) -> Result<(Outdated, Vec<u64>), Error> {
        let length = self.length();
        let next = AtomicU64::new(0);
        let compare_parts = || {
            let mut compared = Vec::new();
            loop {
                let begin = next.fetch_add(part, Ordering::Relaxed);
                if begin >= length {
                    return compared;
                }
                self.compare_part(directory, begin..=begin + part, &mut compared);
            }
        };
        let (mut compared, containers) = thread::scope(|scope| {
            let others = processors().min(length.div_ceil(part)).saturating_sub(1);
            let threads: Vec<_> = (0..others).map(|_| scope.spawn(compare_parts)).collect();
            let containers: Result<Vec<u64>, Error> =
                names(directory.path).map(|names| names.map(|name| self.digest(&name)).collect());
            let mut compared = compare_parts();
            for thread in threads {
                let more = thread.join();
                compared.extend(more.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            (compared, containers)
        });
        let has = |what| compared.iter().any(|(_, _, holds)| *holds == what);
        let outdated = Outdated {
            has_gone: has(Holds::Gone),
            has_changed: has(Holds::Changed),
        };
        compared.sort_unstable_by_key(|(digest, _, _)| *digest);
        self.is_exact = true;
        self.known.clear();
        for lines in compared.chunk_by(|one, other| one.0 == other.0) {
            let is_right = |(_, number, holds): &(u64, usize, Holds)| {
                *number == lines.len() && *holds == Holds::Right
            };
            match lines.iter().all(is_right) {
                true => self
                    .known
                    .extend(lines.first().map(|(digest, _, _)| digest)),
                false => self.is_exact = false,
            }
        }
        Ok((outdated, containers?))
    }

    /// Compares the lines that begin in a part of the index. One that begins where the part does belongs to the part before; the first line is the
    /// header.
    fn compare_part(
        &self,
        directory: &Directory<'_>,
        part: RangeInclusive<u64>,
        compared: &mut Vec<(u64, usize, Holds)>,
    ) {
        let Some(index) = &self.index else { return };
        let mut reader = reader(index, *part.start());
        let mut text = Vec::new();
        let mut at = part.start() + reader.read_until(b'\n', &mut text).unwrap_or(0) as u64;
        while at <= *part.end() {
            text.clear();
            match reader.read_until(b'\n', &mut text) {
                Ok(0) | Err(_) => break,
                Ok(length) => at += length as u64,
            }
            compared.push(match Line::parse(&text) {
                Some(line) => {
                    let digest = self.digest(&line.head.1);
                    (digest, line.head.2.0, directory.holds(&line))
                }
                None => (0, 0, Holds::Damaged),
            });
        }
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

pub(super) fn processors() -> u64 {
    thread::available_parallelism().map_or(1, |number| number.get().min(8) as u64)
}

/// The profiles of a listing, one after another.
pub(super) struct Rows<'a> {
    listing: &'a Listing,
    reader: Option<BufReader<After<'a>>>,
    /// Where the next line begins, and after where none is read any more.
    at: u64,
    end: u64,
    /// The texts of which a line has to have one, if there are any.
    finders: Vec<memmem::Finder<'a>>,
    /// The line that was read last: itself, where its row begins, and its names.
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
            if self.at > self.end || !next_line(reader, &mut self.line)? {
                self.reader = None;
                break;
            }
            self.at += self.line.len() as u64;
            let says = |finder: &memmem::Finder<'_>| finder.find(&self.line).is_some();
            if !self.finders.is_empty() && !self.finders.iter().any(says) {
                continue;
            }
            // It was parsed when the index was compared with the files.
            if let Some(line) = Line::split(&self.line)
                && (self.listing.is_exact || self.listing.knows(self.listing.digest(&line.head.1)))
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
    /// It is no line that capprof has written.
    Damaged,
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
