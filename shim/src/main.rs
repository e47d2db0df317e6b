//! The binary `capprof`; the library has the documentation.
//!
//! It has no Rust `main`, because the standard library (std::rt) would first ignore SIGPIPE and open `/dev/null` for closed standard descriptors,
//! and the container would inherit both.
#![no_main]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// The function that the C library calls.
///
/// # Safety
/// `arguments` points to `count` pointers to NUL-terminated strings.
#[allow(unsafe_code)]
// SAFETY: the C library calls the one `main` of a program, and nothing else here has that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let arguments: Vec<OsString> = (0..usize::try_from(count).unwrap_or(0))
        .map(|index| {
            // SAFETY: the C library passes `count` valid strings, which live as long as the process.
            let argument = unsafe { CStr::from_ptr(*arguments.add(index)) };
            OsStr::from_bytes(argument.to_bytes()).to_owned()
        })
        .collect();
    capprof::call::main(arguments)
}
