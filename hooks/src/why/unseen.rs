//! Counts the refusals, or parts of them, that are not examined because they exceed a bound.

use super::kernel::Kernel;
use super::layout::{EXTENTS, Event, GROUPS, Lost, PATH, flag};

/// The numbers of such refusals.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// Those beyond the number that is kept.
    pub(super) dropped: u64,
    /// Those about a file whose mounts are not known: the process and its mount namespace were gone before any of its processes was examined.
    pub(super) too_late: u64,
    names: u64,
    groups: u64,
    ranges: u64,
}

impl Unseen {
    /// Counts the parts of a refusal that the kernel side has not kept.
    pub(super) fn note(&mut self, event: &Event) {
        let more = |count: u32, kept: usize| usize::try_from(count).is_ok_and(|count| count > kept);
        self.names += u64::from(has_long_name(event));
        self.groups += u64::from(more(event.groups, GROUPS));
        self.ranges +=
            u64::from(more(event.extents_uid, EXTENTS) || more(event.extents_gid, EXTENTS));
    }

    /// A line for each kind, including losses of the kernel side for lack of room.
    pub(super) fn lines(&self, kernel: &Kernel) -> Vec<String> {
        let counted = [
            (
                kernel.lost(Lost::Events) + self.dropped,
                "refusals were not looked at, because there were too many".to_owned(),
            ),
            (
                kernel.lost(Lost::Processes),
                "processes were not watched, because there were too many".to_owned(),
            ),
            (
                self.names,
                format!(
                    "refusals of files with names longer than {} bytes, or in directories that are too deep: the files were not looked at",
                    PATH - 1
                ),
            ),
            (
                self.groups,
                format!(
                    "refusals of processes with more than {GROUPS} groups: the other groups were not looked at"
                ),
            ),
            (
                self.ranges,
                format!(
                    "refusals in user namespaces with more than {EXTENTS} ranges of ids: which ids they map was not looked at"
                ),
            ),
        ];
        let mut lines: Vec<String> = counted
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if self.too_late > 0 {
            lines.push(format!(
                "the mounts of {} refusals: their processes were gone too soon; run it again, or let the last process sleep a second",
                self.too_late
            ));
        }
        lines
    }
}

/// Returns true if the kernel side kept only a part of a name, which would lead elsewhere.
pub(super) fn has_long_name(event: &Event) -> bool {
    let is_cut = event.flags & flag::BASE_KNOWN != 0 && event.flags & flag::BASE_TRUNCATED != 0;
    event.flags & flag::PATH_TRUNCATED != 0 || is_cut
}
