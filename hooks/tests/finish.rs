//! The files that the end of a recording leaves if something goes wrong.
#![allow(clippy::unwrap_used)]

mod recording;

use capprof_hook::finish::finish;
use capprof_hook::{poststop, prestart};
use capprof_profile::verification::{Outside, Verdict};
use capprof_profile::verify;
use capprof_profile::{fixtures, recorded_profile};
use capprof_store::profiles::{Files, Store};
use capprof_store::recording::{Directory, is_abandoned};
use recording::recording;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ID: &str = "20260101T000000Z-00000001";

/// A recording whose container is gone and for which no recorder was armed.
struct Ended {
    root: TempDir,
    directory: Directory,
    description: Value,
}

impl Ended {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("run");
        let bundle = root.path().join("bundle");
        fs::create_dir(&bundle).unwrap();
        let directory = Directory::create(&state, "key", ID).unwrap();
        fs::write(directory.original_configuration(), "{\"process\": {}}").unwrap();
        let mut description = recording(ID, &bundle);
        description["store"] = json!(root.path().join("store"));
        description["shim"] = json!({"pid": 1, "start_time": 1});
        description["runtime"]["state"] = json!(root.path().join("runtime-state"));
        let ended = Self {
            root,
            directory,
            description,
        };
        ended.describe(|_| ());
        ended.armed(&json!({"init": {"pid": 1, "start_time": 1}, "recorders": []}).to_string());
        ended
    }

    /// Changes the shim's description.
    fn describe(&self, change: impl FnOnce(&mut Value)) {
        let mut description = self.description.clone();
        change(&mut description);
        fs::write(self.file("recording.json"), description.to_string()).unwrap();
    }

    /// Writes the prestart hook's file.
    fn armed(&self, content: &str) {
        fs::write(self.file("armed.json"), content).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn finish(&self) -> Result<(), String> {
        finish(&self.directory).map_err(|error| format!("{error:#}"))
    }

    fn is_stored(&self) -> bool {
        Store::at(self.path("store")).find(ID).is_ok()
    }
}

/// A link that leads to itself cannot be followed (ELOOP), not even by root.
fn make_unreadable(path: &Path) {
    let _ = fs::remove_file(path);
    symlink(path, path).unwrap();
}

#[test]
fn a_recording_is_stored_and_removed() {
    let ended = Ended::new();
    ended.finish().unwrap();
    assert!(ended.is_stored());
    assert!(!ended.directory.path().exists());
    assert!(ended.path("bundle/capprof.json").exists());
}

/// Engines remove the bundle right after the poststop hook, so the profile in it does not count as kept.
#[test]
fn a_store_that_cannot_be_written_loses_nothing() {
    let ended = Ended::new();
    // A file is in the place of the store's directory.
    fs::write(ended.path("store"), "").unwrap();
    let problem = ended.finish().unwrap_err();
    assert!(
        problem.contains("store") && problem.contains("capprofctl recover"),
        "{problem}"
    );
    let pending = ended.directory.pending().unwrap().unwrap().problem;
    assert!(problem.starts_with(&pending), "{pending}");
    assert!(is_abandoned(&ended.directory), "recovery would pass it by");

    fs::remove_dir_all(ended.path("bundle")).unwrap();
    fs::remove_file(ended.path("store")).unwrap();
    ended.finish().unwrap();
    assert!(ended.is_stored());
    assert!(!ended.directory.path().exists());
}

#[test]
fn evidence_that_was_collected_is_what_recovery_stores() {
    let ended = Ended::new();
    fs::write(ended.path("store"), "").unwrap();
    ended.finish().unwrap_err();
    let path = ended.file("evidence.json");
    let mut evidence: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    evidence["finished"] = json!("2026-01-01T00:00:07Z");
    fs::write(&path, evidence.to_string()).unwrap();
    fs::remove_file(ended.path("store")).unwrap();
    ended.finish().unwrap();
    let stored = Store::at(ended.path("store")).find(ID).unwrap().profile;
    assert_eq!(stored.origin.finished, "2026-01-01T00:00:07Z");
}

#[test]
fn a_recording_whose_configuration_cannot_be_read_is_kept() {
    let ended = Ended::new();
    let original = ended.directory.original_configuration();
    let kept = fs::read(&original).unwrap();
    make_unreadable(&original);
    let problem = ended.finish().unwrap_err();
    assert!(problem.contains("config.original.json"), "{problem}");
    assert!(ended.directory.is_described().unwrap());
    fs::remove_file(&original).unwrap();
    fs::write(&original, &kept).unwrap();
    ended.finish().unwrap();
    assert!(ended.is_stored());
}

/// Runtimes accept JSON that a strict reader refuses: a lone surrogate, many levels, a key that occurs twice where capprof does not look.
#[test]
fn what_the_shim_takes_is_finished() {
    let ended = Ended::new();
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let odd = format!(r#"{{"process":{{"env":["X=\ud800"]}},"x":{{"a":{deep},"a":2}}}}"#);
    fs::write(ended.directory.original_configuration(), &odd).unwrap();
    ended.finish().unwrap();
    let minimized = fs::read_to_string(ended.path("bundle/config.minimized.json")).unwrap();
    assert!(minimized.contains(r#""env":["X=\ud800"]"#), "{minimized}");
    assert!(minimized.contains(&deep));
}

/// config.json with the hooks of a recording, in the bundle of another container.
#[test]
fn the_state_of_another_container_ends_no_recording() {
    let ended = Ended::new();
    let bundle = ended.path("bundle").canonicalize().unwrap();
    let own =
        json!({"ociVersion": "1.0.0", "id": ID, "status": "stopped", "bundle": bundle, "pid": 0});
    let state = |change: &dyn Fn(&mut Value)| {
        let mut state = own.clone();
        change(&mut state);
        Ok(state.to_string().into_bytes())
    };
    let others: [&dyn Fn(&mut Value); 3] = [
        &|state| state["id"] = json!("other"),
        &|state| state["bundle"] = json!("/other"),
        &|state| state["pid"] = json!(7),
    ];
    ended.describe(|description| description["fail_on_error"] = json!(true));
    for change in others {
        for problem in [
            poststop::run(&ended.directory, state(change)),
            prestart::run(&ended.directory, state(change)),
        ] {
            let problem = problem.unwrap_err().to_string();
            assert!(problem.contains("config.json was copied"), "{problem}");
        }
        assert!(ended.directory.is_described().unwrap());
    }
    poststop::run(&ended.directory, state(&|_| ())).unwrap();
    assert!(ended.is_stored());
}

#[test]
fn a_recording_that_cannot_be_read_is_kept() {
    for name in ["armed.json", "evidence.json", "recording.json"] {
        let ended = Ended::new();
        let before = fs::read(ended.file(name)).ok();
        make_unreadable(&ended.file(name));
        let problem = ended.finish().unwrap_err();
        assert!(problem.contains(name), "{name}: {problem}");
        assert!(!ended.is_stored(), "{name}");
        assert!(ended.directory.path().exists(), "{name}");
        fs::remove_file(ended.file(name)).unwrap();
        if let Some(before) = before {
            fs::write(ended.file(name), before).unwrap();
        }
        ended.finish().unwrap();
        assert!(ended.is_stored(), "{name}");
        assert!(!ended.directory.path().exists(), "{name}");
    }
}

#[test]
fn what_another_version_armed_becomes_an_incomplete_profile() {
    let ended = Ended::new();
    ended.armed(r#"{"init": {"pid": 1, "start_time": 1}, "ebpf": null, "reports": []}"#);
    let problem = ended.finish().unwrap_err();
    assert!(problem.contains("armed.json"), "{problem}");
    let stored = Store::at(ended.path("store")).find(ID).unwrap().profile;
    assert!(!stored.complete);
    assert!(!ended.directory.path().exists());
}

fn identity(path: &Path) -> Value {
    let metadata = fs::metadata(path).unwrap();
    json!({"device": metadata.dev(), "inode": metadata.ino()})
}

/// The container, or a user, may replace a directory that existed at create by something else.
#[test]
fn results_do_not_follow_what_was_put_in_a_directorys_place() {
    for name in ["bundle", "out"] {
        let ended = Ended::new();
        let (place, moved, victim) = (ended.path(name), ended.path("moved"), ended.path("victim"));
        fs::create_dir_all(&place).unwrap();
        fs::create_dir(&victim).unwrap();
        let (bundle, output) = (ended.path("bundle"), ended.path("out"));
        fs::create_dir_all(&output).unwrap();
        ended.describe(|description| {
            description["bundle_identity"] = identity(&bundle);
            description["output"] = json!(output);
            description["output_identity"] = identity(&output);
        });
        fs::rename(&place, &moved).unwrap();
        let exchange = |with_link: bool| {
            if with_link {
                symlink(&victim, &place).unwrap();
            } else {
                fs::rename(&victim, &place).unwrap();
            }
        };
        exchange(true);
        let kept = tempfile::tempdir().unwrap();
        copy(ended.directory.path(), kept.path());
        let problem = ended.finish().unwrap_err();
        assert!(
            problem.contains(&format!("open {}", place.display())),
            "{problem}"
        );
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{name}");
        assert!(ended.is_stored());

        fs::remove_file(&place).unwrap();
        exchange(false);
        fs::create_dir(ended.directory.path()).unwrap();
        copy(kept.path(), ended.directory.path());
        let problem = ended.finish().unwrap_err();
        assert!(
            problem.contains("is not the directory that it was"),
            "{problem}"
        );
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "{name}");
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn temporary_files_of_killed_hooks_are_removed() {
    let ended = Ended::new();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let store = ended.path("store/profiles").join(ID);
    fs::create_dir_all(&store).unwrap();
    let left: Vec<PathBuf> = ["capprof.json", "config.minimized.json"]
        .map(|name| {
            ended
                .path("bundle")
                .join(format!(".{name}.capprof-{}", child.id()))
        })
        .into_iter()
        .chain([store.join(format!(".{ID}.{}", child.id()))])
        .collect();
    for path in &left {
        fs::write(path, "").unwrap();
    }
    fs::remove_file(&left[2]).unwrap();
    fs::create_dir(&left[2]).unwrap();
    ended.finish().unwrap();
    for path in left {
        assert!(!path.exists(), "{}", path.display());
    }
}

/// Stores a profile that has been verified; returns its id.
fn verified(ended: &Ended) -> &'static str {
    const PROFILE: &str = "20250101T000000Z-00000001";
    let mut profile = recorded_profile::profile(
        &fixtures::recording("web", PROFILE),
        fixtures::reports(),
        Vec::new(),
        "2025-01-01T00:00:00Z".to_owned(),
        fixtures::host(),
    );
    let mut verdict = verify::judge(&profile, &profile, &Outside::nothing());
    verdict.verdict = Verdict::Verified;
    profile.verification = Some(verdict);
    let files = Files::new(&profile, b"{}".to_vec()).unwrap();
    let store = Store::at(ended.path("store"));
    store.add(&profile, &files, 0).unwrap();
    ended.describe(|description| {
        description["mode"] = json!("verify");
        description["profile"] = json!(PROFILE);
    });
    PROFILE
}

fn verdict(ended: &Ended, profile: &str) -> Verdict {
    let profile = Store::at(ended.path("store"))
        .find(profile)
        .unwrap()
        .profile;
    profile.verification.unwrap().verdict
}

/// Writes evidence of the eBPF recorder.
fn evidence(ended: &Ended, executed: bool, exit: Option<Value>) {
    let report = json!({"recorder": "ebpf", "recorded": true, "method": "tp_btf/cap_capable", "refused": []});
    let evidence = json!({
        "observations": [], "executions": [], "capsets": [], "losses": [], "blind_spots": [],
        "executed": executed, "exit": exit,
    });
    let collected = json!({
        "finished": "2026-01-01T00:00:07Z", "reports": [report], "evidence": [["ebpf", evidence]],
    });
    fs::write(ended.file("evidence.json"), collected.to_string()).unwrap();
}

#[test]
fn a_verification_that_never_started_leaves_the_verdict_as_it_was() {
    // Either the prestart hook was killed while arming, or it armed and the program was never executed.
    for was_armed in [false, true] {
        let ended = Ended::new();
        let profile = verified(&ended);
        if was_armed {
            evidence(&ended, false, None);
        }
        let problem = ended.finish().unwrap_err();
        assert!(problem.contains("was never started"), "{problem}");
        assert_eq!(verdict(&ended, profile), Verdict::Verified);
        assert!(!ended.directory.path().exists());
    }
    let ended = Ended::new();
    let profile = verified(&ended);
    evidence(&ended, true, Some(json!({"signal": 9})));
    ended.finish().unwrap();
    assert_eq!(verdict(&ended, profile), Verdict::NotVerified);
}

#[test]
fn a_run_that_its_caller_judges_is_stored_without_a_verdict() {
    let ended = Ended::new();
    let profile = verified(&ended);
    ended.describe(|description| {
        description["mode"] = json!("verify");
        description["profile"] = json!(profile);
        description["judge"] = json!("caller");
    });
    evidence(&ended, true, Some(json!({"signal": 9})));
    ended.finish().unwrap();
    assert_eq!(verdict(&ended, profile), Verdict::Verified);
    let run = Store::at(ended.path("store")).run_of(profile).unwrap();
    assert_eq!(run.unwrap().origin.recording_id, ID);
}
