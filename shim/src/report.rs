//! Reports an error to the caller: to `--log` in the form that engines read, and to standard error.

use crate::argv::Globals;
use capprof_profile::printable::printable;
use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Phrases from which podman concludes that the container's own program is missing or must not be executed, so that it
/// exits with 127 or 126 (libpod/oci_util.go, `getOCIRuntimeError`). capprof's errors mean neither.
const MISLEADING: [(&str, &str); 5] = [
    ("permission denied", "access refused (EACCES)"),
    ("operation not permitted", "not allowed (EPERM)"),
    ("no such file or directory", "it does not exist (ENOENT)"),
    ("executable file not found", "no executable"),
    ("open executable", "open the executable"),
];

/// Writes the message, one line, to the log that the caller named and to standard error.
///
/// With `--log-format json` the log gets exactly one object, `{"level":"error","msg":…,"time":…}`: containerd reads a
/// stream of such objects, podman a file with one. Else it gets a line in the form of logrus, like runc's.
/// Standard error gets the whole message even if the log cannot be written.
pub fn error(globals: &Globals, message: &str) {
    let message = format!("capprof: {}", plain(message));
    let time = capprof_store::time::now();
    if let Some(path) = globals.log.as_deref().and_then(|log| file(log.as_bytes())) {
        let line = if globals
            .log_format
            .as_deref()
            .is_some_and(|format| format == "json")
        {
            format!(
                "{}\n",
                serde_json::json!({"level": "error", "msg": message, "time": time})
            )
        } else {
            format!("time=\"{time}\" level=error msg={}\n", quoted(&message))
        };
        let _ = append(path, line.as_bytes());
    }
    let _ = io::stderr().write_all(format!("{message}\n").as_bytes());
}

/// The file that `--log` names; crun also takes `file:PATH`, `journald:ID` and `syslog:ID`.
fn file(log: &[u8]) -> Option<&Path> {
    let path = match log.strip_prefix(b"file:") {
        Some(path) => path,
        None if log.starts_with(b"journald:") || log.starts_with(b"syslog:") => return None,
        None => log,
    };
    (!path.is_empty()).then(|| Path::new(std::ffi::OsStr::from_bytes(path)))
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        // A FIFO without a reader must not keep the error from standard error.
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(path)?
        .write_all(line)
}

/// Returns the message on one line, without the phrases that engines misunderstand.
fn plain(message: &str) -> String {
    let mut message = printable(&message.replace('\n', " "));
    for (phrase, replacement) in MISLEADING {
        // ASCII case folding keeps byte positions.
        while let Some(position) = message.to_ascii_lowercase().find(phrase) {
            message.replace_range(position..position + phrase.len(), replacement);
        }
    }
    message
}

/// Quotes a message as logrus does (Go's `%q`; without control characters only backslash and quote need an escape).
fn quoted(message: &str) -> String {
    format!("\"{}\"", message.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(log: &Path, format: Option<&str>, message: &str) -> String {
        let globals = Globals {
            log: Some(log.into()),
            log_format: format.map(Into::into),
            ..Globals::default()
        };
        error(&globals, message);
        std::fs::read_to_string(log).unwrap_or_default()
    }

    #[test]
    fn json_is_one_object_that_both_kinds_of_readers_understand() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log.json");
        let text = logged(
            &log,
            Some("json"),
            "read \"a\\b\":\nbad\u{9b}\u{2028}\u{202e}",
        );
        assert_eq!(text.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["level"], "error");
        assert_eq!(object["msg"], "capprof: read \"a\\b\": bad???");
        let time: jiff::Timestamp = object["time"].as_str().unwrap().parse().unwrap();
        assert!(time.duration_until(jiff::Timestamp::now()).as_secs() < 60);
        // Appended, not truncated: docker passes one file to all calls.
        assert_eq!(logged(&log, Some("json"), "again").lines().count(), 2);
    }

    #[test]
    fn text_is_what_logrus_writes() {
        let directory = tempfile::tempdir().unwrap();
        for format in [None, Some("text")] {
            let log = directory.path().join(format.unwrap_or("default"));
            let text = logged(&log, format, "say \"x\"");
            assert!(text.starts_with("time=\"2"), "{text}");
            assert!(
                text.ends_with(" level=error msg=\"capprof: say \\\"x\\\"\"\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn podman_finds_none_of_its_phrases() {
        for (message, expected) in [
            (
                "open x: Permission denied (os error 13)",
                "open x: access refused (EACCES) (os error 13)",
            ),
            ("NO SUCH FILE OR DIRECTORY", "it does not exist (ENOENT)"),
            (
                "operation not permitted, Operation not permitted",
                "not allowed (EPERM), not allowed (EPERM)",
            ),
            ("ä permission denied ä", "ä access refused (EACCES) ä"),
        ] {
            assert_eq!(plain(message), expected);
        }
        for (phrase, replacement) in MISLEADING {
            for (other, _) in MISLEADING {
                assert!(!replacement.contains(other), "{phrase}");
            }
        }
    }

    #[test]
    fn a_log_is_a_file_or_nothing() {
        for (log, expected) in [
            ("/a/b", Some("/a/b")),
            ("file:/a", Some("/a")),
            ("journald:x", None),
            ("syslog:x", None),
            ("", None),
            ("file:", None),
        ] {
            assert_eq!(file(log.as_bytes()), expected.map(Path::new), "{log}");
        }
        // No error, no panic.
        assert_eq!(logged(Path::new("/nonexistent/log"), Some("json"), "x"), "");
    }
}
