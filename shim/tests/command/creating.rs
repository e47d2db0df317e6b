use super::*;

#[test]
fn the_runtime_finds_a_rewritten_configuration_and_a_recording() {
    if !root() {
        return;
    }
    // `ls` fails, because it knows neither `create` nor its options; capprof has done its work before that.
    let fixture = Fixture::new(&program("true"));
    let original = fs::read(fixture.config()).unwrap();
    fs::set_permissions(fixture.config(), fs::Permissions::from_mode(0o640)).unwrap();
    let output = fixture.create("create", "a.b-c+1");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        (String::new(), String::new())
    );
    let (directory, recording) = fixture.recording();
    assert_eq!(
        fs::read(directory.original_configuration()).unwrap(),
        original
    );
    for (file, mode) in [
        (directory.path().to_owned(), 0o700),
        (directory.original_configuration(), 0o600),
        (directory.path().join("recording.json"), 0o600),
        (directory.configuration(), 0o600),
        (fixture.state(), 0o700),
        (fixture.config(), 0o640),
    ] {
        assert_eq!(
            fs::metadata(&file).unwrap().mode() & 0o777,
            mode,
            "{}",
            file.display()
        );
    }
    assert_eq!(recording.container.id, "a.b-c+1");
    assert_eq!(
        recording.container.bundle,
        fixture.bundle().canonicalize().unwrap()
    );
    assert_eq!(
        recording.container.configuration,
        fixture.config().canonicalize().unwrap()
    );
    assert_eq!(
        recording.container.root_filesystem,
        Some(recording.container.bundle.join("rootfs"))
    );
    assert_eq!(
        recording.container.runtime.state,
        fixture.path("root/a.b-c+1")
    );
    assert_eq!(recording.process.args, ["/bin/true"]);
    let (date, random) = recording.id.split_once('-').unwrap();
    assert_eq!((date.len(), random.len()), (16, 8));
    assert!(date.ends_with('Z') && date.as_bytes()[8] == b'T', "{date}");
    assert!(!recording.grant.granted.bounding.is_empty());
    assert_eq!(fs::read(fixture.config()).unwrap(), original);
    let text = fs::read(directory.configuration()).unwrap();
    let configuration: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        configuration["process"]["capabilities"]["effective"],
        serde_json::to_value(recording.grant.granted.effective).unwrap()
    );
    let hook = json!({
        "path": fixture.path("bin/capprof-hook").canonicalize().unwrap(),
        "args": ["capprof-hook", "poststop", directory.path()],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        "timeout": 120,
    });
    assert_eq!(configuration["hooks"]["poststop"], json!([hook]));
    assert_eq!(fixture.strangers(), [""; 0]);
}

#[test]
fn one_id_under_two_roots_is_two_containers() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let bundle = fixture.bundle();
    for root in ["one", "two"] {
        let root = fixture.path(root);
        let output = fixture.run(&[
            "--root",
            root.to_str().unwrap(),
            "run",
            "-b",
            bundle.to_str().unwrap(),
            "same",
        ]);
        assert!(output.status.success(), "{output:?}");
    }
    let recordings = fixture.recordings();
    assert_eq!(recordings.len(), 2);
    for (directory, _) in recordings {
        let key = container_key(OsStr::new("same"));
        assert!(
            directory
                .path()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&key)
        );
        // Both recordings keep the engine's configuration, not the one that the first rewrote.
        let kept = fs::read_to_string(directory.original_configuration()).unwrap();
        assert_eq!(kept, super::configuration().to_string());
    }
}

#[test]
fn a_bundle_need_not_be_unicode_nor_the_place_itself() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let odd = fixture
        .directory
        .path()
        .join(OsString::from_vec(b"b\xff".to_vec()));
    fs::rename(fixture.bundle(), &odd).unwrap();
    let link = fixture.path("link");
    symlink(&odd, &link).unwrap();
    for bundle in [odd.as_os_str(), link.as_os_str()] {
        let arguments = [
            OsStr::new("create"),
            OsStr::new("--bundle"),
            bundle,
            OsStr::new("x"),
        ];
        let output = fixture.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for (_, recording) in fixture.recordings() {
        assert_eq!(recording.container.bundle, odd.canonicalize().unwrap());
    }
    // The bundle is the working directory, if none is named.
    let mut command = fixture.command(&[OsStr::new("create"), OsStr::new("y")]);
    assert!(command.current_dir(&odd).status().unwrap().success());
    assert_eq!(fixture.recordings().len(), 3);
}

#[test]
fn a_link_inside_the_bundle_is_followed_and_stays_a_link() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    fs::rename(fixture.config(), fixture.path("bundle/rootfs/real.json")).unwrap();
    symlink("rootfs/real.json", fixture.config()).unwrap();
    assert!(fixture.create("create", "x").status.success());
    assert!(fs::symlink_metadata(fixture.config()).unwrap().is_symlink());
    assert_eq!(fixture.read(), configuration());
    let (_, recording) = fixture.recording();
    assert_eq!(
        recording.container.configuration,
        fixture
            .path("bundle/rootfs/real.json")
            .canonicalize()
            .unwrap()
    );
}

#[test]
fn what_is_not_to_be_profiled_is_handed_over_untouched() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let mut off = configuration();
    off["annotations"] = json!({"io.capprof.mode": "off"});
    let mut sandbox = configuration();
    sandbox["annotations"] = json!({"io.kubernetes.cri.container-type": "sandbox"});
    let mut no_process = configuration();
    no_process.as_object_mut().unwrap().remove("process");
    let mut null_process = configuration();
    null_process["process"] = Value::Null;
    for value in [off, sandbox, no_process, null_process] {
        let before = serde_json::to_string_pretty(&value).unwrap();
        fs::write(fixture.config(), &before).unwrap();
        let output = fixture.create("create", "x");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_to_string(fixture.config()).unwrap(), before);
        assert!(fixture.recordings().is_empty());
    }
}

#[test]
fn a_container_that_exists_is_left_to_the_runtime() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    fs::create_dir_all(fixture.path("root/x")).unwrap();
    assert!(fixture.create("create", "x").status.success());
    assert_eq!(fixture.read(), configuration());
    assert!(fixture.recordings().is_empty());
}

#[test]
fn a_runtime_that_cannot_be_started_leaves_everything_as_it_was() {
    if !root() {
        return;
    }
    let fixture = Fixture::new("/dev/null");
    let broken = fixture.path("runc");
    // It is executable but no program.
    fs::write(&broken, [0x7f, b'E', b'L', b'F']).unwrap();
    executable(&broken);
    fixture.configure(broken.to_str().unwrap(), "");
    let before = fs::read(fixture.config()).unwrap();
    let output = fixture.create("create", "x");
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.starts_with("capprof: start the low-level runtime "),
        "{stderr}"
    );
    assert_eq!(fs::read(fixture.config()).unwrap(), before);
    assert!(fixture.recordings().is_empty());
    assert_eq!(fixture.strangers(), [""; 0]);
}

#[test]
fn crun_is_told_of_a_configuration_of_its_own() {
    if !root() {
        return;
    }
    // This program shows its arguments.
    let fixture = Fixture::new("runc");
    let crun = fixture.path("crun");
    symlink(program("echo"), &crun).unwrap();
    fixture.configure(crun.to_str().unwrap(), "");
    let other = fixture.path("other.json");
    fs::copy(fixture.config(), &other).unwrap();
    let mut count = 0;
    let mut create = |arguments: &[&str]| {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let mut command = fixture.command(&arguments);
        let output = command
            .current_dir(fixture.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        count += 1;
        let mut recordings = fixture.recordings();
        assert_eq!(recordings.len(), count);
        let (directory, recording) = recordings.pop().unwrap();
        assert_eq!(recording.container.runtime.name, "crun");
        assert_eq!(recording.container.delivery, Delivery::Option);
        assert_eq!(
            recording.container.bundle,
            fixture.bundle().canonicalize().unwrap()
        );
        assert_eq!(fixture.read(), configuration());
        let configuration = directory.configuration().display().to_string();
        (recording, text(&output.stdout), configuration)
    };
    // The name is relative to the working directory, not to the bundle.
    let (recording, shown, configuration) = create(&[
        "create",
        "--config",
        "other.json",
        "--bundle",
        "bundle",
        "x",
    ]);
    assert_eq!(
        recording.container.configuration,
        other.canonicalize().unwrap()
    );
    assert_eq!(recording.container.runtime.state, Path::new("/run/crun/x"));
    assert_eq!(
        shown,
        format!("create --config {configuration} --bundle bundle x\n")
    );
    // Except under its usual name.
    let (recording, shown, configuration) =
        create(&["create", "-f", "config.json", "-bbundle", "y"]);
    assert_eq!(
        recording.container.configuration,
        fixture.config().canonicalize().unwrap()
    );
    assert_eq!(shown, format!("create -f {configuration} -bbundle y\n"));
    // And where none is named.
    let (_, shown, configuration) = create(&["create", "-bbundle", "z"]);
    assert_eq!(
        shown,
        format!("create --config={configuration} -bbundle z\n")
    );
}

#[test]
fn a_configuration_through_a_pipe_is_passed_on() {
    if !root() {
        return;
    }
    let fixture = Fixture::new("runc");
    let crun = fixture.path("crun");
    symlink(program("echo"), &crun).unwrap();
    fixture.configure(crun.to_str().unwrap(), "");
    let bundle = fixture.bundle();
    let script = |configuration: &Value, id: &str| {
        format!(
            "printf '%s' '{configuration}' | \"$0\" create -b {} -f /dev/stdin {id}",
            bundle.display()
        )
    };
    let output = fixture.shell(&script(&configuration(), "x"));
    assert!(output.status.success(), "{output:?}");
    let (directory, _) = fixture.recording();
    assert_eq!(
        fs::read_to_string(directory.original_configuration()).unwrap(),
        configuration().to_string()
    );
    // Also in mode off: a pipe that has been read cannot be read again.
    let mut off = configuration();
    off["annotations"] = json!({"io.capprof.mode": "off"});
    let output = fixture.shell(&script(&off, "y"));
    let shown = text(&output.stdout);
    assert!(shown.contains(" -f /proc/self/fd/"), "{shown}");
    assert_eq!(fixture.recordings().len(), 1);
}

#[test]
fn mode_off_refuses_nothing() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("echo"));
    let bundle = fixture.bundle();
    let bundle = bundle.to_str().unwrap();
    let create = |arguments: &[&str], variable: Option<&str>| {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let mut command = fixture.command(&arguments);
        if let Some(mode) = variable {
            command.env("CAPPROF_MODE", mode);
        }
        command.output().unwrap()
    };
    // capprof's own configuration is not even read.
    fixture.configure(&program("echo"), "no_such_key = 1\n");
    let mut odd = configuration();
    odd["annotations"] =
        json!({"io.capprof.mode": "off", "io.capprof.name": "", "io.capprof.scope": "x"});
    for content in [
        odd.to_string(),
        odd.to_string().replace("process", "Process"),
        odd.to_string().replace("\"cwd\"", "\"args\":[],\"cwd\""),
    ] {
        fs::write(fixture.config(), &content).unwrap();
        let arguments = ["create", "--bundle", bundle, "x"];
        let output = create(&arguments, None);
        let expected = format!("{}\n", arguments.join(" "));
        assert_eq!(text(&output.stdout), expected, "{output:?}");
    }
    // The mode counts only if every runtime would find it.
    let twice = odd.to_string().replace(
        "\"io.capprof.mode\"",
        "\"io.capprof.mode\":\"profile\",\"io.capprof.mode\"",
    );
    fs::write(fixture.config(), twice).unwrap();
    let output = create(&["create", "--bundle", bundle, "x"], None);
    let message = text(&output.stderr);
    assert!(
        message.contains("key io.capprof.mode occurs twice"),
        "{message}"
    );
    // The variable counts if the configuration cannot be read, and if arguments cannot be parsed.
    fs::write(fixture.config(), "{").unwrap();
    for arguments in [
        &["create", "--bundle", bundle, "x"][..],
        &["create", "--unheard-of", bundle, "x"],
        &["restore", "--bundle", bundle, "x"],
    ] {
        let output = create(arguments, Some("off"));
        let expected = format!("{}\n", arguments.join(" "));
        assert_eq!(text(&output.stdout), expected, "{output:?}");
        assert!(!create(arguments, None).status.success());
    }
    // An annotation takes precedence over the variable.
    let mut enforced = configuration();
    enforced["annotations"] = json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": ""});
    fixture.write(&enforced);
    fixture.configure(&program("echo"), "");
    let output = create(&["create", "--bundle", bundle, "x"], Some("off"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fixture.recordings().len(), 1);
}

#[test]
fn a_container_of_a_checkpoint_is_refused() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let output = fixture.create("restore", "x");
    let message = text(&output.stderr);
    assert!(
        message.starts_with("capprof: restore: a container made of a checkpoint can be neither"),
        "{message}"
    );
    assert!(message.contains(&program("true")), "{message}");
    assert!(fixture.recordings().is_empty());
    // As the message advises.
    let mut off = configuration();
    off["annotations"] = json!({"io.capprof.mode": "off"});
    fixture.write(&off);
    assert!(fixture.create("restore", "x").status.success());
}

#[test]
fn ids_are_the_runtimes_affair() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let long = "x".repeat(240);
    let ids = ["a,b", "a:b@c", "a b", "häuschen", &long, "-"];
    for id in ids {
        assert!(fixture.create("create", id).status.success(), "{id}");
    }
    assert_eq!(fixture.recordings().len(), ids.len());
    // Paths are not ids, and both runtimes say so themselves.
    for id in ["..", "."] {
        fs::create_dir_all(fixture.path("root")).unwrap();
        assert!(fixture.create("create", id).status.success(), "{id}");
    }
    assert_eq!(fixture.recordings().len(), ids.len());
}
