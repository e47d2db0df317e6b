//! A process's mounts, as /proc/PID/mountinfo lists them (proc_pid_mountinfo(5)).

use capprof_profile::why::facts::{Mount, ReadOnly};
use capprof_store::mountinfo::{MountEntry, entries, has_option};
use std::collections::HashMap;

/// Mounts by their number.
#[derive(Default)]
pub(super) struct Mounts(HashMap<u64, Mount>);

impl Mounts {
    /// Reads the mounts of a list. The list of a process that has ended is empty.
    pub(super) fn of(list: &str) -> Self {
        Self(entries(list).map(mount).collect())
    }

    /// Returns true if the list has the mount with this number.
    pub(super) fn has(&self, id: u64) -> bool {
        self.0.contains_key(&id)
    }

    /// Returns true if no mount is known.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the mount with this number. If it is not listed, its mount point is the path at which it was entered.
    pub(super) fn find(&self, id: u64, path: &str) -> Mount {
        self.0.get(&id).cloned().unwrap_or_else(|| Mount {
            point: path.to_owned(),
            read_only: Some(ReadOnly::Either),
            ..Mount::default()
        })
    }
}

fn mount(entry: MountEntry<'_>) -> (u64, Mount) {
    let has = |name| has_option(entry.options, name);
    let read_only = match (has("ro"), has_option(entry.super_options, "ro")) {
        (_, true) => Some(ReadOnly::FileSystem),
        (true, false) => Some(ReadOnly::Mount),
        (false, false) => None,
    };
    (
        entry.id,
        Mount {
            read_only,
            nosuid: has("nosuid"),
            noexec: has("noexec"),
            nodev: has("nodev"),
            file_system: entry.file_system.to_owned(),
            point: entry.point,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_is_read_only() {
        let mounts = Mounts::of(
            "36 35 98:0 /mnt1 /mnt\\0402 ro,noexec master:1 - ext3 /dev/root rw,errors=continue\n\
             37 35 98:0 / /iso rw - iso9660 /dev/sr0 ro\n",
        );
        let first = mounts.find(36, "");
        assert_eq!(first.point, "/mnt 2");
        assert_eq!(first.read_only, Some(ReadOnly::Mount));
        assert!(first.noexec && !first.nosuid);
        assert_eq!(first.file_system, "ext3");
        assert_eq!(mounts.find(37, "").read_only, Some(ReadOnly::FileSystem));
        assert_eq!(mounts.find(38, "/x").point, "/x");
    }
}
