//! The file capabilities and the interpreter of an executable.

use capprof_profile::CapabilitySet;
use rustix::fs::getxattr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `VFS_CAP_FLAGS_EFFECTIVE` (include/uapi/linux/capability.h)
const EFFECTIVE: u32 = 1;

/// The file's permitted capabilities, and whether they are made effective.
pub(super) fn capabilities(fd: BorrowedFd<'_>) -> Option<(CapabilitySet, bool)> {
    let mut bytes = [0; 24];
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let length = getxattr(path, "security.capability", &mut bytes).ok()?;
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let high = if length >= 20 { word(12)? } else { 0 };
    let bits = u64::from(word(4)?) | u64::from(high) << 32;
    Some((CapabilitySet::from_bits(bits), word(0)? & EFFECTIVE != 0))
}

/// Returns the file that the kernel runs for an executable: the interpreter of a script, the loader of a program.
pub(super) fn interpreter(file: File) -> Option<String> {
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    if let Some(line) = bytes.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        return String::from_utf8_lossy(line)
            .split_whitespace()
            .next()
            .map(ToOwned::to_owned);
    }
    bytes
        .starts_with(b"\x7fELF")
        .then(|| program_header(&bytes))
        .flatten()
}

/// The text that the program header of type `PT_INTERP` points to (elf(5), 64 bits, little-endian).
fn program_header(bytes: &[u8]) -> Option<String> {
    let number = |at: usize, length: usize| {
        let mut word = [0; 8];
        word.get_mut(..length)?
            .copy_from_slice(bytes.get(at..at + length)?);
        usize::try_from(u64::from_le_bytes(word)).ok()
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? == 3 {
            let (offset, length) = (number(header + 8, 8)?, number(header + 32, 8)?);
            let text = bytes.get(offset..offset.checked_add(length)?)?;
            return Some(super::layout::text(text));
        }
    }
    None
}
