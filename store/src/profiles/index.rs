//! The index of the store: the summaries of all profiles, so that `list` need not read a hundred thousand files.
//!
//! It lies next to the profiles and is only a cache. For each directory and each profile it keeps the version that it was made from; if the
//! version is another now, the file is read again. Each process that reads the store updates it; without it, all profiles are read.
//! A line begins with a digest of its rest, so that damage is noticed.

use super::files::PROFILE;
use super::load::load;
use super::summary::{Summary, VerificationSummary, workload};
use capprof_profile::CapabilitySet;
use capprof_profile::observation::ProgramExit;
use capprof_profile::profile::SCHEMA;
use capprof_profile::recording::Workload;
use memchr::memchr;
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Its name in the store.
pub(super) const NAME: &str = "index";

/// Its first line. An index of another version does not count.
pub(super) const HEADER: &str = "capprof.index/v5";

/// The length of the digest at the beginning of a line: hexadecimal digits, and a tab.
const CHECK: usize = 17;

/// A file that changed less than this time ago may change again and keep its version: clocks of file systems are coarse.
pub(super) const YOUNG: Duration = Duration::from_secs(2);

/// The version of a file or directory: a digest of its inode, size and times, and the time of its last change in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version(u64, i64);

impl Version {
    pub(super) fn of(found: &Stat) -> Self {
        let times = [
            found.st_mtime.into(),
            i128::from(found.st_mtime_nsec),
            found.st_ctime.into(),
            i128::from(found.st_ctime_nsec),
        ];
        let digest = digest(&(found.st_ino, found.st_size, times));
        Self(digest, found.st_mtime.max(found.st_ctime))
    }

    /// Returns true if every change from now on is sure to give the file another version.
    fn is_settled(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.1)
            .ok()
            .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        changed
            .and_then(|changed| now.duration_since(changed).ok())
            .is_some_and(|age| age > YOUNG)
    }
}

/// A digest of a value. A build with another compiler may compute another: then all profiles are read again.
pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The entry of one profile.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) recording: String,
    pub(super) container: String,
    /// The number of the container's profiles, and the version of its directory, so that a missing line is noticed.
    pub(super) of: (usize, Version),
    pub(super) version: Version,
    /// The digest that all profiles of its workload share.
    pub(super) workload: u64,
    pub(super) summary: Summary,
}

/// The first part of a line, by which it is compared with the files: recording, container, [`Entry::of`] and the file's version.
#[derive(Serialize, Deserialize)]
pub(super) struct Head<'line>(
    #[serde(borrow)] pub(super) Cow<'line, str>,
    #[serde(borrow)] pub(super) Cow<'line, str>,
    pub(super) (usize, Version),
    pub(super) Version,
);

/// The second part, after a tab, as short as possible: the workload's digest; then of the summary the recording's and the container's id where they
/// are not the directories' names, the name, the workload, the end, whether it is complete, the two sets as bits, the exit status and the verdict.
type Row = (
    u64,
    Option<String>,
    Option<String>,
    Option<String>,
    [Option<String>; 6],
    String,
    bool,
    u64,
    u64,
    Option<ProgramExit>,
    Option<VerificationSummary>,
);

impl Entry {
    /// Returns true if every change of the files from now on is sure to give them another version.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        self.version.is_settled(now) && self.of.1.is_settled(now)
    }

    /// Adds its line, with the newline, to `content`.
    pub(super) fn write_to(&self, content: &mut Vec<u8>) -> serde_json::Result<()> {
        let unless = |text: &str, known: &str| (text != known).then(|| text.to_owned());
        let summary = self.summary.clone();
        let workload = summary.workload;
        let head = Head(
            Cow::Borrowed(&self.recording),
            Cow::Borrowed(&self.container),
            self.of,
            self.version,
        );
        let row: Row = (
            self.workload,
            unless(&summary.recording_id, &self.recording),
            unless(&summary.container_id, &self.container),
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
        );
        let mut parts = serde_json::to_vec(&head)?;
        parts.push(b'\t');
        serde_json::to_writer(&mut parts, &row)?;
        content.extend_from_slice(check(&parts).as_bytes());
        content.extend_from_slice(&parts);
        content.push(b'\n');
        Ok(())
    }
}

/// Returns the beginning of a line with these parts.
fn check(parts: &[u8]) -> String {
    format!("{:016x}\t", digest(&parts))
}

/// Returns the entry in a line, of a profile whose directories have these names.
fn summary_of(row: Row, recording: &str, container: &str) -> Summary {
    let [image, pod, pod_namespace, container_name, engine, service] = row.4;
    Summary {
        // Others are not read.
        schema: SCHEMA.to_owned(),
        recording_id: row.1.unwrap_or_else(|| recording.to_owned()),
        container_id: row.2.unwrap_or_else(|| container.to_owned()),
        name: row.3,
        workload: Workload {
            image,
            pod,
            pod_namespace,
            container: container_name,
            engine,
            service,
        },
        finished: row.5,
        complete: row.6,
        minimized: CapabilitySet::from_bits(row.7),
        answer: CapabilitySet::from_bits(row.8),
        exit: row.9,
        verification: row.10,
    }
}

/// A line of the index, of which only the first part is read.
pub(super) struct Line<'line> {
    pub(super) head: Head<'line>,
    pub(super) row: &'line [u8],
}

impl<'line> Line<'line> {
    /// Parses a line, with its newline; `None` if it is damaged.
    pub(super) fn parse(text: &'line [u8]) -> Option<Self> {
        let (begin, rest) = text.split_at_checked(CHECK)?;
        let parts = rest.strip_suffix(b"\n")?;
        (begin == check(parts).as_bytes()).then(|| Self::split(text))?
    }

    /// The same for a line that was parsed before.
    pub(super) fn split(text: &'line [u8]) -> Option<Self> {
        let parts = text.get(CHECK..)?;
        let end = memchr(b'\t', parts)?;
        Some(Self {
            head: serde_json::from_slice(parts.get(..end)?).ok()?,
            row: parts.get(end + 1..)?,
        })
    }

    /// Returns the summary in it; `None` if another version of capprof wrote it.
    pub(super) fn entry(&self) -> Option<Entry> {
        let row: Row = serde_json::from_slice(self.row).ok()?;
        Some(Entry {
            recording: self.head.0.to_string(),
            container: self.head.1.to_string(),
            of: self.head.2,
            version: self.head.3,
            workload: row.0,
            summary: summary_of(row, &self.head.0, &self.head.1),
        })
    }
}

/// Returns true if a line of the index has this text as it stands: JSON may write other characters in another way.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(|character: char| character.is_control() || ['"', '\\'].contains(&character))
}

/// A profile of the store.
pub(super) struct Listed<'a> {
    /// The name of its directory: the recording's id.
    pub(super) recording: &'a str,
    /// The name of its container's directory.
    pub(super) container: &'a str,
    pub(super) profiles: &'a Path,
    pub(super) known: Known<'a>,
}

/// Its entry.
pub(super) enum Known<'a> {
    /// From the index: a line, and the position of its second part.
    Row(&'a [u8], usize),
    /// From its file.
    Entry(&'a Entry),
    /// It cannot be read.
    Unreadable,
}

impl Listed<'_> {
    /// The profile's file.
    pub(super) fn file(&self) -> PathBuf {
        self.profiles
            .join(self.container)
            .join(self.recording)
            .join(PROFILE)
    }

    /// Returns the summary that `list` shows, and the digest that all profiles of its workload share; `None` if it cannot be read.
    pub(super) fn summary(&self) -> Option<(Cow<'_, Summary>, u64)> {
        match self.known {
            Known::Row(line, row) => match serde_json::from_slice::<Row>(line.get(row..)?) {
                Ok(row) => {
                    let workload = row.0;
                    let summary = summary_of(row, self.recording, self.container);
                    Some((Cow::Owned(summary), workload))
                }
                // Another version of capprof wrote the line.
                Err(_) => load(self.file()).ok().map(|found| {
                    let workload = digest(&workload(&found.profile));
                    (Cow::Owned(Summary::from(found.profile)), workload)
                }),
            },
            Known::Entry(entry) => Some((Cow::Borrowed(&entry.summary), entry.workload)),
            Known::Unreadable => None,
        }
    }
}
