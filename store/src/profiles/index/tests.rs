use super::*;
use crate::profiles::{Files, Store};
use capprof_profile::fixtures::{full_evidence, host, recording, reports};
use std::path::PathBuf;

const FIRST: &str = "20260101T000000Z-00000001";
const SECOND: &str = "20260101T000000Z-00000002";

struct Place {
    directory: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        Self { directory, store }
    }

    fn add(&self, container: &str, id: &str) {
        let profile = capprof_profile::assemble::profile(
            &recording(container, id),
            reports(),
            full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        );
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        self.store.add(&profile, &files, 0).unwrap();
    }

    fn profile(&self, container: &str, id: &str) -> PathBuf {
        self.directory
            .path()
            .join("profiles")
            .join(container)
            .join(id)
            .join(PROFILE)
    }

    /// The store as a reader sees it when all that was written is old enough to be kept.
    fn look(&self) -> Vec<String> {
        let later = SystemTime::now() + 2 * YOUNG;
        let store = self.directory.path();
        all_at(store, &store.join("profiles"), later)
            .unwrap()
            .into_iter()
            .map(|listed| {
                let name = listed
                    .summary
                    .map(|summary| summary.name.unwrap_or_default());
                format!(
                    "{} {}",
                    listed.recording,
                    name.unwrap_or_else(|_| "unreadable".to_owned())
                )
            })
            .collect()
    }

    fn index(&self) -> String {
        std::fs::read_to_string(self.directory.path().join(NAME)).unwrap_or_default()
    }

    fn rename(&self, container: &str, id: &str, name: &str) {
        let path = self.profile(container, id);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut profile: serde_json::Value = serde_json::from_str(&text).unwrap();
        profile["name"] = name.into();
        file::write(
            &path,
            profile.to_string().as_bytes(),
            Attributes::Mode(0o600),
        )
        .unwrap();
    }
}

#[test]
fn what_is_known_is_not_read_again() {
    let place = Place::new();
    place.add("web", FIRST);
    let first = place.look();
    assert_eq!(first.len(), 1);
    // The index is what answers now: what it says of the same version of the file is believed.
    let index = place.index().replace(",false,", ",true,");
    assert_ne!(index, place.index());
    file::write(
        &place.directory.path().join(NAME),
        index.as_bytes(),
        Attributes::Mode(0o600),
    )
    .unwrap();
    let store = place.directory.path();
    let listed = all(store, &store.join("profiles")).unwrap();
    assert!(listed[0].summary.as_ref().unwrap().complete);
}

#[test]
fn what_has_changed_is_read_anew() {
    let place = Place::new();
    place.add("web", FIRST);
    place.look();
    place.rename("web", FIRST, "edited");
    assert_eq!(place.look(), [format!("{FIRST} edited")]);
    assert!(place.index().contains("edited"));
    place.add("web", SECOND);
    place.add("db", FIRST);
    assert_eq!(place.look().len(), 3);
    std::fs::remove_dir_all(place.profile("web", FIRST).parent().unwrap()).unwrap();
    assert_eq!(place.look().len(), 2);
    std::fs::remove_dir_all(place.directory.path().join("profiles/db")).unwrap();
    assert_eq!(place.look().len(), 1);
    assert!(!place.index().contains("\"db\""));
}

#[test]
fn what_has_just_been_written_is_not_kept() {
    let place = Place::new();
    place.add("web", FIRST);
    assert_eq!(place.store.list().unwrap().0.len(), 1);
    assert!(!place.index().contains("\"web\""));
}

#[test]
fn an_unreadable_profile_is_told_each_time() {
    let place = Place::new();
    place.add("web", FIRST);
    std::fs::write(place.profile("web", FIRST), "{").unwrap();
    for _ in 0..2 {
        assert_eq!(place.look(), [format!("{FIRST} unreadable")]);
    }
}

#[test]
fn an_index_that_others_can_write_or_that_is_damaged_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.add("web", FIRST);
    let expected = place.look();
    let path = place.directory.path().join(NAME);
    for (content, mode) in [
        (place.index().replace("web", "evil"), 0o666),
        ("capprof.index/v0\n".to_owned(), 0o600),
        (format!("{HEADER}\n{{\n\u{0}"), 0o600),
        (place.index()[..place.index().len() / 2].to_owned(), 0o600),
    ] {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(place.look(), expected);
    }
}
