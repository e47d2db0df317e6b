use super::*;

#[test]
fn what_is_said_is_what_the_runtime_says() {
    for name in ["runc", "crun"] {
        let Some(path) = runtime(name) else { continue };
        let fixture = Fixture::new(&path);
        // Only `create` reports a mistake in capprof's configuration.
        fixture.configure(&path, "no_such_key = 1\n");
        let root = fixture.path("root");
        fs::create_dir(&root).unwrap();
        for arguments in [
            &["--version"][..],
            &["-v"],
            &["--help"],
            &["features"],
            &["list"],
            &["list", "--format", "json"],
            &["state", "nobody"],
            &["start", "nobody"],
            &["kill", "nobody", "KILL"],
            &["delete", "nobody"],
            &["delete", "--force", "nobody"],
            &["exec", "nobody", "true"],
            &["pause", "nobody"],
            &["ps", "nobody"],
            &["nonsense"],
            &["--nonsense", "state", "nobody"],
            &[],
        ] {
            let mut all = vec!["--root", root.to_str().unwrap()];
            all.extend(arguments);
            if arguments
                .first()
                .is_some_and(|first| first.starts_with("--n"))
            {
                all.drain(..2);
            }
            let plain = Command::new(&path)
                .args(&all)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let ours = fixture.run(&all);
            assert_eq!(
                text(&ours.stdout),
                text(&plain.stdout),
                "{name} {arguments:?}"
            );
            assert_eq!(
                without_times(&ours.stderr),
                without_times(&plain.stderr),
                "{name} {arguments:?}"
            );
            assert_eq!(
                ours.status.code(),
                plain.status.code(),
                "{name} {arguments:?}"
            );
        }
    }
}

/// runc's and crun's messages without the time at their beginning.
fn without_times(stderr: &[u8]) -> Vec<String> {
    text(stderr)
        .lines()
        .map(
            |line| match line.find(|letter: char| letter.is_ascii_digit()) {
                Some(_) if line.starts_with("time=") || line.starts_with("20") => line
                    .split_once(' ')
                    .map_or(line, |(_, rest)| rest)
                    .to_owned(),
                _ => line.to_owned(),
            },
        )
        .collect()
}

#[test]
fn a_configuration_that_cannot_be_read_stops_nothing() {
    let fixture = Fixture::new(&program("true"));
    for content in ["[[[", "runtime = 7", "\u{0}"] {
        fs::write(fixture.path("config.toml"), content).unwrap();
        let output = fixture.run(&["--version"]);
        // An error may be about the default runtime, which may be missing here, but not about the configuration.
        assert!(
            !text(&output.stderr).contains("configuration /"),
            "{output:?}"
        );
    }
}

#[test]
fn the_runtime_is_called_by_its_own_path_and_with_the_same_bytes() {
    let cat = program("cat");
    let fixture = Fixture::new(&cat);
    let odd = OsString::from_vec(b"a\xff'\" \n --x".to_vec());
    // cat cannot open the last argument, but shows all arguments before that.
    let arguments: [&OsStr; 3] = [OsStr::new("/proc/self/cmdline"), OsStr::new(""), &odd];
    let output = fixture.command(&arguments).output().unwrap();
    let mut expected = cat.clone().into_bytes();
    for argument in arguments {
        expected.push(0);
        expected.extend_from_slice(argument.as_encoded_bytes());
    }
    expected.push(0);
    assert_eq!(text(&output.stdout), text(&expected));
}

#[test]
fn a_name_that_ends_in_crun_or_runc_selects_it() {
    let (Some(_), Some(_)) = (runtime("runc"), runtime("crun")) else {
        return;
    };
    let fixture = Fixture::new("runc");
    for name in ["runc", "crun"] {
        let path = fixture.path(&format!("bin/capprof-{name}"));
        symlink("capprof", &path).unwrap();
        let output = Command::new(&path)
            .arg("--version")
            .env("CAPPROF_CONFIG", fixture.path("config.toml"))
            .output()
            .unwrap();
        assert!(text(&output.stdout).starts_with(name), "{output:?}");
    }
}

#[test]
fn process_descriptors_directory_and_environment_stay() {
    let fixture = Fixture::new(&program("readlink"));
    let output = fixture.shell(
        "cd / && exec 5</dev/null 7>/dev/null && exec \"$0\" /proc/self/fd/5 /proc/self/fd/7 /proc/self/fd/3 /proc/self/cwd",
    );
    assert_eq!(text(&output.stdout), "/dev/null\n/dev/null\n/\n");
    let output = fixture.shell("exec 0<&- 2>&-; exec \"$0\" /proc/self/fd/0 /proc/self/fd/2; true");
    assert_eq!(
        text(&output.stdout),
        "",
        "closed descriptors are opened for nobody"
    );

    let fixture = Fixture::new(&program("cat"));
    let output = fixture.shell("echo $$; LISTEN_PID=$$ LISTEN_FDS=2 exec env -i - LISTEN_PID=$$ CAPPROF_CONFIG=$CAPPROF_CONFIG 'odd name=x' \"$0\" /proc/self/environ /proc/self/stat");
    let output = text(&output.stdout);
    let (pid, rest) = output.split_once('\n').unwrap();
    let expected = format!(
        "LISTEN_PID={pid}\0CAPPROF_CONFIG={}\0odd name=x\0",
        fixture.path("config.toml").display()
    );
    assert!(rest.starts_with(&expected), "{output:?}");
    assert!(
        rest[expected.len()..].starts_with(&format!("{pid} (cat)")),
        "{output:?}"
    );
}

/// From another mount, crun would execute itself a second time. Opening a running program for writing fails with ETXTBSY, except that a read-only
/// mount is noticed first.
#[test]
fn crun_is_executed_from_a_read_only_mount() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: only root can make the mount");
        return;
    }
    let fixture = Fixture::new("");
    let link = |name: &str, target: &str| {
        let path = fixture.path(name);
        let _ = fs::remove_file(&path);
        symlink(program(target), &path).unwrap();
        fixture.configure(path.to_str().unwrap(), "");
    };
    for (name, refusal) in [
        ("crun", "Read-only file system"),
        ("runc", "Text file busy"),
    ] {
        link(name, "tee");
        let output = fixture.run(&["/proc/self/exe"]);
        assert!(text(&output.stderr).contains(refusal), "{name}: {output:?}");
    }

    link("crun", "cat");
    let output = fixture.shell("env -i CAPPROF_CONFIG=$CAPPROF_CONFIG 'odd name=' x== \"$0\" /proc/self/environ /proc/self/cmdline");
    let expected = format!(
        "CAPPROF_CONFIG={}\0odd name=\0x==\0{}\0/proc/self/environ\0/proc/self/cmdline\0",
        fixture.path("config.toml").display(),
        fixture.path("crun").display(),
    );
    assert_eq!(text(&output.stdout), expected);

    link("crun", "ls");
    let script = "exec 0<&- 5</dev/null; exec \"$0\" /proc/self/fd";
    let plain = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(program("ls"))
        .output()
        .unwrap();
    assert_eq!(text(&fixture.shell(script).stdout), text(&plain.stdout));
}

#[test]
fn a_crun_that_is_a_script_is_executed_by_its_path() {
    // A script in Debian's libc-bin.
    let script = program("ldd");
    let fixture = Fixture::new("");
    let crun = fixture.path("crun");
    symlink(&script, &crun).unwrap();
    fixture.configure(crun.to_str().unwrap(), "");
    let output = fixture.run(&["--version"]);
    let plain = Command::new(&script).arg("--version").output().unwrap();
    assert!(text(&output.stdout).starts_with("ldd ("), "{output:?}");
    assert_eq!(text(&output.stdout), text(&plain.stdout));
}

#[test]
fn signals_are_neither_ignored_nor_blocked_nor_restored() {
    let fixture = Fixture::new(&program("grep"));
    let of = |script: &str| text(&fixture.shell(script).stdout);
    let plain = "exec \"$0\" -E '^Sig(Blk|Ign)' /proc/self/status";
    // What a Rust program ignores unless it takes care (SIGPIPE, 13) would show as 0000000000001000.
    let bare = |script: &str| {
        let output = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(program("grep"))
            .output()
            .unwrap();
        text(&output.stdout)
    };
    let ignored = |status: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:	"));
        u64::from_str_radix(line.unwrap(), 16).unwrap() & 0x1200
    };
    assert_eq!(ignored(&bare(plain)), 0);
    assert_eq!(of(plain), bare(plain));
    let ignoring = format!("trap '' PIPE USR1; {plain}");
    assert_eq!(ignored(&bare(&ignoring)), 0x1200);
    assert_eq!(of(&ignoring), bare(&ignoring));
}

#[test]
fn a_runtime_that_is_missing_or_capprof_itself_is_said_so() {
    let fixture = Fixture::new("no-such-runtime");
    let message = |fixture: &Fixture, arguments: &[&str]| {
        let output = fixture.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        text(&output.stderr)
    };
    let stderr = message(&fixture, &["--version"]);
    assert!(
        stderr.starts_with(
            "capprof: find the low-level runtime: no-such-runtime is in none of /usr/local/sbin, "
        ),
        "{stderr}"
    );
    fixture.configure(fixture.path("bin/capprof").to_str().unwrap(), "");
    for arguments in [&["--version"][..], &["delete", "x"], &["create", "x"]] {
        let stderr = message(&fixture, arguments);
        assert!(stderr.contains("is capprof itself"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1);
    }
    fixture.configure("/nonexistent/runc", "");
    let stderr = message(&fixture, &["kill", "x"]);
    assert!(
        stderr.contains("/nonexistent/runc is not an executable file"),
        "{stderr}"
    );
}
