//! The options of runc and crun, by subcommand.

use crate::family::Family;
use std::ffi::OsStr;

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// A value, attached or as the next argument.
    Value,
    /// In crun an attached value, or nothing; in runc nothing.
    Perhaps,
}

/// The families that have an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Both,
    Runc,
    Crun,
}

/// One option.
#[derive(Debug)]
pub(super) struct Flag {
    /// The long name, without dashes.
    pub(super) long: &'static str,
    short: &'static str,
    pub(super) takes: Takes,
    has: Has,
}

impl Flag {
    pub(super) fn belongs_to(&self, family: Family) -> bool {
        match self.has {
            Has::Both => true,
            Has::Runc => family == Family::Runc,
            Has::Crun => family == Family::Crun,
        }
    }

    pub(super) fn has_short(&self, letter: u8) -> bool {
        self.short.bytes().any(|short| short == letter)
    }
}

macro_rules! flags {
    ($($name:ident = [$($has:ident $long:literal $short:literal $takes:ident),* $(,)?];)*) => {
        $(pub(super) const $name: &[Flag] = &[$(
            Flag { long: $long, short: $short, takes: Takes::$takes, has: Has::$has }
        ),*];)*
    };
}

// From the runtimes' own sources, runc up to 1.5 and crun up to 1.29.
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

/// Returns true for a subcommand that capprof knows.
pub(super) fn is_subcommand(word: &OsStr) -> bool {
    SUBCOMMANDS.iter().any(|(name, ..)| word == *name)
}

/// The options of a subcommand, and whether its first positional argument is a container's id. An unknown subcommand has neither.
pub(super) fn of(subcommand: &OsStr) -> (&'static [Flag], bool) {
    SUBCOMMANDS
        .iter()
        .find(|(name, ..)| subcommand == *name)
        .map_or((NONE, false), |(_, flags, has_id)| (*flags, *has_id))
}
