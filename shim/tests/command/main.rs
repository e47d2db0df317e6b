//! The real binary: with the real runc and crun where they matter, and with programs in their place that show their input (cat, ls, readlink)
//! where the hand-over itself is tested.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use capprof_profile::recording::{Delivery, Recording};
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

mod bad_input;
mod bundles;
mod containers;
mod creating;
mod executing;
mod passing_through;
mod sweeping;

/// Replaces capprof-hook, which is not under test here, next to capprof: writes down its arguments, and does only what is necessary.
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

/// capprof in a directory of its own, with a hook next to it, a configuration, and a bundle.
struct Fixture {
    directory: TempDir,
}

impl Fixture {
    fn new(runtime: &str) -> Self {
        // On the file system of the binary, so that it can be linked. A copy could still be open for writing in a child of another test (ETXTBSY).
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fixture = Self { directory };
        for name in ["bin", "bundle/rootfs"] {
            fs::create_dir_all(fixture.path(name)).unwrap();
        }
        fs::hard_link(env!("CARGO_BIN_EXE_capprof"), fixture.path("bin/capprof")).unwrap();
        fs::write(fixture.path("hook.sh"), HOOK).unwrap();
        // The script itself is never executed, so no process can find it open for writing.
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

    /// The recordings that the hook script moved away at the end of a container.
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

/// The shortest possible configuration.
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

/// Returns true if this is root; a test that needs it says that it is skipped.
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
