//! The built `capprofctl` against a store on disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use capprof_store::recording::Directory;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RECORDING: &str = "20261123T150102Z-1a2b3c4d";

/// A store with one complete profile of container `web-1` and one incomplete, older one of `db-1`.
fn store() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (container, recording, complete) in [
        ("web-1", RECORDING, true),
        ("db-1", "20261101T000000Z-00000001", false),
    ] {
        let place = directory
            .path()
            .join("profiles")
            .join(container)
            .join(recording);
        fs::create_dir_all(&place).unwrap();
        let mut profile: serde_json::Value =
            serde_json::from_str(include_str!("profile.json")).unwrap();
        profile["container_id"] = container.into();
        profile["recording_id"] = recording.into();
        profile["complete"] = complete.into();
        if !complete {
            profile["incomplete_because"] = vec!["eBPF: 2 checks lost: map full"].into();
        }
        fs::write(place.join("capprof.json"), profile.to_string()).unwrap();
    }
    directory
}

fn capprofctl(store: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_capprofctl"))
        .arg("--store")
        .arg(store)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_latest_profile_is_reported_without_colours_into_a_pipe() {
    let store = store();
    for arguments in [
        &["report"][..],
        &["report", "last"],
        &["report", "web-1"],
        &["report", "2026112"],
    ] {
        let output = capprofctl(store.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let report = text(&output.stdout);
        assert!(report.contains("uses 1 of 1"), "{report}");
        assert!(
            report.contains("lets rsyslogd read or clear the kernel log"),
            "{report}"
        );
        assert!(
            report.contains("docker run --cap-drop=all --cap-add=SYSLOG"),
            "{report}"
        );
        assert!(!report.contains('\u{1b}'), "{report}");
        assert!(output.stderr.is_empty());
    }
}

/// A disk was full when the container ended.
#[test]
fn a_recording_that_could_not_be_stored_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    let directory = Directory::create(state.path(), "key", RECORDING).unwrap();
    directory
        .set_pending("write /var/lib/capprof/x: No space left on device (os error 28)")
        .unwrap();
    let configuration = state.path().join("config.toml");
    fs::write(
        &configuration,
        format!("state = \"{}\"\n", state.path().display()),
    )
    .unwrap();
    for (subcommand, expected) in [("list", Some(0)), ("report", Some(1))] {
        let output = Command::new(env!("CARGO_BIN_EXE_capprofctl"))
            .arg("--store")
            .arg(empty.path())
            .arg(subcommand)
            .env("CAPPROF_CONFIG", &configuration)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), expected, "{said}");
        assert!(
            said.contains(&format!(
                "recording {RECORDING} is not stored: write /var/lib/capprof/x: No space left on device (os error 28) \
                 (remove the cause, then run capprofctl recover)"
            )),
            "{said}"
        );
    }
}

/// Runs `report` on a terminal of its own, which script(1) makes.
fn on_a_terminal(store: &Path, no_color: bool) -> String {
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(format!(
            "{} --store {} report",
            env!("CARGO_BIN_EXE_capprofctl"),
            store.display()
        ))
        .arg("/dev/null")
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let store = store();
    assert!(on_a_terminal(store.path(), false).contains("\u{1b}[1m"));
    assert!(!on_a_terminal(store.path(), true).contains("\u{1b}["));
}

#[test]
fn single_forms_are_for_scripts() {
    let store = store();
    for (format, expected) in [
        (
            "docker",
            "docker run --cap-drop=all --cap-add=SYSLOG IMAGE\n",
        ),
        (
            "podman",
            // The caveat is a comment.
            "# not rootless: no container in a user namespace of its own can be granted SYSLOG\n\
             podman run --cap-drop=all --cap-add=SYSLOG IMAGE\n",
        ),
        (
            "quadlet",
            "# not rootless: no container in a user namespace of its own can be granted SYSLOG\n\
             [Container]\nDropCapability=all\nAddCapability=SYSLOG\n",
        ),
        ("systemd", "[Service]\nCapabilityBoundingSet=CAP_SYSLOG\n"),
    ] {
        let output = capprofctl(store.path(), &["report", "--format", format]);
        assert_eq!(text(&output.stdout), expected);
    }
    let output = capprofctl(store.path(), &["report", "--format", "json"]);
    let profile: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stored = store
        .path()
        .join("profiles/web-1")
        .join(RECORDING)
        .join("capprof.json");
    let stored: serde_json::Value = serde_json::from_slice(&fs::read(stored).unwrap()).unwrap();
    assert_eq!(profile, stored);
}

#[test]
fn an_incomplete_profile_is_told_and_fails_where_that_is_wanted() {
    let store = store();
    let output = capprofctl(store.path(), &["report", "db-1"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("INCOMPLETE: eBPF: 2 checks lost: map full."));
    let output = capprofctl(
        store.path(),
        &["report", "--strict", "--format", "docker", "db-1"],
    );
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "capprofctl: 20261101T000000Z-00000001 is incomplete: eBPF: 2 checks lost: map full\n"
    );
    let output = capprofctl(store.path(), &["report", "--strict"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_list_is_newest_first() {
    let store = store();
    let output = capprofctl(store.path(), &["list"]);
    let list = text(&output.stdout);
    let ids: Vec<&str> = list
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(ids, [RECORDING, "20261101T000000Z-00000001"]);
    let output = capprofctl(store.path(), &["list", "--format", "json"]);
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list[1]["container_id"], "db-1");
    assert_eq!(list[1]["minimized"][0], "CAP_SYSLOG");
}

#[test]
fn errors_are_one_line_and_have_their_status() {
    let store = store();
    let empty = tempfile::tempdir().unwrap();
    let damaged = store.path().join("damaged.json");
    fs::write(&damaged, "{").unwrap();
    for (place, arguments, status, expected) in [
        (
            store.path(),
            &["report", "nothing"][..],
            1,
            "capprofctl: no profile \"nothing\" in ",
        ),
        (empty.path(), &["report"], 1, "capprofctl: no profile in "),
        (
            store.path(),
            &["report", damaged.to_str().unwrap()],
            1,
            "capprofctl: read profile ",
        ),
        (
            store.path(),
            &["report", "/nonexistent.json"],
            1,
            "capprofctl: read /nonexistent.json: No such file",
        ),
        (
            store.path(),
            &["reprot"],
            2,
            "error: unrecognized subcommand 'reprot'",
        ),
        (
            store.path(),
            &["report", "--format", "yaml"],
            2,
            "error: invalid value 'yaml'",
        ),
    ] {
        let output = capprofctl(place, arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{message}");
        assert!(message.starts_with(expected), "{message}");
        assert!(status == 2 || message.lines().count() == 1, "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_damaged_profile_in_the_store_does_not_hide_the_others() {
    let store = store();
    let place = store
        .path()
        .join("profiles/web-1/20261124T000000Z-00000002");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("capprof.json"), "{").unwrap();
    let output = capprofctl(store.path(), &["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 3);
    assert!(text(&output.stderr).contains("20261124T000000Z-00000002/capprof.json"));
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let store = store();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_capprofctl"))
        .arg("--store")
        .arg(store.path())
        .arg("report")
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn profiles_are_merged_from_files_directories_and_standard_input() {
    let store = store();
    let json = |output: Output| -> serde_json::Value {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let directory = store.path().to_str().unwrap();
    let merged = json(capprofctl(
        store.path(),
        &["merge", "--format", "json", directory],
    ));
    assert_eq!(merged["needed"][0]["runs"], 2);
    assert_eq!(merged["incomplete_runs"][0], "20261101T000000Z-00000001");

    let files: Vec<String> = [
        "web-1/20261123T150102Z-1a2b3c4d",
        "db-1/20261101T000000Z-00000001",
    ]
    .iter()
    .map(|place| format!("{directory}/profiles/{place}/capprof.json"))
    .collect();
    let by_file = ["merge", "--format=json", &files[0], &files[1]];
    assert_eq!(json(capprofctl(store.path(), &by_file)), merged);
    let stream: String = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let input = store.path().join("stream");
    fs::write(&input, stream).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_capprofctl"))
        .args(["merge", "--format=json", "-"])
        .stdin(fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    assert_eq!(json(output), merged);

    let output = capprofctl(store.path(), &["merge", "--strict", directory]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).starts_with("INCOMPLETE: 1 of 2 runs lost something"));
    let output = capprofctl(store.path(), &["merge", "--format", "docker", &files[0]]);
    assert_eq!(
        text(&output.stdout),
        "docker run --cap-drop=all --cap-add=SYSLOG IMAGE\n"
    );
}

#[test]
fn profiles_of_different_workloads_are_merged_only_when_asked() {
    let store = store();
    let path = store.path().join("other.json");
    let mut other: serde_json::Value = serde_json::from_str(include_str!("profile.json")).unwrap();
    other["recording_id"] = "20261124T000000Z-00000009".into();
    other["workload"]["image"] = "redis".into();
    fs::write(&path, other.to_string()).unwrap();
    let arguments = [
        "merge",
        store.path().to_str().unwrap(),
        path.to_str().unwrap(),
    ];
    let output = capprofctl(store.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("merge: image differs: "), "{message}");
    assert!(
        message.ends_with("--mixed merges them anyway\n"),
        "{message}"
    );
    let output = capprofctl(store.path(), &[&arguments[..], &["--mixed"]].concat());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    let help = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_capprofctl"))
            .args(arguments)
            .arg("--help")
            .env("COLUMNS", "80")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let whole = help(&[]);
    let (_, list) = whole.split_once("Commands:\n").unwrap();
    let subcommands: Vec<&str> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        // clap's own subcommand has no help.
        .filter(|name| *name != "help")
        .collect();
    assert!(subcommands.contains(&"profile"), "{whole}");
    for page in subcommands
        .iter()
        .map(|subcommand| help(&[subcommand]))
        .chain([whole.clone()])
    {
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn man_pages_and_completions_know_the_subcommands() {
    let directory = tempfile::tempdir().unwrap();
    let output = capprofctl(
        directory.path(),
        &["man", directory.path().to_str().unwrap()],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = fs::read_to_string(directory.path().join("capprofctl-report.1")).unwrap();
    assert!(page.contains("\\-\\-strict"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        // The script asks the program itself.
        let output = capprofctl(directory.path(), &["completions", shell]);
        let script = text(&output.stdout);
        assert!(script.contains("capprofctl"), "{shell}: {script}");
        let output = Command::new(env!("CARGO_BIN_EXE_capprofctl"))
            .args(["--", "capprofctl", ""])
            .envs([
                ("CAPPROFCTL_COMPLETE", shell),
                ("_CLAP_COMPLETE_INDEX", "1"),
            ])
            .output()
            .unwrap();
        let offered = text(&output.stdout);
        for subcommand in ["report", "list", "recover", "doctor"] {
            assert!(offered.contains(subcommand), "{shell}: {offered}");
        }
    }
}
