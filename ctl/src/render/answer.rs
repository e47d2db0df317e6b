//! The answer of a profile in one line, and its grounds in words.

use super::observed;
use super::risk::most_dangerous_first;
use super::shortened::{first_few, short_id, shortened};
use capprof_profile::classify::HARD_LINK;
use capprof_profile::pod_security::{Admission, Level};
use capprof_profile::profile::{CheckSummary, Profile};
use capprof_profile::recording::Mode;
use capprof_profile::verification::Verdict;
use capprof_profile::{Capability, CapabilitySet};

/// The number of dropped capabilities that the headline names.
const AMONG: usize = 2;

/// The name of the profiled workload.
pub(super) fn name(profile: &Profile) -> String {
    let origin = &profile.origin;
    origin
        .name
        .clone()
        .or_else(|| origin.workload.container.clone())
        .unwrap_or_else(|| short_id(&origin.container_id).into_owned())
}

/// The command line of its process, shortened; empty if it has none.
pub(super) fn command(profile: &Profile) -> String {
    shortened(&profile.origin.process.args.join(" "), 60).into_owned()
}

/// The capabilities that the answer keeps, adds and drops.
pub(super) struct SetChange {
    /// The engine's set today.
    pub(super) had: CapabilitySet,
    /// The part of that set that stays.
    pub(super) kept: CapabilitySet,
    /// The needed capabilities that the engine does not give today.
    pub(super) beyond: CapabilitySet,
    /// The capabilities that it asks for and does not have today. No run has shown yet if it works without them.
    pub(super) unsettled: CapabilitySet,
    /// The capabilities that the engine gives today and that are not needed.
    pub(super) dropped: CapabilitySet,
}

impl SetChange {
    pub(super) fn of(profile: &Profile) -> Self {
        let had = profile.conditions.original.bounding;
        let unsettled = profile.unsettled();
        let set = profile.answer().0.difference(unsettled);
        Self {
            had,
            kept: had.intersection(set),
            beyond: set.difference(had),
            unsettled,
            // A capability that an observed container may have used unseen stays.
            dropped: match profile.conditions.mode {
                Mode::Observe => observed::unused(profile),
                _ => had.difference(set),
            },
        }
    }
}

/// `uses 4 of 14 · drops 10, among them NET_RAW, MKNOD · verified 2026-11-23 · nothing lost`
pub(super) fn headline(profile: &Profile) -> String {
    let change = SetChange::of(profile);
    let mut parts = vec![match change.had.is_empty() {
        true => "was given none".to_owned(),
        false => format!("uses {} of {}", change.kept.len(), change.had.len()),
    }];
    if !change.beyond.is_empty() {
        parts.push(format!(
            "needs {} beyond what it has: {}",
            change.beyond.len(),
            names(change.beyond.iter())
        ));
    }
    if !change.unsettled.is_empty() {
        parts.push(format!(
            "asks for {}, which it is not given",
            names(change.unsettled.iter())
        ));
    }
    let dropped = most_dangerous_first(change.dropped);
    parts.push(match dropped.len() {
        0 => "drops none".to_owned(),
        few if few <= AMONG => format!("drops {}", names(dropped.into_iter())),
        many => format!(
            "drops {many}, among them {}",
            names(dropped.into_iter().take(AMONG))
        ),
    });
    parts.push(standing(profile));
    parts.push(lost(profile).to_owned());
    parts.join(" · ")
}

/// The recorders' losses, in words.
pub(super) fn lost(profile: &Profile) -> &'static str {
    match (profile.complete, profile.losses().next()) {
        (true, _) => "nothing lost",
        (false, None) if profile.conditions.in_progress => "so far",
        (false, None) => "start not seen",
        (false, Some(_)) => "INCOMPLETE",
    }
}

/// The checks without which the program goes on with less. A hard link is not among them: a blind spot says what it needs.
pub(super) fn optional(profile: &Profile) -> Vec<&CheckSummary> {
    let dismissed = profile.findings.dismissed.iter();
    dismissed
        .filter(|entry| entry.optional && entry.rule != HARD_LINK)
        .collect()
}

/// The verdict on the set, with its date, in words.
fn standing(profile: &Profile) -> String {
    match &profile.verification {
        Some(verification) => {
            let date = verification.date.get(..10).unwrap_or(&verification.date);
            match verification.verdict {
                Verdict::Verified => format!("verified {date}"),
                Verdict::StartedOnly => format!("started only {date}"),
                Verdict::NotVerified => format!("NOT VERIFIED {date}"),
            }
        }
        None => "not verified yet".to_owned(),
    }
}

/// Short names with commas.
pub(super) fn names(capabilities: impl Iterator<Item = Capability>) -> String {
    capabilities
        .map(Capability::short_name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The faults of the recording, a line each.
pub(super) fn warnings(profile: &Profile) -> Vec<String> {
    let mut lines = Vec::new();
    if !profile.complete {
        let because = profile.incomplete_because.join("; ");
        lines.push(match profile.losses().next() {
            Some(_) => {
                format!("INCOMPLETE: {because}. Capabilities may be missing below: record again.")
            }
            None => format!("{because}: capabilities may be missing below."),
        });
    }
    if let Some(exit) = profile.exit.filter(|exit| exit.is_failure()) {
        lines.push(format!(
            "the container failed ({exit}): later activity was not seen"
        ));
    }
    lines
}

/// Warnings to read before using the answer, a line each.
pub(super) fn remarks(profile: &Profile) -> Vec<String> {
    let mut lines = match profile.conditions.mode {
        Mode::Observe => observed::refused(profile).into_iter().collect(),
        _ => other_user(profile),
    };
    if let Some(shrunk) = &profile.shrunk {
        let by = match &shrunk.check {
            Some(check) => format!("`{check}`"),
            None => "its exit status".to_owned(),
        };
        lines.push(format!(
            "shrunk {} in {} runs, judged by {by}, to: {}",
            shrunk.finished, shrunk.runs, shrunk.set
        ));
        if !shrunk.left_out.is_empty() {
            lines.push(format!("does without: {}", shrunk.left_out));
        }
        if !shrunk.added.is_empty() {
            lines.push(format!("needs, though it was not seen: {}", shrunk.added));
        }
    }
    lines
}

/// Remarks on a process that is not root: its capabilities are not effective, and some system calls failed for lack of them.
fn other_user(profile: &Profile) -> Vec<String> {
    let uid = profile.origin.process.uid;
    if uid == 0 || !profile.conditions.original.ambient.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "user {uid} holds none of these effective today: set-user-ID programs and file capabilities took them from the bounding set"
    )];
    if !profile.denied_needs.is_empty() {
        let names: Vec<String> = profile
            .denied_needs
            .iter()
            .map(|need| format!("{} ({})", need.capability, first_few(&need.programs)))
            .collect();
        lines.push(format!(
            "refused to user {uid}, and made system calls fail: {}",
            names.join(", ")
        ));
    }
    lines
}

/// The level of the Pod Security Standards that admits the answer, and the obstacles to the next.
pub(super) fn pod_security(profile: &Profile) -> String {
    let standing = Admission::of(profile);
    match (standing.level, standing.obstacles.is_empty()) {
        (level, true) => level.to_string(),
        (Level::Privileged, false) => {
            format!(
                "privileged; for baseline: {}",
                standing.obstacles.join("; ")
            )
        }
        (level, false) => format!("{level}; for restricted: {}", standing.obstacles.join("; ")),
    }
}

/// The circumstances of the recording: `recorded 2026-… by eBPF (tp_btf/cap_capable), run by runc on Linux 6.12; RECORDING`.
pub(super) fn recorded(profile: &Profile) -> String {
    let witnesses = profile
        .conditions
        .recorders
        .iter()
        .filter(|report| report.recorded)
        .map(|report| format!("{} ({})", report.recorder.display_name(), report.method))
        .collect::<Vec<_>>()
        .join(" and ");
    let by = match witnesses.is_empty() {
        true => String::new(),
        false => format!(" by {witnesses}"),
    };
    format!(
        "recorded {}{by}, run by {} on Linux {}; {}",
        profile.origin.started,
        profile.origin.runtime.name,
        profile.origin.host.kernel,
        profile.origin.recording_id
    )
}

/// The blind spots: each reason, with the capabilities that it concerns.
pub(super) fn blind_spots<'a>(
    spots: impl Iterator<Item = &'a capprof_profile::observation::BlindSpot>,
) -> Vec<(String, &'a str)> {
    let mut grouped: Vec<(&str, Vec<String>)> = Vec::new();
    for spot in spots {
        let name = spot
            .capability
            .map_or_else(|| "any".to_owned(), |capability| capability.to_string());
        match grouped
            .iter_mut()
            .find(|(reason, _)| *reason == spot.reason)
        {
            Some((_, names)) => names.push(name),
            None => grouped.push((&spot.reason, vec![name])),
        }
    }
    grouped
        .into_iter()
        .map(|(reason, mut names)| {
            names.dedup();
            (names.join(", "), reason)
        })
        .collect()
}
