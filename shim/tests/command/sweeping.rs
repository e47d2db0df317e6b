use super::*;

/// A recording whose runtime is gone and left no state.
fn abandoned(fixture: &Fixture) -> Directory {
    assert!(fixture.create("create", "gone").status.success());
    let (directory, _) = fixture.recording();
    directory
}

#[test]
fn recovery_is_called_for_an_abandoned_recording_and_gets_nothing_of_the_callers() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let note = fixture.path("bin/recover");
    assert!(fixture.create("create", "x").status.success());
    assert!(!note.exists(), "there was nothing to recover");
    for subcommand in ["delete x", "create x", "run x"] {
        let output = fixture.shell(&format!(
            "cd {}; exec 5</etc/passwd; exec \"$0\" {subcommand}",
            fixture.bundle().display()
        ));
        if subcommand.starts_with("delete") {
            assert!(output.status.success(), "{output:?}");
        }
        assert_eq!(
            fs::read_to_string(&note).unwrap(),
            format!("recover\n--state\n{}\n", fixture.state().display()),
            "{subcommand}"
        );
        let descriptors = fs::read_to_string(fixture.path("bin/descriptors")).unwrap();
        assert!(
            !descriptors.contains("passwd") && !descriptors.contains("pipe:"),
            "{descriptors}"
        );
        let environment = fs::read_to_string(fixture.path("bin/environment")).unwrap();
        assert!(!environment.contains("CAPPROF"), "{environment}");
        fs::remove_file(&note).unwrap();
    }
    for subcommand in ["kill", "state", "start", "features"] {
        fixture.run(&[subcommand, "x"]);
        assert!(!note.exists(), "{subcommand}");
    }
}

#[test]
fn recovery_that_hangs_or_fails_or_is_missing_stops_nothing() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let directory = abandoned(&fixture);
    fs::write(fixture.path("bin/hang"), "").unwrap();
    let started = Instant::now();
    assert!(fixture.run(&["delete", "x"]).status.success());
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert!(fixture.path("bin/recover").exists());
    // A script that is not a program.
    fs::write(fixture.path("bin/capprof-hook"), "").unwrap();
    assert!(fixture.run(&["delete", "x"]).status.success());
    fs::remove_file(fixture.path("bin/capprof-hook")).unwrap();
    assert!(fixture.run(&["delete", "x"]).status.success());
    assert!(directory.path().exists());
}

#[test]
fn a_directory_that_was_never_filled_goes_after_a_while() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let directory =
        Directory::create(&fixture.state(), "key", "20260101T000000Z-00000000").unwrap();
    assert!(fixture.run(&["delete", "x"]).status.success());
    assert!(directory.path().exists());
    let file = fs::File::open(directory.path()).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    assert!(fixture.run(&["delete", "x"]).status.success());
    assert!(!directory.path().exists());
}
