//! The command line of runc and crun: what capprof must know of it, and nothing else. It is passed on as it came.
//!
//! Both are implemented as the runtimes themselves read them: runc with Go's `flag` behind urfave/cli v1, which moves options in front of the
//! positional arguments, in an older and in a newer way; crun with glibc's argp in order. On `create` and `run` an argument list that both accept and read differently is
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
    /// Go's `flag` knows nothing of long and short names of one option; urfave/cli allows only one of them.
    #[error("option {0}: it is given by its long and by its short name, which runc refuses")]
    TwoNames(String),
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
    /// What each `--cap` of `exec` names.
    pub capabilities: Vec<OsString>,
    /// The container's id: the first positional argument.
    pub id: Option<OsString>,
    /// How many positional arguments there are.
    pub positional: usize,
    /// `--detach` of `run` and `exec`.
    pub detach: bool,
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
    match family {
        Family::Runc => read(subcommand, arguments, Rules::UrfaveNew)
            .or_else(|error| read(subcommand, arguments, Rules::UrfaveOld).map_err(|_| error)),
        Family::Crun => read(subcommand, arguments, Rules::Argp),
    }
}

/// Reads what stands after `create` or `run`.
///
/// # Errors
/// Those of [`command`], and [`Error::TwoReadings`] where another runtime, or another version of this one, accepts the list too and
/// takes something else from it.
pub fn command_of_one_reading(
    subcommand: &OsStr,
    arguments: &[OsString],
    family: Family,
) -> Result<Command, Error> {
    let reading = command(subcommand, arguments, family)?;
    // Without exactly one id, a runtime only explains itself.
    let differs = |rules| {
        read(subcommand, arguments, rules)
            .is_ok_and(|other| other.positional == 1 && reading.positional == 1 && other != reading)
    };
    if Rules::ALL.into_iter().any(differs) {
        let shown: Vec<String> = arguments.iter().map(|argument| show(argument)).collect();
        return Err(Error::TwoReadings(shown.join(" ")));
    }
    Ok(reading)
}

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    /// urfave/cli v1.22.1 (runc 1.0 and 1.1 as released).
    UrfaveOld,
    /// urfave/cli v1.22.9 and later (later runc; Debian's 1.1).
    UrfaveNew,
    /// argp with `ARGP_IN_ORDER` (crun).
    Argp,
}

impl Rules {
    const ALL: [Self; 3] = [Self::UrfaveOld, Self::UrfaveNew, Self::Argp];
}

fn read(subcommand: &OsStr, arguments: &[OsString], rules: Rules) -> Result<Command, Error> {
    let (flags, has_id) = SUBCOMMANDS
        .iter()
        .find(|(name, ..)| subcommand == *name)
        .map_or((NONE, false), |(_, flags, has_id)| (*flags, *has_id));
    let family = match rules {
        Rules::UrfaveOld | Rules::UrfaveNew => Family::Runc,
        Rules::Argp => Family::Crun,
    };
    // `exec` is declared with SkipArgReorder, since what follows the id is the container's own command.
    let reordered = match rules {
        _ if subcommand == "exec" => None,
        Rules::UrfaveOld => Some(reorder_old(arguments)),
        Rules::UrfaveNew => Some(reorder_new(flags, arguments)),
        Rules::Argp => None,
    };
    let arguments = reordered.as_deref().unwrap_or(arguments);
    let mut found = Command::default();
    let mut names: Vec<(&str, bool)> = Vec::new();
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
                    if family == Family::Runc {
                        let is_short = is_short(&arguments[position]);
                        if names.contains(&(flag.long, !is_short)) {
                            return Err(Error::TwoNames(show(&arguments[position])));
                        }
                        names.push((flag.long, is_short));
                    }
                    match flag.long {
                        "bundle" => found.bundle = value,
                        "config" => found.configuration = value,
                        "process" => found.process = value,
                        "detach" => found.detach = true,
                        "cap" => found.capabilities.extend(value),
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

/// `reorderArgs` of urfave/cli v1.22.1: whatever has a dash goes to the front, with the next argument if that has none.
fn reorder_old(arguments: &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut remaining = Vec::new();
    let mut value_may_follow = false;
    for (position, argument) in arguments.iter().enumerate() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            remaining.extend_from_slice(&arguments[position..]);
            break;
        }
        if std::mem::take(&mut value_may_follow) && !bytes.starts_with(b"-") {
            options.push(argument.clone());
        } else if bytes.starts_with(b"-") && bytes != b"-" {
            options.push(argument.clone());
            value_may_follow = !bytes.contains(&b'=');
        } else {
            remaining.push(argument.clone());
        }
    }
    options.append(&mut remaining);
    options
}

/// `reorderArgs` of urfave/cli v1.22.9: options that the subcommand has go to the front, each with the next argument unless that
/// is such an option too. Both ways do so for an option that takes no value as well.
fn reorder_new(flags: &[Flag], arguments: &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut remaining = Vec::new();
    let mut value_may_follow = false;
    for (position, argument) in arguments.iter().enumerate() {
        let bytes = argument.as_bytes();
        let is_option = is_go_option(flags, bytes);
        if value_may_follow && !is_option {
            value_may_follow = false;
            options.push(argument.clone());
        } else if bytes == b"--" {
            remaining.insert(0, argument.clone());
            remaining.extend_from_slice(&arguments[position + 1..]);
            break;
        } else if is_option {
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

/// Whether an option is given by a single letter.
fn is_short(argument: &OsStr) -> bool {
    let (name, _) = split(argument.as_bytes());
    name.iter().filter(|byte| **byte != b'-').count() == 1
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

#[cfg(test)]
mod tests {
    use super::Family::{Crun, Runc};
    use super::*;

    /// What capprof makes of a `create` or `run`: bundle, `--config`, id; `None` where it refuses.
    type Reading<'a> = Option<(&'a str, Option<&'a str>, &'a str)>;

    fn list(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn text(value: Option<&OsString>) -> Option<&str> {
        value.map(|value| value.to_str().unwrap())
    }

    /// Splits at spaces; `''` is an empty argument.
    fn words(line: &str) -> Vec<OsString> {
        let words = line
            .split_whitespace()
            .map(|word| if word == "''" { "" } else { word });
        words.map(OsString::from).collect()
    }

    fn read(line: &str, family: Family) -> Result<Command, Error> {
        let arguments = words(line);
        command_of_one_reading(&arguments[0], &arguments[1..], family)
    }

    fn check(line: &str, family: Family, expected: Reading<'_>) {
        let command = read(line, family);
        let found = command
            .as_ref()
            .ok()
            .filter(|command| command.positional == 1);
        let found = found.map(|command| {
            (
                text(command.bundle.as_ref()).unwrap_or("."),
                text(command.configuration.as_ref()),
                text(command.id.as_ref()).unwrap(),
            )
        });
        assert_eq!(found, expected, "{family}: {line}: {command:?}");
    }

    #[test]
    fn one_argument_list_two_readings() {
        // facts: "Same argv, two readings", tried with runc 1.1.5 and crun 1.8.1; tests/same_argv.rs tries them again.
        for (line, runc, crun) in [
            (
                "create --bundle X ID",
                Some(("X", None, "ID")),
                Some(("X", None, "ID")),
            ),
            (
                "create --bundle=X ID",
                Some(("X", None, "ID")),
                Some(("X", None, "ID")),
            ),
            (
                "create -b X ID",
                Some(("X", None, "ID")),
                Some(("X", None, "ID")),
            ),
            (
                "create --bundle X --bundle Y ID",
                Some(("Y", None, "ID")),
                Some(("Y", None, "ID")),
            ),
            ("create -b=X ID", None, None),
            ("create -bX ID", None, Some(("X", None, "ID"))),
            (
                "create -bundle X",
                Some((".", None, "X")),
                Some((".", None, "X")),
            ),
            ("create -bundle X ID", Some(("X", None, "ID")), None),
            ("create -bundle=X ID", None, None),
            ("create --bund X ID", None, Some(("X", None, "ID"))),
            ("create ID --bundle X", Some(("X", None, "ID")), None),
            (
                "create --no-pivot=true --bundle X ID",
                Some(("X", None, "ID")),
                None,
            ),
            (
                "create --bundle X -- ID",
                Some(("X", None, "ID")),
                Some(("X", None, "ID")),
            ),
            (
                "create -f FILE --bundle X ID",
                None,
                Some(("X", Some("FILE"), "ID")),
            ),
            (
                "create --config FILE --bundle X ID",
                None,
                Some(("X", Some("FILE"), "ID")),
            ),
            (
                "create --config=FILE ID",
                None,
                Some((".", Some("FILE"), "ID")),
            ),
            (
                "run -d --bundle X ID",
                Some(("X", None, "ID")),
                Some(("X", None, "ID")),
            ),
            ("run -db X ID", None, Some(("X", None, "ID"))),
            (
                "run --keep --detach=false --bundle X ID",
                Some(("X", None, "ID")),
                None,
            ),
        ] {
            // These are the exceptions that the table cannot show: see below.
            if line == "create -bundle X" {
                continue;
            }
            check(line, Runc, runc);
            check(line, Crun, crun);
        }
        // crun takes `-bundle` for `-b undle`, runc takes X for the bundle and misses an id: each of them is right by itself.
        assert_eq!(
            command(OsStr::new("create"), &list(&["-bundle", "X"]), Runc)
                .unwrap()
                .positional,
            0
        );
        let crun = command(OsStr::new("create"), &list(&["-bundle", "X"]), Crun).unwrap();
        assert_eq!(text(crun.bundle.as_ref()), Some("undle"));
    }

    #[test]
    fn a_list_that_both_accept_and_read_differently_names_the_cure() {
        for (line, family) in [
            ("create -b=X ID", Runc),
            ("create -b=X ID", Crun),
            ("create -bundle=X ID", Runc),
        ] {
            let error = read(line, family).unwrap_err();
            assert!(matches!(error, Error::TwoReadings(_)), "{line}: {error}");
            assert!(
                error.to_string().contains("write --bundle DIRECTORY"),
                "{error}"
            );
        }
    }

    #[test]
    fn versions_of_runc_that_differ_are_told_apart() {
        let arguments = words("ID --bundle - --no-pivot");
        let of = |rules| super::read(OsStr::new("create"), &arguments, rules);
        assert_eq!(of(Rules::UrfaveNew).unwrap().bundle, Some("-".into()));
        assert_ne!(of(Rules::UrfaveOld), of(Rules::UrfaveNew));
        // A boolean option takes the id along in front of what follows, where it ends the options.
        for rules in [Rules::UrfaveOld, Rules::UrfaveNew] {
            let arguments = words("--no-pivot ID --bundle X");
            assert_eq!(
                super::read(OsStr::new("create"), &arguments, rules)
                    .unwrap()
                    .positional,
                3
            );
        }
    }

    #[test]
    fn odd_names_are_names() {
        for family in Family::ALL {
            check(
                "create --bundle create create",
                family,
                Some(("create", None, "create")),
            );
            check("run --bundle run run", family, Some(("run", None, "run")));
            // The value of --pid-file.
            check(
                "create --pid-file --bundle=x ID",
                family,
                Some((".", None, "ID")),
            );
            check("create --bundle -x ID", family, Some(("-x", None, "ID")));
            check("create --bundle - ID", family, Some(("-", None, "ID")));
            check("create --bundle '' ID", family, Some(("", None, "ID")));
            check("create --bundle= ID", family, Some(("", None, "ID")));
            check("create", family, None);
            check("create --bundle X", family, None);
            check("create --bundle", family, None);
            check("create A B", family, None);
            check("create --bundle X -", family, Some(("X", None, "-")));
        }
    }

    #[test]
    fn an_option_that_nobody_knows_is_refused_unless_its_value_is_glued_on() {
        for family in Family::ALL {
            let error = read("create --new X --bundle B ID", family).unwrap_err();
            assert_eq!(error, Error::Unknown("--new".to_owned(), family));
        }
        let error = read("create --config F ID", Runc).unwrap_err();
        assert_eq!(error, Error::Foreign("--config".to_owned(), Runc));
        assert_eq!(
            error.to_string(),
            "option --config: runc has no such option"
        );
    }

    #[test]
    fn all_engines_ways_to_create_are_understood_alike() {
        // facts: "How each engine calls the runtime".
        for line in [
            "runc --root /run/containerd/runc/k8s.io --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid ID",
            "runc --root /run/containerd/runc/k8s.io --debug --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid --console-socket /s --no-pivot --no-new-keyring --preserve-fds 2 ID",
            "runc --root=/run/containerd/runc/k8s.io --log=/b/log.json --log-format=json --rootless=true run --bundle /b --pid-file /b/init.pid ID",
            "capprof --root /run/containerd/runc/k8s.io --systemd-cgroup --log-format=json --log /b/log.json create --bundle /b --pid-file /p --preserve-fds 3 ID",
            "capprof --systemd-cgroup --root=/run/containerd/runc/k8s.io --root=/run/containerd/runc/k8s.io --systemd-cgroup --log /b/log.json --log-format json create --bundle /b --pid-file /p --no-pivot --console-socket=/s ID",
            "capprof --cgroup-manager disabled --root /run/containerd/runc/k8s.io --log /b/log.json --log-format json create --bundle /b --pid-file /p ID",
            "crun --root /run/containerd/runc/k8s.io --log /b/log.json --log-level debug --log-format json create --bundle /b --pid-file /p ID",
        ] {
            let arguments = words(line);
            for family in Family::ALL {
                let globals = globals(&arguments, family);
                assert_eq!(globals.refusal(), None, "{family}: {line}");
                assert_eq!(
                    text(globals.root.as_ref()),
                    Some("/run/containerd/runc/k8s.io"),
                    "{family}: {line}"
                );
                assert_eq!(
                    text(globals.log.as_ref()),
                    Some("/b/log.json"),
                    "{family}: {line}"
                );
                assert_eq!(
                    text(globals.log_format.as_ref()),
                    Some("json"),
                    "{family}: {line}"
                );
                // --rootless=true, --console-socket=/s and the like are right for both.
                let position = globals.subcommand.unwrap();
                let command = command_of_one_reading(
                    &arguments[position],
                    &arguments[position + 1..],
                    family,
                )
                .unwrap();
                assert_eq!(
                    text(command.bundle.as_ref()),
                    Some("/b"),
                    "{family}: {line}"
                );
                assert_eq!(text(command.id.as_ref()), Some("ID"), "{family}: {line}");
            }
        }
    }

    #[test]
    fn all_other_calls_of_engines_name_their_container() {
        for (line, subcommand, id) in [
            (
                "runc --root R --log L --log-format json start ID",
                "start",
                Some("ID"),
            ),
            (
                "runc --root R exec --process /tmp/runc-process1 --console-socket S --detach --pid-file P ID",
                "exec",
                Some("ID"),
            ),
            (
                "capprof exec --pid-file P --process F --detach --preserve-fds 2 --console-socket S ID",
                "exec",
                Some("ID"),
            ),
            (
                "capprof --root=R --root=R exec -d --console-socket=S --tty --pid-file=P ID cmd --process F",
                "exec",
                Some("ID"),
            ),
            ("runc delete --force ID", "delete", Some("ID")),
            ("runc delete ID", "delete", Some("ID")),
            ("runc kill --all ID 9", "kill", Some("ID")),
            ("crio kill ID TERM", "kill", Some("ID")),
            ("runc state ID", "state", Some("ID")),
            ("runc pause ID", "pause", Some("ID")),
            ("runc resume ID", "resume", Some("ID")),
            ("runc events --stats ID", "events", Some("ID")),
            ("runc events --interval=5s ID", "events", Some("ID")),
            ("runc ps --format json ID", "ps", Some("ID")),
            ("runc ps --format table ID -ef", "ps", Some("ID")),
            (
                "runc checkpoint --image-path I --work-path W --file-locks --leave-running --status-fd 3 ID",
                "checkpoint",
                Some("ID"),
            ),
            (
                "runc restore --image-path I --work-path W -no-subreaper --bundle B ID",
                "restore",
                Some("ID"),
            ),
            ("runc update --resources=- ID", "update", Some("ID")),
            ("runc update --resources - ID", "update", Some("ID")),
            ("runc list --format=json", "list", None),
            ("runc features", "features", None),
            ("runc spec -b X", "spec", None),
            ("runc mounts add X", "mounts", None),
        ] {
            let arguments = words(line);
            let position = globals(&arguments, Runc).subcommand.unwrap();
            assert_eq!(arguments[position], subcommand, "{line}");
            let rest = &arguments[position + 1..];
            // Where runc's own rules find nothing, crun's do.
            let found = Family::ALL
                .into_iter()
                .find_map(|family| command(&arguments[position], rest, family).ok()?.id);
            assert_eq!(text(found.as_ref()), id, "{line}");
        }
    }

    #[test]
    fn the_process_file_is_an_option_and_never_the_containers_argument() {
        for (line, process) in [
            ("exec --process F ID", Some("F")),
            ("exec -p F ID", Some("F")),
            ("exec --process=F ID", Some("F")),
            ("exec ID --process F", None),
            ("exec ID cmd -p F", None),
            ("exec --env A=--process ID", None),
            ("exec -e --process=F ID", None),
            ("exec -t -d -p F ID", Some("F")),
        ] {
            let arguments = words(line);
            for family in Family::ALL {
                let command = command(&arguments[0], &arguments[1..], family).unwrap();
                assert_eq!(text(command.process.as_ref()), process, "{family}: {line}");
                assert_eq!(text(command.id.as_ref()), Some("ID"), "{family}: {line}");
            }
        }
    }

    #[test]
    fn the_subcommand_is_found_behind_any_options() {
        for (line, subcommand) in [
            ("capprof", None),
            ("capprof --version", None),
            ("capprof -v", None),
            ("capprof --help create", None),
            ("capprof --root create create ID", Some(3)),
            ("capprof --root=create create ID", Some(2)),
            ("capprof --log= create ID", Some(2)),
            ("capprof --log=x create ID", Some(2)),
            ("capprof --root '' create ID", Some(3)),
            ("capprof -- create ID", Some(2)),
            ("capprof --", None),
            ("capprof --debug kill ID", Some(2)),
            // Options of a runtime that is newer than this table, with a value and without.
            ("capprof --new create ID", Some(2)),
            ("capprof --new value kill create", Some(3)),
            ("capprof --new=value create ID", Some(2)),
            ("capprof --new=value unheard-of ID", Some(2)),
            // Of the other runtime.
            ("capprof --criu /x create ID", Some(3)),
            ("capprof --cgroup-manager cgroupfs create ID", Some(3)),
        ] {
            for family in Family::ALL {
                let globals = globals(&words(line), family);
                assert_eq!(
                    globals.subcommand, subcommand,
                    "{family}: {line}: {globals:?}"
                );
            }
        }
        assert_eq!(
            globals(&words("crun --cgroup-man X --sys create ID"), Crun).subcommand,
            Some(4)
        );
        assert_eq!(
            globals(&words("runc -root X -debug create ID"), Runc).root,
            Some("X".into())
        );
    }

    #[test]
    fn what_the_runtime_refuses_before_the_subcommand_is_refused_on_create() {
        let of = |line, family| globals(&words(line), family).refusal().cloned();
        assert_eq!(of("x --systemd-cgroup=false create ID", Runc), None);
        assert!(matches!(
            of("x --systemd-cgroup=false create ID", Crun),
            Some(Error::UnexpectedValue(_))
        ));
        assert!(matches!(
            of("x --debug=maybe create ID", Runc),
            Some(Error::UnexpectedValue(_))
        ));
        assert!(matches!(of("x --log", Runc), Some(Error::MissingValue(_))));
        assert!(matches!(
            of("x ---log create ID", Runc),
            Some(Error::Syntax(..))
        ));
        assert!(matches!(
            of("x --lo x create ID", Crun),
            Some(Error::Ambiguous(_))
        ));
    }

    #[test]
    fn bytes_that_are_not_unicode_come_through() {
        let odd = OsString::from_vec(b"/b\xff".to_vec());
        for family in Family::ALL {
            let arguments = ["--bundle".into(), odd.clone(), "ID".into()];
            assert_eq!(
                command_of_one_reading(OsStr::new("create"), &arguments, family)
                    .unwrap()
                    .bundle,
                Some(odd.clone())
            );
            let glued = OsString::from_vec(b"--bundle=/b\xff".to_vec());
            let arguments = [glued, "ID".into()];
            assert_eq!(
                command_of_one_reading(OsStr::new("create"), &arguments, family)
                    .unwrap()
                    .bundle,
                Some(odd.clone())
            );
        }
    }

    #[test]
    fn each_error_is_one_line() {
        for (line, family, expected) in [
            (
                "create --no-pivot=x --bundle B ID",
                Runc,
                "option --no-pivot=x: it takes no such value",
            ),
            (
                "create --bundle",
                Runc,
                "option --bundle: its value is missing",
            ),
            ("create -b", Crun, "option -b: its value is missing"),
            ("create --no-p --bundle B ID", Crun, ""),
            (
                "create --no- --bundle B ID",
                Crun,
                "option --no-: it abbreviates more than one",
            ),
            ("create -Z ID", Crun, "option -Z: cannot be understood"),
        ] {
            match read(line, family) {
                Ok(_) => assert_eq!(expected, "", "{line}"),
                Err(error) if expected.ends_with("cannot be understood") => {
                    assert!(matches!(error, Error::Unknown(..)), "{line}: {error}");
                }
                Err(error) => assert_eq!(error.to_string(), expected, "{line}"),
            }
        }
    }

    mod arbitrary {
        use super::*;
        use proptest::prelude::*;

        fn argument() -> impl Strategy<Value = OsString> {
            let known = proptest::sample::select(vec![
                "create",
                "run",
                "exec",
                "delete",
                "--",
                "-",
                "--bundle",
                "--bundle=",
                "-b",
                "-b=",
                "-bX",
                "--root",
                "--log=",
                "=",
                "--config",
                "-f",
                "--no-pivot",
                "-bundle",
                "--process",
                "--",
                "ID",
                "",
                "-db",
                "---",
                "--=",
                "-=",
            ]);
            prop_oneof![
                known.prop_map(OsString::from),
                proptest::collection::vec(1u8.., 0..8).prop_map(OsString::from_vec),
            ]
        }

        proptest! {
            #[test]
            fn any_list_is_read_without_panic(arguments in proptest::collection::vec(argument(), 0..10)) {
                for family in Family::ALL {
                    let globals = globals(&arguments, family);
                    if let Some(position) = globals.subcommand {
                        prop_assert!((1..arguments.len()).contains(&position));
                        let rest = &arguments[position + 1..];
                        let _ = command(&arguments[position], rest, family);
                        if let Ok(reading) = command_of_one_reading(&arguments[position], rest, family) {
                            prop_assert!(reading.positional <= rest.len());
                            // What is found was given.
                            for value in [&reading.bundle, &reading.id].into_iter().flatten() {
                                let given = rest.iter().any(|given| given.as_bytes().ends_with(value.as_bytes()));
                                prop_assert!(given, "{value:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
