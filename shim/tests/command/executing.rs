use super::*;

#[test]
fn a_process_file_that_is_none_is_said_so() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    assert!(fixture.create("create", "x").status.success());
    let root = fixture.path("root");
    for (content, expected) in [
        ("", "process.json: the file is empty"),
        ("{", "process.json: not JSON"),
        ("[]", "the process is not an object"),
        (
            r#"{"user": {"uid": "root"}}"#,
            "/process/user/uid is not a 32-bit number",
        ),
    ] {
        let file = fixture.path("process.json");
        fs::write(&file, content).unwrap();
        let output = fixture.run(&[
            "--root",
            root.to_str().unwrap(),
            "exec",
            "-p",
            file.to_str().unwrap(),
            "x",
        ]);
        assert_eq!(output.status.code(), Some(255));
        let stderr = text(&output.stderr);
        assert!(
            stderr.starts_with("capprof: exec --process: ") && stderr.contains(expected),
            "{stderr}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[test]
fn a_recording_that_cannot_be_read_stops_exec_and_nothing_else() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    assert!(fixture.create("create", "x").status.success());
    let (directory, _) = fixture.recording();
    fs::write(directory.path().join("recording.json"), "{").unwrap();
    let root = fixture.path("root");
    let call = |arguments: &[&str]| {
        let mut all = vec!["--root", root.to_str().unwrap()];
        all.extend(arguments);
        fixture.run(&all)
    };
    for arguments in [&["exec", "x", "sh"][..], &["exec", "-p", "/dev/null", "x"]] {
        let output = call(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{message}");
        assert!(
            message.contains("recording.json") && message.contains("is not known"),
            "{message}"
        );
    }
    for arguments in [
        &["exec", "y", "sh"][..],
        &["state", "x"],
        &["kill", "x", "9"],
        &["delete", "x"],
    ] {
        assert!(call(arguments).status.success(), "{arguments:?}");
    }
}

#[test]
fn a_container_stays_with_the_runtime_that_made_it() {
    if !root() {
        return;
    }
    let fixture = Fixture::new("runc");
    let (first, second) = (fixture.path("first"), fixture.path("second-crun"));
    symlink(program("true"), &first).unwrap();
    symlink(program("false"), &second).unwrap();
    fixture.configure(first.to_str().unwrap(), "");
    // Without --root: the place of its state depends on the runtime.
    let bundle = fixture.bundle();
    let id = format!("capprof-test-{}", std::process::id());
    assert!(
        fixture
            .run(&["create", "--bundle", bundle.to_str().unwrap(), &id])
            .status
            .success()
    );
    fixture.configure(second.to_str().unwrap(), "");
    for arguments in [
        &["kill", &id, "9"][..],
        &["start", &id],
        &["state", &id],
        &["exec", &id, "sh"],
        &["delete", "--force", &id],
    ] {
        assert!(fixture.run(arguments).status.success(), "{arguments:?}");
    }
    assert!(!fixture.run(&["kill", "another"]).status.success());
}
