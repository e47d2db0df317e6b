mod versions_of_runc;

use super::*;
use crate::family::Family::{Crun, Runc};

/// capprof's reading of a `create` or `run`: bundle, `--config`, id; `None` if it refuses.
type Reading<'a> = Option<(&'a str, Option<&'a str>, &'a str)>;

fn list(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn text(value: Option<&OsString>) -> Option<&str> {
    value.map(|value| value.to_str().unwrap())
}

fn value(value: Option<&Value>) -> Option<&str> {
    value.map(|value| value.text.to_str().unwrap())
}

/// Splits at spaces; `''` is an empty argument.
fn words(line: &str) -> Vec<OsString> {
    let words = line
        .split_whitespace()
        .map(|word| if word == "''" { "" } else { word });
    words.map(OsString::from).collect()
}

fn read(line: &str, family: Family) -> Result<Command, Error> {
    let arguments = words(line);
    command_of_one_reading(&arguments[0], &arguments[1..], family)
}

fn check(line: &str, family: Family, expected: Reading<'_>) {
    let command = read(line, family);
    let found = command
        .as_ref()
        .ok()
        .filter(|command| command.positional == 1);
    let found = found.map(|command| {
        (
            value(command.bundle.as_ref()).unwrap_or("."),
            value(command.configuration.as_ref()),
            text(command.id.as_ref()).unwrap(),
        )
    });
    assert_eq!(found, expected, "{family}: {line}: {command:?}");
}

/// The readings of argument lists by runc and crun: bundle, configuration, id. Tried with runc 1.1.5 and crun 1.8.1; tests/same_argv.rs tries them
/// again with the installed versions.
const READINGS: [(&str, Reading<'_>, Reading<'_>); 18] = [
    (
        "create --bundle X ID",
        Some(("X", None, "ID")),
        Some(("X", None, "ID")),
    ),
    (
        "create --bundle=X ID",
        Some(("X", None, "ID")),
        Some(("X", None, "ID")),
    ),
    (
        "create -b X ID",
        Some(("X", None, "ID")),
        Some(("X", None, "ID")),
    ),
    (
        "create --bundle X --bundle Y ID",
        Some(("Y", None, "ID")),
        Some(("Y", None, "ID")),
    ),
    (
        "create -b=X ID",
        Some(("X", None, "ID")),
        Some(("=X", None, "ID")),
    ),
    ("create -bX ID", None, Some(("X", None, "ID"))),
    ("create -bundle X ID", Some(("X", None, "ID")), None),
    (
        "create -bundle=X ID",
        Some(("X", None, "ID")),
        Some(("undle=X", None, "ID")),
    ),
    ("create --bund X ID", None, Some(("X", None, "ID"))),
    ("create ID --bundle X", Some(("X", None, "ID")), None),
    (
        "create --no-pivot=true --bundle X ID",
        Some(("X", None, "ID")),
        None,
    ),
    (
        "create --bundle X -- ID",
        Some(("X", None, "ID")),
        Some(("X", None, "ID")),
    ),
    (
        "create -f FILE --bundle X ID",
        None,
        Some(("X", Some("FILE"), "ID")),
    ),
    (
        "create --config FILE --bundle X ID",
        None,
        Some(("X", Some("FILE"), "ID")),
    ),
    (
        "create --config=FILE ID",
        None,
        Some((".", Some("FILE"), "ID")),
    ),
    (
        "run -d --bundle X ID",
        Some(("X", None, "ID")),
        Some(("X", None, "ID")),
    ),
    ("run -db X ID", None, Some(("X", None, "ID"))),
    (
        "run --keep --detach=false --bundle X ID",
        Some(("X", None, "ID")),
        None,
    ),
];

#[test]
fn one_argument_list_two_readings() {
    for (line, runc, crun) in READINGS {
        check(line, Runc, runc);
        check(line, Crun, crun);
    }
    // crun reads `-bundle` as `-b undle`; runc reads X as the bundle and misses an id. Each is right by its own rules.
    assert_eq!(
        command(OsStr::new("create"), &list(&["-bundle", "X"]), Runc)
            .unwrap()
            .positional,
        0
    );
    let crun = command(OsStr::new("create"), &list(&["-bundle", "X"]), Crun).unwrap();
    assert_eq!(value(crun.bundle.as_ref()), Some("undle"));
}

#[test]
fn a_value_is_replaced_where_it_stands() {
    for (line, family, expected) in [
        ("x create ID", Crun, "x create --config=/n ID"),
        ("x create --config F ID", Crun, "x create --config /n ID"),
        ("x create --config=F ID", Crun, "x create --config=/n ID"),
        ("x create -fF ID", Crun, "x create -f/n ID"),
        ("x create -f F -f G ID", Crun, "x create -f F -f /n ID"),
    ] {
        let mut arguments = words(line);
        let command = command(&arguments[1], &arguments[2..], family).unwrap();
        let present = command.configuration.clone();
        replace(
            &mut arguments,
            1,
            present.as_ref(),
            "config",
            OsStr::new("/n"),
        );
        assert_eq!(arguments, words(expected), "{line}");
    }
    // runc moves options to the front; the list stays as it is.
    let mut arguments = words("x create ID --bundle B");
    let command = command(&arguments[1], &arguments[2..], Runc).unwrap();
    replace(
        &mut arguments,
        1,
        command.bundle.as_ref(),
        "bundle",
        OsStr::new("/n"),
    );
    assert_eq!(arguments, words("x create ID --bundle /n"));
}

#[test]
fn odd_names_are_names() {
    for family in Family::ALL {
        check(
            "create --bundle create create",
            family,
            Some(("create", None, "create")),
        );
        check("run --bundle run run", family, Some(("run", None, "run")));
        // The value of --pid-file.
        check(
            "create --pid-file --bundle=x ID",
            family,
            Some((".", None, "ID")),
        );
        check("create --bundle -x ID", family, Some(("-x", None, "ID")));
        check("create --bundle - ID", family, Some(("-", None, "ID")));
        check("create --bundle '' ID", family, Some(("", None, "ID")));
        check("create --bundle= ID", family, Some(("", None, "ID")));
        check("create", family, None);
        check("create --bundle X", family, None);
        check("create --bundle", family, None);
        check("create A B", family, None);
        check("create --bundle X -", family, Some(("X", None, "-")));
    }
}

#[test]
fn an_unknown_option_is_refused_unless_its_value_is_glued_on() {
    for family in Family::ALL {
        let error = read("create --new X --bundle B ID", family).unwrap_err();
        assert_eq!(error, Error::Unknown("--new".to_owned(), family));
        check(
            "create --new=X --bundle B ID",
            family,
            Some(("B", None, "ID")),
        );
    }
    let error = read("create --config F ID", Runc).unwrap_err();
    assert_eq!(error, Error::Foreign("--config".to_owned(), Runc));
    assert_eq!(
        error.to_string(),
        "option --config: runc has no such option"
    );
}

#[test]
fn all_engines_ways_to_create_are_understood_alike() {
    // The calls of docker, containerd, podman and CRI-O.
    for line in [
        "runc --root /run/containerd/runc/k8s.io --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid ID",
        "runc --root /run/containerd/runc/k8s.io --debug --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid --console-socket /s --no-pivot --no-new-keyring --preserve-fds 2 ID",
        "runc --root=/run/containerd/runc/k8s.io --log=/b/log.json --log-format=json --rootless=true run --bundle /b --pid-file /b/init.pid ID",
        "capprof --root /run/containerd/runc/k8s.io --systemd-cgroup --log-format=json --log /b/log.json create --bundle /b --pid-file /p --preserve-fds 3 ID",
        "capprof --systemd-cgroup --root=/run/containerd/runc/k8s.io --root=/run/containerd/runc/k8s.io --systemd-cgroup --log /b/log.json --log-format json create --bundle /b --pid-file /p --no-pivot --console-socket=/s ID",
        "capprof --cgroup-manager disabled --root /run/containerd/runc/k8s.io --log /b/log.json --log-format json create --bundle /b --pid-file /p ID",
        "crun --root /run/containerd/runc/k8s.io --log /b/log.json --log-level debug --log-format json create --bundle /b --pid-file /p ID",
    ] {
        let arguments = words(line);
        for family in Family::ALL {
            let globals = globals(&arguments, family);
            assert_eq!(globals.refusal(), None, "{family}: {line}");
            assert_eq!(
                text(globals.root.as_ref()),
                Some("/run/containerd/runc/k8s.io"),
                "{family}: {line}"
            );
            assert_eq!(
                text(globals.log.as_ref()),
                Some("/b/log.json"),
                "{family}: {line}"
            );
            assert_eq!(
                text(globals.log_format.as_ref()),
                Some("json"),
                "{family}: {line}"
            );
            // --rootless=true, --console-socket=/s and the like are right for both.
            let position = globals.subcommand.unwrap();
            let command =
                command_of_one_reading(&arguments[position], &arguments[position + 1..], family)
                    .unwrap();
            assert_eq!(
                value(command.bundle.as_ref()),
                Some("/b"),
                "{family}: {line}"
            );
            assert_eq!(text(command.id.as_ref()), Some("ID"), "{family}: {line}");
        }
    }
}

#[test]
fn all_other_calls_of_engines_name_their_container() {
    for (line, subcommand, id) in [
        (
            "runc --root R --log L --log-format json start ID",
            "start",
            Some("ID"),
        ),
        (
            "runc --root R exec --process /tmp/runc-process1 --console-socket S --detach --pid-file P ID",
            "exec",
            Some("ID"),
        ),
        (
            "capprof exec --pid-file P --process F --detach --preserve-fds 2 --console-socket S ID",
            "exec",
            Some("ID"),
        ),
        (
            "capprof --root=R --root=R exec -d --console-socket=S --tty --pid-file=P ID cmd --process F",
            "exec",
            Some("ID"),
        ),
        ("runc delete --force ID", "delete", Some("ID")),
        ("runc delete ID", "delete", Some("ID")),
        ("runc kill --all ID 9", "kill", Some("ID")),
        ("crio kill ID TERM", "kill", Some("ID")),
        ("runc state ID", "state", Some("ID")),
        ("runc pause ID", "pause", Some("ID")),
        ("runc resume ID", "resume", Some("ID")),
        ("runc events --stats ID", "events", Some("ID")),
        ("runc events --interval=5s ID", "events", Some("ID")),
        ("runc ps --format json ID", "ps", Some("ID")),
        ("runc ps --format table ID -ef", "ps", Some("ID")),
        (
            "runc checkpoint --image-path I --work-path W --file-locks --leave-running --status-fd 3 ID",
            "checkpoint",
            Some("ID"),
        ),
        (
            "runc restore --image-path I --work-path W -no-subreaper --bundle B ID",
            "restore",
            Some("ID"),
        ),
        ("runc update --resources=- ID", "update", Some("ID")),
        ("runc update --resources - ID", "update", Some("ID")),
        ("runc list --format=json", "list", None),
        ("runc features", "features", None),
        ("runc spec -b X", "spec", None),
        ("runc mounts add X", "mounts", None),
    ] {
        let arguments = words(line);
        let position = globals(&arguments, Runc).subcommand.unwrap();
        assert_eq!(arguments[position], subcommand, "{line}");
        let rest = &arguments[position + 1..];
        // If runc's own rules find nothing, crun's rules do.
        let found = Family::ALL
            .into_iter()
            .find_map(|family| command(&arguments[position], rest, family).ok()?.id);
        assert_eq!(text(found.as_ref()), id, "{line}");
    }
}

#[test]
fn the_process_file_is_an_option_and_never_the_containers_argument() {
    for (line, process) in [
        ("exec --process F ID", Some("F")),
        ("exec -p F ID", Some("F")),
        ("exec --process=F ID", Some("F")),
        ("exec ID --process F", None),
        ("exec ID cmd -p F", None),
        ("exec --env A=--process ID", None),
        ("exec -e --process=F ID", None),
        ("exec -t -d -p F ID", Some("F")),
    ] {
        let arguments = words(line);
        for family in Family::ALL {
            let command = command(&arguments[0], &arguments[1..], family).unwrap();
            assert_eq!(value(command.process.as_ref()), process, "{family}: {line}");
            assert_eq!(text(command.id.as_ref()), Some("ID"), "{family}: {line}");
        }
    }
}

#[test]
fn the_subcommand_is_found_after_any_options() {
    for (line, subcommand) in [
        ("capprof", None),
        ("capprof --version", None),
        ("capprof -v", None),
        ("capprof --help create", None),
        ("capprof --root create create ID", Some(3)),
        ("capprof --root=create create ID", Some(2)),
        ("capprof --log= create ID", Some(2)),
        ("capprof --log=x create ID", Some(2)),
        ("capprof --root '' create ID", Some(3)),
        ("capprof -- create ID", Some(2)),
        ("capprof --", None),
        ("capprof --debug kill ID", Some(2)),
        // Options of a runtime that is newer than this table, with a value and without.
        ("capprof --new create ID", Some(2)),
        ("capprof --new value kill create", Some(3)),
        ("capprof --new=value create ID", Some(2)),
        ("capprof --new=value unheard-of ID", Some(2)),
        // An option of the other runtime.
        ("capprof --criu /x create ID", Some(3)),
        ("capprof --cgroup-manager cgroupfs create ID", Some(3)),
    ] {
        for family in Family::ALL {
            let globals = globals(&words(line), family);
            assert_eq!(
                globals.subcommand, subcommand,
                "{family}: {line}: {globals:?}"
            );
        }
    }
    assert_eq!(
        globals(&words("crun --cgroup-man X --sys create ID"), Crun).subcommand,
        Some(4)
    );
    assert_eq!(
        globals(&words("runc -root X -debug create ID"), Runc).root,
        Some("X".into())
    );
}

#[test]
fn what_the_runtime_refuses_before_the_subcommand_is_refused_on_create() {
    let of = |line, family| globals(&words(line), family).refusal().cloned();
    assert_eq!(of("x --systemd-cgroup=false create ID", Runc), None);
    assert!(matches!(
        of("x --systemd-cgroup=false create ID", Crun),
        Some(Error::UnexpectedValue(_))
    ));
    assert!(matches!(
        of("x --debug=maybe create ID", Runc),
        Some(Error::UnexpectedValue(_))
    ));
    assert!(matches!(of("x --log", Runc), Some(Error::MissingValue(_))));
    assert!(matches!(
        of("x ---log create ID", Runc),
        Some(Error::Syntax(..))
    ));
    assert!(matches!(
        of("x --lo x create ID", Crun),
        Some(Error::Ambiguous(_))
    ));
}

#[test]
fn bytes_that_are_not_unicode_come_through() {
    let odd = OsString::from_vec(b"/b\xff".to_vec());
    for family in Family::ALL {
        let arguments = ["--bundle".into(), odd.clone(), "ID".into()];
        assert_eq!(
            command_of_one_reading(OsStr::new("create"), &arguments, family)
                .unwrap()
                .bundle
                .unwrap()
                .text,
            odd
        );
        let glued = OsString::from_vec(b"--bundle=/b\xff".to_vec());
        let arguments = [glued, "ID".into()];
        assert_eq!(
            command_of_one_reading(OsStr::new("create"), &arguments, family)
                .unwrap()
                .bundle
                .unwrap()
                .text,
            odd
        );
    }
}

#[test]
fn each_error_is_one_line() {
    for (line, family, expected) in [
        (
            "create --no-pivot=x --bundle B ID",
            Runc,
            "option --no-pivot=x: it takes no such value",
        ),
        (
            "create --bundle",
            Runc,
            "option --bundle: its value is missing",
        ),
        ("create -b", Crun, "option -b: its value is missing"),
        ("create --no-p --bundle B ID", Crun, ""),
        (
            "create --no- --bundle B ID",
            Crun,
            "option --no-: it abbreviates more than one",
        ),
        ("create -Z ID", Crun, "option -Z: cannot be understood"),
    ] {
        match read(line, family) {
            Ok(_) => assert_eq!(expected, "", "{line}"),
            Err(error) if expected.ends_with("cannot be understood") => {
                assert!(matches!(error, Error::Unknown(..)), "{line}: {error}");
            }
            Err(error) => assert_eq!(error.to_string(), expected, "{line}"),
        }
    }
}

mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    fn argument() -> impl Strategy<Value = OsString> {
        let known = proptest::sample::select(vec![
            "create",
            "run",
            "exec",
            "delete",
            "--",
            "-",
            "--bundle",
            "--bundle=",
            "-b",
            "-b=",
            "-bX",
            "--root",
            "--log=",
            "=",
            "--config",
            "-f",
            "--no-pivot",
            "-bundle",
            "--process",
            "--",
            "ID",
            "",
            "-db",
            "---",
            "--=",
            "-=",
        ]);
        prop_oneof![
            known.prop_map(OsString::from),
            proptest::collection::vec(1u8.., 0..8).prop_map(OsString::from_vec),
        ]
    }

    proptest! {
        #[test]
        fn any_list_is_read_without_panic(arguments in proptest::collection::vec(argument(), 0..10)) {
            for family in Family::ALL {
                let globals = globals(&arguments, family);
                if let Some(position) = globals.subcommand {
                    prop_assert!((1..arguments.len()).contains(&position));
                    let rest = &arguments[position + 1..];
                    let _ = command(&arguments[position], rest, family);
                    if let Ok(reading) = command_of_one_reading(&arguments[position], rest, family) {
                        prop_assert!(reading.positional <= rest.len());
                        // The values that are found were in the list.
                        let bundle = reading.bundle.as_ref().map(|bundle| &bundle.text);
                        for value in [bundle, reading.id.as_ref()].into_iter().flatten() {
                            let given = rest.iter().any(|given| given.as_bytes().ends_with(value.as_bytes()));
                            prop_assert!(given, "{value:?}");
                        }
                    }
                }
            }
        }
    }
}
