//! Compares capprof's reading of the argument lists of `create` with that of the real runc and crun.
//!
//! In an empty directory, a runtime's error names the first file that it looks for, and so shows how it has read the arguments.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use capprof::argv;
use capprof::family::Family;
use proptest::prelude::*;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A real runtime.
struct Runtime {
    family: Family,
    path: String,
    /// An empty directory.
    directory: TempDir,
}

fn runtimes() -> Vec<Runtime> {
    Family::ALL
        .into_iter()
        .filter_map(|family| {
            let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
                .into_iter()
                .map(|directory| format!("{directory}/{family}"))
                .find(|path| Path::new(path).exists());
            if found.is_none() {
                eprintln!("skipped: {family} is not installed");
            }
            Some(Runtime {
                family,
                path: found?,
                directory: TempDir::new().unwrap(),
            })
        })
        .collect()
}

impl Runtime {
    /// Returns the file that the runtime looks for first: crun's `--config`, else the bundle, `.` for none; `None` if it refuses the arguments.
    fn reads(&self, arguments: &[OsString]) -> Option<String> {
        let output = Command::new(&self.path)
            .arg("--root")
            .arg(self.directory.path().join("root"))
            .arg("create")
            .args(arguments)
            .current_dir(&self.directory)
            .env_remove("LISTEN_FDS")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // crun makes its root directory; the next call must find the directory empty again.
        let _ = std::fs::remove_dir_all(self.directory.path().join("root"));
        // Only help succeeds.
        if output.status.success() {
            return None;
        }
        let stderr = String::from_utf8(output.stderr).unwrap();
        let between = |start: &str, end: &str| {
            let (_, rest) = stderr.split_once(start)?;
            Some(rest.split_once(end)?.0.to_owned())
        };
        between("chdir ", ": no such file or directory")
            .or_else(|| between("realpath `", "` failed"))
            .or_else(|| {
                let nothing = stderr.contains("config.json not found")
                    || stderr.contains("error loading config.json")
                    || stderr.contains("open `config.json`");
                nothing.then(|| ".".to_owned())
            })
    }

    /// Returns capprof's readings: all that versions of the runtime may have.
    fn expected(&self, arguments: &[OsString]) -> Vec<String> {
        argv::readings(OsStr::new("create"), arguments, self.family)
            .into_iter()
            .filter(|command| !command.help && command.positional == 1)
            .map(|command| {
                let text = |value: argv::Value| value.text;
                let configuration = command
                    .configuration
                    .map(text)
                    .filter(|name| name != "config.json");
                let bundle = command
                    .bundle
                    .map(text)
                    .filter(|bundle| !bundle.is_empty() || self.family == Family::Crun);
                let first = configuration.or(bundle).unwrap_or_else(|| ".".into());
                first.into_string().unwrap()
            })
            .collect()
    }

    /// Returns true if capprof's readings include the runtime's, or both refuse. This runc may refuse a list that only another version accepts.
    fn agrees(&self, arguments: &[OsString]) -> bool {
        let expected = self.expected(arguments);
        match (self.reads(arguments), self.family) {
            (Some(read), Family::Runc) => expected.contains(&read),
            (Some(read), Family::Crun) => expected == [read],
            (None, Family::Runc) => true,
            // An option of a newer crun, as far as capprof knows.
            (None, Family::Crun) => {
                expected.is_empty() || arguments.iter().any(|argument| argument == "--x=1")
            }
        }
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

#[test]
fn lists_that_a_user_may_write() {
    for runtime in runtimes() {
        for line in [
            "--bundle X ID",
            "--bundle=X ID",
            "-b X ID",
            "-b=X ID",
            "-bX ID",
            "-bundle X",
            "-bundle X ID",
            "-bundle=X ID",
            "--bund X ID",
            "--bundle X --bundle Y ID",
            "--bundle X -b Y ID",
            "ID",
            "ID --bundle X",
            "ID --no-pivot --bundle X",
            "--no-pivot ID --bundle X",
            "--no-pivot --bundle X ID",
            "--no-pivot=true --bundle X ID",
            "--no-pivot=maybe --bundle X ID",
            "--bundle X -- ID",
            "-- ID --bundle X",
            "ID -- --bundle X",
            "--bundle -- ID",
            "--bundle - ID",
            "--bundle -x ID",
            "--bundle",
            "--bundle X",
            "--bundle= ID",
            "-f FILE ID",
            "-fFILE --bundle X ID",
            "--config FILE --bundle X ID",
            "--pid-file P --bundle X ID",
            "--pid-file --bundle X ID",
            "--pid-file=P --console-socket S --preserve-fds 2 --no-new-keyring --bundle X ID",
            "--no-such-option --bundle X ID",
            "--no-n --bundle X ID",
            "--no- --bundle X ID",
            "--help --bundle X ID",
            "---bundle X ID",
            "--=X ID",
            "ID ID --bundle X",
            "",
        ] {
            let arguments = words(line);
            assert!(
                runtime.agrees(&arguments),
                "{} create {line}: {:?} {:?}",
                runtime.family,
                runtime.reads(&arguments),
                runtime.expected(&arguments)
            );
        }
    }
}

fn argument() -> impl Strategy<Value = OsString> {
    proptest::sample::select(vec![
        "--bundle",
        "--bundle=A",
        "-b",
        "-b=B",
        "-bC",
        "-bundle",
        "-bundle=D",
        "--bun",
        "X",
        "Y",
        "ID",
        "--no-pivot",
        "--no-pivot=true",
        "--no-pivot=0",
        "--",
        "-",
        "--pid-file",
        "--pid-file=P",
        "-pid-file",
        "--no-new-keyring",
        "-no-new-keyring",
        "-x",
        "--x=1",
    ])
    .prop_map(OsString::from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lists_that_no_user_writes(mut arguments in proptest::collection::vec(argument(), 0..5), id in 0usize..6) {
        // Most lists have an id, or there would be nothing to compare.
        arguments.insert(id.min(arguments.len()), "ID".into());
        for runtime in runtimes() {
            prop_assert!(runtime.agrees(&arguments), "{} create {:?}", runtime.family, arguments);
        }
    }
}
