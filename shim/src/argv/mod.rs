//! The command line of runc and crun, as far as capprof must know it. It is passed on unchanged, except for a file that capprof replaces by its
//! own.
//!
//! capprof reads it in the same way as the runtime: runc with Go's `flag` below urfave/cli v1, which moves options in front of the positional
//! arguments, in an older and in a newer way, or with urfave/cli v3; crun with glibc's argp in order. On `create` and `run`, capprof refuses an
//! argument list that versions of the runtime accept and read differently: it would rewrite one file, and the caller might have meant another.

mod argp;
mod error;
mod options;
mod step;
mod urfave;

pub use error::Error;
pub use step::Value;
pub use urfave::trim;

use crate::family::Family;
use options::{Flag, GLOBAL};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use step::{Step, Word};

/// The options before the subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globals {
    /// `--log`.
    pub log: Option<OsString>,
    /// `--log-format`.
    pub log_format: Option<OsString>,
    /// `--root`.
    pub root: Option<OsString>,
    /// The index of the subcommand in the argument list; `None` if there is none, or if the list asks for help or a version.
    pub subcommand: Option<usize>,
    /// The first error for which the runtime will refuse the list.
    pub problem: Option<Error>,
}

impl Globals {
    /// Returns true if the runtime refuses these options by itself and creates nothing. An option that capprof does not know
    /// does not count: the subcommand was found nevertheless.
    pub fn is_refused_by_the_runtime(&self) -> bool {
        self.problem
            .as_ref()
            .is_some_and(Error::is_refused_by_the_runtime)
    }

    /// The reason why a container must not be created with such options.
    pub fn refusal(&self) -> Option<&Error> {
        self.problem
            .as_ref()
            .filter(|error| !matches!(error, Error::Unknown(..) | Error::Foreign(..)))
    }

    /// Returns these options, overridden by those after the subcommand.
    #[must_use]
    pub fn with(&self, command: &Command) -> Self {
        let or = |late: &Option<OsString>, early: &Option<OsString>| late.clone().or(early.clone());
        Self {
            log: or(&command.log, &self.log),
            log_format: or(&command.log_format, &self.log_format),
            root: or(&command.root, &self.root),
            ..self.clone()
        }
    }
}

/// The arguments after the subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `--bundle` of `create` and `run`.
    pub bundle: Option<Value>,
    /// crun's `--config` of `create` and `run`.
    pub configuration: Option<Value>,
    /// `--process` of `exec`.
    pub process: Option<Value>,
    /// The capabilities of each `--cap` of `exec`.
    pub capabilities: Vec<OsString>,
    /// `--preserve-fds` of `create`, `run` and `exec`.
    pub preserved_descriptors: Option<OsString>,
    /// `--root`, which runc takes here from urfave/cli v3 on.
    pub root: Option<OsString>,
    /// `--log`, as `--root`.
    pub log: Option<OsString>,
    /// `--log-format`, as `--root`.
    pub log_format: Option<OsString>,
    /// The container's id: the first positional argument.
    pub id: Option<OsString>,
    /// The number of positional arguments.
    pub positional: usize,
    /// `--detach` of `run` and `exec`.
    pub detach: bool,
    /// True if the list asks for help: the runtime does nothing else.
    pub help: bool,
}

impl Command {
    fn take(&mut self, flag: &Flag, value: Option<Value>) {
        let text = |value: Option<Value>| value.map(|value| value.text);
        match flag.long {
            "bundle" => self.bundle = value,
            "config" => self.configuration = value,
            "process" => self.process = value,
            "cap" => self.capabilities.extend(text(value)),
            "preserve-fds" => self.preserved_descriptors = text(value),
            "detach" => self.detach = true,
            "root" => self.root = text(value),
            "log" => self.log = text(value),
            "log-format" => self.log_format = text(value),
            _ => {}
        }
    }
}

/// Reads what stands before the subcommand. Never fails: `kill` and `delete` must be found among anything that a newer runtime may understand.
/// What versions of the runtime read differently is a problem.
///
/// `arguments` is the whole list with the program's name at its head.
pub fn globals(arguments: &[OsString], family: Family) -> Globals {
    let (first, others) = match family {
        // What they change of urfave/cli's first version is behind the subcommand.
        Family::Runc => (Rules::UrfaveNew, Some(Rules::UrfaveThree)),
        Family::Crun => (Rules::Argp, None),
    };
    let found = globals_by(arguments, first);
    let other = others.map(|rules| globals_by(arguments, rules));
    let Some(other) = other.filter(|other| *other != found) else {
        return found;
    };
    let is_known = |globals: &Globals| {
        let word = globals.subcommand.and_then(|at| arguments.get(at));
        word.is_some_and(|word| options::is_subcommand(word))
    };
    let problem = Some(two_readings(arguments.get(1..).unwrap_or_default(), family));
    match is_known(&found) || !is_known(&other) {
        true => Globals { problem, ..found },
        false => Globals { problem, ..other },
    }
}

fn globals_by(arguments: &[OsString], rules: Rules) -> Globals {
    let mut found = Globals::default();
    let words = Word::all(arguments);
    let mut position = 1;
    let mut after_unknown = false;
    while let Some(word) = words.get(position) {
        match next(&words[position..], GLOBAL, rules, false) {
            Step::Positional | Step::Rest | Step::Last => {
                // The value of an option that capprof does not know.
                if !options::is_subcommand(word.text) && std::mem::take(&mut after_unknown) {
                    position += 1;
                    continue;
                }
                found.subcommand = Some(position);
                return found;
            }
            Step::End => {
                found.subcommand = (position + 1 < arguments.len()).then_some(position + 1);
                return found;
            }
            Step::Options(options, consumed) => {
                for (flag, value) in options {
                    let value = value.map(|value| value.text);
                    match flag.long {
                        "log" => found.log = value,
                        "log-format" => found.log_format = value,
                        "root" => found.root = value,
                        "help" | "usage" | "version" => return found,
                        _ => {}
                    }
                }
                position += consumed;
            }
            Step::Help => return found,
            Step::Refused(error) => {
                after_unknown = matches!(error, Error::Unknown(..) | Error::Foreign(..))
                    && !word.bytes().contains(&b'=');
                found.problem.get_or_insert(error);
                position += 1;
            }
        }
    }
    found
}

/// Reads the arguments after the subcommand by the rules of one runtime. Of its versions, the first that accepts the list counts.
///
/// # Errors
/// Errors for which that runtime refuses the list, and options that capprof does not know.
pub fn command(
    subcommand: &OsStr,
    arguments: &[OsString],
    family: Family,
) -> Result<Command, Error> {
    let mut errors = Vec::new();
    for rules in Rules::of(family) {
        match read(subcommand, arguments, *rules) {
            Ok(command) => return Ok(command),
            Err(error) => errors.push(error),
        }
    }
    // A list that one version may accept is not refused by each.
    let position = errors
        .iter()
        .position(|error| !error.is_refused_by_the_runtime());
    Err(match errors.is_empty() {
        true => Error::Syntax(String::new(), family),
        false => errors.swap_remove(position.unwrap_or(0)),
    })
}

/// Returns all different readings of the arguments after the subcommand by versions of the runtime.
pub fn readings(subcommand: &OsStr, arguments: &[OsString], family: Family) -> Vec<Command> {
    let mut found = Vec::new();
    for rules in Rules::of(family) {
        if let Ok(command) = read(subcommand, arguments, *rules)
            && !found
                .iter()
                .any(|other| takes_the_same(subcommand, other, &command))
        {
            found.push(command);
        }
    }
    found
}

/// Returns true if two readings are the same to capprof: the container's own command is of no interest.
fn takes_the_same(subcommand: &OsStr, one: &Command, other: &Command) -> bool {
    let positional = match subcommand == "exec" {
        true => other.positional,
        false => one.positional,
    };
    Command {
        positional,
        ..one.clone()
    } == *other
}

/// Reads what stands after `create`, `run`, `restore` or `exec`.
///
/// # Errors
/// Those of [`command`], and [`Error::TwoReadings`] if another version of the runtime also accepts the list and reads it differently.
pub fn command_of_one_reading(
    subcommand: &OsStr,
    arguments: &[OsString],
    family: Family,
) -> Result<Command, Error> {
    let wanted = if subcommand == "exec" {
        1..=usize::MAX
    } else {
        1..=1
    };
    // With another number of arguments, a runtime only prints its usage.
    let mut readings = readings(subcommand, arguments, family);
    readings.retain(|reading| !reading.help && wanted.contains(&reading.positional));
    match readings.len() {
        0 => command(subcommand, arguments, family),
        1 => Ok(readings.remove(0)),
        _ => Err(two_readings(arguments, family)),
    }
}

fn two_readings(arguments: &[OsString], family: Family) -> Error {
    let shown: Vec<String> = Word::all(arguments).iter().map(Word::show).collect();
    Error::TwoReadings(shown.join(" "), family)
}

/// Gives an option another value: in its place if it is there, else directly after the subcommand, which is at `subcommand` of the whole list.
pub fn replace(
    arguments: &mut Vec<OsString>,
    subcommand: usize,
    present: Option<&Value>,
    option: &str,
    value: &OsStr,
) {
    if let Some(present) = present
        && let Some(word) = arguments.get_mut(subcommand + 1 + present.word)
    {
        let mut bytes = word.as_bytes()[..present.offset].to_vec();
        bytes.extend_from_slice(value.as_bytes());
        *word = OsString::from_vec(bytes);
        return;
    }
    let mut word = OsString::from(format!("--{option}="));
    word.push(value);
    arguments.insert((subcommand + 1).min(arguments.len()), word);
}

/// The rules for reading a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    /// urfave/cli v1.22.1 (runc 1.0 and 1.1 as released).
    UrfaveOld,
    /// urfave/cli v1.22.9 and later (later runc; Debian's 1.1).
    UrfaveNew,
    /// urfave/cli v3 (runc's development branch).
    UrfaveThree,
    /// argp with `ARGP_IN_ORDER` (crun).
    Argp,
}

impl Rules {
    /// The rules of a family's versions, the most common first.
    fn of(family: Family) -> &'static [Self] {
        match family {
            Family::Runc => &[Self::UrfaveNew, Self::UrfaveOld, Self::UrfaveThree],
            Family::Crun => &[Self::Argp],
        }
    }

    fn family(self) -> Family {
        match self {
            Self::UrfaveOld | Self::UrfaveNew | Self::UrfaveThree => Family::Runc,
            Self::Argp => Family::Crun,
        }
    }
}

fn read(subcommand: &OsStr, arguments: &[OsString], rules: Rules) -> Result<Command, Error> {
    let (flags, has_id) = options::of(subcommand);
    let words = Word::all(arguments);
    let is_three = rules == Rules::UrfaveThree;
    // What follows the id of `exec` is the container's own command.
    let is_exec = subcommand == "exec";
    let words = match rules {
        Rules::UrfaveOld if !is_exec => urfave::reorder_old(&words),
        Rules::UrfaveNew if !is_exec => urfave::reorder_new(flags, &words),
        _ => words,
    };
    let mut found = Command::default();
    let mut names: Vec<(&str, bool)> = Vec::new();
    let mut positional: Vec<&OsStr> = Vec::new();
    let mut position = 0;
    while let Some(word) = words.get(position) {
        // It counts them, so that an option can follow an empty second argument.
        let stops = is_three && positional.len() == 1 && urfave::stops_at_id(subcommand);
        match next(&words[position..], flags, rules, stops) {
            Step::Positional if is_three => {
                positional.push(urfave::positional(word.text));
                position += 1;
            }
            Step::Positional | Step::Rest => break,
            Step::Last => {
                positional.push(urfave::positional(word.text));
                position = words.len();
            }
            Step::End => {
                position += 1;
                break;
            }
            Step::Options(options, consumed) => {
                for (flag, value) in options {
                    if rules.family() == Family::Runc && !is_three {
                        let is_short = urfave::is_short(word.text);
                        if names.contains(&(flag.long, !is_short)) {
                            return Err(Error::TwoNames(word.show()));
                        }
                        names.push((flag.long, is_short));
                    }
                    found.take(flag, value);
                }
                position += consumed;
            }
            Step::Help => {
                found.help = true;
                return Ok(found);
            }
            Step::Refused(error) => return Err(error),
        }
    }
    positional.extend(words.iter().skip(position).map(|word| word.text));
    found.positional = positional.len();
    if has_id {
        found.id = positional.first().map(|&id| id.to_owned());
    }
    Ok(found)
}

/// The next step. `stops` is true if no option follows any more.
fn next(words: &[Word<'_>], flags: &'static [Flag], rules: Rules, stops: bool) -> Step {
    let [word, rest @ ..] = words else {
        return Step::Positional;
    };
    match (word.bytes(), rules) {
        (_, Rules::UrfaveThree) => urfave::three_step(*word, rest, flags, stops),
        (b"--", _) => Step::End,
        (b"-", _) => Step::Positional,
        (bytes, _) if !bytes.starts_with(b"-") => Step::Positional,
        (_, Rules::UrfaveOld | Rules::UrfaveNew) => urfave::go_step(*word, rest, flags),
        (_, Rules::Argp) => argp::step(*word, rest, flags),
    }
}

#[cfg(test)]
mod tests;
