//! Arbitrary input in files that others write: no panic, no endless wait, and no unintended change.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fuzz {
    use capprof_profile::fixtures::{Edit, TOKENS, mutated};
    use capprof_store::document::Document;
    use capprof_store::profiles::{self, Store};
    use capprof_store::settings;
    use proptest::prelude::*;
    use std::fs;

    /// Configurations as engines write them.
    const CONFIGURATIONS: [&str; 4] = [
        include_str!("../../shim/tests/rewrite/docker.in.json"),
        include_str!("../../shim/tests/rewrite/podman.in.json"),
        include_str!("../../shim/tests/rewrite/crun-spec.in.json"),
        include_str!("../../shim/tests/rewrite/oddities.in.json"),
    ];
    const PROFILE: &str = include_str!("../../ctl/tests/profile.json");
    const SETTINGS: &str = include_str!("../../packaging/config.toml");

    fn edits() -> impl Strategy<Value = Vec<Edit>> {
        let inserted = prop_oneof![
            3 => prop::sample::select(&TOKENS[..]).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        let edit = (any::<u16>(), prop_oneof![Just(0), any::<u8>()], inserted);
        let edit = edit.prop_map(|(place, removed, inserted)| Edit {
            place,
            removed,
            inserted,
        });
        prop::collection::vec(edit, 0..4)
    }

    /// Returns true if both texts say the same, apart from blanks. A text that serde_json cannot parse whole, because of a lone surrogate, is not compared.
    fn says_the_same(written: &[u8], text: &str) -> bool {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => serde_json::from_slice::<serde_json::Value>(written)
                .is_ok_and(|other| other == value),
            Err(_) => !written.is_empty(),
        }
    }

    proptest! {
        #[test]
        fn what_is_not_edited_in_a_configuration_stays_as_it_was(
            text in prop::sample::select(&CONFIGURATIONS[..]),
            edits in edits(),
        ) {
            if let Ok(text) = String::from_utf8(mutated(text.as_bytes(), &edits))
                && let Ok(document) = Document::parse(&text)
            {
                let _ = document.has_clear_annotations();
                prop_assert!(document.check().is_err() || says_the_same(&document.write(&text), &text));
            }
        }

        #[test]
        fn what_is_not_edited_in_a_process_file_stays_as_it_was(edits in edits()) {
            let configuration: serde_json::Value = serde_json::from_str(CONFIGURATIONS[0]).unwrap();
            let process = configuration["process"].to_string();
            if let Ok(text) = String::from_utf8(mutated(process.as_bytes(), &edits))
                && let Ok(document) = Document::parse_process(&text)
            {
                prop_assert!(document.check().is_err() || says_the_same(&document.write(&text), &text));
            }
        }

        #[test]
        fn a_profile_is_read_or_refused_on_one_line(edits in edits()) {
            let directory = tempfile::tempdir().unwrap();
            let place = directory
                .path()
                .join("profiles/web-1/20261123T150102Z-1a2b3c4d");
            fs::create_dir_all(&place).unwrap();
            let content = mutated(PROFILE.as_bytes(), &edits);
            fs::write(place.join(profiles::PROFILE), content).unwrap();
            let store = Store::at(directory.path());
            let (summaries, errors) = store.select(None, None, |_| true).unwrap();
            prop_assert_eq!(summaries.len() + errors.len(), 1);
            for error in errors.into_iter().chain(store.find("last").err()) {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }

        #[test]
        fn settings_are_read_or_refused_on_one_line(edits in edits()) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("config.toml");
            // With every key set.
            let text: String = SETTINGS
                .lines()
                .map(|line| match line.strip_prefix('#') {
                    Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                    _ => format!("{line}\n"),
                })
                .collect();
            fs::write(&path, mutated(text.as_bytes(), &edits)).unwrap();
            let _ = settings::essentials(&path);
            if let Err(error) = settings::load(&path) {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }

    #[test]
    fn what_is_no_profile_is_refused_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let large = directory.path().join("large.json");
        fs::File::create(&large).unwrap().set_len(3 << 30).unwrap();
        for (path, reason) in [
            (fifo, "not a regular file"),
            ("/dev/zero".into(), "not a regular file"),
            (large, "it has more than 67108864 bytes"),
        ] {
            let error = profiles::load(path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
