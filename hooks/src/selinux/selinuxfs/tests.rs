use super::*;

fn boolean(name: &str) -> Switch {
    Switch::Boolean(name.to_owned())
}

#[test]
fn what_is_written_and_not_committed_is_withdrawn_without_a_commit() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("booleans")).unwrap();
    fs::write(root.path().join("booleans/b"), "0 1").unwrap();
    fs::write(root.path().join("commit_pending_bools"), "").unwrap();
    let selinuxfs = Selinuxfs::at(root.path().to_owned());
    let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    selinuxfs.withdraw(&boolean("b")).unwrap();
    assert!(read("booleans/b").starts_with('0'));
    assert_eq!(read("commit_pending_bools"), "");
    // A boolean that was not written is not changed.
    fs::write(root.path().join("booleans/b"), "1 1").unwrap();
    selinuxfs.withdraw(&boolean("b")).unwrap();
    assert_eq!(read("booleans/b"), "1 1");
    selinuxfs.withdraw(&boolean("absent")).unwrap();
}

#[test]
fn the_kernels_files_are_written_as_it_wants_them() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("booleans")).unwrap();
    for (name, value) in [
        ("enforce", "1"),
        ("booleans/b", "1 1"),
        ("commit_pending_bools", ""),
    ] {
        fs::write(root.path().join(name), value).unwrap();
    }
    let selinuxfs = Selinuxfs::at(root.path().to_owned());
    assert_eq!(selinuxfs.get(&Switch::Enforcing).unwrap(), Some(true));
    assert_eq!(selinuxfs.get(&boolean("b")).unwrap(), Some(true));
    assert_eq!(selinuxfs.get(&boolean("absent")).unwrap(), None);
    selinuxfs
        .set(&[(&Switch::Enforcing, false), (&boolean("b"), false)])
        .unwrap();
    let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    assert_eq!(read("enforce"), "0");
    assert!(read("booleans/b").starts_with('0'));
    assert_eq!(read("commit_pending_bools"), "1");
    assert_eq!(
        selinuxfs.booleans(|_| true).unwrap(),
        [("b".to_owned(), false)]
    );
    assert_eq!(selinuxfs.booleans(|name| name != "b").unwrap(), []);
}
