//! What versions of runc take from one list.

use super::{check, list, text, value, words};
use crate::argv::{Error, Rules, command_of_one_reading, globals, read as read_by, trim};
use crate::family::Family::{Crun, Runc};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a list is to urfave/cli v3: id, how many positional arguments, bundle or process file; `None` where it refuses.
type Three<'a> = Option<(Option<&'a str>, usize, Option<&'a str>)>;

/// Tried with version 3.10.1 and the options of runc's development branch.
const THREE: [(&str, &[&str], Three<'_>); 15] = [
    (
        "create",
        &["--bundle", "X", " ID "],
        Some((Some("ID"), 1, Some("X"))),
    ),
    (
        "create",
        &["ID", "--bundle= "],
        Some((Some("ID"), 1, Some(""))),
    ),
    (
        "create",
        &["ID", "--bundle", " X "],
        Some((Some("ID"), 1, Some(" X "))),
    ),
    (
        "create",
        &["--bundle=X", "\u{a0}ID\u{2003}"],
        Some((Some("ID"), 1, Some("X"))),
    ),
    // Nothing but blanks is kept as it is.
    (
        "create",
        &["  ", "--bundle", "X"],
        Some((Some("  "), 1, Some("X"))),
    ),
    // It ignores what follows.
    (
        "create",
        &["--bundle", "X", " - ", "ID"],
        Some((Some("-"), 1, Some("X"))),
    ),
    (
        "create",
        &["--bundle", "X", "-1", "ID"],
        Some((Some("-1"), 2, Some("X"))),
    ),
    (
        "create",
        &[" -- ", " ID ", "--bundle"],
        Some((Some(" ID "), 2, None)),
    ),
    (
        "create",
        &["--", "ID", "--bundle=X"],
        Some((Some("ID"), 2, None)),
    ),
    ("create", &["---bundle=X", "ID"], None),
    ("create", &["--=X", "ID"], None),
    (
        "exec",
        &["-p", "F", " ID ", " sh ", "-p", "G"],
        Some((Some("ID"), 4, Some("F"))),
    ),
    (
        "exec",
        &["ID", "--", "sh", "-p", "F"],
        Some((Some("ID"), 4, None)),
    ),
    (
        "exec",
        &["ID", "", "-p", "F"],
        Some((Some("ID"), 2, Some("F"))),
    ),
    ("kill", &[" ID ", "--all"], Some((Some("ID"), 2, None))),
];

#[test]
fn urfave_three_takes_away_blanks() {
    for (subcommand, words, expected) in THREE {
        let command = read_by(OsStr::new(subcommand), &list(words), Rules::UrfaveThree).ok();
        let found = command.as_ref().map(|command| {
            let file = command.bundle.as_ref().or(command.process.as_ref());
            (text(command.id.as_ref()), command.positional, value(file))
        });
        assert_eq!(found, expected, "{subcommand} {words:?}");
    }
}

#[test]
fn a_process_for_a_container_that_versions_of_runc_name_differently_is_refused() {
    let of = |words: &[&str]| command_of_one_reading(OsStr::new("exec"), &list(words), Runc);
    for words in [
        &[" ID", "sh"][..],
        &["ID\t", "sh"],
        &["-p", "F", "ID "],
        &["--process=F ", "ID"],
        &["ID", "", "-p", "F"],
    ] {
        let error = of(words).unwrap_err();
        assert!(
            matches!(error, Error::TwoReadings(..)),
            "{words:?}: {error}"
        );
    }
    for words in [
        &["ID", "--", "sh"][..],
        &["ID", " sh ", "-p", "F"],
        &["-p", " F ", "ID"],
    ] {
        assert_eq!(
            text(of(words).unwrap().id.as_ref()),
            Some("ID"),
            "{words:?}"
        );
    }
}

#[test]
fn options_of_the_program_that_versions_of_runc_read_differently_are_a_problem() {
    for words in [
        &["runc", " --root", "R", "create", "ID"][..],
        &["runc", "--root=R ", "create", "ID"],
        &["runc", "--debug=", "create", "ID"],
    ] {
        let found = globals(&list(words), Runc);
        let problem = found.refusal().unwrap();
        assert!(
            matches!(problem, Error::TwoReadings(..)),
            "{words:?}: {problem}"
        );
        assert!(!found.is_refused_by_the_runtime(), "{words:?}");
        assert_eq!(found.subcommand, Some(words.len() - 2), "{words:?}");
    }
    let blanks = globals(&list(&["runc", "--root", " R ", "create", " ID "]), Runc);
    assert_eq!(blanks.refusal(), None);
    assert_eq!(text(blanks.root.as_ref()), Some(" R "));
}

#[test]
fn blanks_are_those_of_go() {
    let odd = OsString::from_vec(b" \xff \xff ".to_vec());
    assert_eq!(trim(&odd).as_bytes(), b"\xff \xff");
    assert_eq!(trim(OsStr::new("\u{85}\u{feff} \u{3000}")), "\u{feff}");
    assert_eq!(trim(OsStr::new(" \t ")), "");
}

#[test]
fn a_list_that_versions_of_runc_read_differently_names_the_cure() {
    // To urfave/cli v3, blanks around an argument are none.
    let arguments = ["--bundle", "X", " ID"].map(OsString::from);
    let error = command_of_one_reading(OsStr::new("create"), &arguments, Runc).unwrap_err();
    assert!(matches!(error, Error::TwoReadings(..)), "{error}");
    assert!(error.to_string().contains("versions of runc"), "{error}");
    let crun = command_of_one_reading(OsStr::new("create"), &arguments, Crun).unwrap();
    assert_eq!(text(crun.id.as_ref()), Some(" ID"));
}

#[test]
fn what_urfave_three_takes_is_taken() {
    let of = |line: &str| read_by(OsStr::new("create"), &words(line), Rules::UrfaveThree);
    let found = of("ID --root R --log-format=json --bundle X --log L").unwrap();
    assert_eq!(found.positional, 1);
    assert_eq!(text(found.root.as_ref()), Some("R"));
    assert_eq!(text(found.log.as_ref()), Some("L"));
    assert_eq!(text(found.log_format.as_ref()), Some("json"));
    assert_eq!(value(found.bundle.as_ref()), Some("X"));
    // A list that the released versions refuse, and one that they read as another number of arguments.
    for line in [
        "create ID --root R --bundle X",
        "create --no-pivot ID --bundle X",
    ] {
        check(line, Runc, Some(("X", None, "ID")));
    }
    let blanks: Vec<OsString> = [" --bundle=X ", " ID "].map(OsString::from).to_vec();
    let found = read_by(OsStr::new("create"), &blanks, Rules::UrfaveThree).unwrap();
    assert_eq!(value(found.bundle.as_ref()), Some("X"));
    assert_eq!(text(found.id.as_ref()), Some("ID"));
    for line in ["--no-pivot= ID", "-no-pivot=t ID"] {
        assert_eq!(of(line).unwrap().positional, 1, "{line}");
    }
    assert_eq!(of("-1 --bundle X").unwrap().positional, 3);
    let found = read_by(
        OsStr::new("exec"),
        &words("--root R ID sh --root S"),
        Rules::UrfaveThree,
    );
    let found = found.unwrap();
    assert_eq!(text(found.root.as_ref()), Some("R"));
    assert_eq!((text(found.id.as_ref()), found.positional), (Some("ID"), 4));
}

#[test]
fn versions_of_runc_that_differ_are_told_apart() {
    let arguments = words("ID --bundle - --no-pivot");
    let of = |rules| read_by(OsStr::new("create"), &arguments, rules);
    let new = of(Rules::UrfaveNew).unwrap();
    assert_eq!(value(new.bundle.as_ref()), Some("-"));
    assert_ne!(of(Rules::UrfaveOld), of(Rules::UrfaveNew));
    // A boolean option takes the id along in front of what follows, where it ends the options.
    for rules in [Rules::UrfaveOld, Rules::UrfaveNew] {
        let arguments = words("--no-pivot ID --bundle X");
        assert_eq!(
            read_by(OsStr::new("create"), &arguments, rules)
                .unwrap()
                .positional,
            3
        );
    }
}
