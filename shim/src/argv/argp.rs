//! crun's way of reading its arguments: glibc's argp with `ARGP_IN_ORDER`.

use super::error::Error;
use super::options::{Flag, Takes};
use super::step::{Step, Word, split, unknown};
use crate::family::Family;

/// The next step: long names with two dashes, in full or abbreviated; letters with one dash, in clusters; values attached or in the next argument.
pub(super) fn step(word: Word<'_>, rest: &[Word<'_>], flags: &'static [Flag]) -> Step {
    if word.bytes().starts_with(b"--") {
        long(word, rest, flags)
    } else {
        cluster(word, rest, flags)
    }
}

fn long(word: Word<'_>, rest: &[Word<'_>], flags: &'static [Flag]) -> Step {
    let (name, value) = split(&word.bytes()[2..]);
    if name == b"help" || name == b"usage" {
        return Step::Help;
    }
    let flag = match find(name, flags) {
        Ok(flag) => flag,
        Err(candidates) if candidates > 1 => {
            return Step::Refused(Error::Ambiguous(word.show()));
        }
        Err(_) => {
            let foreign = flags.iter().any(|flag| flag.long.as_bytes() == name);
            return unknown(&word, foreign, Family::Crun);
        }
    };
    match (flag.takes, value) {
        (Takes::Nothing, Some(_)) => Step::Refused(Error::UnexpectedValue(word.show())),
        (Takes::Nothing | Takes::Perhaps, None) => Step::Options(vec![(flag, None)], 1),
        (Takes::Value | Takes::Perhaps, Some(at)) => {
            Step::Options(vec![(flag, Some(word.from(2 + at)))], 1)
        }
        (Takes::Value, None) => match rest.first() {
            Some(next) => Step::Options(vec![(flag, Some(next.from(0)))], 2),
            None => Step::Refused(Error::MissingValue(word.show())),
        },
    }
}

fn cluster(word: Word<'_>, rest: &[Word<'_>], flags: &'static [Flag]) -> Step {
    let bytes = word.bytes();
    let mut options = Vec::new();
    for (position, letter) in bytes.iter().enumerate().skip(1) {
        if *letter == b'?' {
            return Step::Help;
        }
        let own = |flag: &&Flag| flag.belongs_to(Family::Crun) && flag.has_short(*letter);
        let Some(flag) = flags.iter().find(own) else {
            let foreign = flags.iter().any(|flag| flag.has_short(*letter));
            return unknown(&word, foreign, Family::Crun);
        };
        let is_last = position + 1 == bytes.len();
        match flag.takes {
            Takes::Nothing => options.push((flag, None)),
            Takes::Value if is_last => match rest.first() {
                Some(next) => {
                    options.push((flag, Some(next.from(0))));
                    return Step::Options(options, 2);
                }
                None => return Step::Refused(Error::MissingValue(word.show())),
            },
            Takes::Value | Takes::Perhaps => {
                options.push((flag, (!is_last).then(|| word.from(position + 1))));
                return Step::Options(options, 1);
            }
        }
    }
    Step::Options(options, 1)
}

/// Returns the option with this name, or the only one with this beginning; else the number of options with this beginning.
fn find(name: &[u8], flags: &'static [Flag]) -> Result<&'static Flag, usize> {
    let own = || flags.iter().filter(|flag| flag.belongs_to(Family::Crun));
    if let Some(flag) = own().find(|flag| flag.long.as_bytes() == name) {
        return Ok(flag);
    }
    let mut candidates = own().filter(|flag| flag.long.as_bytes().starts_with(name));
    match (candidates.next(), candidates.count()) {
        (None, _) => Err(0),
        (Some(flag), 0) => Ok(flag),
        (Some(_), more) => Err(more + 1),
    }
}
