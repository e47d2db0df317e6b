//! auditd's log, read by position: from the byte at which it ended when a recording was armed, across rotations, to its present end.

use super::audit::Status;
use capprof_store::file::{self, Error};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// auditd's default log.
const DEFAULT: &str = "/var/log/audit/audit.log";
const CONFIGURATION: &str = "/etc/audit/auditd.conf";

/// The number of bytes to read at once.
const CHUNK: usize = 512 * 1024;

/// A line longer than this is not an audit record (`MAX_AUDIT_MESSAGE_LENGTH` is 8970; auditd's interpretations come on top).
const LONGEST_LINE: usize = 64 * 1024;

/// The number of bytes before a position to remember, to recognise the file.
const CONTEXT: u64 = 64;

/// Returns the log that is being written; `None` if there is none. Only auditd writes a log, while it reads audit's unicast stream.
pub(super) fn written_by_auditd(status: &Status) -> Option<PathBuf> {
    if status.daemon == 0 {
        return None;
    }
    let name = fs::read_to_string(format!("/proc/{}/comm", status.daemon)).ok()?;
    if name.trim_end() != "auditd" {
        return None;
    }
    path().filter(|path| path.exists())
}

/// Returns the path of auditd's log; `None` if its configuration says that it writes none.
fn path() -> Option<PathBuf> {
    path_in(&fs::read_to_string(CONFIGURATION).unwrap_or_default())
}

fn path_in(configuration: &str) -> Option<PathBuf> {
    let mut path = PathBuf::from(DEFAULT);
    for line in configuration.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "log_file" => path = PathBuf::from(value),
            "write_logs" if value.eq_ignore_ascii_case("no") => return None,
            "log_format" if value.eq_ignore_ascii_case("nolog") => return None,
            _ => {}
        }
    }
    Some(path)
}

/// A place in the log that can be found again after the file was renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The log's name, under which the newest part is found.
    #[serde(with = "capprof_profile::serde_path")]
    path: PathBuf,
    device: u64,
    inode: u64,
    offset: u64,
    /// The bytes before the offset, because an inode number can be reused.
    before: Vec<u8>,
}

impl Position {
    /// The present end of the log.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn end_of(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(file::error("read", path))?;
        let metadata = file.metadata().map_err(file::error("read", path))?;
        let offset = metadata.len();
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            offset,
            before: before(&file, offset).map_err(file::error("read", path))?,
        })
    }
}

fn before(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let start = offset.saturating_sub(CONTEXT);
    let mut bytes = Vec::new();
    let mut buffer = [0; 64];
    while start + (bytes.len() as u64) < offset {
        let wanted = usize::try_from(offset - start)
            .unwrap_or(buffer.len())
            .saturating_sub(bytes.len())
            .min(buffer.len());
        let chunk = buffer.get_mut(..wanted).unwrap_or_default();
        match file.read_at(chunk, start + bytes.len() as u64)? {
            0 => break,
            length => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
        }
    }
    Ok(bytes)
}

/// Reads the log from a position on.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: File,
    /// The bytes that were read. Those before `start` have been handed out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// True inside a line whose rest is skipped: it is too long, or began before the position.
    skipping: bool,
    losses: Vec<String>,
}

impl Reader {
    /// Finds the position again: in the file of that name, or in one of the older parts next to it (`audit.log.1`, …).
    ///
    /// If it is gone, reading begins with the oldest part, and [`Reader::losses`] says so.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn resume(position: &Position) -> Result<Self, Error> {
        let parts = parts(&position.path)?;
        let mut losses = Vec::new();
        let mut skipping = false;
        let found = parts.iter().find_map(|part| {
            let file = File::open(part).ok()?;
            let metadata = file.metadata().ok()?;
            ((metadata.dev(), metadata.ino()) == (position.device, position.inode)).then_some((
                part,
                file,
                metadata.len(),
            ))
        });
        let file = match found {
            Some((part, mut file, length)) => {
                let same = length >= position.offset
                    && before(&file, position.offset).is_ok_and(|bytes| bytes == position.before);
                let offset = if same {
                    // That record was being written when the position was taken, so it is about an earlier event.
                    skipping = position.before.last().is_some_and(|byte| *byte != b'\n');
                    position.offset
                } else {
                    losses.push(format!(
                        "{} was cut or rewritten while recording: records are missing",
                        part.display()
                    ));
                    0
                };
                file.seek(SeekFrom::Start(offset))
                    .map_err(file::error("read", part))?;
                file
            }
            None => {
                losses.push(format!(
                    "the part of {} that was current at the start of the recording is gone (rotated away or removed): records are missing",
                    position.path.display()
                ));
                let part = parts.first().unwrap_or(&position.path);
                File::open(part).map_err(file::error("read", part))?
            }
        };
        Ok(Self {
            path: position.path.clone(),
            file,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            skipping,
            losses,
        })
    }

    /// Passes every complete line that exists now to `line`, without its line feed, and goes on to the next part if this one was rotated.
    ///
    /// A line that is not complete yet stays for the next call.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn read(&mut self, mut line: impl FnMut(&[u8])) -> Result<(), Error> {
        loop {
            self.read_part(&mut line)?;
            let Some(next) = self.next_part()? else {
                return Ok(());
            };
            // This reads what was written between the last read and the renaming.
            self.read_part(&mut line)?;
            if self.start < self.end {
                let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
                line(rest);
            }
            self.file = next;
            (self.start, self.end, self.skipping) = (0, 0, false);
        }
    }

    /// The losses of the log, a line each.
    pub(crate) fn losses(&self) -> &[String] {
        &self.losses
    }

    fn read_part(&mut self, line: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        loop {
            self.make_room();
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            let length = match self.file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(file::error("read", &self.path))?,
            };
            if length == 0 {
                return Ok(());
            }
            let fresh = self.end;
            self.end += length;
            self.hand_out(fresh, line);
        }
    }

    fn hand_out(&mut self, fresh: usize, line: &mut impl FnMut(&[u8])) {
        let data = self.buffer.get(..self.end).unwrap_or_default();
        let read = data.get(fresh..).unwrap_or_default();
        for feed in memchr::memchr_iter(b'\n', read) {
            let feed = fresh + feed;
            if !std::mem::take(&mut self.skipping) {
                line(data.get(self.start..feed).unwrap_or_default());
            }
            self.start = feed + 1;
        }
        if self.end - self.start > LONGEST_LINE {
            if !std::mem::replace(&mut self.skipping, true) {
                // The reader counts it as malformed.
                let beginning = self.start..self.start + LONGEST_LINE;
                line(data.get(beginning).unwrap_or_default());
            }
            self.start = self.end;
        }
    }

    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// Opens the part that follows the open one; `None` if that is the newest.
    fn next_part(&mut self) -> Result<Option<File>, Error> {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let own = self
            .file
            .metadata()
            .map(identity)
            .map_err(file::error("read", &self.path))?;
        let current = fs::metadata(&self.path).map(identity);
        // Between auditd's rename and its creation of the new file there is no file of that name.
        if current.as_ref().is_ok_and(|current| *current == own)
            || current.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            return Ok(None);
        }
        let parts = parts(&self.path)?;
        let at = parts
            .iter()
            .position(|part| fs::metadata(part).is_ok_and(|metadata| identity(metadata) == own));
        let next = match at {
            Some(at) => parts.get(at + 1),
            None => {
                self.losses.push(format!(
                    "a part of {} was rotated away while it was read: records may be missing",
                    self.path.display()
                ));
                parts.first()
            }
        };
        match next.map(File::open) {
            Some(Ok(file)) => Ok(Some(file)),
            // It was renamed once more at this moment; the next call finds it.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Some(Err(error)) => Err(file::error("read", &self.path)(error)),
            None => Ok(None),
        }
    }
}

/// The log's parts that exist, oldest first: `audit.log.3`, `audit.log.2`, `audit.log.1`, `audit.log`.
fn parts(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(directory).map_err(file::error("read", directory))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut numbered: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name();
            let rest = file.to_str()?.strip_prefix(name.as_ref())?;
            let number = match rest.strip_prefix('.') {
                Some(number) => number.parse().ok()?,
                None if rest.is_empty() => 0,
                None => return None,
            };
            Some((number, entry.path()))
        })
        .collect();
    numbered.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests;
