//! The built `capprofctl` with arbitrary profiles: it answers or refuses, and no text of a container reaches the terminal as a command.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fuzz {
    use capprof_profile::fixtures::{Edit, TOKENS, mutated};
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    const PROFILE: &str = include_str!("profile.json");

    /// A directory with `profile.json`, which holds this, and `nothing.json`, a profile of a container that needs nothing.
    fn directory(profile: &[u8]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let mut nothing: serde_json::Value = serde_json::from_str(PROFILE).unwrap();
        for member in ["minimized", "needed"] {
            nothing[member] = serde_json::json!([]);
        }
        fs::write(directory.path().join("profile.json"), profile).unwrap();
        fs::write(directory.path().join("nothing.json"), nothing.to_string()).unwrap();
        directory
    }

    fn capprofctl(form: &str, directory: &Path) -> Output {
        Command::new(env!("CARGO_BIN_EXE_capprofctl"))
            .args(form.split(' '))
            .current_dir(directory)
            .output()
            .unwrap()
    }

    /// The forms that a profile is shown in, and compared with one that needs nothing.
    const FORMS: [&str; 14] = [
        "report ./profile.json",
        "report ./profile.json --format json",
        "report ./profile.json --format html",
        "report ./profile.json --format markdown",
        "report ./profile.json --all-forms",
        "merge ./profile.json",
        "merge ./profile.json --format json",
        "diff ./nothing.json ./profile.json",
        "diff ./nothing.json ./profile.json --format json",
        "check ./profile.json --against restricted",
        "check ./profile.json --against none",
        "check ./profile.json --against none --format json",
        "check ./profile.json --against none --format sarif",
        "check ./profile.json --against none --format junit",
    ];

    fn is_harmless(output: &Output) -> bool {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        String::from_utf8_lossy(&text).chars().all(|character| {
            character == '\n'
                || !(character.is_control() || matches!(character, '\u{2028}' | '\u{202e}'))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]
        #[test]
        fn a_profile_is_shown_or_refused(
            form in prop::sample::select(&FORMS[..]),
            edits in prop::collection::vec((any::<u16>(), 0u8..4, prop::sample::select(&TOKENS[..])), 0..3),
        ) {
            let edits: Vec<Edit> = edits
                .into_iter()
                .map(|(place, removed, inserted)| Edit { place, removed, inserted: inserted.to_vec() })
                .collect();
            let directory = directory(&mutated(PROFILE.as_bytes(), &edits));
            let output = capprofctl(form, directory.path());
            prop_assert!(matches!(output.status.code(), Some(0..=3 | 5)), "{:?}", output);
            prop_assert!(is_harmless(&output), "{:?}", output);
        }
    }

    /// Every text in the profile ends a line, clears the screen and turns the direction of writing.
    #[test]
    fn nothing_of_a_container_commands_the_terminal() {
        fn poison(value: &mut serde_json::Value, at: &str) {
            match value {
                // Members with a fixed choice of words, and paths of kernel functions, cannot come from a container.
                serde_json::Value::String(text)
                    if [
                        "name",
                        "program",
                        "args",
                        "image",
                        "container",
                        "pod",
                        "container_id",
                        "programs",
                        "executable",
                        "path",
                    ]
                    .contains(&at) =>
                {
                    text.push_str("\u{1b}[2J\u{9b}31m\r\n\u{7f}\u{2028}\u{202e}");
                }
                serde_json::Value::Array(list) => list.iter_mut().for_each(|item| poison(item, at)),
                serde_json::Value::Object(members) => {
                    for (name, member) in members {
                        poison(member, name);
                    }
                }
                _ => {}
            }
        }
        let mut profile: serde_json::Value = serde_json::from_str(PROFILE).unwrap();
        poison(&mut profile, "");
        let directory = directory(profile.to_string().as_bytes());
        let mut shown = 0;
        for form in FORMS {
            let output = capprofctl(form, directory.path());
            assert!(is_harmless(&output), "{form:?}: {output:?}");
            shown += usize::from(matches!(output.status.code(), Some(0 | 5)));
        }
        assert_eq!(shown, FORMS.len(), "not all of these forms were shown");
    }
}
