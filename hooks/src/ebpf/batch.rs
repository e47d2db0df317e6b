//! Reads the rows of a map, many at a time.

use libbpf_rs::{MapCore, MapHandle};
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// Hands out every row of a hash map, as bytes: key and value.
///
/// One call asks the kernel for many rows: with a call for each row, the kernel would start over whenever another process deletes a row.
///
/// # Errors
/// Those of `row`, and the kernel's error, converted by `unreadable`.
#[allow(unsafe_code)]
pub(super) fn walk<E>(
    map: &MapHandle,
    mut row: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    unreadable: impl Fn(io::Error) -> E,
) -> Result<(), E> {
    /// The number of rows to ask for, unless a single bucket has more.
    const ROWS: usize = 64;
    let key_size = usize::try_from(map.key_size()).unwrap_or_default();
    let value_size = usize::try_from(map.value_size()).unwrap_or_default();
    let mut rows = ROWS;
    // The position at which the kernel continues: the number of a bucket (kernel/bpf/hashtab.c).
    let mut bucket = 0_u32;
    let mut is_first = true;
    loop {
        let mut keys = vec![0; rows * key_size];
        let mut values = vec![0; rows * value_size];
        let mut count = u32::try_from(rows).unwrap_or(u32::MAX);
        let mut next = 0_u32;
        let begin = match is_first {
            true => ptr::null_mut(),
            false => (&raw mut bucket).cast(),
        };
        // SAFETY: all pointers are to live values; the kernel writes at most `count` keys and values of the map's own sizes, and reads and
        // writes a 32-bit number as the position of a batch.
        let status = unsafe {
            libbpf_sys::bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                begin,
                (&raw mut next).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                ptr::null(),
            )
        };
        let is_end = match status {
            0 => false,
            _ => match io::Error::from_raw_os_error(-status) {
                end if end.kind() == io::ErrorKind::NotFound => true,
                // The next bucket alone has more rows.
                full if full.raw_os_error() == Some(Errno::ENOSPC as i32) => {
                    rows *= 2;
                    continue;
                }
                error => return Err(unreadable(error)),
            },
        };
        let read = usize::try_from(count).unwrap_or_default();
        for (key, value) in keys
            .chunks_exact(key_size.max(1))
            .zip(values.chunks_exact(value_size.max(1)))
            .take(read)
        {
            row(key, value)?;
        }
        if is_end {
            return Ok(());
        }
        (bucket, is_first) = (next, false);
    }
}
