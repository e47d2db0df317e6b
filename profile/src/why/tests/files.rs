//! Files, directories and mounts.

use super::{check, executes, only, overrides, reads, refused, refused_file, step, to, user};
use crate::why::Cause;
use crate::why::facts::{AclEntry, Errno, FileKind, IdRange, Intent, Mount, ReadOnly, Walk};
use crate::{Capability, CapabilitySet};

#[test]
fn a_mode_is_told_with_its_owner_and_what_would_do() {
    let file = step("/secret", FileKind::File, 0o600, 33);
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.checks = overrides();
    let cause = only(&facts);
    assert_eq!(
        cause.to_string(),
        "file mode 0600, owner 33:33, of /secret does not let it read"
    );
    assert_eq!(
        cause.remedy().as_deref(),
        Some("CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH or uid 33")
    );
}

#[test]
fn a_directory_on_the_way_is_the_cause_before_the_file() {
    let file = step("/d/f", FileKind::File, 0o644, 0);
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.checks = overrides();
    let directory = step("/d", FileKind::Directory, 0o700, 5);
    facts.walk.as_mut().unwrap().passed.push(directory);
    assert!(
        matches!(only(&facts), Cause::FileMode { path, wanted, .. } if path == "/d" && wanted == "pass through")
    );
}

#[test]
fn a_list_decides_before_the_mode() {
    let entry = |tag, permissions, id| AclEntry {
        tag,
        permissions,
        id,
    };
    let mut file = step("/f", FileKind::File, 0o644, 0);
    file.acl = vec![
        entry(1, 6, 0),
        entry(2, 0, 1000),
        entry(4, 4, 0),
        entry(16, 7, 0),
        entry(32, 4, 0),
    ];
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.checks = overrides();
    assert!(matches!(only(&facts), Cause::FileMode { acl: true, .. }));
}

#[test]
fn a_program_without_permission_to_execute_is_no_matter_of_capabilities() {
    let file = step("/run.sh", FileKind::File, 0o644, 0);
    let mut facts = refused_file("execve", Errno::EACCES, executes(), file);
    facts.credentials = user(0);
    facts.credentials.effective = CapabilitySet::from_bits(u64::MAX);
    assert_eq!(only(&facts).remedy().as_deref(), Some("chmod +x /run.sh"));
    facts.walk = to(step("/dir", FileKind::Directory, 0o755, 0));
    assert!(matches!(
        only(&facts),
        Cause::NotExecutable { special: true, .. }
    ));
}

#[test]
fn a_script_fails_for_its_interpreter() {
    let file = step("/run.sh", FileKind::File, 0o755, 0);
    let mut facts = refused_file("execve", Errno::EACCES, executes(), file);
    facts.walk.as_mut().unwrap().interpreters = to(step("/interpreter", FileKind::File, 0o644, 0))
        .into_iter()
        .collect();
    assert!(matches!(only(&facts), Cause::NotExecutable { path, .. } if path == "/interpreter"));
}

#[test]
fn capabilities_do_not_count_for_owners_that_are_not_mapped() {
    let file = step("/secret", FileKind::File, 0o600, 33);
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.credentials.effective = CapabilitySet::from_bits(u64::MAX);
    facts.credentials.user_level = 1;
    facts.credentials.uid_map = vec![IdRange {
        inside: 0,
        outside: 1000,
        count: 1,
    }];
    assert!(matches!(only(&facts), Cause::UnmappedOwner { uid: 33, .. }));
}

#[test]
fn a_read_only_mount_is_told_from_a_read_only_file_system() {
    for by in [ReadOnly::Mount, ReadOnly::FileSystem] {
        let mut file = step("/sys/x", FileKind::File, 0o644, 0);
        file.mount.point = "/sys".to_owned();
        file.mount.read_only = Some(by);
        let intent = Intent {
            write: true,
            ..Intent::default()
        };
        let facts = refused_file("openat", Errno::EROFS, intent, file);
        assert!(
            matches!(only(&facts), Cause::ReadOnly { mount, by: found } if mount == "/sys" && found == by)
        );
    }
}

#[test]
fn a_masked_directory_is_no_ordinary_read_only_mount() {
    let mut facts = refused("mkdir", Errno::EROFS);
    facts.intent = Intent {
        create: true,
        exclusive: true,
        ..Intent::default()
    };
    let mut directory = step("/proc/acpi", FileKind::Directory, 0o555, 0);
    directory.mount = Mount {
        point: "/proc/acpi".to_owned(),
        file_system: "tmpfs".to_owned(),
        read_only: Some(ReadOnly::Mount),
        ..Mount::default()
    };
    facts.walk = Some(Walk {
        passed: vec![directory],
        whole: true,
        ..Walk::default()
    });
    assert!(matches!(only(&facts), Cause::MaskedPath { path } if path == "/proc/acpi"));
}

#[test]
fn flags_of_a_mount_are_told() {
    let mut file = step("/tmp/x", FileKind::File, 0o755, 0);
    file.mount.noexec = true;
    let facts = refused_file("execve", Errno::EACCES, executes(), file.clone());
    assert!(matches!(only(&facts), Cause::NoExec { .. }));

    let maps = Intent {
        map_executable: true,
        ..Intent::default()
    };
    let facts = refused_file("mmap", Errno::EPERM, maps, file);
    assert!(matches!(only(&facts), Cause::NoExec { .. }));

    let mut device = step("/dev/x", FileKind::Character, 0o666, 0);
    device.mount.nodev = true;
    let facts = refused_file("openat", Errno::EACCES, reads(), device);
    assert!(matches!(only(&facts), Cause::NoDev { .. }));
}

#[test]
fn attributes_of_a_file_are_told() {
    let removes = Intent {
        remove: true,
        ..Intent::default()
    };
    let mut file = step("/f", FileKind::File, 0o644, 0);
    file.immutable = true;
    let facts = refused_file("unlinkat", Errno::EPERM, removes, file.clone());
    assert_eq!(only(&facts).remedy().as_deref(), Some("chattr -i /f"));
    file.immutable = false;
    file.append_only = true;
    let facts = refused_file("unlinkat", Errno::EPERM, removes, file);
    assert_eq!(only(&facts).remedy().as_deref(), Some("chattr -a /f"));
}

#[test]
fn another_users_file_needs_its_owner() {
    let changes = Intent {
        attributes: true,
        ..Intent::default()
    };
    let file = step("/f", FileKind::File, 0o644, 5);
    let mut facts = refused_file("fchmodat", Errno::EPERM, changes, file);
    facts.checks = vec![check(
        Capability::FOWNER,
        "capable_wrt_inode_uidgid inode_owner_or_capable setattr_prepare",
    )];
    assert_eq!(
        only(&facts).remedy().as_deref(),
        Some("CAP_FOWNER or uid 5")
    );
}

#[test]
fn a_sticky_directory_is_told() {
    let removes = Intent {
        remove: true,
        ..Intent::default()
    };
    let file = step("/f", FileKind::File, 0o644, 5);
    let mut facts = refused_file("unlink", Errno::EPERM, removes, file);
    facts.walk.as_mut().unwrap().passed[0].mode = 0o1777;
    facts.checks = vec![check(
        Capability::FOWNER,
        "capable_wrt_inode_uidgid __check_sticky may_delete",
    )];
    assert!(matches!(only(&facts), Cause::Owner { sticky: true, .. }));
}

#[test]
fn protected_links_and_files_are_sysctls() {
    let file = step("/tmp/link", FileKind::File, 0o644, 5);
    let mut facts = refused_file("openat", Errno::EACCES, reads(), file);
    facts.sysctls.insert("fs.protected_symlinks".to_owned(), 1);
    facts.walk.as_mut().unwrap().passed = vec![
        step("/tmp", FileKind::Directory, 0o1777, 0),
        step("/tmp/link", FileKind::Link, 0o777, 5),
    ];
    assert!(matches!(only(&facts), Cause::Sysctl { name, .. } if name == "fs.protected_symlinks"));

    let creates = Intent {
        create: true,
        write: true,
        ..Intent::default()
    };
    let file = step("/tmp/f", FileKind::File, 0o666, 5);
    let mut facts = refused_file("openat", Errno::EACCES, creates, file);
    facts.sysctls.insert("fs.protected_regular".to_owned(), 2);
    facts.walk.as_mut().unwrap().passed = vec![step("/tmp", FileKind::Directory, 0o1777, 0)];
    assert!(matches!(only(&facts), Cause::Sysctl { name, .. } if name == "fs.protected_regular"));
}

#[test]
fn file_capabilities_beyond_the_bounding_set() {
    let file = step("/bin/ping", FileKind::File, 0o755, 0);
    let mut facts = refused_file("execve", Errno::EPERM, executes(), file);
    facts.credentials.bounding = CapabilitySet::default();
    facts.walk.as_mut().unwrap().file_capabilities =
        Some(([Capability::NET_RAW].into_iter().collect(), true));
    assert_eq!(
        only(&facts).remedy().as_deref(),
        Some("CAP_NET_RAW in the bounding set")
    );
}
