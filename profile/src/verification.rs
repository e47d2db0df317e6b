//! The verdict on a minimized set: what came of running the workload again with nothing but that set.
//!
//! Pure: the profile, the run's own profile (recorded with [`crate::profile::Profile::verifies`]), and what was seen from outside go in, a
//! [`Verification`] comes out. `docs/verify.md` explains the rules to users.

use crate::CapabilitySet;
use crate::observation::{Exit, Recorder, Results};
use crate::profile::{CheckSummary, Need, Profile, RuntimeReport};
use crate::recording::ProcessSets;
use serde::{Deserialize, Serialize};

/// Whether a minimized set has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The workload did with it what it had done with everything, as far as was compared.
    Verified,
    /// Something broke, or nothing could be compared.
    NotVerified,
}

/// Something that was held against the profiled run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// How the container's first process ended.
    Exit,
    /// The command that was run beside the container.
    Check,
    /// System calls that failed for want of a capability.
    Denied,
}

/// The outcome of one comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was compared.
    pub what: Compared,
    /// With which outcome in the profiled run, in one line; `None` where that is not known.
    pub profiled: Option<String>,
    /// With which outcome now, in one line.
    pub verified: String,
    /// Whether that speaks for the set.
    pub passed: bool,
}

/// What came of running a workload again with its minimized set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The verdict.
    pub verdict: Verdict,
    /// When the run was over, RFC 3339 in UTC.
    pub date: String,
    /// The run's own recording id.
    pub run: String,
    /// The command that ran it, word by word; empty where nobody but an annotation had asked.
    pub command: Vec<String>,
    /// The low-level runtime of the run.
    pub runtime: RuntimeReport,
    /// `uname -r` of the run.
    pub kernel: String,
    /// The sets that the container's process had.
    pub sets: ProcessSets,
    /// What was compared.
    pub compared: Vec<Comparison>,
    /// All refused checks of the run.
    pub denied: Vec<CheckSummary>,
    /// What broke, a line each; empty if verified.
    #[serde(alias = "broke")]
    pub failures: Vec<String>,
    /// What to add to the set, in so far as that is known; empty if verified.
    #[serde(alias = "add")]
    pub suggested: CapabilitySet,
    /// What else was noticed, or could not be seen, a line each.
    pub notes: Vec<String>,
}

/// How the run came to its end, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody watched: it may have been stopped.
    Unknown,
    /// The program ended of its own accord; with the status of the command that had started it, if that is the program's.
    Itself(Option<u8>),
    /// It was stopped when everything had been seen.
    Stopped,
}

/// The command that was run beside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The shell command.
    pub command: String,
    /// Whether it succeeded at last.
    pub passed: bool,
    /// How often it was run.
    pub tries: u32,
    /// How it ended the last time, in one line.
    pub last: String,
    /// Whether it was seen to succeed with everything granted.
    pub baseline: bool,
}

/// What was seen of the run from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The command that ran it.
    pub command: Vec<String>,
    /// How it ended.
    pub end: End,
    /// The check, if there was one.
    pub check: Option<Check>,
    /// Whether a system call that failed for want of a capability counts although the program went on and did all that was compared.
    pub strict: bool,
}

impl Outside {
    /// Nobody watched.
    pub fn nothing() -> Self {
        Self {
            command: Vec::new(),
            end: End::Unknown,
            check: None,
            strict: true,
        }
    }
}

/// Holds a run against the profile whose set it had.
///
/// What is compared decides: the exit status of a program that ended by itself, and the check. A system call that failed for want of a
/// capability that the profiled run had decides where neither of these speaks for the set, or where that is asked for.
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
    let denied_needs: Vec<&Need> = run
        .denied_needs
        .iter()
        .filter(|need| !was_refused_before(profile, need))
        .collect();
    let seen = refused_checks_seen(run);

    let exit = compare_exit(profile, run, outside, &mut verification);
    let check = compare_check(outside, &mut verification);
    let decided = check == Some(true)
        || (check.is_none() && exit == Some(true) && outside.end != End::Unknown);
    let failed: Vec<String> = denied_needs.iter().map(|need| failure(run, need)).collect();
    if let Err(reason) = &seen {
        verification.notes.push(format!(
            "system calls that failed for want of a capability could not be seen: {reason}"
        ));
        if !decided && verification.failures.is_empty() {
            verification.failures.push(
                "nothing could be compared: give a check, or let the program end by itself"
                    .to_owned(),
            );
        }
    } else {
        let allowed = decided && !outside.strict;
        verification.compared.push(Comparison {
            what: Compared::Denied,
            profiled: None,
            verified: match failed.len() {
                0 => "no system call failed for want of a capability".to_owned(),
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
            match decided {
                true => verification.notes.push(format!("incomplete: {lost}")),
                false if verification.failures.is_empty() => verification
                    .failures
                    .push(format!("not everything that was refused was seen: {lost}")),
                false => {}
            }
        }
    }
    if verification.failures.is_empty() {
        verification.verdict = Verdict::Verified;
    } else {
        verification.suggested = denied_needs.iter().map(|need| need.capability).collect();
        explain(profile, run, &mut verification);
    }
    note_sets(run, &mut verification);
    verification
}

/// Whether the profiled run was refused it as well, and did not use it either.
fn was_refused_before(profile: &Profile, need: &Need) -> bool {
    profile.findings.denied.iter().any(|entry| {
        entry.capability == need.capability && UNGRANTED.contains(&entry.rule.as_str())
    }) && !profile
        .findings
        .needed
        .iter()
        .any(|other| other.capability == need.capability)
}

/// The rules of checks that are refused for want of the capability (see [`crate::classify`]).
const UNGRANTED: [&str; 2] = ["refused", "initial-namespace"];

/// Whether the run's recorder saw what was refused and what came of it; else why not.
fn refused_checks_seen(run: &Profile) -> Result<(), String> {
    let ebpf = run
        .conditions
        .recorders
        .iter()
        .find(|report| report.recorder == Recorder::Ebpf);
    match ebpf {
        Some(report) if report.recorded => {}
        Some(report) => return Err(report.refused.join("; ")),
        None => return Err("the configuration wants no eBPF".to_owned()),
    }
    match run
        .findings
        .blind_spots
        .iter()
        .find(|spot| spot.recorder == Recorder::Ebpf && spot.reason.starts_with(RESULTS_UNSEEN))
    {
        Some(spot) => Err(spot.reason.clone()),
        None => Ok(()),
    }
}

/// What the reason of a blind spot begins with, where refused checks could not be followed to the end of their system call.
pub const RESULTS_UNSEEN: &str = "what system calls came to in which a check was refused";

/// Gives whether the exit status speaks for the set; `None` if it says nothing.
fn compare_exit(
    profile: &Profile,
    run: &Profile,
    outside: &Outside,
    verification: &mut Verification,
) -> Option<bool> {
    let reported = match outside.end {
        End::Stopped => return None,
        End::Itself(status) => status,
        End::Unknown => None,
    };
    // An engine reports a signal as a status, of which nobody can tell whether it was one.
    let (now, equal) = match (run.exit, reported) {
        (Some(now), _) => (
            now.to_string(),
            profile
                .exit
                .map_or(now == Exit::Code(0), |exit| exit == now),
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
fn as_engines_report(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => signal.saturating_add(128),
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

/// `openat of postgres failed with EACCES (2x) for want of CAP_DAC_OVERRIDE`
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
        "{} of {} failed with {} for want of {}",
        list(&need.syscalls, "a system call"),
        list(&need.programs, "a program"),
        list(&errors, "an error"),
        need.capability
    )
}

/// Looks for what to add where no refused check tells.
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
    // docker and podman let a filter pass mount, chroot and the like only with their capability: of the check behind it nobody is told.
    if places.contains(&SECCOMP) {
        verification.notes.push(
            "the seccomp filter may have refused a system call before any capability was asked for: verify once more without it, with docker and \
             podman by --security-opt seccomp=unconfined, to see which"
                .to_owned(),
        );
    }
}

/// Where config.json has the seccomp filter.
pub(crate) const SECCOMP: &str = "/linux/seccomp";

/// An engine that could not have given these sets has to be told: capprof did.
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
        if report.recorder == Recorder::Selinux {
            verification.notes.extend(report.refused.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capability;
    use crate::assemble::tests::is_valid;
    use crate::fixtures::check;
    use crate::fixtures::{host, recording, reports};
    use crate::observation::{BlindSpot, Evidence, Observation, Verdict as Answer};
    use crate::recording::Mode;

    const GIVEN: [Capability; 1] = [Capability::NET_BIND_SERVICE];

    /// The profile of a program that used `needs`, and ended so.
    fn profile(needs: &[Capability], exit: Option<Exit>) -> Profile {
        let evidence = Evidence {
            observations: needs
                .iter()
                .map(|capability| check(*capability, "openat", &["ns_capable"]))
                .collect(),
            exit,
            ..Evidence::default()
        };
        crate::assemble::profile(
            &recording("web-1", "20261123T150102Z-1a2b3c4d"),
            reports(),
            vec![(Recorder::Ebpf, evidence)],
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        )
    }

    fn refused(capability: Capability, results: Results) -> Observation {
        Observation {
            verdict: Answer::Denied,
            results: Some(results),
            count: results.failed() + results.success,
            ..check(
                capability,
                "openat",
                &["capable_wrt_inode_uidgid", "generic_permission"],
            )
        }
    }

    fn eacces(count: u64) -> Results {
        Results {
            eacces: count,
            ..Results::default()
        }
    }

    /// A run with [`GIVEN`] alone.
    fn run(observations: Vec<Observation>, exit: Option<Exit>) -> Profile {
        let mut recording = recording("web-2", "20261124T150102Z-1a2b3c4d");
        recording.mode = Mode::Verify;
        recording.profile = Some("20261123T150102Z-1a2b3c4d".to_owned());
        let set = GIVEN.into_iter().collect();
        recording.grant.granted = ProcessSets {
            bounding: set,
            effective: set,
            permitted: set,
            ..ProcessSets::default()
        };
        recording.grant.original = recording.grant.granted;
        let evidence = Evidence {
            observations,
            exit,
            ..Evidence::default()
        };
        crate::assemble::profile(
            &recording,
            reports().into_iter().take(1).collect(),
            vec![(Recorder::Ebpf, evidence)],
            "2026-11-24T15:02:00Z".to_owned(),
            host(),
        )
    }

    fn watched(end: End) -> Outside {
        Outside {
            command: vec!["runc".to_owned(), "run".to_owned(), "web-2".to_owned()],
            end,
            check: None,
            strict: false,
        }
    }

    fn checked(passed: bool) -> Outside {
        Outside {
            check: Some(Check {
                command: "curl localhost".to_owned(),
                passed,
                tries: 3,
                last: if passed { "success" } else { "exit status 7" }.to_owned(),
                baseline: false,
            }),
            ..watched(End::Stopped)
        }
    }

    const SUCCESS: Option<Exit> = Some(Exit::Code(0));

    #[track_caller]
    fn gives(
        profile: &Profile,
        run: &Profile,
        outside: &Outside,
        failures: &[&str],
    ) -> Verification {
        let verification = judge(profile, run, outside);
        assert_eq!(verification.failures, failures);
        assert_eq!(
            verification.verdict == Verdict::Verified,
            failures.is_empty(),
            "{verification:?}"
        );
        verification
    }

    #[test]
    fn the_same_end_with_nothing_refused_is_verified() {
        let before = profile(&GIVEN, SUCCESS);
        let verification = gives(
            &before,
            &run(Vec::new(), SUCCESS),
            &watched(End::Itself(Some(0))),
            &[],
        );
        assert_eq!(verification.run, "20261124T150102Z-1a2b3c4d");
        assert!(verification.compared.iter().all(|one| one.passed));
        assert_eq!(verification.compared.len(), 2);
        // Not only success can be compared.
        let fails = Some(Exit::Code(3));
        gives(
            &profile(&GIVEN, fails),
            &run(Vec::new(), fails),
            &watched(End::Itself(Some(3))),
            &[],
        );
    }

    #[test]
    fn a_seccomp_filter_that_may_have_hidden_the_check_is_named_with_the_way_past_it() {
        let mut before = profile(&GIVEN, SUCCESS);
        let failed = |before: &Profile| {
            let end = watched(End::Itself(Some(1)));
            judge(before, &run(Vec::new(), Some(Exit::Code(1))), &end).notes
        };
        let named = |notes: &[String]| notes.iter().any(|note| note.contains("seccomp=unconfined"));
        before.conditions.relaxed[0].pointer = "/linux/seccomp".to_owned();
        assert!(named(&failed(&before)), "{:?}", failed(&before));
        before.conditions.relaxed[0].pointer = "/process/apparmorProfile".to_owned();
        assert!(!named(&failed(&before)), "{:?}", failed(&before));
    }

    #[test]
    fn verdicts_and_runs_agree_with_the_schema() {
        let mut before = profile(&GIVEN, SUCCESS);
        let now = run(
            vec![refused(Capability::DAC_OVERRIDE, eacces(2))],
            Some(Exit::Signal(9)),
        );
        is_valid(&now);
        before.verification = Some(judge(&before, &now, &checked(false)));
        is_valid(&before);
        before.verification = Some(judge(&before, &run(Vec::new(), SUCCESS), &checked(true)));
        is_valid(&before);
    }

    #[test]
    fn another_end_is_not_and_names_what_was_refused() {
        let verification = gives(
            &profile(
                &[Capability::NET_BIND_SERVICE, Capability::DAC_OVERRIDE],
                SUCCESS,
            ),
            &run(
                vec![refused(Capability::DAC_OVERRIDE, eacces(2))],
                Some(Exit::Code(1)),
            ),
            &watched(End::Itself(Some(1))),
            &[
                "the program: exit status 1; when it was profiled: exit status 0",
                "openat of program failed with EACCES (2x) for want of CAP_DAC_OVERRIDE",
            ],
        );
        assert_eq!(
            verification.suggested,
            [Capability::DAC_OVERRIDE].into_iter().collect()
        );
    }

    #[test]
    fn of_what_the_kernel_asks_in_turn_the_first_is_named() {
        let verification = gives(
            &profile(&GIVEN, SUCCESS),
            &run(
                vec![
                    refused(Capability::DAC_READ_SEARCH, eacces(2)),
                    refused(Capability::DAC_OVERRIDE, eacces(2)),
                ],
                Some(Exit::Code(1)),
            ),
            &watched(End::Itself(None)),
            &[
                "the program: exit status 1; when it was profiled: exit status 0",
                "openat of program failed with EACCES (2x) for want of CAP_DAC_READ_SEARCH",
            ],
        );
        assert_eq!(
            verification.suggested,
            [Capability::DAC_READ_SEARCH].into_iter().collect()
        );
        // Where the second was asked more often, it was asked first somewhere, and does for both.
        let verification = judge(
            &profile(&GIVEN, SUCCESS),
            &run(
                vec![
                    refused(Capability::DAC_READ_SEARCH, eacces(2)),
                    refused(Capability::DAC_OVERRIDE, eacces(3)),
                ],
                Some(Exit::Code(1)),
            ),
            &watched(End::Itself(None)),
        );
        assert_eq!(
            verification.suggested,
            [Capability::DAC_OVERRIDE].into_iter().collect()
        );
    }

    #[test]
    fn a_program_that_goes_on_is_verified_unless_that_is_not_enough() {
        let before = profile(&GIVEN, SUCCESS);
        let now = run(vec![refused(Capability::SETUID, eacces(1))], SUCCESS);
        let failed = "openat of program failed with EACCES (1x) for want of CAP_SETUID";
        let verification = gives(&before, &now, &watched(End::Itself(Some(0))), &[]);
        assert_eq!(
            verification.notes,
            [format!("{failed}, and the program went on")]
        );
        assert!(verification.suggested.is_empty());
        gives(&before, &now, &checked(true), &[]);
        let strict = Outside {
            strict: true,
            ..watched(End::Itself(Some(0)))
        };
        // Nobody knows whether a program that was stopped did its work.
        for outside in [strict, watched(End::Stopped), Outside::nothing()] {
            let verification = gives(&before, &now, &outside, &[failed]);
            assert_eq!(
                verification.suggested,
                [Capability::SETUID].into_iter().collect()
            );
        }
    }

    #[test]
    fn a_check_decides() {
        let before = profile(&GIVEN, SUCCESS);
        let now = run(Vec::new(), Some(Exit::Signal(9)));
        gives(&before, &now, &checked(true), &[]);
        gives(
            &before,
            &now,
            &checked(false),
            &["the check curl localhost: exit status 7 (3 tries)"],
        );
        // Passing while it lived does not make up for another end.
        gives(
            &before,
            &now,
            &Outside {
                end: End::Itself(None),
                ..checked(true)
            },
            &["the program: ended by signal 9; when it was profiled: exit status 0"],
        );
    }

    #[test]
    fn probes_and_what_was_refused_before_break_nothing() {
        let overcommit = Observation {
            call_site: vec!["security_vm_enough_memory_mm".to_owned()],
            ..refused(
                Capability::SYS_ADMIN,
                Results {
                    other_error: 1,
                    ..Results::default()
                },
            )
        };
        let harmless = refused(
            Capability::SETGID,
            Results {
                success: 4,
                ..Results::default()
            },
        );
        let before = profile(&GIVEN, SUCCESS);
        let now = run(vec![overcommit, harmless], SUCCESS);
        let verification = gives(&before, &now, &watched(End::Stopped), &[]);
        assert_eq!(verification.denied.len(), 2);

        let now = run(vec![refused(Capability::SYS_RESOURCE, eacces(1))], SUCCESS);
        let mut before = before;
        before.findings.denied.clone_from(&now.findings.denied);
        gives(&before, &now, &watched(End::Stopped), &[]);
    }

    #[test]
    fn what_could_not_be_seen_is_told_and_verifies_nothing_alone() {
        let before = profile(&GIVEN, SUCCESS);
        let mut now = run(Vec::new(), None);
        let ebpf = now.conditions.recorders.first_mut().unwrap();
        ebpf.recorded = false;
        ebpf.refused = vec!["eBPF is not permitted".to_owned()];
        let unseen = "system calls that failed for want of a capability could not be seen: eBPF is not permitted";
        let verification = gives(&before, &now, &watched(End::Itself(Some(0))), &[]);
        assert!(verification.notes.iter().any(|note| note == unseen));
        gives(
            &before,
            &now,
            &watched(End::Stopped),
            &["nothing could be compared: give a check, or let the program end by itself"],
        );
        gives(
            &before,
            &now,
            &watched(End::Itself(Some(1))),
            &["the program: exit status 1; when it was profiled: exit status 0"],
        );
        let signalled = profile(&GIVEN, Some(Exit::Signal(15)));
        gives(&signalled, &now, &watched(End::Itself(Some(143))), &[]);
    }

    #[test]
    fn a_failure_that_nothing_explains_names_what_could_not_be_seen() {
        let mut before = profile(&GIVEN, SUCCESS);
        before.findings.blind_spots = vec![BlindSpot {
            capability: Some(Capability::SETFCAP),
            recorder: Recorder::Ebpf,
            reason: "the id map of a user namespace was written".to_owned(),
        }];
        let now = run(Vec::new(), Some(Exit::Code(1)));
        let verification = judge(&before, &now, &watched(End::Itself(None)));
        assert!(verification.suggested.is_empty());
        assert!(
            verification
                .notes
                .iter()
                .any(|note| note.contains("CAP_SETFCAP")),
            "{:?}",
            verification.notes
        );
        // A member that the set lacks although the profile shows why it is needed.
        let before = profile(
            &[Capability::NET_BIND_SERVICE, Capability::SETFCAP],
            SUCCESS,
        );
        let verification = judge(&before, &now, &watched(End::Itself(None)));
        assert_eq!(
            verification.suggested,
            [Capability::SETFCAP].into_iter().collect()
        );
    }

    #[test]
    fn sets_that_the_engine_had_not_given_are_told() {
        let mut now = run(Vec::new(), SUCCESS);
        now.conditions.granted.ambient = GIVEN.into_iter().collect();
        let verification = judge(&profile(&GIVEN, SUCCESS), &now, &watched(End::Itself(None)));
        assert!(
            verification
                .notes
                .iter()
                .any(|note| note.contains("CAP_NET_BIND_SERVICE in the ambient set")),
            "{:?}",
            verification.notes
        );
    }
}
