//! The advice to a user whose answer is not verified.

use super::first_run::{Recorded, quoted};

use crate::cli::ProfileOptions;
use crate::exit::Exit;
use crate::launch::Launch;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use capprof_profile::verification::Verdict;
use std::time::Duration;

/// Returns the fault and the next step, in one line.
pub(super) fn line(
    profile: &Profile,
    recorded: &Recorded,
    options: &ProfileOptions,
    exit: Exit,
) -> String {
    let id = &profile.origin.recording_id;
    let command: Vec<String> = options
        .command
        .iter()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect();
    let command = command.join(" ");
    let check = options
        .check
        .as_deref()
        .map_or_else(String::new, |check| format!(" --check {}", quoted(check)));
    // The bundle of a program that is not a container is gone.
    let verify = match Launch::parse(&options.command).is_ok() {
        true => format!("capprofctl verify {id}{check} -- {command}"),
        false => format!("capprofctl profile{check} -- {command}"),
    };
    if exit == Exit::Interrupted {
        let kept = match is_verified(profile) {
            true => "the verified profile is kept",
            false => "the profile is kept, not verified",
        };
        return format!("interrupted: {kept}; next: {verify}");
    }
    if !profile.complete {
        return format!(
            "not verified, because the profile is incomplete ({}); next: profile it once more",
            profile.incomplete_because.join("; ")
        );
    }
    if let Some(check) = recorded.check.as_ref().filter(|check| !check.passed) {
        return format!(
            "not verified: the check does not succeed even with everything granted ({}); next: correct the check, or give it more time with --timeout",
            check.last
        );
    }
    let Some(verification) = &profile.verification else {
        return format!("not verified; next: {verify}");
    };
    if verification.verdict == Verdict::StartedOnly {
        return "not verified: it was only started; next: give --check a command that uses the service"
            .to_owned();
    }
    let failure = verification
        .failures
        .first()
        .map_or_else(String::new, |failure| format!(": {failure}"));
    match verification.suggested.is_empty() {
        false => format!(
            "not verified{failure}; next: use what needed {} while profiling too, then run this once more",
            verification.suggested
        ),
        true if options.check.is_none() => {
            format!("not verified{failure}; next: give --check a command that uses the service")
        }
        true => format!(
            "not verified{failure}; next: look at the blind spots in `capprofctl report {id}`"
        ),
    }
}

/// Returns true if the profile's own set has passed.
pub(super) fn is_verified(profile: &Profile) -> bool {
    profile
        .verification
        .as_ref()
        .is_some_and(|verification| verification.verdict == Verdict::Verified)
}

/// Members of the set that may not be needed, which only a run without them can show.
pub(super) fn doubtful(profile: &Profile) -> CapabilitySet {
    profile
        .findings
        .needed
        .iter()
        .filter(|need| need.unclear.is_some())
        .map(|need| need.capability)
        .collect()
}

/// Returns the length of the recording.
pub(super) fn lasted(profile: &Profile) -> Option<Duration> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let begun = time(&profile.origin.started)?;
    let ended = time(&profile.origin.finished)?;
    ended.duration_since(begun).try_into().ok()
}
