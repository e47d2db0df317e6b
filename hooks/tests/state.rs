//! The hooks and the container's state on their standard input.

mod recording;

use capprof_store::recording::Directory;
use recording::recording;
use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// If a hook ends before crun has written the whole state, crun dies of SIGPIPE and leaves the container undeleted.
#[test]
fn no_hook_ends_before_its_input_does() {
    let state = tempfile::tempdir().unwrap();
    // Neither hook has anything to do, because there is no such recording.
    let recording = state.path().join("recordings/key.id");
    for hook in ["prestart", "poststop"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_capprof-hook"))
            .arg(hook)
            .arg(&recording)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let early = child.try_wait().unwrap();
        assert!(early.is_none(), "{hook}: {early:?}");
        input.write_all(b"{\"ociVersion\": \"1.0.0\"").unwrap();
        input.write_all(b"}").unwrap();
        drop(input);
        child.wait().unwrap();
    }
}

/// crun runs no poststop hook after a failed create, so leftovers of the prestart hook would stay.
#[test]
fn where_the_state_cannot_be_read_no_recording_is_left() {
    let state = tempfile::tempdir().unwrap();
    let bundle = tempfile::tempdir().unwrap();
    let directory = Directory::create(state.path(), "key", "id").unwrap();
    fs::write(directory.original_configuration(), "{\"engine\": true}").unwrap();
    let recording = recording("id", bundle.path());
    let path = directory.path().join("recording.json");
    fs::write(path, recording.to_string()).unwrap();
    // Reading a directory fails with EISDIR.
    let output = Command::new(env!("CARGO_BIN_EXE_capprof-hook"))
        .arg("prestart")
        .arg(directory.path())
        .stdin(File::open(bundle.path()).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("read the container's state from standard input: Is a directory"),
        "{said}"
    );
    assert!(!directory.path().exists());
}
