//! The built `capprofctl` lists and removes profiles of stores on disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Recordings of five days, as ids.
const DAYS: [&str; 5] = [
    "20260101T000000Z-00000001",
    "20260102T000000Z-00000002",
    "20260103T000000Z-00000003",
    "20260104T000000Z-00000004",
    "20260105T000000Z-00000005",
];

/// Puts a profile into a store; its recording ended when it began.
fn put(store: &Path, recording: &str, edit: impl Fn(&mut Value)) {
    let container = format!("c-{recording}");
    let place = store.join("profiles").join(&container).join(recording);
    fs::create_dir_all(&place).unwrap();
    let mut profile: Value = serde_json::from_str(include_str!("profile.json")).unwrap();
    profile["container_id"] = container.into();
    profile["recording_id"] = recording.into();
    let (year, month, day) = (&recording[..4], &recording[4..6], &recording[6..8]);
    profile["finished"] = format!("{year}-{month}-{day}T00:00:00Z").into();
    edit(&mut profile);
    fs::write(place.join("capprof.json"), profile.to_string()).unwrap();
}

fn image(name: &str) -> impl Fn(&mut Value) {
    move |profile| profile["workload"] = json!({ "image": name })
}

fn capprofctl(store: &Path, arguments: &[&str]) -> Output {
    // A configuration of this directory's own, if the test has written one.
    let configuration = store.join("config.toml");
    Command::new(env!("CARGO_BIN_EXE_capprofctl"))
        .arg("--store")
        .arg(store)
        .args(arguments)
        .env("CAPPROF_CONFIG", configuration)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The recordings that `list` shows with these options, newest first.
fn listed(store: &Path, options: &[&str]) -> Vec<String> {
    let output = capprofctl(store, &[&["list", "--format", "json"], options].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let id = |one: &Value| one["recording_id"].as_str().unwrap().to_owned();
    list.iter().map(id).collect()
}

#[test]
fn the_list_shows_an_image_however_it_is_written() {
    let store = tempfile::tempdir().unwrap();
    put(
        store.path(),
        DAYS[0],
        image("docker.io/library/nginx:latest"),
    );
    put(store.path(), DAYS[1], image("nginx:1.27"));
    put(store.path(), DAYS[2], image("docker.io/bitnami/nginx:1"));
    // It has this name, but not this image.
    put(store.path(), DAYS[3], |profile| {
        profile["name"] = "redis".into();
    });
    for (wanted, expected) in [
        ("nginx", &[DAYS[1], DAYS[0]][..]),
        ("nginx:1.27", &[DAYS[1]]),
        ("docker.io/library/nginx:latest", &[DAYS[0]]),
        ("bitnami/nginx", &[DAYS[2]]),
        ("nginx:1.28", &[]),
        ("redis", &[]),
    ] {
        let found = listed(store.path(), &["--image", wanted]);
        assert_eq!(found, expected, "{wanted}");
    }
    assert_eq!(listed(store.path(), &["redis"]), [DAYS[3]]);
    let both = &["--image", "nginx", "--since", "2026-01-02"];
    assert_eq!(listed(store.path(), both), [DAYS[1]]);
    let limited = &["--image", "nginx", "--limit", "1"];
    assert_eq!(listed(store.path(), limited), [DAYS[1]]);
}

#[test]
fn the_list_shows_a_state() {
    let store = tempfile::tempdir().unwrap();
    let verified = |set: &'static str| {
        move |profile: &mut Value| {
            let mut sets = profile["minimized_sets"].clone();
            sets["bounding"] = json!([set]);
            profile["verification"] = json!({
                "verdict": "verified", "date": "2026-01-06T00:00:00Z", "run": "20260106T000000Z-00000006", "command": ["docker", "run", "web"],
                "runtime": profile["runtime"], "kernel": "6.18", "sets": sets, "compared": [], "denied": [], "failures": [], "suggested": [],
                "notes": [],
            });
        }
    };
    put(store.path(), DAYS[0], |_| {});
    put(store.path(), DAYS[1], |profile| {
        profile["complete"] = false.into();
        profile["incomplete_because"] = json!(["eBPF: 2 checks lost: map full"]);
    });
    put(store.path(), DAYS[2], verified("CAP_SYSLOG"));
    // A verdict on another set than the profile's.
    put(store.path(), DAYS[3], verified("CAP_CHOWN"));
    put(store.path(), DAYS[4], |profile| {
        profile["exit"] = json!({ "code": 3 });
    });
    for (state, expected) in [
        ("complete", &[DAYS[4], DAYS[3], DAYS[2], DAYS[0]][..]),
        ("incomplete", &[DAYS[1]]),
        ("verified", &[DAYS[2]]),
        ("not-verified", &[DAYS[4], DAYS[3], DAYS[1], DAYS[0]]),
        ("failed", &[DAYS[4]]),
    ] {
        let found = listed(store.path(), &["--state", state]);
        assert_eq!(found, expected, "{state}");
    }
    let output = capprofctl(store.path(), &["list", "--state", "good"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("not-verified"));
    let output = capprofctl(store.path(), &["list", "--state", "failed", "other"]);
    assert_eq!(
        text(&output.stderr),
        "capprofctl: no profile matches: `capprofctl list` shows all\n"
    );
}

#[test]
fn prune_without_options_does_what_the_configuration_says() {
    let configured = |configuration: &str| {
        let store = tempfile::tempdir().unwrap();
        for day in &DAYS[..4] {
            put(store.path(), day, image("web"));
        }
        // This profile stays: its recording ends in the year 9999.
        put(store.path(), DAYS[4], |profile| {
            image("other")(profile);
            profile["finished"] = "9999-12-31T00:00:00Z".into();
        });
        fs::write(store.path().join("config.toml"), configuration).unwrap();
        let output = capprofctl(store.path(), &["prune"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        (listed(store.path(), &[]), text(&output.stderr))
    };
    let (left, said) = configured("retention_workload = 2\n");
    assert_eq!(left, [DAYS[4], DAYS[3], DAYS[2]]);
    assert_eq!(said, "capprofctl: removed 2 profiles, 3 kept\n");
    let (left, _) = configured("retention_workload = 0\nretention_days = 1\n");
    assert_eq!(left, [DAYS[4]]);
    let (left, _) = configured("");
    assert_eq!(left.len(), 5);
    let (left, said) = configured("retention_workload = 0\n");
    assert_eq!(left.len(), 5);
    assert!(said.contains("nothing to remove"), "{said}");
}

#[test]
fn prune_says_what_it_keeps_for_a_workload() {
    let store = tempfile::tempdir().unwrap();
    put(store.path(), DAYS[0], |profile| {
        image("web")(profile);
        profile["minimized"] = json!(["CAP_SYSLOG", "CAP_CHOWN"]);
    });
    put(store.path(), DAYS[1], image("web"));
    put(store.path(), DAYS[2], image("web"));
    for options in [&["--dry-run"][..], &[]] {
        let arguments = [&["prune", "--keep", "1"], options].concat();
        let output = capprofctl(store.path(), &arguments);
        let (verb, shown) = match options.is_empty() {
            true => ("removed", String::new()),
            false => ("would remove", format!("{}\n", DAYS[1])),
        };
        assert_eq!(text(&output.stdout), shown);
        assert_eq!(
            text(&output.stderr),
            format!(
                "capprofctl: {verb} 1 profile, 2 kept, 1 of them because the answer for a workload rests on them\n"
            )
        );
    }
    assert_eq!(listed(store.path(), &[]), [DAYS[2], DAYS[0]]);
}
