//! What the hooks do with the container's state on their standard input.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// crun dies of SIGPIPE when a hook has ended before crun has written all of the state, and leaves the container undeleted.
#[test]
fn no_hook_ends_before_its_input_does() {
    let state = tempfile::tempdir().unwrap();
    // Neither has anything to do: there is no such recording.
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
