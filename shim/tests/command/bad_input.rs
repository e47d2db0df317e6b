use super::*;

/// Fails a `create`: one JSON object in the log, the same on standard error, nothing else changed.
fn refused(fixture: &Fixture, arguments: &[&OsStr], expected: &str) {
    let before = fs::symlink_metadata(fixture.config())
        .ok()
        .filter(|metadata| metadata.is_file() && metadata.len() < 1 << 20)
        .map(|_| fs::read(fixture.config()).unwrap());
    let log = fixture.path("log.json");
    let _ = fs::remove_file(&log);
    let mut all = vec![
        OsStr::new("--log"),
        log.as_os_str(),
        OsStr::new("--log-format"),
        OsStr::new("json"),
    ];
    all.extend(arguments);
    let output = fixture.command(&all).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{expected}: {output:?}");
    assert_eq!(text(&output.stdout), "", "{expected}");
    let stderr = text(&output.stderr);
    assert_eq!(stderr.matches('\n').count(), 1, "{stderr}");
    assert!(
        stderr.starts_with("capprof: ") && stderr.contains(expected),
        "{expected}: {stderr}"
    );
    let logged: Value = serde_json::from_slice(&fs::read(&log).unwrap()).unwrap();
    assert_eq!(logged["level"], "error");
    assert_eq!(logged["msg"], stderr.trim_end());
    logged["time"]
        .as_str()
        .unwrap()
        .parse::<jiff::Timestamp>()
        .unwrap();
    if let Some(before) = before {
        assert_eq!(fs::read(fixture.config()).unwrap(), before, "{expected}");
    }
    assert!(
        Directory::list(&fixture.state(), None)
            .unwrap_or_default()
            .is_empty(),
        "{expected}"
    );
    if fixture.bundle().is_dir() {
        assert_eq!(fixture.strangers(), [""; 0], "{expected}");
    }
}

fn create(fixture: &Fixture, expected: &str) {
    let bundle = fixture.bundle();
    refused(
        fixture,
        &[
            OsStr::new("create"),
            OsStr::new("--bundle"),
            bundle.as_os_str(),
            OsStr::new("x"),
        ],
        expected,
    );
}

fn with(fixture: &Fixture, content: impl AsRef<[u8]>, expected: &str) {
    fs::write(fixture.config(), content).unwrap();
    create(fixture, expected);
}

#[test]
fn of_the_text_of_configurations() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    with(&fixture, "", "config.json: the file is empty");
    with(&fixture, " \n", "config.json: the file is empty");
    with(
        &fixture,
        &configuration().to_string()[..40],
        "config.json: not JSON: EOF",
    );
    with(
        &fixture,
        "process = {}",
        "config.json: not JSON: expected value at line 1 column 1",
    );
    with(
        &fixture,
        b"{\"a\": \"\xff\"}",
        "config.json: not JSON: not UTF-8",
    );
    with(
        &fixture,
        "{\"process\": {}} trailing",
        "config.json: not JSON: trailing characters",
    );
}

#[test]
fn of_values_in_configurations() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    for (pointer, value, expected) in [
        ("/process", json!([]), "/process is not an object"),
        ("/process", json!("x"), "/process is not an object"),
        (
            "/process/capabilities",
            json!(["CAP_KILL"]),
            "/process/capabilities is not an object",
        ),
        (
            "/process/capabilities/bounding",
            json!("CAP_KILL"),
            "/process/capabilities/bounding is not an array of names",
        ),
    ] {
        let mut value_ = configuration();
        *value_.pointer_mut(pointer).unwrap() = value;
        with(&fixture, value_.to_string(), expected);
    }
    for (key, value, expected) in [
        (
            "io.capprof.mode",
            "on",
            "annotation io.capprof.mode=on: expected profile, observe, enforce, verify or off",
        ),
        (
            "io.capprof.output",
            "here",
            "annotation io.capprof.output=here: expected an absolute path",
        ),
        (
            "io.capprof.scope",
            "x",
            "annotation io.capprof.scope=x: expected auto, domain or host",
        ),
        (
            "io.capprof.judge",
            "x",
            "annotation io.capprof.judge=x: expected hook or caller",
        ),
        ("io.capprof.name", "", "annotation io.capprof.name="),
    ] {
        let mut value_ = configuration();
        value_["annotations"] = json!({ key: value });
        with(&fixture, value_.to_string(), expected);
    }
}

#[test]
fn of_files_of_configurations() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    // This file is larger than any that an engine writes.
    fs::File::create(fixture.config())
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    create(
        &fixture,
        "it has more than the 67108864 bytes that are accepted",
    );
    fs::remove_file(fixture.config()).unwrap();
    // The runtime refuses these by itself.
    assert!(fixture.create("create", "x").status.success());
    fs::create_dir(fixture.config()).unwrap();
    assert!(fixture.create("create", "x").status.success());
    assert!(fixture.recordings().is_empty());
    fs::remove_dir(fixture.config()).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(fixture.config())
            .status()
            .unwrap()
            .success()
    );
    create(&fixture, "config.json: not a regular file");
    fs::remove_file(fixture.config()).unwrap();
    symlink("/dev/zero", fixture.config()).unwrap();
    create(&fixture, "zero: not a regular file");
}

#[test]
fn of_arguments() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let bundle = fixture.bundle();
    let bundle = bundle.as_os_str();
    let list = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
    for (line, expected) in [
        ("run --new x", "unknown option --new"),
        (
            "run --config F x",
            "option --config: runc has no such option",
        ),
    ] {
        let arguments = list(line);
        let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        refused(&fixture, &arguments, expected);
    }
    // These the runtime refuses by itself.
    for line in [
        "create --bundle",
        "create --bundle /nonexistent x",
        "create --bundle /dev/null x",
        "--debug=perhaps run x",
        "create --no-pivot=perhaps x",
    ] {
        let arguments = list(line);
        let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        let output = fixture.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
    let odd = OsString::from_vec(b"x\xff".to_vec());
    refused(
        &fixture,
        &[OsStr::new("create"), OsStr::new("--bundle"), bundle, &odd],
        "it must be UTF-8",
    );
}

#[test]
fn of_capprofs_own_surroundings() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    fixture.configure(&program("true"), "no_such_key = 1\n");
    create(&fixture, "config.toml: line 3: unknown field `no_such_key`");
    fixture.configure(&program("true"), "");
    fs::create_dir(fixture.state()).unwrap();
    fs::set_permissions(fixture.state(), fs::Permissions::from_mode(0o777)).unwrap();
    create(&fixture, "writable by nobody else");
    fs::remove_dir_all(fixture.state()).unwrap();
    fs::write(fixture.state(), "").unwrap();
    create(&fixture, "state");
    fs::remove_file(fixture.state()).unwrap();
    fs::rename(fixture.path("bin/capprof-hook"), fixture.path("hook")).unwrap();
    if ["/usr/local/libexec", "/usr/libexec"]
        .iter()
        .any(|directory| Path::new(directory).join("capprof/capprof-hook").exists())
    {
        eprintln!("skipped: capprof-hook is installed on this machine, and would be found");
    } else {
        create(&fixture, "find capprof-hook");
    }
    // The hook is in libexec of the same tree.
    fs::create_dir_all(fixture.path("libexec/capprof")).unwrap();
    fs::rename(
        fixture.path("hook"),
        fixture.path("libexec/capprof/capprof-hook"),
    )
    .unwrap();
    assert!(fixture.create("create", "x").status.success());
    let hook = fixture
        .path("libexec/capprof/capprof-hook")
        .canonicalize()
        .unwrap();
    let text = fs::read(fixture.recording().0.configuration()).unwrap();
    let configuration: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(configuration["hooks"]["prestart"][0]["path"], json!(hook));
}

#[test]
fn of_a_state_directory_that_is_full() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    fs::create_dir(fixture.state()).unwrap();
    let script = "set -e; mount --make-rprivate /; mount -t tmpfs -o size=8k,mode=700 tmpfs \"$3\"; \
        head -c 100000 /dev/zero >\"$3/filler\" 2>/dev/null || true; \"$1\" create --bundle \"$2\" x; status=$?; ls \"$3\"; exit $status";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([
            fixture.path("bin/capprof"),
            fixture.bundle(),
            fixture.state(),
        ])
        .env("CAPPROF_CONFIG", fixture.path("config.toml"))
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fixture.strangers(), [""; 0]);
}

#[test]
fn of_keys_that_runtimes_read_differently() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let plain = configuration().to_string();
    for (from, to, expected) in [
        (
            "\"process\"",
            "\"Process\"",
            "key Process is process to some",
        ),
        (
            "\"root\"",
            "\"process\":{},\"root\"",
            "key process occurs twice",
        ),
        (
            "\"bounding\"",
            "\"Bounding\":[],\"bounding\"",
            "key Bounding is bounding to some",
        ),
    ] {
        with(&fixture, plain.replace(from, to), expected);
    }
}

#[test]
fn of_users() {
    let rootless = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]);
        command
    };
    if !rootless()
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: no user namespaces on this machine");
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let before = fs::read(fixture.config()).unwrap();
    let create = |fixture: &Fixture| {
        rootless()
            .arg(fixture.path("bin/capprof"))
            .args([
                "create",
                "--bundle",
                fixture.bundle().to_str().unwrap(),
                "x",
            ])
            .env("CAPPROF_CONFIG", fixture.path("config.toml"))
            .output()
            .unwrap()
    };
    let output = create(&fixture);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).starts_with("capprof: this user cannot profile containers: "),
        "{output:?}"
    );
    assert_eq!(fs::read(fixture.config()).unwrap(), before);
    assert!(!fixture.state().exists());
    // This user can still run the runtime through capprof.
    let mut off = configuration();
    off["annotations"] = json!({"io.capprof.mode": "off"});
    fixture.write(&off);
    assert!(create(&fixture).status.success());
}

#[test]
fn a_log_that_cannot_be_written_is_no_second_error() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    fs::write(fixture.config(), "").unwrap();
    let bundle = fixture.bundle();
    let output = fixture.run(&[
        "--log",
        "/nonexistent/log.json",
        "--log-format",
        "json",
        "create",
        "--bundle",
        bundle.to_str().unwrap(),
        "x",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).ends_with("the file is empty\n"),
        "{output:?}"
    );
}

#[test]
fn unknown_capabilities_are_no_obstacle() {
    if !root() {
        return;
    }
    let fixture = Fixture::new(&program("true"));
    let mut value = configuration();
    value["process"]["capabilities"] =
        json!({"bounding": ["CAP_FUTURE", "chown", "CAP_KILL"], "permitted": null});
    fixture.write(&value);
    assert!(fixture.create("create", "x").status.success());
    assert_eq!(fixture.recording().1.grant.original.bounding.len(), 1);
}
