//! The real binary: with the real runc and crun where they matter, and with programs that show what they are given (cat, ls, readlink)
//! in their place where the hand-over itself is looked at.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use capprof_profile::recording::Recording;
use capprof_store::process;
use capprof_store::recording::{Directory, container_key};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Stands beside capprof for capprof-hook, which is not under test here: notes how it was called, and does the least that is needed.
const HOOK: &str = r#"#!/bin/sh
here=${0%/*}
case $1 in
prestart)
	cat >"$2/state.json"
	env >"$2/environment"
	printf '{}' >"$2/armed.json"
	if [ -e "$here/refuse" ]; then exit 1; fi ;;
poststop)
	mv "$2" "$here/finished.${2##*/}" ;;
recover)
	ls -l /proc/self/fd >"$here/descriptors"
	env >"$here/environment"
	printf '%s\n' "$@" >"$here/recover.new"
	mv "$here/recover.new" "$here/recover"
	if [ -e "$here/hang" ]; then exec sleep 60; fi ;;
esac
"#;

/// capprof in a directory of its own, with a hook beside it, a configuration, and a bundle.
struct Fixture {
    directory: TempDir,
}

impl Fixture {
    fn new(runtime: &str) -> Self {
        // On the file system of the binary, so that it can be linked: a copy might be open for writing when another test forks.
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fixture = Self { directory };
        for name in ["bin", "bundle/rootfs"] {
            fs::create_dir_all(fixture.path(name)).unwrap();
        }
        fs::hard_link(env!("CARGO_BIN_EXE_capprof"), fixture.path("bin/capprof")).unwrap();
        fs::write(fixture.path("hook.sh"), HOOK).unwrap();
        // The script itself is never executed, so nobody can find it open for writing.
        fs::write(
            fixture.path("bin/capprof-hook"),
            format!(
                "#!/bin/sh\nself=$0; . {}\n",
                fixture.path("hook.sh").display()
            ),
        )
        .unwrap();
        executable(&fixture.path("bin/capprof-hook"));
        fixture.configure(runtime, "");
        fixture.write(&configuration());
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn bundle(&self) -> PathBuf {
        self.path("bundle")
    }

    fn config(&self) -> PathBuf {
        self.path("bundle/config.json")
    }

    fn configure(&self, runtime: &str, more: &str) {
        let text = format!(
            "runtime = \"{runtime}\"\nstate = \"{}\"\n{more}",
            self.state().display()
        );
        fs::write(self.path("config.toml"), text).unwrap();
    }

    fn write(&self, configuration: &Value) {
        fs::write(self.config(), configuration.to_string()).unwrap();
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&fs::read(self.config()).unwrap()).unwrap()
    }

    fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new(self.path("bin/capprof"));
        command
            .args(arguments)
            .env("CAPPROF_CONFIG", self.path("config.toml"))
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        self.command(&arguments).output().unwrap()
    }

    /// A command line of `sh` in which `$0` is capprof.
    fn shell(&self, script: &str) -> Output {
        Command::new("/bin/sh")
            .args(["-c", script])
            .arg(self.path("bin/capprof"))
            .env("CAPPROF_CONFIG", self.path("config.toml"))
            .output()
            .unwrap()
    }

    /// `--root … SUBCOMMAND … --bundle …`, with the root inside of the fixture.
    fn create(&self, subcommand: &str, id: &str) -> Output {
        self.run(&[
            "--root",
            self.path("root").to_str().unwrap(),
            subcommand,
            "--bundle",
            self.bundle().to_str().unwrap(),
            id,
        ])
    }

    fn recordings(&self) -> Vec<(Directory, Recording)> {
        let directories = Directory::list(&self.state(), None).unwrap();
        directories
            .into_iter()
            .map(|directory| {
                let recording = directory.load().unwrap();
                (directory, recording)
            })
            .collect()
    }

    fn recording(&self) -> (Directory, Recording) {
        let mut recordings = self.recordings();
        assert_eq!(recordings.len(), 1);
        recordings.remove(0)
    }

    /// What the hook script has moved away at the end of a container.
    fn finished(&self) -> Vec<Directory> {
        fs::read_dir(self.path("bin"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("finished.")
            })
            .map(Directory::at)
            .collect()
    }

    /// Files in the bundle that the test did not put there.
    fn strangers(&self) -> Vec<OsString> {
        fs::read_dir(self.bundle())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "config.json" && name != "rootfs")
            .collect()
    }
}

fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// As short as a configuration can be.
fn configuration() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {"cwd": "/", "args": ["/bin/true"], "capabilities": {"bounding": ["CAP_KILL"]}},
        "root": {"path": "rootfs"},
    })
}

/// A program that is on every Linux system.
fn program(name: &str) -> String {
    let found = [
        "/usr/bin",
        "/bin",
        "/usr/sbin",
        "/sbin",
        "/usr/local/sbin",
        "/usr/local/bin",
    ]
    .into_iter()
    .map(|directory| format!("{directory}/{name}"))
    .find(|path| Path::new(path).exists());
    found.unwrap_or_default()
}

/// The path of a runtime, or the reason for which a test that needs it is skipped.
fn runtime(name: &str) -> Option<String> {
    let path = program(name);
    let found = !path.is_empty();
    if !found {
        eprintln!("skipped: {name} is not installed");
    }
    found.then_some(path)
}

/// A real runc, the right to use it, and a static program to run: else the reason for which a test is skipped.
fn containers() -> Option<String> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: containers need root");
        return None;
    }
    if program("busybox").is_empty() {
        eprintln!("skipped: no busybox to run in a container");
        return None;
    }
    runtime("runc")
}

/// Whether this is root; a test that needs it says that it is skipped.
fn root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        eprintln!("skipped: only root can profile");
    }
    root
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

mod passing_through {
    use super::*;

    #[test]
    fn what_is_said_is_what_the_runtime_says() {
        for name in ["runc", "crun"] {
            let Some(path) = runtime(name) else { continue };
            let fixture = Fixture::new(&path);
            // A mistake in the configuration is for `create` to complain of.
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

    /// runc's and crun's messages without the time that they begin with.
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
            // The default runtime, which may be missing here, but no complaint of the configuration.
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
        // cat cannot open the last one; what it was given is on display before.
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
        let output =
            fixture.shell("exec 0<&- 2>&-; exec \"$0\" /proc/self/fd/0 /proc/self/fd/2; true");
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

    /// Elsewhere crun executes itself a second time. Whoever opens a running program for writing is told that it is busy, unless the mount
    /// comes first.
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
        assert!(stderr.starts_with("capprof: find the low-level runtime: no-such-runtime is in none of /usr/local/sbin, "), "{stderr}");
        fixture.configure(fixture.path("bin/capprof").to_str().unwrap(), "");
        for arguments in [&["--version"][..], &["delete", "x"], &["create", "x"]] {
            let stderr = message(&fixture, arguments);
            assert!(stderr.contains("is capprof itself"), "{stderr}");
            assert_eq!(stderr.lines().count(), 1);
        }
        fixture.configure("/nonexistent/runc", "");
        let stderr = message(&fixture, &["kill", "x"]);
        assert!(
            stderr.contains("/nonexistent/runc is no executable file"),
            "{stderr}"
        );
    }
}

mod creating {
    use super::*;

    #[test]
    fn the_runtime_finds_a_rewritten_configuration_and_a_recording() {
        if !root() {
            return;
        }
        // `ls` knows neither `create` nor its options, and says so; what it was called for has happened before.
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
        let configuration = fixture.read();
        assert_eq!(
            configuration["process"]["capabilities"]["effective"],
            serde_json::to_value(recording.grant.granted.effective).unwrap()
        );
        let hook = json!({
            "path": fixture.path("bin/capprof-hook").canonicalize().unwrap(),
            "args": ["capprof-hook", "poststop", directory.path()],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "timeout": 10,
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
        for (directory, recording) in recordings {
            let key = container_key(&recording.container.runtime.state);
            assert!(
                directory
                    .path()
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(&key)
            );
            // Both keep what the engine wrote, not what the first one made of it.
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
        // The working directory, if none is named.
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
        assert!(fixture.read()["annotations"]["io.capprof.recording"].is_string());
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
        // Executable, and no program.
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
    fn a_configuration_that_a_lost_recording_left_behind_is_put_right() {
        if !root() {
            return;
        }
        let fixture = Fixture::new(&program("true"));
        let mut original = configuration();
        original["process"]["apparmorProfile"] = json!("docker-default");
        original["linux"] = json!({"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}});
        fixture.write(&original);
        assert!(fixture.create("create", "x").status.success());
        assert_ne!(fixture.read(), original);
        // As a reboot does.
        fs::remove_dir_all(fixture.state()).unwrap();
        assert!(fixture.create("create", "x").status.success());
        let (directory, recording) = fixture.recording();
        let kept = fs::read_to_string(directory.original_configuration()).unwrap();
        assert_eq!(kept, original.to_string());
        assert_eq!(recording.grant.original.bounding.len(), 1);
        assert_eq!(recording.grant.relaxed.len(), 2);
        assert_eq!(
            fixture.read()["hooks"]["prestart"]
                .as_array()
                .unwrap()
                .len(),
            1
        );

        // And where it is not to be profiled any more, it runs with what the engine gave it.
        let mut off = fixture.read();
        off["annotations"]["io.capprof.mode"] = json!("off");
        fixture.write(&off);
        fs::remove_dir_all(fixture.state()).unwrap();
        assert!(fixture.create("create", "x").status.success());
        original["annotations"] = json!({"io.capprof.mode": "off"});
        assert_eq!(fixture.read(), original);
    }

    #[test]
    fn what_somebody_changed_in_a_rewritten_configuration_is_kept() {
        if !root() {
            return;
        }
        let fixture = Fixture::new(&program("true"));
        assert!(fixture.create("create", "x").status.success());
        let mut changed = fixture.read();
        changed["process"]["args"] = json!(["/bin/other"]);
        fixture.write(&changed);
        assert!(fixture.create("create", "y").status.success());
        let (directory, recording) = fixture.recordings().pop().unwrap();
        assert_eq!(recording.process.args, ["/bin/other"]);
        let mut expected = configuration();
        expected["process"]["args"] = json!(["/bin/other"]);
        let kept = fs::read_to_string(directory.original_configuration()).unwrap();
        assert_eq!(kept, expected.to_string());
    }

    #[test]
    fn cruns_other_configuration_file_is_the_one_that_is_rewritten() {
        if !root() {
            return;
        }
        let fixture = Fixture::new("runc");
        let crun = fixture.path("crun");
        symlink(program("true"), &crun).unwrap();
        fixture.configure(crun.to_str().unwrap(), "");
        let other = fixture.path("other.json");
        fs::copy(fixture.config(), &other).unwrap();
        // From the working directory, not from the bundle.
        let arguments = [
            "create",
            "--config",
            "other.json",
            "--bundle",
            "bundle",
            "x",
        ];
        let arguments = arguments.map(OsStr::new);
        let mut command = fixture.command(&arguments);
        let output = command
            .current_dir(fixture.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fixture.read(), configuration());
        let (_, recording) = fixture.recording();
        assert_eq!(
            recording.container.configuration,
            other.canonicalize().unwrap()
        );
        assert_eq!(
            recording.container.bundle,
            fixture.bundle().canonicalize().unwrap()
        );
        assert_eq!(recording.container.runtime.name, "crun");
        assert_eq!(recording.container.runtime.state, Path::new("/run/crun/x"));
        // Except under its usual name.
        let arguments = ["create", "-f", "config.json", "-bbundle", "y"].map(OsStr::new);
        let mut command = fixture.command(&arguments);
        let output = command
            .current_dir(fixture.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_ne!(fixture.read(), configuration());
    }
}

mod bad_input {
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
    fn of_configurations() {
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
                "annotation io.capprof.mode=on: expected profile, enforce, verify or off",
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
            ("io.capprof.name", "", "annotation io.capprof.name="),
        ] {
            let mut value_ = configuration();
            value_["annotations"] = json!({ key: value });
            with(&fixture, value_.to_string(), expected);
        }
        // One that is larger than any engine writes.
        fs::File::create(fixture.config())
            .unwrap()
            .set_len((64 << 20) + 1)
            .unwrap();
        create(
            &fixture,
            "67108865 bytes, more than the 67108864 that are accepted",
        );
        fs::remove_file(fixture.config()).unwrap();
        create(&fixture, "config.json: it does not exist (ENOENT)");
        fs::create_dir(fixture.config()).unwrap();
        create(&fixture, "config.json: not a regular file");
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
        create(
            &fixture,
            "config.json: it is a link to /dev/zero, which is outside the bundle",
        );
        fs::remove_file(fixture.config()).unwrap();
        fs::write(fixture.path("outside.json"), configuration().to_string()).unwrap();
        symlink("../outside.json", fixture.config()).unwrap();
        create(&fixture, "outside.json, which is outside the bundle");
        assert_eq!(
            fs::read_to_string(fixture.path("outside.json")).unwrap(),
            configuration().to_string()
        );
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
            (
                "create --bundle",
                "read arguments of create: option --bundle: its value is missing",
            ),
            (
                "create --bundle /nonexistent x",
                "open bundle /nonexistent: it does not exist (ENOENT)",
            ),
            (
                "create --bundle /dev/null x",
                "open bundle /dev/null: not a directory",
            ),
            ("run -b=/x x", "runc and crun read this differently"),
            ("run --new x", "unknown option --new"),
            (
                "run --config F x",
                "option --config: runc has no such option",
            ),
            (
                "--debug=perhaps run x",
                "read arguments of run: option --debug=perhaps: it takes no such value",
            ),
        ] {
            let arguments = list(line);
            let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
            refused(&fixture, &arguments, expected);
        }
        let odd = OsString::from_vec(b"x\xff".to_vec());
        for id in [
            OsStr::new("a/b"),
            OsStr::new(".."),
            OsStr::new("a b"),
            OsStr::new(""),
            odd.as_os_str(),
        ] {
            refused(
                &fixture,
                &[OsStr::new("create"), OsStr::new("--bundle"), bundle, id],
                "letters, digits and _ + - . only",
            );
        }
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
        // In libexec of the same tree.
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
        assert_eq!(fixture.read()["hooks"]["prestart"][0]["path"], json!(hook));
    }

    #[test]
    fn of_file_systems() {
        if !root() {
            return;
        }
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            eprintln!("skipped: mounting needs root");
            return;
        }
        let fixture = Fixture::new(&program("true"));
        let inside = |mounts: &str| {
            let script = format!(
                "set -e; mount --make-rprivate /; {mounts}; exec \"$1\" create --bundle \"$2\" x"
            );
            Command::new("unshare")
                .args(["-m", "sh", "-c", &script, "sh"])
                .args([fixture.path("bin/capprof"), fixture.bundle()])
                .env("CAPPROF_CONFIG", fixture.path("config.toml"))
                .output()
                .unwrap()
        };
        let before = fs::read(fixture.config()).unwrap();
        let read_only = inside("mount --bind \"$2\" \"$2\"; mount -o remount,bind,ro \"$2\"");
        let stderr = text(&read_only.stderr);
        assert!(
            stderr.contains("config.json: Read-only file system"),
            "{stderr}"
        );
        // The recording fits, the rewritten configuration does not.
        let full = inside(
            "cp \"$2/config.json\" /tmp/capprof-test.$$; mount -t tmpfs -o size=8k tmpfs \"$2\"; mv /tmp/capprof-test.$$ \"$2/config.json\"; \
             head -c 100000 /dev/zero >\"$2/filler\" 2>/dev/null || true",
        );
        let stderr = text(&full.stderr);
        assert!(
            stderr.contains("config.json: No space left on device"),
            "{stderr}"
        );
        for output in [read_only, full] {
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(text(&output.stderr).lines().count(), 1);
        }
        assert!(fixture.recordings().is_empty());
        assert_eq!(fs::read(fixture.config()).unwrap(), before);
        assert_eq!(fixture.strangers(), [""; 0]);
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
        // The runtime itself is not kept from him.
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
}

mod executing {
    use super::*;

    fn process() -> Value {
        json!({"user": {"uid": 0}, "args": ["sh"], "cwd": "/", "apparmorProfile": "docker-default", "future": 1.50,
               "capabilities": {"bounding": ["CAP_KILL"], "ambient": []}})
    }

    #[test]
    fn a_process_file_gets_the_grant_of_its_container() {
        if !root() {
            return;
        }
        let fixture = Fixture::new(&program("true"));
        let root = fixture.path("root");
        let root = root.to_str().unwrap();
        let file = fixture.path("process.json");
        let exec = |id: &str| {
            fs::write(&file, process().to_string()).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let output = fixture.run(&[
                "--root",
                root,
                "exec",
                "--process",
                file.to_str().unwrap(),
                "--detach",
                id,
            ]);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
            serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap()
        };
        assert_eq!(exec("x"), process());
        assert!(fixture.create("create", "x").status.success());
        let (_, recording) = fixture.recording();
        let granted = serde_json::to_value(recording.grant.granted.bounding).unwrap();
        let mut expected = process();
        expected["capabilities"] =
            json!({"bounding": granted, "ambient": [], "effective": granted, "permitted": granted});
        expected.as_object_mut().unwrap().remove("apparmorProfile");
        assert_eq!(exec("x"), expected);
        // Of somebody else.
        assert_eq!(exec("y"), process());
        // A mistake in the configuration fails the next `create`, not this.
        fixture.configure(&program("true"), "no_such_key = 1\n");
        assert_eq!(exec("x"), expected);
    }

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
            assert_eq!(output.status.code(), Some(1));
            let stderr = text(&output.stderr);
            assert!(
                stderr.starts_with("capprof: exec --process: ") && stderr.contains(expected),
                "{stderr}"
            );
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
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
}

mod sweeping {
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
            let output = fixture.shell(&format!("exec 5</etc/passwd; exec \"$0\" {subcommand}"));
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
        // A script that is no program.
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

    #[test]
    fn a_configuration_that_another_runtime_has_not_read_yet_is_waited_for() {
        if !root() {
            return;
        }
        let fixture = Fixture::new(&program("true"));
        let directory = abandoned(&fixture);
        // As if the runtime were alive and had not come to its hooks: this very process is.
        let own = process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let recording = Recording {
            shim: own,
            ..directory.load().unwrap()
        };
        directory.save(&recording).unwrap();
        let before = fs::read(fixture.config()).unwrap();
        let output = fixture.create("create", "second");
        assert_eq!(output.status.code(), Some(1));
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("another container is being created from this bundle"),
            "{stderr}"
        );
        assert_eq!(fs::read(fixture.config()).unwrap(), before);
        // Now it has.
        fs::write(directory.path().join("armed.json"), "{}").unwrap();
        assert!(fixture.create("create", "second").status.success());
        assert_eq!(fixture.recordings().len(), 2);
    }
}

/// With the real runc, as root.
mod containers {
    use super::*;

    /// A bundle with a static program and the configuration that `runc spec` writes.
    fn fixture(runc: &str, args: &[&str]) -> Fixture {
        let fixture = Fixture::new(runc);
        let bin = fixture.path("bundle/rootfs/bin");
        fs::create_dir(&bin).unwrap();
        fs::copy(program("busybox"), bin.join("busybox")).unwrap();
        for name in ["sh", "grep", "sleep", "true", "id"] {
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

    fn unique(name: &str) -> String {
        format!("capprof-test-{name}-{}", std::process::id())
    }

    fn grant(fixture: &Fixture) -> String {
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
        // The prestart hook got what it was promised.
        let environment = fs::read_to_string(directory.path().join("environment")).unwrap();
        let environment: Vec<&str> = environment
            .lines()
            .filter(|line| {
                !line.starts_with("PWD=") && !line.starts_with("_=") && !line.starts_with("SHLVL=")
            })
            .collect();
        assert_eq!(environment, ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
        let state: Value =
            serde_json::from_slice(&fs::read(directory.path().join("state.json")).unwrap())
                .unwrap();
        assert_eq!(state["id"], json!(unique("root")));

        // Another user than root.
        let mut value: Value = serde_json::from_slice(&original).unwrap();
        value["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        fixture.write(&value);
        let stdout = text(&fixture.create("run", &unique("user")).stdout);
        for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
            assert!(stdout.contains(&format!("Cap{set}:\t{all}\n")), "{stdout}");
        }
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
        // Its standard streams are the container's: a pipe would stay open as long as it lives.
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
        let process = json!({"cwd": "/", "user": {"uid": 7, "gid": 7}, "args": ["grep", "^CapEff", "/proc/self/status"], "env": ["PATH=/bin"],
                             "capabilities": {"bounding": ["CAP_KILL"]}});
        fs::write(&file, process.to_string()).unwrap();
        let stdout = call(&["exec", "--process", file.to_str().unwrap(), &id]);
        assert_eq!(stdout, format!("CapEff:\t{all}\n"));
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
        // runc runs the poststop hook then.
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
                let engine: Value = serde_json::from_slice(
                    &fs::read(folder.join(format!("{name}.in.json"))).unwrap(),
                )
                .unwrap();
                let mut value = fixture.read();
                value["linux"]["seccomp"] = engine["linux"]["seccomp"].clone();
                // Nobody listens at the path that is named there.
                if let Some(seccomp) = value["linux"]["seccomp"].as_object_mut() {
                    seccomp.remove("listenerPath");
                    let rules = seccomp["syscalls"].as_array_mut().unwrap();
                    // What runc itself and a shell call beside what the short list of the input has.
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
}
