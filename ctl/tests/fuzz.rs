//! The built `capprofctl` and profiles with anything in them: it answers or refuses, and nothing of a container reaches the terminal as a command.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fuzz {
    use capprof_profile::fixtures::{Edit, TOKENS, mutated};
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    const PROFILE: &str = include_str!("profile.json");

    fn capprofctl(arguments: &[&str], file: &Path) -> Output {
        Command::new(env!("CARGO_BIN_EXE_capprofctl"))
            .args(arguments)
            .arg(file)
            .output()
            .unwrap()
    }

    /// The forms that a profile is shown in.
    const FORMS: [&[&str]; 6] = [
        &["report"],
        &["report", "--format", "json"],
        &["report", "--format", "docker"],
        &["report", "--format", "kubernetes"],
        &["merge"],
        &["merge", "--format", "json"],
    ];

    fn is_harmless(output: &Output) -> bool {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        String::from_utf8_lossy(&text)
            .chars()
            .all(|character| character == '\n' || !character.is_control())
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
            let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
            fs::write(file.path(), mutated(PROFILE.as_bytes(), &edits)).unwrap();
            let output = capprofctl(form, file.path());
            prop_assert!(matches!(output.status.code(), Some(0..=3)), "{:?}", output);
            prop_assert!(is_harmless(&output), "{:?}", output);
        }
    }

    /// Every text in the profile ends a line, clears the screen and turns the direction of writing.
    #[test]
    fn nothing_of_a_container_commands_the_terminal() {
        fn poison(value: &mut serde_json::Value, at: &str) {
            match value {
                // What is one of a few words, and what is a path of kernel functions, cannot come from a container.
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
                    text.push_str("\u{1b}[2J\u{9b}31m\r\n\u{7f}");
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
        let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
        fs::write(file.path(), profile.to_string()).unwrap();
        let mut shown = 0;
        for form in FORMS {
            let output = capprofctl(form, file.path());
            assert!(is_harmless(&output), "{form:?}: {output:?}");
            shown += usize::from(output.status.success());
        }
        assert_eq!(shown, FORMS.len(), "not all of these forms were shown");
    }
}
