use super::*;
use capprof_profile::Capability;
use capprof_profile::fixtures::{full_evidence, host, recording, reports};
use capprof_profile::part::Today;
use capprof_profile::profile::Profile;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn profile(container_id: &str, id: &str) -> Profile {
    capprof_profile::recorded_profile::profile(
        &recording(container_id, id),
        reports(),
        full_evidence(),
        "2026-11-23T15:02:00Z".to_owned(),
        host(),
    )
}

fn add(store: &Store, container_id: &str, id: &str, retention: u32) -> Result<(), Error> {
    let profile = profile(container_id, id);
    let files = Files::new(&profile, b"{}".to_vec()).unwrap();
    store.add(&profile, &files, retention)
}

/// The ids of all recordings in the store.
pub(crate) fn ids(store: &Store) -> Vec<String> {
    let (summaries, errors) = store.select(None, None, |_| true).unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    summaries
        .into_iter()
        .map(|summary| summary.recording_id)
        .collect()
}

#[test]
fn a_result_lies_in_root_only_directories() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("lib/capprof");
    let store = Store::at(&base);
    assert!(ids(&store).is_empty());
    add(&store, "web.1+a_b-c", "20260101T000000Z-00000001", 20).unwrap();
    let place = base.join("profiles/web.1+a_b-c/20260101T000000Z-00000001");
    for path in [&base, &base.join("profiles"), &place] {
        assert_eq!(
            fs::metadata(path).unwrap().mode() & 0o777,
            0o700,
            "{}",
            path.display()
        );
    }
    for name in [PROFILE, CONFIGURATION] {
        assert_eq!(
            fs::metadata(place.join(name)).unwrap().mode() & 0o777,
            0o600
        );
    }
    assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1);
    // The same recording again, as after a crash between the addition and the removal of the recording's directory.
    add(&store, "web.1+a_b-c", "20260101T000000Z-00000001", 20).unwrap();
    assert_eq!(ids(&store), ["20260101T000000Z-00000001"]);
}

#[test]
fn ids_cannot_lead_out_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path().join("store"));
    for id in ["..", ".", "", "a/b", "../../etc"] {
        let error = add(&store, id, "20260101T000000Z-00000001", 20).unwrap_err();
        assert!(matches!(error, Error::Id(_)), "{id}: {error}");
    }
    assert!(add(&store, "a", "../b", 20).is_err());
    assert!(!directory.path().join("store").exists());
    add(&store, "..b", "20260101T000000Z-00000001", 20).unwrap();
    assert_eq!(
        store.select(None, None, |_| true).unwrap().0[0].container_id,
        "..b"
    );
    assert_eq!(
        store.find("..b").unwrap().profile.origin.container_id,
        "..b"
    );
}

#[test]
fn the_oldest_of_a_container_go_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    add(&store, "b", "20200101T000000Z-00000009", 2).unwrap();
    for day in 1..=4 {
        add(
            &store,
            "a",
            &format!("2026010{day}T000000Z-0000000{day}"),
            2,
        )
        .unwrap();
    }
    assert_eq!(
        ids(&store),
        [
            "20260104T000000Z-00000004",
            "20260103T000000Z-00000003",
            "20200101T000000Z-00000009"
        ]
    );
    // The newly added one stays even if the clock was set back.
    add(&store, "a", "20250101T000000Z-00000005", 1).unwrap();
    assert_eq!(
        ids(&store),
        ["20250101T000000Z-00000005", "20200101T000000Z-00000009"]
    );
    add(&store, "a", "20260101T000000Z-00000001", 0).unwrap();
    assert_eq!(ids(&store).len(), 3);
}

#[test]
fn what_a_killed_process_left_is_neither_shown_nor_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let unfinished = |pid: u32| {
        let left = directory
            .path()
            .join(format!("profiles/a/.20260101T000000Z-00000001.{pid}"));
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join(PROFILE), "{").unwrap();
        left
    };
    let of_killed = unfinished(child.id());
    let at_work = unfinished(std::process::id());
    add(&store, "a", "20260102T000000Z-00000002", 20).unwrap();
    assert!(!of_killed.exists());
    assert!(at_work.exists());
    assert_eq!(ids(&store).len(), 1);
}

#[test]
fn a_complete_profile_is_not_replaced_by_an_incomplete_one() {
    const ID: &str = "20260101T000000Z-00000001";
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let put = |complete: bool, note: &str| {
        let mut profile = profile("a", ID);
        profile.complete = complete;
        profile.findings.notes = vec![note.to_owned()];
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, 20).unwrap();
        store.find(ID).unwrap().profile.findings.notes
    };
    assert_eq!(put(false, "first"), ["first"]);
    assert_eq!(put(false, "second"), ["second"]);
    assert_eq!(put(true, "complete"), ["complete"]);
    assert_eq!(put(false, "its evidence was gone"), ["complete"]);
    assert_eq!(put(true, "again"), ["again"]);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = add(&Store::at(&file), "a", "20260101T000000Z-00000001", 20).unwrap_err();
    assert!(error.to_string().contains("file/profiles"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn a_profile_is_found_by_all_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    assert!(matches!(
        store.find("latest").unwrap_err(),
        Error::Empty { .. }
    ));
    add(&store, "aabb01", "20260102T000000Z-00000001", 20).unwrap();
    add(&store, "aabb01", "20260103T000000Z-00000002", 20).unwrap();
    add(&store, "aacc02", "20260101T000000Z-00000003", 20).unwrap();
    let found = |wanted: &str| {
        store
            .find_recording(wanted)
            .map(|found| found.profile.origin.recording_id)
    };
    for (wanted, expected) in [
        ("latest", "20260103T000000Z-00000002"),
        ("last", "20260103T000000Z-00000002"),
        ("20260102T000000Z-00000001", "20260102T000000Z-00000001"),
        ("20260102", "20260102T000000Z-00000001"),
        ("aabb01", "20260103T000000Z-00000002"),
        ("aac", "20260101T000000Z-00000003"),
        ("web", "20260103T000000Z-00000002"),
        ("docker.io/library/nginx:1.27", "20260103T000000Z-00000002"),
        ("nginx:1.27", "20260103T000000Z-00000002"),
        ("nginx", "20260103T000000Z-00000002"),
    ] {
        assert_eq!(found(wanted).unwrap(), expected, "{wanted}");
    }
    let error = found("aa").unwrap_err().to_string();
    assert_eq!(
        error,
        "\"aa\" is the beginning of several ids: aabb01, aacc02"
    );
    assert!(matches!(
        found("nothing").unwrap_err(),
        Error::NotFound { .. }
    ));
    assert!(matches!(found("").unwrap_err(), Error::NotFound { .. }));
    let place = directory
        .path()
        .join("profiles/aacc02/20260101T000000Z-00000003");
    for path in [&place, &place.join(PROFILE)] {
        assert_eq!(
            found(path.to_str().unwrap()).unwrap(),
            "20260101T000000Z-00000003"
        );
    }
}

/// A complete recording that needed one capability.
fn needing(store: &Store, container_id: &str, id: &str, capability: Capability, keep: u32) {
    let mut profile = profile(container_id, id);
    profile.complete = true;
    profile.incomplete_because.clear();
    profile.findings.needed.truncate(1);
    profile.findings.needed[0].capability = capability;
    profile.findings.needed[0].alternatives.clear();
    profile.findings.minimized = [capability].into_iter().collect();
    let files = Files::new(&profile, b"{}".to_vec()).unwrap();
    store.add(&profile, &files, keep).unwrap();
}

#[test]
fn the_recordings_of_a_workload_are_united() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let (first, restart) = ("20260101T000000Z-00000001", "20260102T000000Z-00000002");
    needing(&store, "aa01", first, Capability::CHOWN, 0);
    needing(&store, "bb02", restart, Capability::SETUID, 0);
    let both = "CAP_CHOWN, CAP_SETUID";
    for (wanted, expected) in [
        ("last", both),
        ("web", both),
        ("nginx", both),
        ("aa01", both),
        (first, "CAP_CHOWN"),
        ("20260102", "CAP_SETUID"),
    ] {
        let found = store.find(wanted).unwrap();
        assert_eq!(found.profile.answer().0.to_string(), expected, "{wanted}");
    }
    let enforced = |wanted: &str| {
        let found = store.find_complete(wanted).unwrap();
        found.profile.answer().0.to_string()
    };
    assert_eq!(enforced("web"), both);
    assert_eq!(enforced("aa01"), both);
    assert_eq!(enforced(first), "CAP_CHOWN");
    assert_eq!(
        store.find("web").unwrap().path,
        directory
            .path()
            .join("profiles/bb02")
            .join(restart)
            .join(PROFILE)
    );
}

/// For a user other than root, a capability of another recording is in those sets in which that recording needed it: a set-user-ID program needs
/// only the bounding set.
#[test]
fn sets_are_those_of_the_recording_that_needed_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let (first, restart) = ("20260101T000000Z-00000001", "20260102T000000Z-00000002");
    for (container, id, capability) in [
        ("aa01", first, Capability::CHOWN),
        ("bb02", restart, Capability::SETUID),
    ] {
        let mut profile = profile(container, id);
        let set = [capability].into_iter().collect();
        profile.complete = true;
        profile.incomplete_because.clear();
        profile.origin.process.uid = 1000;
        profile.findings.needed.truncate(1);
        profile.findings.needed[0].capability = capability;
        profile.findings.needed[0].alternatives.clear();
        profile.findings.minimized = set;
        profile.findings.minimized_sets = capprof_profile::recording::ProcessSets {
            bounding: set,
            ..Default::default()
        };
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, 0).unwrap();
    }
    let one = store.find_complete(first).unwrap();
    let both = [Capability::CHOWN, Capability::SETUID]
        .into_iter()
        .collect();
    let sets = store.unite_trusted(one).unwrap().profile.sets_of(both);
    assert_eq!(sets.bounding, both);
    assert!(sets.ambient.is_empty() && sets.effective.is_empty());
}

#[test]
fn the_only_recording_that_needed_something_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let id = |day: u32| format!("2026010{day}T000000Z-0000000{day}");
    needing(&store, "a", &id(1), Capability::CHOWN, 1);
    for day in 2..=4 {
        needing(&store, "a", &id(day), Capability::SETUID, 1);
    }
    assert_eq!(ids(&store), [id(4), id(1)]);
    // A recording is not kept for a need that a later one has too.
    needing(&store, "a", &id(5), Capability::CHOWN, 1);
    assert_eq!(ids(&store), [id(5), id(4)]);
}

#[test]
fn a_run_with_what_the_workload_has_today_settles_a_profile() {
    const ID: &str = "20260101T000000Z-00000001";
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    add(&store, "a", ID, 20).unwrap();
    let before = store.find(ID).unwrap().profile;
    let today = Today {
        passed: true,
        by: capprof_profile::part::TriedBy::Verified,
        set: before.todays_set(),
        run: "20260102T000000Z-00000002".to_owned(),
        date: "2026-01-02T00:00:00Z".to_owned(),
        failures: Vec::new(),
    };
    store.settle(ID, &today).unwrap();
    let mut expected = before;
    expected.settle(today.clone());
    assert_eq!(store.find(ID).unwrap().profile, expected);
    assert!(store.settle("20260109T000000Z-00000009", &today).is_err());
}

#[test]
fn of_all_that_go_by_a_name_the_newest_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    // A container whose id is the name of a later one, as with `ctr run IMAGE web`.
    add(&store, "web", "20260101T000000Z-00000001", 20).unwrap();
    add(&store, "aabb01", "20260102T000000Z-00000002", 20).unwrap();
    let found = store.find("web").unwrap();
    assert_eq!(
        found.profile.origin.recording_id,
        "20260102T000000Z-00000002"
    );
}

#[test]
fn what_is_enforced_is_found_by_whole_names_and_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let keep = |container: &str, id: &str, edit: &dyn Fn(&mut Profile)| {
        let mut profile = profile(container, id);
        profile.complete = true;
        profile.incomplete_because.clear();
        edit(&mut profile);
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, 0).unwrap();
    };
    let lose = |profile: &mut Profile| {
        profile.complete = false;
        profile.incomplete_because = vec!["2 checks lost: map full".to_owned()];
    };
    keep("aabb01", "20260101T000000Z-00000001", &|_| {});
    keep("aabb01", "20260102T000000Z-00000002", &|_| {});
    keep("aabb01", "20260103T000000Z-00000003", &lose);
    keep("aacc02", "20260104T000000Z-00000004", &|profile| {
        profile.origin.name = None;
        profile.origin.process.args = vec!["other".to_owned()];
    });
    keep("dd", "20260105T000000Z-00000005", &|profile| {
        profile.origin.name = Some("lost".to_owned());
        profile.origin.workload.image = Some("other:1".to_owned());
        lose(profile);
    });
    let found = |wanted: &str| {
        store
            .find_complete(wanted)
            .map(|found| found.profile.origin.recording_id)
            .map_err(|error| error.to_string())
    };
    let second = Ok("20260102T000000Z-00000002".to_owned());
    // The newest of these is incomplete.
    assert_eq!(found("web"), second);
    assert_eq!(found("aabb01"), second);
    assert_eq!(
        found("20260101T000000Z-00000001").unwrap(),
        "20260101T000000Z-00000001"
    );
    for wanted in ["lost", "dd", "20260105T000000Z-00000005", "other:1"] {
        let error = found(wanted).unwrap_err();
        assert!(error.contains("2 checks lost: map full"), "{error}");
    }
    assert_eq!(
        found("docker.io/library/nginx:1.27").unwrap_err(),
        "\"docker.io/library/nginx:1.27\" names profiles of different programs: 20260104T000000Z-00000004, \
         20260102T000000Z-00000002: name one of these"
    );
    let place = directory.path().join("profiles/aacc02");
    for wanted in ["", "last", "aab", "20260101", place.to_str().unwrap(), ".."] {
        let error = found(wanted).unwrap_err();
        assert!(error.starts_with("no profile"), "{error}");
    }
}

#[test]
fn a_damaged_profile_is_told_and_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    add(&store, "a", "20260101T000000Z-00000001", 20).unwrap();
    for (name, content) in [
        ("20260102T000000Z-00000002", "{\"schema\":\"capprof.pro"),
        (
            "20260103T000000Z-00000003",
            "{\"schema\":\"capprof.profile/v9\"}",
        ),
    ] {
        let place = directory.path().join("profiles/a").join(name);
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(place.join(PROFILE), content).unwrap();
    }
    let (summaries, errors) = store.select(None, None, |_| true).unwrap();
    assert_eq!(summaries.len(), 1);
    assert_eq!(errors.len(), 2);
    let error = store.find("20260103").unwrap_err().to_string();
    assert!(
        error.contains("schema \"capprof.profile/v9\", expected \"capprof.profile/v1\""),
        "{error}"
    );
}

/// Runs without a member of the set failed. Runs without the capabilities that were left out passed; they do not explain why those had looked
/// needed.
#[test]
fn what_shrink_tried_is_not_doubtful_any_more() {
    const ID: &str = "20260101T000000Z-00000001";
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let mut before = profile("a", ID);
    let doubtful: Vec<Capability> = before
        .findings
        .needed
        .iter_mut()
        .take(2)
        .map(|need| {
            need.unclear = Some("programs often only log it".to_owned());
            need.capability
        })
        .collect();
    let files = Files::new(&before, b"{}".to_vec()).unwrap();
    store.add(&before, &files, 20).unwrap();
    let set = before
        .findings
        .minimized
        .difference([doubtful[1]].into_iter().collect());
    let shrunk = capprof_profile::profile::Shrunk {
        set,
        sets: before.sets_of(set),
        left_out: [doubtful[1]].into_iter().collect(),
        added: capprof_profile::CapabilitySet::EMPTY,
        check: None,
        command: vec!["docker".to_owned()],
        runs: 5,
        finished: "2026-01-02T00:00:00Z".to_owned(),
    };
    store.set_shrunk(ID, &shrunk).unwrap();
    let after = store.find(ID).unwrap().profile;
    let unclear = |capability| {
        let mut needed = after.findings.needed.iter();
        let need = needed.find(|need| need.capability == capability);
        need.unwrap().unclear.is_some()
    };
    assert!(!unclear(doubtful[0]));
    assert!(unclear(doubtful[1]));
    assert_eq!(after.shrunk, Some(shrunk.clone()));
    before.take_shrunk(shrunk);
    assert_eq!(after, before);
}
