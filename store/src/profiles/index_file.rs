//! The file of the index: opened only if it can be trusted, and read from several places at the same time.

use super::error::Error;
use super::index::{HEADER, NAME};
use crate::file;
use crate::trust;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The number of bytes to read at once.
const BUFFER: usize = 64 << 10;

/// The index; `None` if there is none, if another version of capprof wrote it, or if other users could have written it.
pub(super) fn open(path: &Path, store: &Path) -> Option<File> {
    let index = File::open(path).ok()?;
    trust::check(path, store).ok()?;
    let mut header = vec![0; HEADER.len() + 1];
    index.read_exact_at(&mut header, 0).ok()?;
    (header.strip_suffix(b"\n") == Some(HEADER.as_bytes())).then_some(index)
}

/// A file from an offset on, whose position other readers do not share.
pub(super) struct After<'a>(&'a File, u64);

impl Read for After<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read_at(buffer, self.1)?;
        self.1 += length as u64;
        Ok(length)
    }
}

pub(super) fn reader(file: &File, offset: u64) -> BufReader<After<'_>> {
    BufReader::with_capacity(BUFFER, After(file, offset))
}

/// Reads the next line of the index, with its newline. Returns false at the end.
pub(super) fn next_line(
    reader: &mut BufReader<After<'_>>,
    text: &mut Vec<u8>,
) -> Result<bool, Error> {
    text.clear();
    let length = reader
        .read_until(b'\n', text)
        .map_err(file::error("read", Path::new(NAME)))?;
    Ok(length > 0)
}
