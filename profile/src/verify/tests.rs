use super::*;
use crate::Capability;
use crate::fixtures::check;
use crate::fixtures::{host, recording, reports};
use crate::observation::{BlindSpot, CheckAnswer, Evidence, Observation};
use crate::recorded_profile::tests::is_valid;
use crate::recording::{Mode, ProcessSets};
use crate::verification::Check;

/// What makes a run one of another workload.
type Change<'a> = &'a dyn Fn(&mut Profile);

const GIVEN: [Capability; 1] = [Capability::NET_BIND_SERVICE];

/// The profile of a program that used `needs`, and ended so.
fn profile(needs: &[Capability], exit: Option<ProgramExit>) -> Profile {
    let evidence = Evidence {
        observations: needs
            .iter()
            .map(|capability| check(*capability, "openat", &["ns_capable"]))
            .collect(),
        exit,
        ..Evidence::default()
    };
    crate::recorded_profile::profile(
        &recording("web-1", "20261123T150102Z-1a2b3c4d"),
        reports(),
        vec![(RecorderName::Ebpf, evidence)],
        "2026-11-23T15:02:00Z".to_owned(),
        host(),
    )
}

fn refused(capability: Capability, results: Results) -> Observation {
    Observation {
        verdict: CheckAnswer::Denied,
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
fn run(observations: Vec<Observation>, exit: Option<ProgramExit>) -> Profile {
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
    crate::recorded_profile::profile(
        &recording,
        reports().into_iter().take(1).collect(),
        vec![(RecorderName::Ebpf, evidence)],
        "2026-11-24T15:02:00Z".to_owned(),
        host(),
    )
}

fn watched(end: RunEnd) -> Outside {
    Outside {
        command: vec!["runc".to_owned(), "run".to_owned(), "web-2".to_owned()],
        end,
        check: None,
        strict: false,
        anyway: false,
        today: false,
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
        ..watched(RunEnd::Stopped)
    }
}

const SUCCESS: Option<ProgramExit> = Some(ProgramExit::Code(0));

#[track_caller]
fn gives(profile: &Profile, run: &Profile, outside: &Outside, failures: &[&str]) -> Verification {
    let verification = judge(profile, run, outside);
    assert_eq!(verification.failures, failures);
    assert_eq!(
        verification.verdict != Verdict::NotVerified,
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
        &watched(RunEnd::Itself(Some(0))),
        &[],
    );
    assert_eq!(verification.run, "20261124T150102Z-1a2b3c4d");
    assert!(verification.compared.iter().all(|one| one.passed));
    assert_eq!(verification.compared.len(), 2);
    // Not only success can be compared.
    let fails = Some(ProgramExit::Code(3));
    gives(
        &profile(&GIVEN, fails),
        &run(Vec::new(), fails),
        &watched(RunEnd::Itself(Some(3))),
        &[],
    );
}

#[test]
fn a_seccomp_filter_that_may_have_hidden_the_check_is_named_with_the_way_past_it() {
    let mut before = profile(&GIVEN, SUCCESS);
    let failed = |before: &Profile| {
        let end = watched(RunEnd::Itself(Some(1)));
        judge(before, &run(Vec::new(), Some(ProgramExit::Code(1))), &end).notes
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
        Some(ProgramExit::Signal(9)),
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
            Some(ProgramExit::Code(1)),
        ),
        &watched(RunEnd::Itself(Some(1))),
        &[
            "the program: exit status 1; when it was profiled: exit status 0",
            "openat of program failed with EACCES (2x) for lack of CAP_DAC_OVERRIDE",
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
            Some(ProgramExit::Code(1)),
        ),
        &watched(RunEnd::Itself(None)),
        &[
            "the program: exit status 1; when it was profiled: exit status 0",
            "openat of program failed with EACCES (2x) for lack of CAP_DAC_READ_SEARCH",
        ],
    );
    assert_eq!(
        verification.suggested,
        [Capability::DAC_READ_SEARCH].into_iter().collect()
    );
    // If the second was asked for more often, it was asked for first somewhere, and one capability does for both.
    let verification = judge(
        &profile(&GIVEN, SUCCESS),
        &run(
            vec![
                refused(Capability::DAC_READ_SEARCH, eacces(2)),
                refused(Capability::DAC_OVERRIDE, eacces(3)),
            ],
            Some(ProgramExit::Code(1)),
        ),
        &watched(RunEnd::Itself(None)),
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
    let failed = "openat of program failed with EACCES (1x) for lack of CAP_SETUID";
    let verification = gives(&before, &now, &watched(RunEnd::Itself(Some(0))), &[]);
    assert_eq!(
        verification.notes,
        [format!("{failed}, and the program went on")]
    );
    assert!(verification.suggested.is_empty());
    gives(&before, &now, &checked(true), &[]);
    let strict = Outside {
        strict: true,
        ..watched(RunEnd::Itself(Some(0)))
    };
    // It is not known if a program that was stopped did its work.
    for outside in [strict, watched(RunEnd::Stopped), Outside::nothing()] {
        let verification = gives(&before, &now, &outside, &[failed]);
        assert_eq!(
            verification.suggested,
            [Capability::SETUID].into_iter().collect()
        );
    }
    // Today the same is refused, and the workload may work nevertheless.
    let today = Outside {
        today: true,
        ..watched(RunEnd::Stopped)
    };
    assert_eq!(judge(&before, &now, &today).verdict, Verdict::StartedOnly);
}

#[test]
fn a_check_decides() {
    let before = profile(&GIVEN, SUCCESS);
    let now = run(Vec::new(), Some(ProgramExit::Signal(9)));
    gives(&before, &now, &checked(true), &[]);
    gives(
        &before,
        &now,
        &checked(false),
        &["the check curl localhost: exit status 7 (3 tries)"],
    );
    // A check that passed while it ran does not make up for a different exit.
    gives(
        &before,
        &now,
        &Outside {
            end: RunEnd::Itself(None),
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
    let verification = gives(&before, &now, &watched(RunEnd::Stopped), &[]);
    assert_eq!(verification.denied.len(), 2);

    let now = run(vec![refused(Capability::SYS_RESOURCE, eacces(1))], SUCCESS);
    let mut before = before;
    before.findings.denied.clone_from(&now.findings.denied);
    gives(&before, &now, &watched(RunEnd::Stopped), &[]);
}

#[test]
fn what_could_not_be_seen_is_told_and_verifies_nothing_alone() {
    let before = profile(&GIVEN, SUCCESS);
    let mut now = run(Vec::new(), None);
    let ebpf = now.conditions.recorders.first_mut().unwrap();
    ebpf.recorded = false;
    ebpf.refused = vec!["eBPF is not permitted".to_owned()];
    let unseen = "system calls that failed for lack of a capability could not be seen: eBPF is not permitted";
    let verification = gives(&before, &now, &watched(RunEnd::Itself(Some(0))), &[]);
    assert!(verification.notes.iter().any(|note| note == unseen));
    gives(
        &before,
        &now,
        &watched(RunEnd::Stopped),
        &["nothing could be compared: give a check, or let the program end by itself"],
    );
    gives(
        &before,
        &now,
        &watched(RunEnd::Itself(Some(1))),
        &["the program: exit status 1; when it was profiled: exit status 0"],
    );
    let signalled = profile(&GIVEN, Some(ProgramExit::Signal(15)));
    gives(&signalled, &now, &watched(RunEnd::Itself(Some(143))), &[]);
}

#[test]
fn a_run_whose_system_calls_were_not_followed_has_nothing_to_compare() {
    let before = profile(&GIVEN, SUCCESS);
    let mut now = run(Vec::new(), None);
    now.conditions.recorders[0].results_unseen = Some("load the programs: EPERM".to_owned());
    is_valid(&now);
    gives(
        &before,
        &now,
        &watched(RunEnd::Stopped),
        &["nothing could be compared: give a check, or let the program end by itself"],
    );
    let notes = judge(&before, &now, &watched(RunEnd::Stopped)).notes;
    let unseen = "system calls that failed for lack of a capability could not be seen: load the programs: EPERM";
    assert!(notes.iter().any(|note| note == unseen), "{notes:?}");
}

#[test]
fn a_failure_that_nothing_explains_names_what_could_not_be_seen() {
    let mut before = profile(&GIVEN, SUCCESS);
    before.findings.blind_spots = vec![BlindSpot {
        capability: Some(Capability::SETFCAP),
        recorder: RecorderName::Ebpf,
        reason: "the id map of a user namespace was written".to_owned(),
    }];
    let now = run(Vec::new(), Some(ProgramExit::Code(1)));
    let verification = judge(&before, &now, &watched(RunEnd::Itself(None)));
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
    let verification = judge(&before, &now, &watched(RunEnd::Itself(None)));
    assert_eq!(
        verification.suggested,
        [Capability::SETFCAP].into_iter().collect()
    );
}

#[test]
fn sets_that_the_engine_had_not_given_are_told() {
    let mut now = run(Vec::new(), SUCCESS);
    now.conditions.granted.ambient = GIVEN.into_iter().collect();
    let verification = judge(
        &profile(&GIVEN, SUCCESS),
        &now,
        &watched(RunEnd::Itself(None)),
    );
    assert!(
        verification
            .notes
            .iter()
            .any(|note| note.contains("CAP_NET_BIND_SERVICE in the ambient set")),
        "{:?}",
        verification.notes
    );
}

#[test]
fn a_server_without_a_check_has_started_only() {
    let before = profile(&GIVEN, SUCCESS);
    let verdict = |outside: &Outside| judge(&before, &run(Vec::new(), SUCCESS), outside).verdict;
    assert_eq!(verdict(&watched(RunEnd::Stopped)), Verdict::StartedOnly);
    assert_eq!(verdict(&checked(true)), Verdict::Verified);
    assert_eq!(
        verdict(&watched(RunEnd::Itself(Some(0)))),
        Verdict::Verified
    );
    is_valid(&Profile {
        verification: Some(judge(
            &before,
            &run(Vec::new(), SUCCESS),
            &watched(RunEnd::Stopped),
        )),
        ..before
    });
}

#[test]
fn a_run_of_another_workload_says_nothing() {
    let before = profile(&GIVEN, SUCCESS);
    let judged = |change: &dyn Fn(&mut Profile), anyway: bool| {
        let mut run = run(Vec::new(), SUCCESS);
        change(&mut run);
        let outside = Outside {
            anyway,
            ..checked(true)
        };
        judge(&before, &run, &outside)
    };
    let changes: [(&str, Change<'_>); 3] = [
        ("another image (nginx:1.28) than", &|run| {
            run.origin.workload.image = Some("nginx:1.28".to_owned());
        }),
        ("another command (sleep 9) than", &|run| {
            run.origin.process.args = vec!["sleep".to_owned(), "9".to_owned()];
        }),
        ("another user (33) than", &|run| run.origin.process.uid = 33),
    ];
    for (words, change) in changes {
        let refused = judged(change, false);
        assert_eq!(refused.verdict, Verdict::NotVerified);
        assert!(refused.failures[0].contains(words), "{refused:?}");
        let accepted = judged(change, true);
        assert_eq!(accepted.verdict, Verdict::Verified);
        assert!(accepted.notes[0].contains(words), "{accepted:?}");
    }
    // Engines write the same image in different ways.
    for same in ["nginx:1.27", "library/nginx:1.27"] {
        let judged = judged(
            &|run| run.origin.workload.image = Some(same.to_owned()),
            false,
        );
        assert_eq!(judged.verdict, Verdict::Verified, "{same}");
    }
}
