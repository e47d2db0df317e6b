//! Judges a minimized set: compares a run with the set to the profile that the set comes from.
//!
//! The profile, the run's own profile (recorded with [`crate::profile::Profile::verifies`]), and what was seen from outside go in, a
//! [`Verification`] comes out. `docs/verify.md` explains the rules to users.

#[cfg(test)]
mod tests;

use crate::CapabilitySet;
use crate::need::Need;
use crate::observation::{ProgramExit, RecorderName, Results};
use crate::profile::{Origin, Profile};
use crate::recording::SECCOMP;
use crate::verification::{Compared, Comparison, Outside, RunEnd, Verdict, Verification};

/// Compares a run to the profile whose set it had.
///
/// The exit status of a program that ended by itself, and the check, decide. A system call that failed for lack of a capability that the profiled
/// run had decides only if neither of these speaks for the set, or if the user asks for it.
pub fn judge(profile: &Profile, run: &Profile, outside: &Outside) -> Verification {
    let mut verification = Verification {
        verdict: Verdict::NotVerified,
        date: run.origin.finished.clone(),
        run: run.origin.recording_id.clone(),
        command: outside.command.clone(),
        runtime: run.origin.runtime.clone(),
        kernel: run.origin.host.kernel.clone(),
        sets: run.conditions.granted,
        compared: Vec::new(),
        denied: run.findings.denied.clone(),
        failures: Vec::new(),
        suggested: CapabilitySet::EMPTY,
        notes: Vec::new(),
    };
    let denied_needs = lacking(profile, run);
    let unseen = why_refused_checks_unseen(run);

    match outside.anyway {
        true => verification.notes.extend(differences(profile, run)),
        false => verification.failures.extend(differences(profile, run)),
    }
    let exit = compare_exit(profile, run, outside, &mut verification);
    let check = compare_check(outside, &mut verification);
    let decided = check == Some(true)
        || (check.is_none() && exit == Some(true) && outside.end != RunEnd::Unknown);
    let failed: Vec<String> = denied_needs.iter().map(|need| failure(run, need)).collect();
    if let Some(reason) = &unseen {
        verification.notes.push(format!(
            "system calls that failed for lack of a capability could not be seen: {reason}"
        ));
        if !decided && !outside.today && verification.failures.is_empty() {
            verification.failures.push(
                "nothing could be compared: give a check, or let the program end by itself"
                    .to_owned(),
            );
        }
    } else {
        let allowed = (decided || outside.today) && !outside.strict;
        verification.compared.push(Comparison {
            what: Compared::Denied,
            profiled: None,
            verified: match failed.len() {
                0 => "no system call failed for lack of a capability".to_owned(),
                _ => failed.join("; "),
            },
            passed: failed.is_empty(),
        });
        if verification.failures.is_empty() && allowed {
            verification.notes.extend(
                failed
                    .iter()
                    .map(|line| format!("{line}, and the program went on")),
            );
        } else {
            verification.failures.extend(failed);
        }
        if !run.complete {
            let lost = run.incomplete_because.join("; ");
            match decided || outside.today {
                true => verification.notes.push(format!("incomplete: {lost}")),
                false if verification.failures.is_empty() => verification
                    .failures
                    .push(format!("not every refusal was seen: {lost}")),
                false => {}
            }
        }
    }
    if verification.failures.is_empty() {
        verification.verdict = without_failure(exit, outside);
    } else {
        verification.suggested = denied_needs.iter().map(|need| need.capability).collect();
        explain(profile, run, &mut verification);
    }
    note_sets(run, &mut verification);
    verification
}

/// Returns the differences between the workload of a run and the profiled one, a line each: image, command, user.
pub fn differences(profile: &Profile, run: &Profile) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, profiled: String, now: String| {
        if profiled != now {
            differences.push(format!(
                "it was run with another {what} ({now}) than when it was profiled ({profiled})"
            ));
        }
    };
    let (before, now) = (&profile.origin, &run.origin);
    if !before.workload.is_of_image(&now.workload) {
        let name = |origin: &Origin| origin.workload.image.clone().unwrap_or_default();
        compare("image", name(before), name(now));
    }
    let words = |origin: &Origin| origin.process.args.join(" ");
    compare("command", words(before), words(now));
    let user = |origin: &Origin| origin.process.uid.to_string();
    compare("user", user(before), user(now));
    differences
}

/// The verdict on a run in which nothing failed. If it did not end by itself and there was no check, all that is known is that it
/// started.
fn without_failure(exit: Option<bool>, outside: &Outside) -> Verdict {
    let ended = match outside.end {
        RunEnd::Itself(_) => true,
        // An annotation asked for this run: an exit that can be compared to the profiled one is taken for the program's own end.
        RunEnd::Unknown => exit.is_some(),
        RunEnd::Stopped => false,
    };
    match outside.check.is_none() && !ended {
        true => Verdict::StartedOnly,
        false => Verdict::Verified,
    }
}

/// Returns the capabilities that the run lacked and the profiled run did not.
fn lacking<'a>(profile: &Profile, run: &'a Profile) -> Vec<&'a Need> {
    let needs = run.denied_needs.iter();
    needs
        .filter(|need| !was_refused_before(profile, need))
        .collect()
}

/// Returns true if the profiled run was refused the same capability and did not use it.
fn was_refused_before(profile: &Profile, need: &Need) -> bool {
    profile.findings.denied.iter().any(|entry| {
        entry.capability == need.capability && UNGRANTED.contains(&entry.rule.as_str())
    }) && !profile
        .findings
        .needed
        .iter()
        .any(|other| other.capability == need.capability)
}

/// The rules of checks that are refused because the capability is missing (see [`crate::classify`]).
pub const UNGRANTED: [&str; 2] = ["refused", "initial-namespace"];

/// Returns why no recorder of the run saw refusals and how their system calls ended; `None` if one did.
fn why_refused_checks_unseen(run: &Profile) -> Option<String> {
    let ebpf = run
        .conditions
        .recorders
        .iter()
        .find(|report| report.recorder == RecorderName::Ebpf);
    match ebpf {
        Some(report) if report.recorded => report.results_unseen.clone(),
        Some(report) => Some(report.refused.join("; ")),
        None => Some("the configuration does not allow eBPF".to_owned()),
    }
}

/// Returns true if the exit status speaks for the set; `None` if it says nothing.
fn compare_exit(
    profile: &Profile,
    run: &Profile,
    outside: &Outside,
    verification: &mut Verification,
) -> Option<bool> {
    let reported = match outside.end {
        RunEnd::Stopped => return None,
        RunEnd::Itself(status) => status,
        RunEnd::Unknown => None,
    };
    // An engine reports a signal as a status, which cannot be told from an exit status.
    let (now, equal) = match (run.exit, reported) {
        (Some(now), _) => (
            now.to_string(),
            profile
                .exit
                .map_or(now == ProgramExit::Code(0), |exit| exit == now),
        ),
        (None, Some(status)) => (
            format!("exit status {status}"),
            status == profile.exit.map_or(0, as_engines_report),
        ),
        (None, None) => return None,
    };
    let before = profile.exit.map(|exit| exit.to_string());
    verification.compared.push(Comparison {
        what: Compared::Exit,
        profiled: before.clone(),
        verified: now.clone(),
        passed: equal,
    });
    if !equal {
        verification.failures.push(match before {
            Some(before) => format!("the program: {now}; when it was profiled: {before}"),
            None => format!("the program: {now}"),
        });
    } else if before.is_none() {
        verification.notes.push(
            "how the program had ended when it was profiled is not known: success was expected"
                .to_owned(),
        );
    }
    Some(equal)
}

/// `128 + signal`, as shells, docker and podman do.
fn as_engines_report(exit: ProgramExit) -> u8 {
    match exit {
        ProgramExit::Code(code) => code,
        ProgramExit::Signal(signal) => signal.saturating_add(128),
    }
}

fn compare_check(outside: &Outside, verification: &mut Verification) -> Option<bool> {
    let check = outside.check.as_ref()?;
    let tries = match check.tries {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    let now = format!("{}: {} ({tries})", check.command, check.last);
    verification.compared.push(Comparison {
        what: Compared::Check,
        profiled: check
            .baseline
            .then(|| format!("{}: success with everything granted", check.command)),
        verified: now.clone(),
        passed: check.passed,
    });
    if !check.passed {
        verification.failures.push(format!("the check {now}"));
    }
    Some(check.passed)
}

/// `openat of postgres failed with EACCES (2x) for lack of CAP_DAC_OVERRIDE`
fn failure(run: &Profile, need: &Need) -> String {
    let mut outcome = Results::default();
    for entry in &run.findings.denied {
        if entry.capability == need.capability && UNGRANTED.contains(&entry.rule.as_str()) {
            outcome.add(&entry.outcome.unwrap_or_default());
        }
    }
    let errors: Vec<String> = [
        ("EPERM", outcome.eperm),
        ("EACCES", outcome.eacces),
        ("another error", outcome.other_error),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| format!("{name} ({count}x)"))
    .collect();
    let list = |names: &[String], otherwise: &str| match names {
        [] => otherwise.to_owned(),
        names => names.join(", "),
    };
    format!(
        "{} of {} failed with {} for lack of {}",
        list(&need.syscalls, "a system call"),
        list(&need.programs, "a program"),
        list(&errors, "an error"),
        need.capability
    )
}

/// Looks for what to add if no refused check shows it.
fn explain(profile: &Profile, run: &Profile, verification: &mut Verification) {
    if !verification.suggested.is_empty() {
        return;
    }
    let given = run.conditions.granted.bounding;
    verification.suggested = profile
        .findings
        .needed
        .iter()
        .map(|need| need.capability)
        .filter(|capability| !given.contains(*capability))
        .collect();
    if !verification.suggested.is_empty() {
        return;
    }
    let candidates: CapabilitySet = profile
        .findings
        .blind_spots
        .iter()
        .chain(&run.findings.blind_spots)
        .filter_map(|spot| spot.capability)
        .filter(|capability| !given.contains(*capability))
        .collect();
    if !candidates.is_empty() {
        verification.notes.push(format!(
            "no refused check explains it; the use of {candidates} could not be seen: try adding one of these"
        ));
    }
    if profile.conditions.relaxed.is_empty() {
        return;
    }
    let places: Vec<&str> = profile
        .conditions
        .relaxed
        .iter()
        .map(|relaxation| relaxation.pointer.as_str())
        .collect();
    verification.notes.push(format!(
        "relaxed while profiling, and in force in this run: {}",
        places.join(", ")
    ));
    // The filters of docker and podman let mount, chroot and the like pass only with their capability: the kernel's own check is not reached.
    if places.contains(&SECCOMP) {
        verification.notes.push(
            "the seccomp filter may have refused a system call before any capability was asked for: verify once more without it, with docker and \
             podman by --security-opt seccomp=unconfined, to see which"
                .to_owned(),
        );
    }
}

/// Adds a note if capprof gave sets that the engine could not have given.
fn note_sets(run: &Profile, verification: &mut Verification) {
    let (asked, had) = (&run.conditions.original, &run.conditions.granted);
    let beyond = [
        ("bounding", had.bounding.difference(asked.bounding)),
        ("ambient", had.ambient.difference(asked.ambient)),
    ];
    for (name, set) in beyond {
        if !set.is_empty() {
            verification.notes.push(format!(
                "the engine's own configuration does not have {set} in the {name} set: capprof gave it, and io.capprof.mode=enforce does"
            ));
        }
    }
    for report in &run.conditions.recorders {
        if report.recorder == RecorderName::Selinux {
            verification.notes.extend(report.refused.iter().cloned());
        }
    }
}
