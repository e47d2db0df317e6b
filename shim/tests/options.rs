//! Compares the table of options with the help of the installed runc and crun.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use capprof::argv;
use capprof::family::Family;
use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

/// The options that `--help` shows: each name, and true if its value is the next argument.
fn options(family: Family, subcommand: &str) -> Option<Vec<(String, bool)>> {
    let mut command = Command::new(family.name());
    if !subcommand.is_empty() {
        command.arg(subcommand);
    }
    let output = command.arg("--help").stdin(Stdio::null()).output().ok()?;
    let help = String::from_utf8(output.stdout).unwrap();
    let options = help
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .flat_map(|line| {
            // The description begins after two blanks, or after one if a name is long.
            let names = line.split_once("  ").map_or(line, |(names, _)| names);
            let forms: Vec<&str> = names.split(", ").collect();
            // crun: `-b, --bundle=DIR`, where the letter takes the same value as the long name.
            let takes = forms
                .iter()
                .any(|form| form.contains('=') && !form.contains("[=") || form.contains(" value"));
            forms
                .into_iter()
                .map(|form| {
                    let end = form.find(['=', ' ', '[']).unwrap_or(form.len());
                    (form[..end].to_owned(), takes)
                })
                .collect::<Vec<_>>()
        })
        .filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "-?" | "-h" | "--help" | "--usage" | "-v" | "-V" | "--version"
            )
        })
        .collect();
    Some(options)
}

#[test]
fn every_option_is_in_the_table() {
    for family in Family::ALL {
        let mut seen = 0;
        for subcommand in [
            "",
            "create",
            "run",
            "exec",
            "delete",
            "kill",
            "start",
            "state",
            "pause",
            "resume",
            "ps",
            "events",
            "update",
            "checkpoint",
            "restore",
        ] {
            let Some(options) = options(family, subcommand) else {
                eprintln!("skipped: {family} is not installed");
                break;
            };
            for (name, takes) in options {
                seen += 1;
                let mut list: Vec<OsString> = vec![(&name).into()];
                if takes {
                    list.push("VALUE".into());
                }
                if subcommand.is_empty() {
                    list.insert(0, "program".into());
                    list.push("state".into());
                    let globals = argv::globals(&list, family);
                    assert_eq!(globals.problem, None, "{family} {name}");
                    assert_eq!(globals.subcommand, Some(list.len() - 1), "{family} {name}");
                } else {
                    list.push("ID".into());
                    let command = argv::command(OsStr::new(subcommand), &list, family);
                    let id = command
                        .as_ref()
                        .ok()
                        .and_then(|command| command.id.as_deref());
                    assert_eq!(
                        id,
                        Some(OsStr::new("ID")),
                        "{family} {subcommand} {name}: {command:?}"
                    );
                }
            }
        }
        assert!(seen == 0 || seen > 50, "{family}: {seen}");
    }
}
