//! With the real runc, as root.
use super::*;

/// A bundle with a static program and the configuration that `runc spec` writes.
pub(super) fn fixture(runc: &str, args: &[&str]) -> Fixture {
    let fixture = Fixture::new(runc);
    let bin = fixture.path("bundle/rootfs/bin");
    for name in ["bin", "dev", "proc", "sys"] {
        fs::create_dir(fixture.path("bundle/rootfs").join(name)).unwrap();
    }
    fs::copy(program("busybox"), bin.join("busybox")).unwrap();
    for name in ["sh", "grep", "sleep", "true", "id", "ls", "mount"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    fs::remove_file(fixture.config()).unwrap();
    let status = Command::new(runc)
        .arg("spec")
        .current_dir(fixture.bundle())
        .status()
        .unwrap();
    assert!(status.success());
    let mut value = fixture.read();
    value["process"]["terminal"] = json!(false);
    value["process"]["args"] = json!(args);
    fixture.write(&value);
    fixture
}

const MORE: &[&str] = &[
    "arch_prctl",
    "clock_nanosleep",
    "dup3",
    "epoll_pwait",
    "eventfd2",
    "faccessat",
    "faccessat2",
    "fchdir",
    "fstatfs",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpgrp",
    "getppid",
    "getrandom",
    "gettid",
    "getuid",
    "kill",
    "madvise",
    "mremap",
    "nanosleep",
    "pipe2",
    "pread64",
    "prlimit64",
    "readlink",
    "readlinkat",
    "restart_syscall",
    "rseq",
    "sched_getaffinity",
    "sched_yield",
    "set_tid_address",
    "setpgid",
    "setresgid",
    "setresuid",
    "sigaltstack",
    "statfs",
    "statx",
    "sysinfo",
    "tgkill",
    "umask",
    "writev",
];

pub(super) fn unique(name: &str) -> String {
    format!("capprof-test-{name}-{}", std::process::id())
}

pub(super) fn grant(fixture: &Fixture) -> String {
    let directory = fixture.finished().pop().unwrap();
    format!(
        "{:016x}",
        directory.load().unwrap().grant.granted.bounding.bits()
    )
}

#[test]
fn a_container_has_all_that_capprof_has() {
    let Some(runc) = super::containers() else {
        return;
    };
    let grep = ["grep", "^Cap", "/proc/self/status"];
    let fixture = fixture(&runc, &grep);
    let original = fs::read(fixture.config()).unwrap();
    let output = fixture.create("run", &unique("root"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let all = grant(&fixture);
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:\t"))
        .unwrap();
    assert_eq!(all, bounding, "these tests run with all that root has");
    let stdout = text(&output.stdout);
    for set in ["Prm", "Eff", "Bnd"] {
        assert!(stdout.contains(&format!("Cap{set}:\t{all}\n")), "{stdout}");
    }
    let directory = fixture.finished().pop().unwrap();
    assert_eq!(
        fs::read(directory.original_configuration()).unwrap(),
        original
    );
    // The prestart hook got the documented environment.
    let environment = fs::read_to_string(directory.path().join("environment")).unwrap();
    let environment: Vec<&str> = environment
        .lines()
        .filter(|line| {
            !line.starts_with("PWD=") && !line.starts_with("_=") && !line.starts_with("SHLVL=")
        })
        .collect();
    assert_eq!(environment, ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    let state: Value =
        serde_json::from_slice(&fs::read(directory.path().join("state.json")).unwrap()).unwrap();
    assert_eq!(state["id"], json!(unique("root")));

    // A user other than root, whose process holds nothing unless a program gives it.
    let mut value: Value = serde_json::from_slice(&original).unwrap();
    value["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    fixture.write(&value);
    let stdout = text(&fixture.create("run", &unique("user")).stdout);
    assert!(stdout.contains(&format!("CapBnd:\t{all}\n")), "{stdout}");
    assert!(stdout.contains("CapEff:\t0000000000000000\n"), "{stdout}");
}

#[test]
fn a_container_lives_through_create_start_exec_kill_and_delete() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["sleep", "60"]);
    let id = unique("life");
    let root = fixture.path("root");
    let call = |arguments: &[&str]| {
        let mut all = vec!["--root", root.to_str().unwrap()];
        all.extend(arguments);
        let output = fixture.run(&all);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    };
    // The container inherits the standard streams: a pipe would stay open as long as it lives.
    let status = fixture
        .command(&[
            OsStr::new("--root"),
            root.as_os_str(),
            OsStr::new("create"),
            OsStr::new("--bundle"),
            fixture.bundle().as_os_str(),
            OsStr::new(&id),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let (directory, recording) = fixture.recording();
    assert!(!capprof_store::recording::is_abandoned(&directory));
    call(&["start", &id]);
    assert!(call(&["state", &id]).contains("\"running\""));
    let all = format!("{:016x}", recording.grant.granted.bounding.bits());
    // Without a file the runtime reads the rewritten configuration.
    let stdout = call(&["exec", &id, "grep", "^CapEff", "/proc/self/status"]);
    assert_eq!(stdout, format!("CapEff:\t{all}\n"));
    let file = fixture.path("process.json");
    let process = json!({"cwd": "/", "user": {"uid": 7, "gid": 7}, "args": ["grep", "^CapBnd", "/proc/self/status"], "env": ["PATH=/bin"],
                         "capabilities": {"bounding": ["CAP_KILL"]}});
    fs::write(&file, process.to_string()).unwrap();
    let stdout = call(&["exec", "--process", file.to_str().unwrap(), &id]);
    assert_eq!(stdout, format!("CapBnd:\t{all}\n"));
    call(&["kill", &id, "KILL"]);
    call(&["delete", "--force", &id]);
    assert!(fixture.recordings().is_empty());
    assert_eq!(fixture.finished().len(), 1);
}

#[test]
fn a_prestart_hook_that_refuses_fails_the_create_with_runcs_message() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["true"]);
    fs::write(fixture.path("bin/refuse"), "").unwrap();
    let output = fixture.create("create", &unique("refused"));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("hook"), "{output:?}");
    // In that case runc runs the poststop hook.
    assert_eq!(fixture.finished().len(), 1);
}

#[test]
fn relaxed_seccomp_profiles_are_accepted() {
    let Some(runc) = super::containers() else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rewrite");
    for name in ["docker", "podman", "containerd-cri"] {
        for relax in ["log", "allow"] {
            let fixture = fixture(&runc, &["sh", "-c", "echo well"]);
            let engine: Value =
                serde_json::from_slice(&fs::read(folder.join(format!("{name}.in.json"))).unwrap())
                    .unwrap();
            let mut value = fixture.read();
            value["linux"]["seccomp"] = engine["linux"]["seccomp"].clone();
            // No process listens at the path in these members.
            if let Some(seccomp) = value["linux"]["seccomp"].as_object_mut() {
                seccomp.remove("listenerPath");
                let rules = seccomp["syscalls"].as_array_mut().unwrap();
                // System calls of runc itself and of a shell, in addition to the short list of the input.
                rules.push(json!({"action": "SCMP_ACT_ALLOW", "names": MORE}));
                rules.retain(|rule| rule["action"] != "SCMP_ACT_NOTIFY");
            }
            fixture.write(&value);
            fixture.configure(&runc, &format!("relax_seccomp = \"{relax}\"\n"));
            let output = fixture.create("run", &unique(&format!("seccomp-{name}-{relax}")));
            assert!(output.status.success(), "{name}: {output:?}");
            assert_eq!(text(&output.stdout), "well\n");
        }
    }
}

#[test]
fn containers_of_one_bundle_at_once_do_not_take_each_others_recordings() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["true"]);
    let original = fs::read(fixture.config()).unwrap();
    let ids: Vec<String> = (0..6)
        .map(|number| unique(&format!("many{number}")))
        .collect();
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let runs: Vec<_> = ids
            .iter()
            .map(|id| scope.spawn(|| fixture.create("run", id)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for output in outputs {
        assert!(output.status.success(), "{output:?}");
    }
    let finished = fixture.finished();
    assert_eq!(finished.len(), ids.len());
    for directory in finished {
        let state: Value =
            serde_json::from_slice(&fs::read(directory.path().join("state.json")).unwrap())
                .unwrap();
        assert_eq!(state["id"], json!(directory.load().unwrap().container.id));
        assert_eq!(
            fs::read(directory.original_configuration()).unwrap(),
            original
        );
    }
}

/// Everything that stat(2) reports of a file, except the time of its last access.
pub(super) fn identity(path: &Path) -> impl PartialEq + std::fmt::Debug + use<> {
    let it = fs::symlink_metadata(path).unwrap();
    (
        (
            it.dev(),
            it.ino(),
            it.nlink(),
            it.mode(),
            it.uid(),
            it.gid(),
        ),
        (
            it.size(),
            it.mtime(),
            it.mtime_nsec(),
            it.ctime(),
            it.ctime_nsec(),
        ),
    )
}

pub(super) fn all() -> String {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let line = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t"));
    line.unwrap().to_owned()
}

/// A container that runs until it is dropped.
pub(super) struct Running<'a> {
    fixture: &'a Fixture,
    id: String,
}

impl<'a> Running<'a> {
    pub(super) fn new(fixture: &'a Fixture, name: &str) -> Self {
        Self::with(fixture, name, &[])
    }

    pub(super) fn with(fixture: &'a Fixture, name: &str, environment: &[(&str, &str)]) -> Self {
        let running = Self {
            fixture,
            id: unique(name),
        };
        let root = fixture.path("root");
        let arguments = [
            "--root",
            root.to_str().unwrap(),
            "run",
            "--detach",
            "--bundle",
        ];
        let mut arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let bundle = fixture.bundle();
        arguments.extend([bundle.as_os_str(), OsStr::new(&running.id)]);
        let mut command = fixture.command(&arguments);
        command.envs(environment.iter().copied());
        let status = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        running
    }

    /// A shell command line in which `capprof` is `$0 --root ROOT` and the container's id `$ID`.
    pub(super) fn shell(&self, script: &str) -> Output {
        let script = format!(
            "capprof() {{ \"$0\" --root {} \"$@\"; }}; ID={}; {script}",
            self.fixture.path("root").display(),
            self.id
        );
        Command::new("/bin/bash")
            .args(["-c", &script])
            .arg(self.fixture.path("bin/capprof"))
            .env("CAPPROF_CONFIG", self.fixture.path("config.toml"))
            .current_dir(self.fixture.directory.path())
            .output()
            .unwrap()
    }

    pub(super) fn bounding(&self) -> String {
        let output = self.shell("capprof exec $ID grep CapBnd /proc/self/status");
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shell("capprof delete --force $ID");
    }
}

/// Volumes with shared propagation (kubelet: Bidirectional) reach the host as under the bare runtime.
#[test]
fn what_a_container_mounts_in_a_shared_volume_reaches_the_host() {
    let Some(runc) = super::containers() else {
        return;
    };
    let script = "mount -t tmpfs tmpfs /volume/inner";
    let fixture = fixture(&runc, &["sh", "-c", script]);
    fs::create_dir_all(fixture.path("volume/inner")).unwrap();
    let mut value = fixture.read();
    value["process"]["capabilities"]["bounding"] = json!(["CAP_SYS_ADMIN"]);
    value["process"]["capabilities"]["effective"] = json!(["CAP_SYS_ADMIN"]);
    value["process"]["capabilities"]["permitted"] = json!(["CAP_SYS_ADMIN"]);
    value["linux"]["rootfsPropagation"] = json!("rshared");
    value["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/volume", "type": "bind", "source": fixture.path("volume"), "options": ["rbind", "rshared"],
    }));
    fixture.write(&value);
    for program in [runc.clone().into(), fixture.path("bin/capprof")] {
        // Bundle and volume are in one shared mount, as under podman. runc makes the one private that the root file system is in.
        let script = format!(
            "D={}; mount --bind $D $D; mount --make-shared $D; mount --bind $D/bundle/rootfs $D/bundle/rootfs; cd $D; \"$0\" --root $D/root run -b $D/bundle {} 2>&1; \
             grep -c volume/inner /proc/self/mountinfo; grep -c config.json /proc/self/mountinfo",
            fixture.directory.path().display(),
            unique("shared")
        );
        let output = Command::new("unshare")
            .args(["-m", "--propagation", "shared", "bash", "-c", &script])
            .arg(&program)
            .env("CAPPROF_CONFIG", fixture.path("config.toml"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // The directory has two names.
        assert_eq!(text(&output.stdout), "2\n0\n", "{}", program.display());
    }
}

#[test]
fn a_process_comes_from_any_file_and_the_file_stays() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["sleep", "60"]);
    let process = json!({"cwd": "/", "args": ["grep", "CapBnd", "/proc/self/status"], "env": ["PATH=/bin", "X=\u{fffd}"],
        "capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_TIME"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]}});
    let file = fixture.path("process.json");
    let lone = process.to_string().replace('\u{fffd}', "\\ud800");
    fs::write(&file, &lone).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let before = identity(&file);
    let limit = [
        ("CAPPROF_MODE", "enforce"),
        ("CAPPROF_CAPABILITIES", "CAP_KILL"),
    ];
    let profiled = Running::new(&fixture, "profiled");
    let limited = Running::with(&fixture, "limited", &limit);
    for (running, expected) in [
        (&profiled, all()),
        (&limited, "0000000000000020".to_owned()),
    ] {
        for form in [
            "capprof exec --process process.json $ID",
            "capprof exec -p=process.json $ID",
            "capprof exec -p <(cat process.json) $ID",
            "cat process.json | capprof exec -p /dev/stdin $ID",
            "capprof exec -p /dev/fd/7 $ID 7<process.json",
            "mkfifo f; cat process.json >f & capprof exec -p f $ID; rm f",
            "ln -s root L; \"$0\" --root L exec -p process.json $ID; rm L",
        ] {
            let output = running.shell(form);
            assert_eq!(
                text(&output.stdout),
                format!("CapBnd:\t{expected}\n"),
                "{form}: {output:?}"
            );
        }
        // Nothing of the copy is left in the container.
        let open = running.shell(
            "sed 's/\"grep\",\"CapBnd\",/\"ls\",/; s,/self/status,/self/fd,' process.json | capprof exec -p /dev/stdin $ID",
        );
        assert_eq!(text(&open.stdout), "0\n1\n2\n3\n", "{open:?}");
        let preserved = running.shell(
            "sed 's/\"grep\",\"CapBnd\",/\"ls\",/; s,/self/status,/self/fd,' process.json | capprof exec --preserve-fds 2 -p /dev/stdin $ID 3</dev/null 4</dev/null",
        );
        assert_eq!(
            text(&preserved.stdout),
            "0\n1\n2\n3\n4\n5\n",
            "{preserved:?}"
        );
    }
    assert_eq!(identity(&file), before);
    assert_eq!(fs::read_to_string(&file).unwrap(), lone);
}

#[test]
fn eighty_containers_of_one_bundle_at_once_are_all_made() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["true"]);
    let before = identity(&fixture.config());
    let ids: Vec<String> = (0..80)
        .map(|number| unique(&format!("eighty{number}")))
        .collect();
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let runs: Vec<_> = ids
            .iter()
            .map(|id| scope.spawn(|| fixture.create("run", id)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for output in outputs {
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(fixture.finished().len(), ids.len());
    assert_eq!(identity(&fixture.config()), before);
}
