//! runc's way of reading its arguments: Go's `flag` below urfave/cli v1 in released versions, urfave/cli v3 in future ones.

use super::error::Error;
use super::options::{Flag, GLOBAL, Takes};
use super::step::{Step, Value, Word, split, unknown};
use crate::family::Family;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Go's `flag.(*FlagSet).parseOne`: one dash or two, names in full, `=` or the next argument.
pub(super) fn go_step(word: Word<'_>, rest: &[Word<'_>], flags: &'static [Flag]) -> Step {
    let bytes = word.bytes();
    let dashes = if bytes.starts_with(b"--") { 2 } else { 1 };
    let body = &bytes[dashes..];
    if matches!(body.first(), None | Some(b'-' | b'=')) {
        return Step::Refused(Error::Syntax(word.show(), Family::Runc));
    }
    let (name, value) = split(body);
    let Some(flag) = find(&[flags], name) else {
        if name == b"help" || name == b"h" {
            return Step::Help;
        }
        let foreign = flags.iter().any(|flag| has_name(flag, name));
        return unknown(&word, foreign, Family::Runc);
    };
    option(flag, word, value.map(|at| word.from(dashes + at)), rest)
}

/// `parseFlagToken` of urfave/cli v3 (3.10): blanks around an argument do not count, unless it is nothing else, and options of the program stand
/// after a subcommand, too. `stops` is true if no option follows any more.
pub(super) fn three_step(
    word: Word<'_>,
    rest: &[Word<'_>],
    flags: &'static [Flag],
    stops: bool,
) -> Step {
    let start = word.bytes().len() - trim_start(word.bytes()).len();
    let bytes = trim(word.text).as_bytes();
    match bytes {
        b"" => return Step::Positional,
        b"--" => return Step::End,
        _ if stops => return Step::Rest,
        b"-" => return Step::Last,
        [b'-', ..] => {}
        _ => return Step::Positional,
    }
    let dashes = if bytes.starts_with(b"--") { 2 } else { 1 };
    let body = &bytes[dashes..];
    // It takes the byte for a character.
    let is_letter = |byte: &u8| char::from(*byte).is_alphabetic();
    if dashes == 1 && !body.first().is_some_and(is_letter) {
        return Step::Rest;
    }
    if matches!(body.first(), None | Some(b'-' | b'=')) {
        return Step::Refused(Error::Syntax(word.show(), Family::Runc));
    }
    let (name, value) = split(body);
    let Some(flag) = find(&[flags, GLOBAL], name) else {
        if name == b"help" || name == b"h" {
            return Step::Help;
        }
        let foreign = flags.iter().any(|flag| has_name(flag, name));
        return unknown(&word, foreign, Family::Runc);
    };
    let value = value.map(|at| Value {
        text: OsStr::from_bytes(&body[at..]).to_owned(),
        word: word.at,
        offset: start + dashes + at,
    });
    // `--flag=` of an option that takes no value is the same as `--flag`.
    let value = value.filter(|value| flag.takes == Takes::Value || !value.text.is_empty());
    option(flag, word, value, rest)
}

/// Returns true if urfave/cli v3 reads no options behind the first positional argument: runc sets `StopOnNthArg` there.
pub(super) fn stops_at_id(subcommand: &OsStr) -> bool {
    ["exec", "kill", "ps"]
        .iter()
        .any(|name| subcommand == *name)
}

/// A positional argument as urfave/cli v3 keeps it.
pub(super) fn positional(text: &OsStr) -> &OsStr {
    let trimmed = trim(text);
    if trimmed.is_empty() { text } else { trimmed }
}

/// The option's value, by what it takes.
fn option(flag: &'static Flag, word: Word<'_>, value: Option<Value>, rest: &[Word<'_>]) -> Step {
    match (flag.takes, value) {
        (Takes::Nothing | Takes::Perhaps, None) => Step::Options(vec![(flag, None)], 1),
        (Takes::Nothing | Takes::Perhaps, Some(value)) => match value.text.as_bytes() {
            // strconv.ParseBool. `--help=false` is no request for help.
            b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => {
                Step::Options(vec![(flag, None)], 1)
            }
            b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Step::Options(Vec::new(), 1),
            _ => Step::Refused(Error::UnexpectedValue(word.show())),
        },
        (Takes::Value, Some(value)) => Step::Options(vec![(flag, Some(value))], 1),
        (Takes::Value, None) => match rest.first() {
            Some(next) => Step::Options(vec![(flag, Some(next.from(0)))], 2),
            None => Step::Refused(Error::MissingValue(word.show())),
        },
    }
}

fn find(lists: &[&'static [Flag]], name: &[u8]) -> Option<&'static Flag> {
    lists
        .iter()
        .copied()
        .flatten()
        .find(|flag| flag.belongs_to(Family::Runc) && has_name(flag, name))
}

fn has_name(flag: &Flag, name: &[u8]) -> bool {
    flag.long.as_bytes() == name || matches!(name, [letter] if flag.has_short(*letter))
}

/// Go's `strings.TrimSpace`.
pub fn trim(text: &OsStr) -> &OsStr {
    let bytes = trim_start(text.as_bytes());
    let end = match bytes.utf8_chunks().last() {
        Some(last) if last.invalid().is_empty() => {
            bytes.len() - (last.valid().len() - last.valid().trim_end().len())
        }
        _ => bytes.len(),
    };
    OsStr::from_bytes(&bytes[..end])
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.utf8_chunks().next().map_or(0, |first| {
        first.valid().len() - first.valid().trim_start().len()
    });
    &bytes[blanks..]
}

/// `reorderArgs` of urfave/cli v1.22.1: every argument with a dash goes to the front, together with the next argument if that has no dash.
pub(super) fn reorder_old<'a>(words: &[Word<'a>]) -> Vec<Word<'a>> {
    let mut options = Vec::new();
    let mut remaining = Vec::new();
    let mut value_may_follow = false;
    for (position, word) in words.iter().enumerate() {
        let bytes = word.bytes();
        if bytes == b"--" {
            remaining.extend_from_slice(&words[position..]);
            break;
        }
        if std::mem::take(&mut value_may_follow) && !bytes.starts_with(b"-") {
            options.push(*word);
        } else if bytes.starts_with(b"-") && bytes != b"-" {
            options.push(*word);
            value_may_follow = !bytes.contains(&b'=');
        } else {
            remaining.push(*word);
        }
    }
    options.append(&mut remaining);
    options
}

/// `reorderArgs` of urfave/cli v1.22.9: options that the subcommand has go to the front, each with the next argument unless that
/// is such an option too. Both ways do so for an option that takes no value as well.
pub(super) fn reorder_new<'a>(flags: &[Flag], words: &[Word<'a>]) -> Vec<Word<'a>> {
    let mut options = Vec::new();
    let mut remaining = Vec::new();
    let mut value_may_follow = false;
    for (position, word) in words.iter().enumerate() {
        let bytes = word.bytes();
        let is_option = is_option(flags, bytes);
        if value_may_follow && !is_option {
            value_may_follow = false;
            options.push(*word);
        } else if bytes == b"--" {
            remaining.insert(0, *word);
            remaining.extend_from_slice(&words[position + 1..]);
            break;
        } else if is_option {
            options.push(*word);
            value_may_follow = !bytes.contains(&b'=');
        } else {
            remaining.push(*word);
        }
    }
    options.append(&mut remaining);
    options
}

fn is_option(flags: &[Flag], argument: &[u8]) -> bool {
    if argument == b"-" || !argument.starts_with(b"-") {
        return false;
    }
    let body = argument
        .strip_prefix(b"--")
        .or_else(|| argument.strip_prefix(b"-"))
        .unwrap_or(argument);
    let (name, _) = split(body.strip_prefix(b"-").unwrap_or(body));
    flags
        .iter()
        .any(|flag| flag.belongs_to(Family::Runc) && has_name(flag, name))
}

/// Returns true if an option is given by a single letter.
pub(super) fn is_short(argument: &OsStr) -> bool {
    let (name, _) = split(argument.as_bytes());
    name.iter().filter(|byte| **byte != b'-').count() == 1
}
