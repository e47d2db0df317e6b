use super::*;
use crate::fixtures::{check, host, recording, reports};
use crate::object::Object;
use crate::observation::{Evidence, Observation, ProgramExit, RecorderName};
use crate::part::{Part, Today, TriedBy};
use crate::profile::Shrunk;
use crate::recorded_profile::tests::is_valid;
use crate::recording::Recording;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What makes a recording one of another workload, or not.
type Change<'a> = &'a dyn Fn(&mut Profile);

fn set(list: &[Capability]) -> CapabilitySet {
    list.iter().copied().collect()
}

fn used(capability: Capability) -> Observation {
    check(capability, "syscall", &["ns_capable", "somewhere"])
}

/// The recording of one day.
fn of_day(day: u32, observations: Vec<Observation>, change: impl Fn(&mut Recording)) -> Profile {
    let id = format!("202611{day:02}T150102Z-1a2b3c4d");
    let mut recording = recording(&format!("web-{day}"), &id);
    change(&mut recording);
    let evidence = Evidence {
        observations,
        ..Evidence::default()
    };
    crate::recorded_profile::profile(
        &recording,
        reports().into_iter().take(1).collect(),
        vec![(RecorderName::Ebpf, evidence)],
        format!("2026-11-{day:02}T15:02:00Z"),
        host(),
    )
}

fn needs(day: u32, capabilities: &[Capability]) -> Profile {
    of_day(
        day,
        capabilities.iter().copied().map(used).collect(),
        |_| {},
    )
}

fn opened(path: &[u8], first_ms: u64) -> Observation {
    Observation {
        first_ms,
        object: Some(Object {
            program: "program".to_owned(),
            syscall: "openat".to_owned(),
            path: Some(OsStr::from_bytes(path).into()),
            cut: true,
            ..Object::default()
        }),
        ..used(Capability::CHOWN)
    }
}

#[test]
fn objects_of_all_recordings_are_kept_the_first_ones_first() {
    let early = vec![opened(b"/b", 9), opened(b"/\xff", 3), opened(b"/b", 1)];
    let early = of_day(1, early, |_| {});
    let late = of_day(2, vec![opened(b"/c", 1), opened(b"/b", 2)], |_| {});
    let paths = |profile: &Profile| -> Vec<Vec<u8>> {
        let objects = profile.findings.needed[0].objects.iter();
        objects
            .filter_map(|object| Some(object.path.as_ref()?.as_os_str().as_bytes().to_vec()))
            .collect()
    };
    assert_eq!(paths(&early), [&b"/b"[..], b"/\xff"]);
    is_valid(&early);
    let united = unite(vec![late, early]).unwrap();
    assert_eq!(paths(&united), [&b"/c"[..], b"/b", b"/\xff"]);
    is_valid(&united);
}

#[test]
fn what_only_the_first_start_needed_stays() {
    let first = needs(1, &[Capability::CHOWN, Capability::SETUID]);
    let restart = needs(2, &[Capability::SETUID]);
    let united = unite(vec![restart, first]).unwrap();
    is_valid(&united);
    assert_eq!(
        united.answer().0,
        set(&[Capability::CHOWN, Capability::SETUID])
    );
    assert_eq!(united.answer().1.effective, united.answer().0);
    assert_eq!(united.origin.container_id, "web-2");
    assert_eq!(
        united.united,
        ["20261102T150102Z-1a2b3c4d", "20261101T150102Z-1a2b3c4d"]
    );
    let counts: Vec<(Capability, usize, u64)> = united
        .findings
        .needed
        .iter()
        .map(|need| (need.capability, need.recordings, need.count))
        .collect();
    assert_eq!(
        counts,
        [(Capability::CHOWN, 1, 1), (Capability::SETUID, 2, 2)]
    );
}

#[test]
fn one_recording_is_its_own_answer() {
    let alone = needs(1, &[Capability::CHOWN]);
    assert_eq!(unite(vec![alone.clone()]), Some(alone));
    assert_eq!(unite(Vec::new()), None);
}

#[test]
fn recordings_of_other_workloads_are_told_apart() {
    let base = needs(1, &[]);
    let changes: [(&str, Change<'_>, bool); 6] = [
        ("the same", &|_| {}, true),
        (
            "its image in other words",
            &|other| other.origin.workload.image = Some("nginx:1.27".to_owned()),
            true,
        ),
        (
            "another image",
            &|other| other.origin.workload.image = Some("nginx:1.28".to_owned()),
            false,
        ),
        (
            "another command",
            &|other| other.origin.process.args = vec!["sh".to_owned()],
            false,
        ),
        ("another user", &|other| other.origin.process.uid = 9, false),
        (
            "another set of the engine",
            &|other| other.conditions.original = other.conditions.granted,
            false,
        ),
    ];
    for (what, change, same) in changes {
        let mut other = needs(2, &[]);
        change(&mut other);
        assert_eq!(base.is_of_workload(&other), same, "{what}");
    }
    // Bundles have no image: the name or the id says what they are of.
    let bundle = |day: u32, name: Option<&str>| {
        of_day(day, vec![], |recording| {
            recording.container.workload.image = None;
            recording.container.name = name.map(str::to_owned);
        })
    };
    assert!(bundle(1, Some("web")).is_of_workload(&bundle(2, Some("web"))));
    assert!(!bundle(1, Some("web")).is_of_workload(&bundle(2, Some("db"))));
    assert!(!bundle(1, None).is_of_workload(&bundle(2, None)));
    assert!(bundle(1, None).is_of_workload(&bundle(1, None)));
}

#[test]
fn what_another_member_does_as_well_is_no_member() {
    let asked = |capability| Observation {
        capability,
        ..check(
            capability,
            "openat",
            &["capable_wrt_inode_uidgid", "generic_permission"],
        )
    };
    let given_neither = |recording: &mut Recording| {
        recording.grant.original = crate::recording::ProcessSets::default();
    };
    let reads = of_day(1, vec![asked(Capability::DAC_READ_SEARCH)], given_neither);
    let writes = of_day(2, vec![asked(Capability::DAC_OVERRIDE)], given_neither);
    assert_eq!(reads.answer().0, set(&[Capability::DAC_READ_SEARCH]));
    let united = unite(vec![writes, reads]).unwrap();
    assert_eq!(united.answer().0, set(&[Capability::DAC_OVERRIDE]));
    assert_eq!(
        united.findings.needed[0].notes,
        ["CAP_DAC_READ_SEARCH was asked for too, where CAP_DAC_OVERRIDE does as well"]
    );
}

#[test]
fn an_incomplete_recording_adds_what_it_saw() {
    let mut lost = needs(2, &[Capability::KILL]);
    lost.complete = false;
    lost.incomplete_because = vec!["2 checks lost: map full".to_owned()];
    let united = unite(vec![lost.clone(), needs(1, &[Capability::CHOWN])]).unwrap();
    assert!(united.complete && united.incomplete_because.is_empty());
    assert_eq!(
        united.answer().0,
        set(&[Capability::CHOWN, Capability::KILL])
    );
    assert_eq!(united.origin.container_id, "web-1");
    assert!(united.findings.notes.contains(
        &"recording 20261102T150102Z-1a2b3c4d is incomplete: 2 checks lost: map full".to_owned()
    ));
    let both = unite(vec![lost.clone(), lost]).unwrap();
    assert!(!both.complete);
}

#[test]
fn what_shrink_did_not_know_stays() {
    let mut shrunk = needs(1, &[Capability::CHOWN, Capability::KILL]);
    shrunk.shrunk = Some(Shrunk {
        set: set(&[Capability::CHOWN]),
        sets: shrunk.sets_of(set(&[Capability::CHOWN])),
        left_out: set(&[Capability::KILL]),
        added: CapabilitySet::EMPTY,
        check: None,
        command: vec!["docker".to_owned()],
        runs: 3,
        finished: "2026-11-01T16:00:00Z".to_owned(),
    });
    let later = needs(2, &[Capability::KILL, Capability::SETUID]);
    let united = unite(vec![later, shrunk]).unwrap();
    is_valid(&united);
    assert_eq!(
        united.answer().0,
        set(&[Capability::CHOWN, Capability::SETUID])
    );
    assert_eq!(united.answer().1.bounding, united.answer().0);
}

#[test]
fn a_run_with_what_it_has_today_settles_all_recordings() {
    let given = |recording: &mut Recording| {
        let set = set(&[Capability::CHOWN]);
        recording.grant.original = crate::recording::ProcessSets::of_list(
            set,
            0,
            &crate::recording::ProcessSets::default(),
        );
    };
    let mut settled = of_day(
        1,
        vec![used(Capability::CHOWN), used(Capability::SYS_TIME)],
        given,
    );
    let later = of_day(2, vec![used(Capability::SYS_BOOT)], given);
    settled.settle(Today {
        passed: true,
        by: TriedBy::Verified,
        set: settled.todays_set(),
        run: "20261101T160102Z-1a2b3c4d".to_owned(),
        date: "2026-11-01T16:02:00Z".to_owned(),
        failures: Vec::new(),
    });
    let united = unite(vec![later, settled]).unwrap();
    assert_eq!(united.part(Part::Held), set(&[Capability::CHOWN]));
    assert_eq!(united.answer().0, set(&[Capability::CHOWN]));
}

#[test]
fn a_recording_without_the_grant_settles_what_it_worked_without() {
    let given = |recording: &mut Recording| {
        let set = set(&[Capability::CHOWN]);
        recording.grant.original = crate::recording::ProcessSets::of_list(
            set,
            0,
            &crate::recording::ProcessSets::default(),
        );
    };
    let profiled = of_day(
        1,
        vec![used(Capability::CHOWN), used(Capability::SYS_TIME)],
        given,
    );
    let observed = |exit: ProgramExit| {
        let mut observed = of_day(2, vec![used(Capability::CHOWN)], |recording| {
            given(recording);
            recording.grant.granted = recording.grant.original;
            recording.mode = Mode::Observe;
        });
        observed.exit = Some(exit);
        unite(vec![observed, profiled.clone()]).unwrap()
    };
    let well = observed(ProgramExit::Code(0));
    is_valid(&well);
    assert_eq!(well.answer().0, set(&[Capability::CHOWN]));
    assert_eq!(well.today.map(|today| today.by), Some(TriedBy::Observed));
    assert_eq!(well.conditions.mode, Mode::Profile);
    // The missing capability may be the reason of the failure, or not.
    let badly = observed(ProgramExit::Code(1));
    assert_eq!(badly.today, None);
    assert_eq!(badly.unsettled(), set(&[Capability::SYS_TIME]));
}
