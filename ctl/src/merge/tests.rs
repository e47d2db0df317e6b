//! Tests of merging.

use super::document::{Error, Merged};
use super::*;
use capprof_profile::fixtures;
use capprof_profile::fixtures::check;
use capprof_profile::object::Object;
use capprof_profile::observation::{BlindSpot, RecorderName};
use capprof_profile::observation::{Evidence, Observation};
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use proptest::prelude::*;
use serde::Serialize;

fn read_file() -> Observation {
    check(
        Capability::DAC_READ_SEARCH,
        "openat",
        &["capable_wrt_inode_uidgid", "generic_permission"],
    )
}

fn write_file() -> Observation {
    Observation {
        capability: Capability::DAC_OVERRIDE,
        ..read_file()
    }
}

fn used(capability: Capability) -> Observation {
    check(capability, "syscall", &["ns_capable", "somewhere"])
}

fn run(day: u32, observations: Vec<Observation>, complete: bool) -> Profile {
    let mut recording =
        fixtures::recording("web-1", &format!("202611{day:02}T000000Z-000000{day:02}"));
    recording.created = format!("2026-11-{day:02}T00:00:00Z");
    let evidence = Evidence {
        observations,
        losses: match complete {
            true => vec![],
            false => vec!["1 check lost".to_owned()],
        },
        ..Evidence::default()
    };
    fixtures::profile(&recording, &format!("2026-11-{day:02}T00:01:00Z"), evidence)
}

fn merge(documents: &[Vec<u8>], mixed: bool) -> Result<Merged, Error> {
    let mut merge = Merge::default();
    for document in documents {
        merge.add(document)?;
    }
    merge.finish(mixed)
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

#[test]
fn the_first_object_is_that_of_the_earliest_run_that_has_one() {
    let on = |path: &str| Observation {
        object: Some(Object {
            program: "program".to_owned(),
            syscall: "openat".to_owned(),
            path: Some(path.into()),
            ..Object::default()
        }),
        ..read_file()
    };
    let documents = [
        json(&run(1, vec![read_file()], true)),
        json(&run(2, vec![on("/early")], true)),
        json(&run(3, vec![on("/late")], true)),
    ];
    let all = merge(&documents, false).unwrap();
    let first = all.needed[0].first_object.clone().unwrap();
    assert_eq!(first.run, "20261102T000000Z-00000002");
    assert_eq!(first.object.path, Some("/early".into()));
    let late_ones = json(&merge(&documents[1..], false).unwrap());
    let turned = [documents[2].clone(), late_ones, documents[0].clone()];
    assert_eq!(merge(&turned, false).unwrap(), all);
}

#[test]
fn what_is_used_beyond_capabilities_is_united() {
    use capprof_profile::observation::{DeviceKind, DeviceUse};
    let with = |day: u32, minor: u32| {
        let mut recording =
            fixtures::recording("vm-1", &format!("202611{day:02}T000000Z-000000{day:02}"));
        if let Some(given) = &mut recording.grant.engine_grants {
            given.all_devices = true;
        }
        let evidence = Evidence {
            devices: vec![DeviceUse {
                kind: DeviceKind::Char,
                major: 10,
                minor,
                node: None,
                access: "rw".to_owned(),
                access_only: false,
                program: "qemu".to_owned(),
                count: 1,
            }],
            looks_beyond: true,
            ..Evidence::default()
        };
        fixtures::profile(&recording, "", evidence)
    };
    let (one, other) = (with(1, 229), with(2, 232));
    let mut old = with(3, 200);
    old.privileges = None;
    let merged = merge(&[json(&one), json(&other), json(&old)], false).unwrap();
    let privileges = merged.privileges.clone().unwrap();
    assert!(privileges.engine_grants.is_privileged());
    assert_eq!(privileges.devices.len(), 2);
    let again = merge(&[json(&old), json(&merged), json(&one)], false).unwrap();
    assert_eq!(again, merged);
    assert_eq!(merge(&[json(&old)], false).unwrap().privileges, None);
}

#[test]
fn runs_are_united_and_counted() {
    let merged = merge(
        &[
            json(&run(1, vec![used(Capability::CHOWN)], true)),
            json(&run(
                2,
                vec![used(Capability::CHOWN), used(Capability::KILL)],
                true,
            )),
            json(&run(3, vec![used(Capability::CHOWN)], false)),
            json(&run(4, vec![], true)),
        ],
        false,
    )
    .unwrap();
    assert_eq!(
        merged.minimized,
        [Capability::CHOWN, Capability::KILL].into_iter().collect()
    );
    assert_eq!(merged.minimized_sets.effective, merged.minimized);
    assert!(merged.minimized_sets.ambient.is_empty());
    let [chown, kill] = &merged.needed[..] else {
        panic!()
    };
    assert_eq!(
        (chown.runs, chown.first_seen.as_str()),
        (3, "2026-11-01T00:00:00Z")
    );
    assert_eq!(
        (kill.runs, kill.first_run.as_str()),
        (1, "20261102T000000Z-00000002")
    );
    assert_eq!(merged.last_new.as_deref(), Some("2026-11-02T00:00:00Z"));
    assert_eq!(merged.runs_since_last_new, 1);
    assert!(!merged.complete);
    assert_eq!(merged.incomplete_runs, ["20261103T000000Z-00000003"]);
    assert_eq!(merged.runs.len(), 4);
}

#[test]
fn a_profile_given_twice_counts_once() {
    let one = json(&run(1, vec![used(Capability::CHOWN)], true));
    let merged = merge(&[one.clone(), one.clone()], false).unwrap();
    assert_eq!(merged.needed[0].runs, 1);
    assert_eq!(merged, merge(&[json(&merged), one], false).unwrap());
}

#[test]
fn an_alternative_that_another_run_needed_stands_in() {
    let reader = json(&run(1, vec![read_file()], true));
    let writer = json(&run(2, vec![write_file()], true));
    let merged = merge(&[reader.clone(), writer], false).unwrap();
    assert_eq!(
        merged.minimized,
        [Capability::DAC_OVERRIDE].into_iter().collect()
    );
    assert_eq!(merged.needed.len(), 2);
    // It stays if one run needed it in a place where nothing else would do.
    let handle = check(
        Capability::DAC_READ_SEARCH,
        "open_by_handle_at",
        &["capable", "may_decode_fh"],
    );
    let handle = json(&run(3, vec![handle], true));
    let merged = merge(&[json(&merged), handle], false).unwrap();
    assert_eq!(merged.minimized.len(), 2);
}

#[test]
fn different_workloads_are_refused_unless_asked() {
    let one = run(1, vec![], true);
    let mut image = run(2, vec![], true);
    image.origin.workload.image = Some("redis".to_owned());
    let mut process = run(3, vec![], true);
    process.origin.process.uid = 7;
    let mut original = run(4, vec![], true);
    original.conditions.original.bounding = CapabilitySet::EMPTY;
    for (other, field) in [
        (image, "image"),
        (process, "process"),
        (original, "original"),
    ] {
        let documents = [json(&one), json(&other)];
        let error = merge(&documents, false).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("merge: {field} differs: ")),
            "{error}"
        );
        assert_eq!(merge(&documents, true).unwrap().workloads.len(), 2);
    }
}

#[test]
fn what_is_no_profile_is_refused() {
    assert!(matches!(merge(&[], false).unwrap_err(), Error::Empty));
    assert!(matches!(
        merge(&[b"{".to_vec()], false).unwrap_err(),
        Error::Malformed(_)
    ));
    assert!(matches!(
        merge(&[b"{}".to_vec()], false).unwrap_err(),
        Error::Schema(_)
    ));
}

#[test]
fn a_blind_spot_that_another_run_saw_into_is_none() {
    let mut blind = run(1, vec![], true);
    blind.findings.blind_spots = vec![BlindSpot {
        capability: Some(Capability::KILL),
        recorder: RecorderName::Selinux,
        reason: "allowed without a record".to_owned(),
    }];
    let blind = json(&blind);
    assert_eq!(
        merge(std::slice::from_ref(&blind), false)
            .unwrap()
            .blind_spots
            .len(),
        1
    );
    let seeing = json(&run(2, vec![used(Capability::KILL)], true));
    assert!(
        merge(&[blind, seeing], false)
            .unwrap()
            .blind_spots
            .is_empty()
    );
}

fn any_run() -> impl Strategy<Value = Profile> {
    let observation = prop_oneof![
        Just(read_file()),
        Just(write_file()),
        (0u8..41).prop_map(|number| used(Capability::from_number(number).unwrap())),
        Just(check(
            Capability::SYS_ADMIN,
            "ioprio_set",
            &["capable", "ioprio_check_cap"]
        )),
        Just(check(Capability::PERFMON, "perf_event_open", &["capable"])),
        Just(check(Capability::DAC_OVERRIDE, "link", &["may_linkat"])),
    ];
    (
        1u32..9,
        prop::collection::vec(observation, 0..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(day, observations, complete, user)| {
            let mut profile = run(day, observations, complete);
            if user {
                profile.origin.process.uid = 1000;
            }
            profile
        })
}

proptest! {
    #[test]
    fn neither_order_nor_grouping_nor_repetition_matter(
        (runs, shuffled) in prop::collection::vec(any_run(), 1..6)
            .prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle())),
        cut in 0usize..6,
    ) {
        let documents: Vec<_> = runs.iter().map(json).collect();
        let other: Vec<_> = shuffled.iter().map(json).collect();
        let whole = merge(&documents, true).unwrap();
        prop_assert_eq!(&whole, &merge(&other, true).unwrap());
        let (left, right) = other.split_at(cut.min(other.len()));
        let mut parts: Vec<Vec<u8>> = [left, right]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| json(&merge(part, true).unwrap()))
            .collect();
        prop_assert_eq!(&whole, &merge(&parts, true).unwrap());
        parts.extend(documents);
        prop_assert_eq!(&whole, &merge(&parts, true).unwrap());
    }
}
