//! Standard output and standard error.

use crate::render::{Form, Styles};
use capprof_profile::printable::{self, printable};
use serde::Serialize;
use std::io::{self, Write};

/// Writes to standard output; escape sequences only if that is a terminal that wants them (`NO_COLOR`, `CLICOLOR`, `TERM`).
///
/// # Errors
/// Those of writing, a closed pipe among them: see [`is_closed`].
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stream = anstream::stdout().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    Ok(())
}

/// Writes to standard output as it is, for scripts.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_raw(text: &str) -> anyhow::Result<()> {
    let mut stream = io::stdout().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    Ok(())
}

/// Writes a value to standard output as JSON that no terminal obeys.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_raw(&(printable::json(&serde_json::to_string_pretty(value)?) + "\n"))
}

/// The same to standard error.
///
/// # Errors
/// Those of writing.
pub(crate) fn print_error(text: &str) -> anyhow::Result<()> {
    let mut stream = anstream::stderr().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    Ok(())
}

/// A form on standard output, and on standard error what its syntax has no comments for.
///
/// # Errors
/// As [`print()`].
pub(crate) fn form(form: &Form) -> anyhow::Result<()> {
    for caveat in form.untold() {
        message(caveat);
    }
    print_raw(&form.text())
}

/// The styles of all reports; [`print()`] takes them off where they are not wanted.
pub(crate) fn styles() -> Styles {
    Styles::coloured()
}

/// One line on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    message(&capprof_profile::error::line(error.as_ref()));
}

/// One line on standard error.
pub(crate) fn message(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(
        anstream::stderr().lock(),
        "capprofctl: {}",
        printable(&text.trim_end().replace('\n', ", "))
    );
}

/// Whether the reader of standard output has gone, as `head` does: no error.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
