use super::super::index::YOUNG;
use super::super::pieces::Selection;
use super::*;
use crate::profiles::{Files, Store};
use capprof_profile::fixtures::{full_evidence, host, recording, reports};
use std::path::PathBuf;

const FIRST: &str = "20260101T000000Z-00000001";
const SECOND: &str = "20260101T000000Z-00000002";
const THIRD: &str = "20260101T000000Z-00000003";

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
        let profile = capprof_profile::recorded_profile::profile(
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

    /// The store as a reader sees it when all files are old enough for the index.
    fn look(&self) -> Vec<String> {
        let later = SystemTime::now() + 2 * YOUNG;
        let store = self.directory.path();
        let listing = Listing::at(store, &store.join("profiles"), later).unwrap();
        let mut rows = listing.rows();
        let mut found = Vec::new();
        while let Some(listed) = rows.next().unwrap() {
            let name = match listed.summary() {
                Some((summary, _)) => summary.name.clone().unwrap_or_default(),
                None => "unreadable".to_owned(),
            };
            found.push(format!("{} {name}", listed.recording));
        }
        found
    }

    fn write_index(&self, content: &str) {
        let path = self.directory.path().join(NAME);
        file::write(&path, content.as_bytes(), Attributes::Mode(0o600)).unwrap();
    }

    /// Gives every profile another name in the index than in its file.
    fn edit_index(&self) {
        let mut content = format!("{HEADER}\n").into_bytes();
        for line in self.index().split_inclusive('\n').skip(1) {
            let mut entry = Line::parse(line.as_bytes()).unwrap().entry().unwrap();
            entry.summary.name = Some("from the index".to_owned());
            entry.write_to(&mut content).unwrap();
        }
        self.write_index(std::str::from_utf8(&content).unwrap());
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
    place.edit_index();
    assert_eq!(place.look(), [format!("{FIRST} from the index")]);
    // Nor is it if the container has another profile now.
    place.add("web", SECOND);
    let found = place.look();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], format!("{FIRST} from the index"));
}

#[test]
fn a_line_that_is_lost_or_there_twice_is_noticed() {
    let place = Place::new();
    place.add("web", FIRST);
    place.add("web", SECOND);
    place.add("db", FIRST);
    let expected = place.look();
    assert_eq!(expected.len(), 3);
    let index = place.index();
    let lines: Vec<&str> = index.lines().collect();
    assert_eq!(lines.len(), 4);
    for number in 1..lines.len() {
        let mut some = lines.clone();
        some.remove(number);
        place.write_index(&(some.join("\n") + "\n"));
        assert_eq!(place.look(), expected);
        some.extend([lines[number]; 2]);
        place.write_index(&(some.join("\n") + "\n"));
        assert_eq!(place.look(), expected);
    }
}

#[test]
fn what_the_index_lacks_is_listed_in_its_place() {
    let place = Place::new();
    place.add("web", FIRST);
    place.add("web", THIRD);
    place.look();
    place.add("db", SECOND);
    let listed = place.store.list().unwrap().0;
    let order: Vec<&str> = listed.iter().map(|it| it.recording_id.as_str()).collect();
    assert_eq!(order, [THIRD, SECOND, FIRST]);
}

#[test]
fn an_index_is_compared_whole_in_whichever_parts() {
    let place = Place::new();
    for number in 0..20 {
        place.add(&format!("container-{number}"), FIRST);
    }
    place.look();
    let store = place.directory.path();
    let profiles = store.join("profiles");
    let mut listing = Listing::of(store, &profiles).unwrap();
    let directory = Directory::open(&profiles).unwrap().unwrap();
    for part in 1..1000 {
        let (outdated, containers) = listing.compare(&directory, part).unwrap();
        assert_eq!(outdated, Outdated::default());
        assert_eq!(containers.len(), 20);
        assert_eq!(listing.known.len(), 20, "parts of {part} bytes");
    }
}

#[test]
fn pieces_have_the_chosen_profiles_in_their_order() {
    let place = Place::new();
    for number in 0..20 {
        place.add(&format!("container-{number}"), FIRST);
        place.add(&format!("container-{number}"), SECOND);
    }
    let chosen = |size: u64, since: Option<&str>, limit| {
        let store = place.directory.path();
        let later = SystemTime::now() + YOUNG * 2;
        let listing = Listing::at(store, &store.join("profiles"), later).unwrap();
        let selection = Selection {
            since: since.map(str::to_owned),
            limit,
            accept: |summary: &Summary| summary.container_id != "container-7",
        };
        let mut all = Vec::new();
        let work = |piece: &mut Vec<(String, String)>, summary: &Summary| {
            piece.push((summary.recording_id.clone(), summary.container_id.clone()));
        };
        let done = |piece: Vec<(String, String)>| -> Result<(), Error> {
            all.extend(piece);
            Ok(())
        };
        listing.in_pieces_of(size, &selection, work, done).unwrap();
        assert!(all.is_sorted_by(|one, other| one > other), "{all:?}");
        all.len()
    };
    // The first time there is no index yet.
    assert_eq!(chosen(1 << 10, None, None), 38);
    for size in (1..3000).step_by(7) {
        assert_eq!(chosen(size, None, None), 38, "pieces of {size} bytes");
    }
    assert_eq!(chosen(1 << 10, Some(SECOND), None), 19);
    assert_eq!(chosen(1 << 10, None, Some(5)), 5);
}

#[test]
fn what_has_changed_is_read_again() {
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
fn an_unreadable_profile_is_reported_each_time() {
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

#[test]
fn a_damaged_line_is_not_believed() {
    let place = Place::new();
    place.add("web", FIRST);
    place.add("db", SECOND);
    let expected = place.look();
    let index = place.index();
    // A crash may leave zeros in place of the content.
    for at in HEADER.len() + 1..index.len() {
        let mut damaged = index.clone().into_bytes();
        damaged[at] = 0;
        place.write_index(std::str::from_utf8(&damaged).unwrap());
        assert_eq!(place.look(), expected, "byte {at}");
    }
}

#[test]
fn whoever_lists_while_others_list_and_add_sees_what_was_there() {
    let place = Place::new();
    place.add("web", FIRST);
    place.look();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for turn in 0..10 {
                    place.add(&format!("container-{number}-{turn}"), SECOND);
                    let found = place.look();
                    assert!(found.len() > turn + 1, "{found:?}");
                    assert!(found.last().unwrap().starts_with(FIRST));
                }
            });
        }
    });
    assert_eq!(place.look().len(), 41);
}
