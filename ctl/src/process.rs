//! Runs engines' programs as children of this process, and ends them.

use crate::launch::{LaunchedContainer, Prepared};
use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The time between two looks at a process.
const TICK: Duration = Duration::from_millis(10);

/// The time that capprofctl waits for the engine's program between two attempts to remove its container.
const PAUSE: Duration = Duration::from_millis(250);

/// The time within which a newly started engine must report its container's id. After it, the engine's program is ended.
const ID_APPEARS: Duration = Duration::from_secs(3);

/// The time limit for an engine to remove a container, and for its program to notice.
const REMOVAL: Duration = Duration::from_secs(60);

/// Returns a flag that is set from now on when this program is asked to stop: by Ctrl-C, by SIGTERM, or because the terminal is gone.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("catch signals")?;
    }
    Ok(interrupted)
}

/// Removes the container and waits for the engine's program to end. The engine may not have made the container yet, or not have reported its id, so
/// removal is repeated until the program has ended. `id` keeps a known id, because podman removes the file with the id together with the container.
pub(crate) fn stop(prepared: &Prepared, program: &mut Child, id: &mut Option<String>) {
    let started = Instant::now();
    let mut remove = || {
        *id = id.take().or_else(|| prepared.container.id());
        if let Some(id) = id.as_deref() {
            remove(&prepared.container, id);
        }
        id.is_some()
    };
    loop {
        let known = remove();
        if ends_within(program, PAUSE) {
            break;
        }
        // A runtime that is killed while it cleans up runs no poststop hook.
        if started.elapsed() >= REMOVAL || (!known && started.elapsed() >= ID_APPEARS) {
            end(program);
            break;
        }
    }
    // The container may have been made, or its id reported, after the last look.
    remove();
}

/// Asks the container's program to end, and waits this long for the engine's program to notice. Capabilities that a program needs to end count too.
pub(crate) fn ask_to_end(
    prepared: &Prepared,
    program: &mut Child,
    id: &mut Option<String>,
    grace: Duration,
) {
    *id = id.take().or_else(|| prepared.container.id());
    let Some(id) = id.as_deref() else {
        return;
    };
    run_quietly(
        &mut prepared.container.stop(id, grace.as_secs()),
        grace + REMOVAL,
    );
    // Some engines return before the program has ended. For a container in the background this is all that can be seen.
    if !prepared.container.detached {
        ends_within(program, grace);
    }
}

/// Removes a container; a container that is gone is no error.
pub(crate) fn remove(container: &LaunchedContainer, id: &str) {
    for mut command in container.remove(id) {
        run_quietly(&mut command, REMOVAL);
    }
}

/// Runs a command without input and output. It is ended if it takes longer than `limit`; its result does not matter.
fn run_quietly(command: &mut Command, limit: Duration) {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    if let Ok(mut child) = child
        && !ends_within(&mut child, limit)
    {
        end(&mut child);
    }
}

/// Returns true if a process ends within this time.
pub(crate) fn ends_within(child: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(TICK);
    }
    true
}

/// Ends a process, and all others in its process group if it has one of its own.
pub(crate) fn end(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
