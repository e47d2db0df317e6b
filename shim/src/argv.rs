//! The command line of runc and crun: what capprof must know of it, and nothing else. It is passed on as it came.
//!
//! Both are implemented as the runtimes themselves read them: runc with Go's `flag` behind urfave/cli v1, which moves options in front of the
//! positional arguments; crun with glibc's argp in order. On `create` and `run` an argument list that both accept and read differently is
//! refused, for capprof would rewrite one file and somebody might have meant the other.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Whose rules an argument list is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// runc, and whatever is not crun.
    Runc,
    /// crun, under any name that contains `crun`.
    Crun,
}

impl Family {
    /// All, in the order in which a container's state is looked for.
    pub const ALL: [Self; 2] = [Self::Runc, Self::Crun];

    /// `runc` or `crun`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Runc => Self::Crun,
            Self::Crun => Self::Runc,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// An argument list that cannot be followed. The option is shown as far as it is Unicode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody told capprof of it, so it cannot tell what follows it.
    #[error(
        "unknown option {0}: {1} may take a value with it or not; write it as {0}=VALUE if it does"
    )]
    Unknown(String, Family),
    /// An option of the other runtime.
    #[error("option {0}: {1} has no such option")]
    Foreign(String, Family),
    /// The list ends where a value should follow.
    #[error("option {0}: its value is missing")]
    MissingValue(String),
    /// A value where none belongs.
    #[error("option {0}: it takes no such value")]
    UnexpectedValue(String),
    /// Neither option nor argument.
    #[error("option {0}: not understood by {1}")]
    Syntax(String, Family),
    /// An abbreviation of several options.
    #[error("option {0}: it abbreviates more than one")]
    Ambiguous(String),
    /// Both runtimes accept the list, and each takes something else from it.
    #[error(
        "{0}: runc and crun read this differently; write --bundle DIRECTORY before the container's id"
    )]
    TwoReadings(String),
}

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Nothing.
    Nothing,
    /// A value, glued on or as the next argument.
    Value,
    /// In crun a value that is glued on, or nothing; in runc nothing.
    Perhaps,
}

/// Who has an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Both,
    Runc,
    Crun,
}

/// One option.
#[derive(Debug)]
struct Flag {
    long: &'static str,
    short: &'static str,
    takes: Takes,
    has: Has,
}

impl Flag {
    fn belongs_to(&self, family: Family) -> bool {
        match self.has {
            Has::Both => true,
            Has::Runc => family == Family::Runc,
            Has::Crun => family == Family::Crun,
        }
    }

    fn has_short(&self, letter: u8) -> bool {
        self.short.bytes().any(|short| short == letter)
    }
}

macro_rules! flags {
    ($($name:ident = [$($has:ident $long:literal $short:literal $takes:ident),* $(,)?];)*) => {
        $(const $name: &[Flag] = &[$(
            Flag { long: $long, short: $short, takes: Takes::$takes, has: Has::$has }
        ),*];)*
    };
}

// From the runtimes' own sources, runc up to 1.5 and crun up to 1.29. Each subcommand stands here once.
flags! {
    GLOBAL = [
        Both "log" "" Value, Both "log-format" "" Value, Both "root" "" Value, Both "rootless" "" Value,
        Runc "criu" "" Value, Crun "cgroup-manager" "" Value, Crun "log-level" "" Value,
        Both "debug" "" Nothing, Both "systemd-cgroup" "" Nothing,
        Runc "version" "v" Nothing, Crun "version" "vV" Nothing,
        Runc "help" "h" Nothing, Crun "help" "?" Nothing, Crun "usage" "" Nothing,
    ];
    CREATE = [
        Both "bundle" "b" Value, Crun "config" "f" Value, Both "console-socket" "" Value, Runc "pidfd-socket" "" Value,
        Both "pid-file" "" Value, Both "preserve-fds" "" Value,
        Both "no-pivot" "" Nothing, Both "no-new-keyring" "" Nothing, Crun "no-subreaper" "" Nothing,
    ];
    RUN = [
        Both "bundle" "b" Value, Crun "config" "f" Value, Both "console-socket" "" Value, Runc "pidfd-socket" "" Value,
        Both "pid-file" "" Value, Both "preserve-fds" "" Value,
        Both "no-pivot" "" Nothing, Both "no-new-keyring" "" Nothing, Both "no-subreaper" "" Nothing,
        Both "detach" "d" Nothing, Both "keep" "" Nothing,
    ];
    EXEC = [
        Both "console-socket" "" Value, Runc "pidfd-socket" "" Value, Both "cwd" "" Value, Both "env" "e" Value,
        Both "user" "u" Value, Runc "additional-gids" "g" Value, Both "process" "p" Value, Both "pid-file" "" Value,
        Both "process-label" "" Value, Both "apparmor" "" Value, Both "cap" "c" Value, Both "preserve-fds" "" Value,
        Both "cgroup" "" Value,
        Both "tty" "t" Perhaps, Both "detach" "d" Nothing, Both "no-new-privs" "" Nothing, Runc "ignore-paused" "" Nothing,
    ];
    DELETE = [Both "force" "f" Nothing, Crun "regex" "r" Nothing];
    KILL = [Both "all" "a" Nothing, Crun "regex" "r" Nothing];
    EVENTS = [Runc "interval" "" Value, Runc "stats" "" Nothing];
    PS = [Both "format" "f" Value];
    UPDATE = [
        Both "resources" "r" Value, Both "blkio-weight" "" Value, Both "cpu-period" "" Value, Both "cpu-quota" "" Value,
        Runc "cpu-burst" "" Value, Both "cpu-share" "" Value, Both "cpu-rt-period" "" Value, Both "cpu-rt-runtime" "" Value,
        Both "cpuset-cpus" "" Value, Both "cpuset-mems" "" Value, Both "kernel-memory" "" Value, Both "kernel-memory-tcp" "" Value,
        Both "memory" "" Value, Runc "cpu-idle" "" Value, Both "memory-reservation" "" Value, Both "memory-swap" "" Value,
        Both "pids-limit" "" Value, Both "l3-cache-schema" "" Value, Both "mem-bw-schema" "" Value,
    ];
    CHECKPOINT = [
        Both "image-path" "" Value, Both "work-path" "" Value, Both "parent-path" "" Value, Runc "status-fd" "" Value,
        Runc "page-server" "" Value, Both "manage-cgroups-mode" "" Value, Runc "empty-ns" "" Value,
        Both "leave-running" "" Nothing, Both "tcp-established" "" Nothing, Runc "tcp-skip-in-flight" "" Nothing,
        Runc "link-remap" "" Nothing, Both "ext-unix-sk" "" Nothing, Both "shell-job" "" Nothing, Runc "lazy-pages" "" Nothing,
        Both "file-locks" "" Nothing, Both "pre-dump" "" Nothing, Runc "auto-dedup" "" Nothing, Crun "network-lock" "" Nothing,
    ];
    RESTORE = [
        Both "bundle" "b" Value, Both "console-socket" "" Value, Both "image-path" "" Value, Both "work-path" "" Value,
        Both "manage-cgroups-mode" "" Value, Both "pid-file" "" Value, Runc "empty-ns" "" Value, Both "lsm-profile" "" Value,
        Both "lsm-mount-context" "" Value,
        Both "tcp-established" "" Nothing, Crun "tcp-close" "" Nothing, Both "ext-unix-sk" "" Nothing, Both "shell-job" "" Nothing,
        Both "file-locks" "" Nothing, Both "detach" "d" Nothing, Runc "no-subreaper" "" Nothing, Runc "no-pivot" "" Nothing,
        Runc "auto-dedup" "" Nothing, Runc "lazy-pages" "" Nothing, Crun "network-lock" "" Nothing,
    ];
    NONE = [];
}

/// Subcommands and their options, and whether the first positional argument is a container's id.
const SUBCOMMANDS: &[(&str, &[Flag], bool)] = &[
    ("create", CREATE, true),
    ("run", RUN, true),
    ("exec", EXEC, true),
    ("delete", DELETE, true),
    ("kill", KILL, true),
    ("start", NONE, true),
    ("state", NONE, true),
    ("pause", NONE, true),
    ("resume", NONE, true),
    ("ps", PS, true),
    ("events", EVENTS, true),
    ("update", UPDATE, true),
    ("checkpoint", CHECKPOINT, true),
    ("restore", RESTORE, true),
    ("features", NONE, false),
    ("help", NONE, false),
    ("h", NONE, false),
    ("list", NONE, false),
    ("mounts", NONE, false),
    ("spec", NONE, false),
];

/// What stands before the subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globals {
    /// `--log`.
    pub log: Option<OsString>,
    /// `--log-format`.
    pub log_format: Option<OsString>,
    /// `--root`.
    pub root: Option<OsString>,
    /// Where in the argument list the subcommand stands; `None` if there is none, or the list asks for help or a version.
    pub subcommand: Option<usize>,
    /// The first thing that the runtime will refuse.
    pub problem: Option<Error>,
}

impl Globals {
    /// Why a container must not be created with such options. An option that capprof does not know is the runtime's affair: the
    /// subcommand was found all the same.
    pub fn refusal(&self) -> Option<&Error> {
        self.problem
            .as_ref()
            .filter(|error| !matches!(error, Error::Unknown(..) | Error::Foreign(..)))
    }
}

/// What stands after the subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `--bundle` of `create` and `run`.
    pub bundle: Option<OsString>,
    /// crun's `--config` of `create` and `run`.
    pub configuration: Option<OsString>,
    /// `--process` of `exec`.
    pub process: Option<OsString>,
    /// The container's id: the first positional argument.
    pub id: Option<OsString>,
    /// How many positional arguments there are.
    pub positional: usize,
    /// Help is asked for: nothing else will happen.
    pub help: bool,
}

/// Reads what stands before the subcommand. Never fails: `kill` and `delete` must be found among whatever a newer runtime may understand.
///
/// `arguments` is the whole list with the program's name at its head.
pub fn globals(arguments: &[OsString], family: Family) -> Globals {
    let mut found = Globals::default();
    let mut position = 1;
    let mut after_unknown = false;
    while let Some(argument) = arguments.get(position) {
        match step(&arguments[position..], GLOBAL, family) {
            Step::Positional => {
                let known = SUBCOMMANDS.iter().any(|(name, ..)| argument == name);
                // The value of an option that capprof does not know.
                if !known && std::mem::take(&mut after_unknown) {
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
                    && !argument.as_bytes().contains(&b'=');
                found.problem.get_or_insert(error);
                position += 1;
            }
        }
    }
    found
}

/// Reads what stands after the subcommand by the rules of one runtime.
///
/// # Errors
/// What that runtime refuses, and options that capprof does not know.
pub fn command(
    subcommand: &OsStr,
    arguments: &[OsString],
    family: Family,
) -> Result<Command, Error> {
    let (flags, has_id) = SUBCOMMANDS
        .iter()
        .find(|(name, ..)| subcommand == *name)
        .map_or((NONE, false), |(_, flags, has_id)| (*flags, *has_id));
    // urfave/cli v1: `exec` is declared with SkipArgReorder, since what follows the id is the container's own command.
    let reordered;
    let arguments = if family == Family::Runc && subcommand != "exec" {
        reordered = reorder(flags, arguments);
        &reordered
    } else {
        arguments
    };
    let mut found = Command::default();
    let mut position = 0;
    while position < arguments.len() {
        match step(&arguments[position..], flags, family) {
            Step::Positional => break,
            Step::End => {
                position += 1;
                break;
            }
            Step::Options(options, consumed) => {
                for (flag, value) in options {
                    match flag.long {
                        "bundle" => found.bundle = value,
                        "config" => found.configuration = value,
                        "process" => found.process = value,
                        _ => {}
                    }
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
    let positional = &arguments[position..];
    found.positional = positional.len();
    if has_id {
        found.id = positional.first().cloned();
    }
    Ok(found)
}

/// Reads what stands after `create` or `run`.
///
/// # Errors
/// Those of [`command`], and [`Error::TwoReadings`] where the other runtime accepts the list too and takes something else from it.
pub fn command_of_one_reading(
    subcommand: &OsStr,
    arguments: &[OsString],
    family: Family,
) -> Result<Command, Error> {
    let reading = command(subcommand, arguments, family)?;
    match command(subcommand, arguments, family.other()) {
        // Without exactly one id, a runtime only explains itself.
        Ok(other) if other.positional == 1 && reading.positional == 1 && other != reading => {
            let shown: Vec<String> = arguments.iter().map(|argument| show(argument)).collect();
            Err(Error::TwoReadings(shown.join(" ")))
        }
        _ => Ok(reading),
    }
}

/// One step through an argument list.
enum Step {
    /// Options with their values, and how many arguments they took.
    Options(Vec<(&'static Flag, Option<OsString>)>, usize),
    /// No option: the first positional argument.
    Positional,
    /// `--`.
    End,
    /// Help is asked for.
    Help,
    /// Not acceptable.
    Refused(Error),
}

fn step(arguments: &[OsString], flags: &'static [Flag], family: Family) -> Step {
    match (arguments, family) {
        ([], _) => Step::Positional,
        ([argument, ..], _) if argument == "--" => Step::End,
        ([argument, ..], _) if argument == "-" || !argument.as_bytes().starts_with(b"-") => {
            Step::Positional
        }
        ([argument, rest @ ..], Family::Runc) => go_step(argument, rest, flags),
        ([argument, rest @ ..], Family::Crun) => argp_step(argument, rest, flags),
    }
}

/// Go's `flag.(*FlagSet).parseOne`: one dash or two, names in full, `=` or the next argument.
fn go_step(argument: &OsStr, rest: &[OsString], flags: &'static [Flag]) -> Step {
    let bytes = argument.as_bytes();
    let body = bytes.strip_prefix(b"--").unwrap_or(&bytes[1..]);
    if matches!(body.first(), None | Some(b'-' | b'=')) {
        return Step::Refused(Error::Syntax(show(argument), Family::Runc));
    }
    let (name, value) = split(body);
    let is = |flag: &Flag| {
        flag.long.as_bytes() == name || matches!(name, [letter] if flag.has_short(*letter))
    };
    let own = |flag: &&Flag| flag.belongs_to(Family::Runc) && is(flag);
    let Some(flag) = flags.iter().find(own) else {
        if name == b"help" || name == b"h" {
            return Step::Help;
        }
        return Step::Refused(unknown(argument, flags.iter().any(is), Family::Runc));
    };
    match (flag.takes, value) {
        (Takes::Nothing | Takes::Perhaps, None) => Step::Options(vec![(flag, None)], 1),
        (Takes::Nothing | Takes::Perhaps, Some(value)) => match value {
            // strconv.ParseBool. A refused help or version is none.
            b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => {
                Step::Options(vec![(flag, None)], 1)
            }
            b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Step::Options(Vec::new(), 1),
            _ => Step::Refused(Error::UnexpectedValue(show(argument))),
        },
        (Takes::Value, Some(value)) => Step::Options(vec![(flag, Some(owned(value)))], 1),
        (Takes::Value, None) => match rest.first() {
            Some(value) => Step::Options(vec![(flag, Some(value.clone()))], 2),
            None => Step::Refused(Error::MissingValue(show(argument))),
        },
    }
}

/// urfave/cli v1.22 `reorderArgs`: options go before the positional arguments, each with the next argument that has no dash,
/// whether the option takes a value or not.
fn reorder(flags: &[Flag], arguments: &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut remaining = Vec::new();
    let mut value_may_follow = false;
    for (position, argument) in arguments.iter().enumerate() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            remaining.extend_from_slice(&arguments[position..]);
            break;
        } else if value_may_follow && !bytes.starts_with(b"-") {
            value_may_follow = false;
            options.push(argument.clone());
        } else if is_go_option(flags, bytes) {
            options.push(argument.clone());
            value_may_follow = !bytes.contains(&b'=');
        } else {
            remaining.push(argument.clone());
        }
    }
    options.append(&mut remaining);
    options
}

fn is_go_option(flags: &[Flag], argument: &[u8]) -> bool {
    if argument == b"-" || !argument.starts_with(b"-") {
        return false;
    }
    let body = argument
        .strip_prefix(b"--")
        .or_else(|| argument.strip_prefix(b"-"))
        .unwrap_or(argument);
    let (name, _) = split(body.strip_prefix(b"-").unwrap_or(body));
    flags.iter().any(|flag| {
        flag.belongs_to(Family::Runc)
            && (flag.long.as_bytes() == name || matches!(name, [letter] if flag.has_short(*letter)))
    })
}

/// argp(3) as crun uses it: long names with two dashes, in full or abbreviated; letters with one, in clusters; values glued on or next.
fn argp_step(argument: &OsStr, rest: &[OsString], flags: &'static [Flag]) -> Step {
    let bytes = argument.as_bytes();
    let next = |flag, consumed| match rest.first() {
        Some(value) => Step::Options(vec![(flag, Some(value.clone()))], consumed),
        None => Step::Refused(Error::MissingValue(show(argument))),
    };
    if let Some(body) = bytes.strip_prefix(b"--") {
        let (name, value) = split(body);
        if name == b"help" || name == b"usage" {
            return Step::Help;
        }
        let flag = match argp_long(name, flags) {
            Ok(flag) => flag,
            Err(candidates) if candidates > 1 => {
                return Step::Refused(Error::Ambiguous(show(argument)));
            }
            Err(_) => {
                let foreign = flags.iter().any(|flag| flag.long.as_bytes() == name);
                return Step::Refused(unknown(argument, foreign, Family::Crun));
            }
        };
        return match (flag.takes, value) {
            (Takes::Nothing, Some(_)) => Step::Refused(Error::UnexpectedValue(show(argument))),
            (Takes::Nothing | Takes::Perhaps, None) => Step::Options(vec![(flag, None)], 1),
            (Takes::Value | Takes::Perhaps, Some(value)) => {
                Step::Options(vec![(flag, Some(owned(value)))], 1)
            }
            (Takes::Value, None) => next(flag, 2),
        };
    }
    let mut options = Vec::new();
    for (position, letter) in bytes.iter().enumerate().skip(1) {
        if *letter == b'?' {
            return Step::Help;
        }
        let own = |flag: &&Flag| flag.belongs_to(Family::Crun) && flag.has_short(*letter);
        let Some(flag) = flags.iter().find(own) else {
            let foreign = flags.iter().any(|flag| flag.has_short(*letter));
            return Step::Refused(unknown(argument, foreign, Family::Crun));
        };
        let glued = &bytes[position + 1..];
        match flag.takes {
            Takes::Nothing => options.push((flag, None)),
            Takes::Value if glued.is_empty() => match rest.first() {
                Some(value) => {
                    options.push((flag, Some(value.clone())));
                    return Step::Options(options, 2);
                }
                None => return Step::Refused(Error::MissingValue(show(argument))),
            },
            Takes::Value | Takes::Perhaps => {
                options.push((flag, (!glued.is_empty()).then(|| owned(glued))));
                return Step::Options(options, 1);
            }
        }
    }
    Step::Options(options, 1)
}

/// The option with this name, or the only one that begins so; else how many begin so.
fn argp_long(name: &[u8], flags: &'static [Flag]) -> Result<&'static Flag, usize> {
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

fn unknown(argument: &OsStr, of_the_other: bool, family: Family) -> Error {
    let (name, _) = split(argument.as_bytes());
    let name = show(OsStr::from_bytes(name));
    if of_the_other {
        Error::Foreign(name, family)
    } else {
        Error::Unknown(name, family)
    }
}

fn split(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(position) => (&bytes[..position], Some(&bytes[position + 1..])),
        None => (bytes, None),
    }
}

fn owned(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

fn show(argument: &OsStr) -> String {
    argument.to_string_lossy().into_owned()
}
