//! A profile, and the reason for a member of its set, in one line.

use super::shortened::first_few;
use super::why::{purpose, reason};
use capprof_profile::printable::printable;
use capprof_profile::profile::{Need, Profile};

/// Returns the workload's name and the recording's id.
pub(crate) fn title(profile: &Profile) -> String {
    let origin = &profile.origin;
    let workload = &origin.workload;
    let name = origin
        .name
        .as_deref()
        .or(workload.image.as_deref())
        .or(workload.container.as_deref())
        .unwrap_or(&origin.container_id);
    format!("{} ({})", printable(name), origin.recording_id)
}

/// The reason why it is needed, by which programs and in which system calls.
pub(crate) fn because(need: &Need) -> String {
    let reason = reason(need.reason);
    let mut line = match purpose(need) {
        Some((plain, _)) => format!("{reason}: {plain}"),
        None if need.sites.is_empty() => reason.to_owned(),
        None => format!("{reason}, at a place that the atlas does not have"),
    };
    if !need.programs.is_empty() {
        line.push_str(&format!(", by {}", first_few(&need.programs)));
    }
    if !need.syscalls.is_empty() {
        line.push_str(&format!(" in {}", first_few(&need.syscalls)));
    }
    printable(&line)
}
