//! Bundles, which stay as they are, with the real runc, as root.

use super::containers::*;
use super::*;

#[test]
fn the_bundles_configuration_is_never_touched() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["sleep", "60"]);
    fs::hard_link(fixture.config(), fixture.path("link.json")).unwrap();
    let before = (
        identity(&fixture.config()),
        fs::read(fixture.config()).unwrap(),
    );
    let now = || {
        (
            identity(&fixture.config()),
            fs::read(fixture.config()).unwrap(),
        )
    };
    let held = all();
    {
        let first = Running::new(&fixture, "first");
        assert_eq!(now(), before);
        assert_eq!(first.bounding(), format!("CapBnd:\t{held}\n"));
        let limit = [
            ("CAPPROF_MODE", "enforce"),
            ("CAPPROF_CAPABILITIES", "CAP_KILL"),
        ];
        let second = Running::with(&fixture, "second", &limit);
        assert_eq!(now(), before);
        assert_eq!(second.bounding(), "CapBnd:\t0000000000000020\n");
        assert_eq!(first.bounding(), format!("CapBnd:\t{held}\n"));
        // A container of the bare runtime from the same bundle has what its configuration says.
        let bare = first.shell(&format!(
            "{runc} --root root run --detach -b bundle bare-$ID </dev/null >/dev/null 2>&1; \
             {runc} --root root exec bare-$ID grep CapBnd /proc/self/status; {runc} --root root delete -f bare-$ID"
        ));
        assert_eq!(text(&bare.stdout), "CapBnd:\t0000000020000420\n");
        assert_eq!(fixture.finished().len(), 0);
        assert_eq!(now(), before);
        // An edit while the container runs counts only for the next container.
        fs::remove_file(fixture.path("link.json")).unwrap();
        let mut edited = fixture.read();
        edited["hostname"] = json!("edited");
        edited["process"]["capabilities"] = json!({});
        fixture.write(&edited);
        assert_eq!(second.bounding(), "CapBnd:\t0000000000000020\n");
    }
    assert_eq!(fixture.read()["hostname"], "edited");
    assert!(fixture.recordings().is_empty());
    assert_eq!(fixture.strangers(), [""; 0]);
}

#[test]
fn a_failed_create_leaves_nothing() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["true"]);
    let before = identity(&fixture.config());
    fs::rename(fixture.path("bundle/rootfs"), fixture.path("away")).unwrap();
    let output = fixture.create("run", &unique("failed"));
    assert!(!output.status.success());
    assert_eq!(identity(&fixture.config()), before);
    // The next call finds what is left of the recording.
    assert_eq!(fixture.recordings().len(), 1);
    assert!(fixture.run(&["delete", "nobody"]).status.code().is_some());
    assert!(fixture.path("bin/recover").exists());
}

/// Bundles that cannot be written to, or whose configuration is not where it seems to be.
#[test]
fn any_bundle_that_runc_reads_is_profiled() {
    let Some(runc) = super::containers() else {
        return;
    };
    for (name, prepare) in [
        (
            "read-only",
            "mount --bind $B $B; mount -o remount,bind,ro $B",
        ),
        (
            "mounted",
            "cp $B/config.json c; mount --bind c $B/config.json",
        ),
        (
            "immutable",
            "chattr +i $B/config.json 2>/dev/null || chmod 444 $B/config.json",
        ),
        ("link", "mv $B/config.json c; ln -s $PWD/c $B/config.json"),
        ("shared", "mount --bind $B $B; mount --make-shared $B"),
        ("private", "mount --make-rprivate /"),
    ] {
        let fixture = fixture(&runc, &["grep", "CapBnd", "/proc/self/status"]);
        let script = format!(
            "set -e; B=$1; {prepare}; before=$(cat $B/config.json | sha256sum); \
             \"$0\" --root root run --bundle $B {}; test \"$before\" = \"$(cat $B/config.json | sha256sum)\"; \
             chattr -i $B/config.json 2>/dev/null || true",
            unique(name)
        );
        let output = Command::new("unshare")
            .args(["-m", "--propagation", "shared", "bash", "-c", &script])
            .args([fixture.path("bin/capprof"), fixture.bundle()])
            .env("CAPPROF_CONFIG", fixture.path("config.toml"))
            .current_dir(fixture.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let expected = format!("CapBnd:\t{}\n", all());
        assert_eq!(text(&output.stdout), expected, "{name}");
        let recording = fixture.finished().pop().unwrap().load().unwrap();
        assert_eq!(recording.container.delivery, Delivery::Mount, "{name}");
    }
}

/// The path on the host where runc mounts the root of a container without a mount namespace, and leaves it. Unmounted when this is dropped.
struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let unmount = || {
            let mut umount = Command::new("umount");
            umount.arg(&self.0).stderr(Stdio::null()).status()
        };
        while unmount().is_ok_and(|status| status.success()) {}
    }
}

/// If the shim may not mount, runc gets a bundle of its own.
#[test]
fn a_container_without_a_mount_namespace_gets_a_bundle_of_its_own() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["sleep", "60"]);
    let mut value = fixture.read();
    let namespaces = value["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "mount");
    // runc makes no mounts for such a container.
    value["mounts"] = json!([]);
    value["linux"]["maskedPaths"] = json!([]);
    value["linux"]["readonlyPaths"] = json!([]);
    value["root"]["readonly"] = json!(false);
    value["process"]["args"] = json!(["/bin/sleep", "60"]);
    fixture.write(&value);
    let _mounts = Unmounted(fixture.bundle().join("rootfs"));
    let id = unique("bundle");
    let bare = Command::new(&runc)
        .args([
            "--root",
            fixture.path("bare").to_str().unwrap(),
            "create",
            "--bundle",
        ])
        .args([fixture.bundle().as_os_str(), OsStr::new(&id)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    Command::new(&runc)
        .args([
            "--root",
            fixture.path("bare").to_str().unwrap(),
            "delete",
            "-f",
            &id,
        ])
        .status()
        .unwrap();
    if !bare.success() {
        eprintln!("skipped: this runc makes no container without a mount namespace");
        return;
    }
    let running = Running::new(&fixture, "bundle");
    let (directory, recording) = fixture.recording();
    assert_eq!(recording.container.delivery, Delivery::Bundle);
    let state = running.shell("capprof state $ID");
    let state: Value = serde_json::from_slice(&state.stdout).unwrap();
    assert_eq!(state["bundle"], json!(directory.bundle()));
    assert_eq!(fixture.read(), value);
}

#[test]
fn the_state_names_the_engines_bundle() {
    let Some(runc) = super::containers() else {
        return;
    };
    let fixture = fixture(&runc, &["sleep", "60"]);
    let running = Running::new(&fixture, "state");
    let state = running.shell("capprof state $ID");
    let state: Value = serde_json::from_slice(&state.stdout).unwrap();
    let bundle = fixture.bundle().canonicalize().unwrap();
    assert_eq!(state["bundle"], json!(bundle));
    assert_eq!(state.get("annotations"), None);
}
