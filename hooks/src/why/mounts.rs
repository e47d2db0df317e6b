//! A process's mounts, as /proc/PID/mountinfo lists them (proc_pid_mountinfo(5)).

use capprof_profile::why::facts::{Mount, ReadOnly};
use std::collections::HashMap;

/// Mounts by their number.
#[derive(Default)]
pub(super) struct Mounts(HashMap<u64, Mount>);

impl Mounts {
    /// Those of a list; of a process that has ended it is empty.
    pub(super) fn of(list: &str) -> Self {
        Self(list.lines().filter_map(parse_line).collect())
    }

    /// True if it has the mount with this number.
    pub(super) fn has(&self, id: u64) -> bool {
        self.0.contains_key(&id)
    }

    /// True if nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mount with this number; of one that is not listed the path at which it was entered is its point.
    pub(super) fn find(&self, id: u64, path: &str) -> Mount {
        self.0.get(&id).cloned().unwrap_or_else(|| Mount {
            point: path.to_owned(),
            read_only: Some(ReadOnly::Either),
            ..Mount::default()
        })
    }
}

fn parse_line(line: &str) -> Option<(u64, Mount)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let id = fields.next()?.parse().ok()?;
    let (point, options) = (fields.nth(3)?, fields.next()?);
    let mut fields = file_system.split(' ');
    let (kind, super_options) = (fields.next()?, fields.nth(1)?);
    let has = |options: &str, name: &str| options.split(',').any(|option| option == name);
    let read_only = match (has(options, "ro"), has(super_options, "ro")) {
        (_, true) => Some(ReadOnly::FileSystem),
        (true, false) => Some(ReadOnly::Mount),
        (false, false) => None,
    };
    Some((
        id,
        Mount {
            point: unescape(point),
            read_only,
            nosuid: has(options, "nosuid"),
            noexec: has(options, "noexec"),
            nodev: has(options, "nodev"),
            file_system: kind.to_owned(),
        },
    ))
}

/// Blanks and the like stand as three octal digits.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
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
