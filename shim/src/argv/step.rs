//! One step through an argument list.

use super::error::Error;
use super::options::Flag;
use crate::family::Family;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An argument with its place in the list that the caller wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    /// Its index, counted from the argument after the subcommand (in [`super::globals`], from the program's name).
    pub(super) at: usize,
    pub(super) text: &'a OsStr,
}

impl<'a> Word<'a> {
    pub(super) fn all(arguments: &'a [OsString]) -> Vec<Self> {
        let words = arguments.iter().enumerate();
        words
            .map(|(at, text)| Self {
                at,
                text: text.as_os_str(),
            })
            .collect()
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The rest of an argument, from a byte on.
    pub(super) fn from(&self, offset: usize) -> Value {
        Value {
            text: OsString::from_vec(self.bytes()[offset..].to_vec()),
            word: self.at,
            offset,
        }
    }

    pub(super) fn show(&self) -> String {
        self.text.to_string_lossy().into_owned()
    }
}

/// The value of an option. Two values are equal if their texts are.
#[derive(Clone, Debug)]
pub struct Value {
    /// The value itself.
    pub text: OsString,
    /// The index of its last argument, counted from the argument after the subcommand.
    pub word: usize,
    /// The byte of that argument at which it begins.
    pub offset: usize,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Value {}

/// The meaning of the next arguments.
pub(super) enum Step {
    /// Options with their values, and the number of arguments that they took.
    Options(Vec<(&'static Flag, Option<Value>)>, usize),
    /// No option: a positional argument.
    Positional,
    /// `--`.
    End,
    /// This and all that follow are positional arguments.
    Rest,
    /// This is a positional argument, and what follows is ignored.
    Last,
    /// Help is asked for.
    Help,
    /// An argument that the runtime refuses.
    Refused(Error),
}

/// Splits at the first `=`: the name, and the number of bytes before the value.
pub(super) fn split(bytes: &[u8]) -> (&[u8], Option<usize>) {
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(position) => (&bytes[..position], Some(position + 1)),
        None => (bytes, None),
    }
}

/// The step over an option that, as far as capprof knows, the runtime does not have. A newer runtime may have it; capprof can skip it if its value
/// is attached.
pub(super) fn unknown(word: &Word<'_>, of_the_other: bool, family: Family) -> Step {
    let (name, value) = split(word.bytes());
    let name = OsStr::from_bytes(name).to_string_lossy().into_owned();
    match (of_the_other, value) {
        (true, _) => Step::Refused(Error::Foreign(name, family)),
        (false, None) => Step::Refused(Error::Unknown(name, family)),
        (false, Some(_)) => Step::Options(Vec::new(), 1),
    }
}
