//! Options of engines' command lines. Those that take a value matter, because the image and its command come after them.
//!
//! Sources: `docker --help` and `docker run --help` (20.10 to 28), podman(1) and podman-run(1) (4.3 to 5.6), nerdctl's
//! docs/command-reference.md (2.1), `ctr run --help` (containerd 1.6 to 2.1). An option that is in no table counts as unknown.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The options of one command: those that stand alone, and those that take a value. A single letter is another name of the
/// option before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) alone: &'static [&'static str],
    pub(super) value: &'static [&'static str],
    pub(super) syntax: Syntax,
}

/// How options are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// github.com/spf13/pflag: names after two dashes, letters in clusters after one.
    Pflag,
    /// Go's `flag`: names and letters after one dash or two.
    Go,
}

/// An option on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// Its long name.
    pub(super) name: &'static str,
    /// Its value. An option without a value may have one after `=`: `--rm=false`.
    pub(super) value: Option<OsString>,
    /// The words that belong to it.
    pub(super) words: Range<usize>,
    /// True if it is one of several letters in one argument.
    pub(super) in_cluster: bool,
}

impl Given {
    /// Returns true if an option that stands alone is on.
    pub(super) fn is_on(&self) -> bool {
        self.value.as_ref().is_none_or(|value| {
            ["true", "1", "t", "T", "True", "TRUE"]
                .iter()
                .any(|on| value == on)
        })
    }
}

/// The options between a command and the first word that is not one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) given: Vec<Given>,
    /// The first word that is neither option nor value.
    pub(super) end: usize,
    /// The first option that is in no table and has no value after `=`: the next word may be its value, so nothing after it is certain.
    pub(super) unknown: Option<String>,
}

impl Scan {
    /// Returns true if an option that stands alone was given and is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        let mut given = self.given.iter();
        given.any(|given| given.name == name && given.is_on())
    }
}

/// Reads options from `start` on.
pub(super) fn scan(words: &[OsString], start: usize, table: &Table) -> Scan {
    let mut scan = Scan {
        end: start,
        ..Scan::default()
    };
    while let Some(word) = words.get(scan.end) {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            scan.end += 1;
            break;
        }
        if bytes == b"-" || !bytes.starts_with(b"-") {
            break;
        }
        let (mut given, next) = match (table.syntax, bytes.strip_prefix(b"--")) {
            (_, Some(body)) => long(words, scan.end, body, table),
            (Syntax::Go, None) => long(words, scan.end, &bytes[1..], table),
            (Syntax::Pflag, None) => letters(words, scan.end, &bytes[1..], table),
        };
        scan.given.append(&mut given);
        match next {
            Some(next) => scan.end = next,
            None => {
                scan.unknown = Some(word.to_string_lossy().into_owned());
                break;
            }
        }
    }
    scan.end = scan.end.min(words.len());
    scan
}

/// Parses one option by its name. Returns no next word if the option is unknown.
fn long(words: &[OsString], at: usize, body: &[u8], table: &Table) -> (Vec<Given>, Option<usize>) {
    let (name, glued) = match body.iter().position(|byte| *byte == b'=') {
        Some(position) => (&body[..position], Some(owned(&body[position + 1..]))),
        None => (body, None),
    };
    let is = |list: &'static [&'static str]| find(list, name);
    let given = |name, value, words| Given {
        name,
        value,
        words,
        in_cluster: false,
    };
    if let Some(name) = is(table.alone) {
        return (vec![given(name, glued, at..at + 1)], Some(at + 1));
    }
    match (is(table.value), glued) {
        (Some(name), Some(value)) => (vec![given(name, Some(value), at..at + 1)], Some(at + 1)),
        (Some(name), None) => {
            let value = words.get(at + 1).cloned();
            (vec![given(name, value, at..at + 2)], Some(at + 2))
        }
        // The value is in the same word, so the next word is certain even if the option is unknown.
        (None, Some(_)) => (Vec::new(), Some(at + 1)),
        (None, None) => (Vec::new(), None),
    }
}

/// A cluster of letters, of which the last may take a value.
fn letters(
    words: &[OsString],
    at: usize,
    body: &[u8],
    table: &Table,
) -> (Vec<Given>, Option<usize>) {
    let mut given = Vec::new();
    for (position, letter) in body.iter().enumerate() {
        let rest = &body[position + 1..];
        let (value, end, name) = if let Some(name) = find(table.alone, &[*letter]) {
            match rest.strip_prefix(b"=") {
                Some(value) => (Some(owned(value)), at + 1, name),
                None => {
                    given.push(Given {
                        name,
                        value: None,
                        words: at..at + 1,
                        in_cluster: body.len() > 1,
                    });
                    continue;
                }
            }
        } else if let Some(name) = find(table.value, &[*letter]) {
            match rest {
                [] => (words.get(at + 1).cloned(), at + 2, name),
                _ => (
                    Some(owned(rest.strip_prefix(b"=").unwrap_or(rest))),
                    at + 1,
                    name,
                ),
            }
        } else {
            return (given, None);
        };
        given.push(Given {
            name,
            value,
            words: at..end,
            in_cluster: position > 0,
        });
        return (given, Some(end));
    }
    (given, Some(at + 1))
}

/// The long name of an option that has this name or letter.
fn find(list: &'static [&'static str], wanted: &[u8]) -> Option<&'static str> {
    let position = list.iter().position(|name| name.as_bytes() == wanted)?;
    list[..=position]
        .iter()
        .rev()
        .find(|name| name.len() > 1)
        .copied()
}

fn owned(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// Returns true if a word looks like one of these options, wherever it stands.
pub(super) fn looks_like(word: &OsStr, names: &[&str]) -> bool {
    let bytes = word.as_bytes();
    let Some(body) = bytes
        .strip_prefix(b"--")
        .or_else(|| bytes.strip_prefix(b"-"))
    else {
        return false;
    };
    let name = body.split(|byte| *byte == b'=').next().unwrap_or(body);
    names.iter().any(|wanted| wanted.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::super::tables::{CTR, CTR_RUN, DOCKER, NERDCTL, PODMAN, RUN};
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// Names and values, and the word after them.
    fn read(line: &str, table: &Table) -> (Vec<String>, String) {
        let words = words(line);
        let scan = scan(&words, 0, table);
        let given = scan.given.iter().map(|given| match &given.value {
            Some(value) => format!("{}={}", given.name, value.to_string_lossy()),
            None => given.name.to_owned(),
        });
        let next = match &scan.unknown {
            Some(unknown) => format!("? {unknown}"),
            None => words
                .get(scan.end)
                .map_or_else(String::new, |word| word.to_string_lossy().into_owned()),
        };
        (given.collect(), next)
    }

    #[test]
    fn options_end_where_the_image_begins() {
        for (line, given, next) in [
            ("alpine --privileged", &[][..], "alpine"),
            (
                "-it --rm -v /a:/b alpine sh",
                &["interactive", "tty", "rm", "volume=/a:/b"],
                "alpine",
            ),
            (
                "-itv /a:/b -p80:80 -e=A=B img",
                &[
                    "interactive",
                    "tty",
                    "volume=/a:/b",
                    "publish=80:80",
                    "env=A=B",
                ],
                "img",
            ),
            ("--name --privileged img", &["name=--privileged"], "img"),
            ("--privileged=false -- img", &["privileged=false"], "img"),
            ("-t=false img", &["tty=false"], "img"),
            ("--new-thing=x img", &[], "img"),
            ("--rm --new-thing x img", &["rm"], "? --new-thing"),
            ("-dZ img", &["detach"], "? -dZ"),
            ("- img", &[], "-"),
            ("--user", &["user"], ""),
        ] {
            let (found, word) = read(line, &RUN);
            assert_eq!(
                (found.as_slice(), word.as_str()),
                (
                    &*given
                        .iter()
                        .map(|text| (*text).to_owned())
                        .collect::<Vec<_>>(),
                    next
                ),
                "{line}"
            );
        }
        let (found, word) = read("-d --env A=B -rm image id", &CTR_RUN);
        assert_eq!(found, ["detach", "env=A=B", "rm"]);
        assert_eq!(word, "image");
    }

    #[test]
    fn no_name_is_in_two_columns_and_letters_follow_their_name() {
        for table in [DOCKER, PODMAN, NERDCTL, CTR, RUN, CTR_RUN] {
            let mut all: Vec<&str> = table.alone.iter().chain(table.value).copied().collect();
            assert!(
                table
                    .alone
                    .iter()
                    .chain(table.value)
                    .next()
                    .is_some_and(|name| name.len() > 1)
            );
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{table:?}");
        }
    }
}
