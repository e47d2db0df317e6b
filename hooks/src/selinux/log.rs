//! auditd's log, read by position: from the byte where it ended when a recording was armed, across rotations, as far as it goes.

use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where auditd writes unless auditd.conf(5) says otherwise.
const DEFAULT: &str = "/var/log/audit/audit.log";
const CONFIGURATION: &str = "/etc/audit/auditd.conf";

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// A line longer than this is no audit record (`MAX_AUDIT_MESSAGE_LENGTH` is 8970; auditd's interpretations come on top).
const LONGEST_LINE: usize = 64 * 1024;

/// How many bytes before a position are remembered, to know the file again.
const CONTEXT: u64 = 64;

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}: {source}", path.display())]
pub(crate) struct Error {
    path: PathBuf,
    source: io::Error,
}

/// Where auditd writes its log; `None` if its configuration says that it writes none.
pub(crate) fn path() -> Option<PathBuf> {
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

/// A place in the log that is found again after the file was renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The log's name, under which the newest part is found.
    #[serde(with = "capprof_profile::path")]
    path: PathBuf,
    device: u64,
    inode: u64,
    offset: u64,
    /// What stands before the offset: an inode's number may be used again.
    before: Vec<u8>,
}

impl Position {
    /// The end of the log as it is now.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn end_of(path: &Path) -> Result<Self, Error> {
        let error = |source| Error {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(error)?;
        let metadata = file.metadata().map_err(error)?;
        let offset = metadata.len();
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            offset,
            before: before(&file, offset).map_err(error)?,
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
    /// What was read; the part up to `start` has been handed out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Inside a line whose rest is of no use: it is too long, or began before the position.
    skipping: bool,
    losses: Vec<String>,
}

impl Reader {
    /// Finds the position again: in the file of that name, or in one of the older parts beside it (`audit.log.1`, …).
    ///
    /// If it is gone, reading begins with the oldest part there is, and [`Reader::losses`] says so.
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
                    // It was written while the position was taken, about something older.
                    skipping = position.before.last().is_some_and(|byte| *byte != b'\n');
                    position.offset
                } else {
                    losses.push(format!(
                        "{} was cut or written anew while recording: records are missing",
                        part.display()
                    ));
                    0
                };
                file.seek(SeekFrom::Start(offset)).map_err(|source| Error {
                    path: part.clone(),
                    source,
                })?;
                file
            }
            None => {
                losses.push(format!(
                    "the part of {} that was current at the start of the recording is gone (rotated away or removed): records are missing",
                    position.path.display()
                ));
                let part = parts.first().unwrap_or(&position.path);
                File::open(part).map_err(|source| Error {
                    path: part.clone(),
                    source,
                })?
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

    /// Hands out every complete line that there is now, without its line feed, and goes on to the next part where this one was rotated.
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
            // What was written between the last read and the renaming.
            self.read_part(&mut line)?;
            if self.start < self.end {
                let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
                line(rest);
            }
            self.file = next;
            (self.start, self.end, self.skipping) = (0, 0, false);
        }
    }

    /// What could not be read any more, a line each.
    pub(crate) fn losses(&self) -> &[String] {
        &self.losses
    }

    fn read_part(&mut self, line: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        loop {
            self.make_room();
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            let length = match self.file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(|source| Error {
                    path: self.path.clone(),
                    source,
                })?,
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
        let mut search = fresh;
        while let Some(found) = data
            .get(search..)
            .and_then(|rest| memchr::memchr(b'\n', rest))
        {
            let feed = search + found;
            if !std::mem::take(&mut self.skipping) {
                line(data.get(self.start..feed).unwrap_or_default());
            }
            self.start = feed + 1;
            search = feed + 1;
        }
        if self.end - self.start > LONGEST_LINE {
            if !std::mem::replace(&mut self.skipping, true) {
                // Counted as malformed by whoever reads it.
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

    /// The part that follows the one that is open; `None` if that is the newest.
    fn next_part(&mut self) -> Result<Option<File>, Error> {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let own = self.file.metadata().map(identity).map_err(|source| Error {
            path: self.path.clone(),
            source,
        })?;
        let current = fs::metadata(&self.path).map(identity);
        // Between auditd's rename and its creation of the new file there is none.
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
            // Renamed once more in this moment; the next call finds it.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Some(Err(source)) => Err(Error {
                path: self.path.clone(),
                source,
            }),
            None => Ok(None),
        }
    }
}

/// The log's parts that exist, oldest first: `audit.log.3`, `audit.log.2`, `audit.log.1`, `audit.log`.
fn parts(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(directory).map_err(|source| Error {
        path: directory.to_owned(),
        source,
    })?;
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
mod tests {
    use super::*;
    use std::io::Write;

    struct Log {
        directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Log {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("audit.log");
            fs::write(&path, "old 1\nold 2\n").unwrap();
            Self { directory, path }
        }

        fn append(&self, text: &str) {
            let mut file = File::options()
                .append(true)
                .create(true)
                .open(&self.path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// As auditd does: the oldest goes, each becomes one older, a new file begins.
        fn rotate(&self, keep: u32) {
            let part = |number| self.directory.path().join(format!("audit.log.{number}"));
            let _ = fs::remove_file(part(keep));
            for number in (1..keep).rev() {
                let _ = fs::rename(part(number), part(number + 1));
            }
            fs::rename(&self.path, part(1)).unwrap();
            self.append("");
        }
    }

    fn lines(reader: &mut Reader) -> Vec<String> {
        let mut lines = Vec::new();
        reader
            .read(|line| lines.push(String::from_utf8_lossy(line).into_owned()))
            .unwrap();
        lines
    }

    #[test]
    fn only_what_lies_behind_the_position_is_read_and_partial_lines_wait() {
        let log = Log::new();
        let position = Position::end_of(&log.path).unwrap();
        let mut reader = Reader::resume(&position).unwrap();
        assert!(lines(&mut reader).is_empty());
        log.append("new 1\nne");
        assert_eq!(lines(&mut reader), ["new 1"]);
        log.append("w 2\n");
        assert_eq!(lines(&mut reader), ["new 2"]);
        assert!(reader.losses().is_empty());
    }

    #[test]
    fn the_rest_of_a_line_that_began_before_the_position_is_passed_over() {
        let log = Log::new();
        log.append("type=AVC msg=audit(1.0:1): avc:  den");
        let position = Position::end_of(&log.path).unwrap();
        let mut reader = Reader::resume(&position).unwrap();
        log.append("ied  { chown }");
        assert!(lines(&mut reader).is_empty());
        log.append(" for  pid=1\nnew\n");
        assert_eq!(lines(&mut reader), ["new"]);
        assert!(reader.losses().is_empty());
    }

    #[test]
    fn rotations_before_and_while_reading_lose_nothing() {
        let log = Log::new();
        let position = Position::end_of(&log.path).unwrap();
        log.append("a\n");
        log.rotate(5);
        log.append("b\n");
        log.rotate(5);
        log.append("c\n");
        let mut reader = Reader::resume(&position).unwrap();
        assert_eq!(lines(&mut reader), ["a", "b", "c"]);
        log.append("d\n");
        log.rotate(5);
        log.append("e\n");
        log.rotate(5);
        assert_eq!(lines(&mut reader), ["d", "e"]);
        log.append("f\n");
        assert_eq!(lines(&mut reader), ["f"]);
        assert!(reader.losses().is_empty());
    }

    #[test]
    fn a_part_that_was_rotated_away_is_a_loss() {
        let log = Log::new();
        // Held open, so that the file system does not give its inode to the next file.
        let _held = File::open(&log.path).unwrap();
        let position = Position::end_of(&log.path).unwrap();
        log.append("a\n");
        for text in ["b\n", "c\n", "d\n"] {
            log.rotate(2);
            log.append(text);
        }
        let mut reader = Reader::resume(&position).unwrap();
        assert_eq!(lines(&mut reader), ["b", "c", "d"]);
        assert_eq!(reader.losses().len(), 1);
    }

    #[test]
    fn a_log_that_was_cut_or_whose_inode_is_another_file_is_a_loss() {
        let log = Log::new();
        let position = Position::end_of(&log.path).unwrap();
        let file = File::options().write(true).open(&log.path).unwrap();
        file.set_len(0).unwrap();
        log.append("x\n");
        let mut reader = Reader::resume(&position).unwrap();
        assert_eq!(lines(&mut reader), ["x"]);
        assert_eq!(reader.losses().len(), 1);

        file.set_len(0).unwrap();
        log.append("quite another content, and longer than before\n");
        let reader = Reader::resume(&position).unwrap();
        assert_eq!(reader.losses().len(), 1);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let log = Log::new();
        let position = Position::end_of(&log.path).unwrap();
        log.append(&"x".repeat(3 * CHUNK));
        log.append("\nnext\n");
        let mut reader = Reader::resume(&position).unwrap();
        let lines = lines(&mut reader);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), LONGEST_LINE);
        assert_eq!(lines[1], "next");
        assert_eq!(reader.buffer.len(), CHUNK);
    }

    #[test]
    fn auditd_configuration_names_the_log() {
        assert_eq!(path_in(""), Some(PathBuf::from(DEFAULT)));
        assert_eq!(
            path_in("# comment\nlog_file = /var/log/other.log\nwrite_logs = yes\n"),
            Some(PathBuf::from("/var/log/other.log"))
        );
        assert_eq!(path_in("write_logs = no\n"), None);
        assert_eq!(path_in("log_format = NOLOG"), None);
    }

    /// Peak memory of this process in bytes (proc_pid_status(5), `VmHWM`).
    fn peak() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        kibibytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    fn cpu_time() -> std::time::Duration {
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)
            .unwrap()
            .into()
    }

    /// Prints what docs/performance.md tells.
    #[test]
    #[ignore = "a measurement, of an optimized build on an idle machine: cargo test --release -p capprof-hook --bin capprof-hook a_gibibyte -- --ignored --nocapture"]
    fn a_gibibyte_of_log_takes_two_seconds_and_16_mib_at_most() {
        use crate::selinux::events::{Collector, Target};
        let target = Target {
            type_: "capprof_t".to_owned(),
            range: "s0:c1,c2-s0:c1,c2,c500,c501".to_owned(),
            fence: "capprof fence ".to_owned(),
            ..Target::default()
        };
        let event = |serial: u64| {
            let (label, class) = match serial % 100 {
                0 => (format!("{}:{}", target.type_, target.range), "capability"),
                _ => ("container_t:s0:c3,c4".to_owned(), "file"),
            };
            let stamp = format!("msg=audit(1795441500.475:{serial}):");
            format!(
                "type=AVC {stamp} avc:  denied  {{ chown }} for  pid=160 comm=\"tool\" capability=0  scontext=system_u:system_r:{label} \
                 tcontext=system_u:system_r:{label} tclass={class} permissive=1\n\
                 type=SYSCALL {stamp} arch=c000003e syscall=92 success=yes exit=0 a0=7ffd a1=1 a2=1 a3=0 items=1 ppid=1 pid=160 auid=0 uid=0 \
                 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 comm=\"tool\" exe=\"/usr/bin/tool\" \
                 subj=system_u:system_r:{label} key=(null)\x1dARCH=x86_64 SYSCALL=chown AUID=\"root\" UID=\"root\"\n\
                 type=PROCTITLE {stamp} proctitle=746F6F6C00746573740066696C65\n"
            )
        };
        let log = Log::new();
        let mut file = io::BufWriter::new(File::create(&log.path).unwrap());
        let (mut length, mut serial) = (0, 0);
        while length < 1 << 30 {
            let text = event(serial);
            file.write_all(text.as_bytes()).unwrap();
            length += text.len();
            serial += 1;
        }
        file.flush().unwrap();
        drop(file);
        let start = Position {
            offset: 0,
            before: Vec::new(),
            ..Position::end_of(&log.path).unwrap()
        };
        for (from, position) in [
            ("start", start),
            ("end", Position::end_of(&log.path).unwrap()),
        ] {
            let before = peak();
            let (began, cpu) = (std::time::Instant::now(), cpu_time());
            let mut collector = Collector::new(target.clone());
            let mut reader = Reader::resume(&position).unwrap();
            reader.read(|line| collector.line(line)).unwrap();
            let (elapsed, cpu) = (began.elapsed(), cpu_time() - cpu);
            let seen = collector.seen();
            let memory = peak() - before;
            let count: u64 = seen.observations.iter().map(|one| one.count).sum();
            println!(
                "{length} bytes from the {from}: {elapsed:?} ({cpu:?} of a processor), {} KiB, {count} records",
                memory / 1024
            );
            assert_eq!(
                count,
                if from == "start" {
                    serial.div_ceil(100)
                } else {
                    0
                }
            );
            assert!(elapsed.as_secs_f64() <= 2.0, "{elapsed:?}");
            assert!(memory <= 16 << 20, "{memory}");
        }
    }
}
