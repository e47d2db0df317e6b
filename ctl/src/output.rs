//! Standard output and standard error.

use crate::render::{Form, Styles};
use capprof_profile::printable::{self, printable};
use serde::Serialize;
use std::io::{self, Write};

/// Writes to standard output; escape sequences only if that is a terminal that wants them (`NO_COLOR`, `CLICOLOR`, `TERM`).
///
/// # Errors
/// Those of writing, including a closed pipe: see [`is_closed`].
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    if !text.contains('\u{1b}') {
        // Otherwise all of a long table would be searched for styles, character by character.
        return print_raw(text);
    }
    let mut stream = anstream::stdout().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    Ok(())
}

/// Writes to standard output without styles, for scripts. The caller has already removed what a terminal would obey.
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
    let mut stream = PrintableJson(io::BufWriter::with_capacity(64 << 10, io::stdout().lock()));
    serde_json::to_writer_pretty(&mut stream, value).map_err(io::Error::from)?;
    stream.0.write_all(b"\n")?;
    stream.0.flush()?;
    Ok(())
}

/// Turns the output of `serde_json`, which writes whole characters each time, into JSON that no terminal obeys.
struct PrintableJson<W>(W);

impl<W: Write> Write for PrintableJson<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(text).map_err(io::Error::other)?;
        self.0.write_all(printable::json(text).as_bytes())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
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

/// Writes a form to standard output, and its caveats to standard error if its syntax has no comments.
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

/// Writes an error to standard error, on one line.
pub(crate) fn error(error: &anyhow::Error) {
    message(&capprof_profile::error::line(error.as_ref()));
}

/// Writes a message to standard error, on one line.
pub(crate) fn message(text: &str) {
    // If this fails too, there is no place left to report it.
    let _ = writeln!(
        anstream::stderr().lock(),
        "capprofctl: {}",
        printable(&text.trim_end().replace('\n', ", "))
    );
}

/// Returns true if the reader of standard output has gone, like `head`, which is no error.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_parts_is_what_it_is_as_a_whole() {
        let value = serde_json::json!({"name": "a\u{1b}[2J\u{202e}é日\n\"", "list": [1, null]});
        let mut stream = PrintableJson(Vec::new());
        serde_json::to_writer_pretty(&mut stream, &value).unwrap();
        let whole = printable::json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(String::from_utf8(stream.0).unwrap(), whole);
    }
}
