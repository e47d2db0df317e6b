//! The prestart hook: arms the recorders. It runs after the runtime has set up the namespaces and before the container's program.

use crate::recorder::{ArmedRecorder, Recorder};
use crate::recorders::{ArmedRecorders, RECORDERS};
use crate::{container_state, journal};
use anyhow::{Context, anyhow, bail};
use capprof_profile::error::line;
use capprof_profile::recording::{Mode, Process, Recording};
use capprof_store::process;
use capprof_store::recording::{ARMED, Directory};
use oci_spec::runtime::State;

/// Arms every recorder that the recording wants. `state` is the container's state as JSON, or the error of reading it.
///
/// # Errors
/// The recording cannot be read, the state is another container's, or no recorder could be armed. Then the recording is removed, because crun runs
/// no poststop hook after a failed create; but another container's recording stays. Observing must not keep a container from running, so its
/// errors are only logged.
pub fn run(directory: &Directory, state: anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    let recording = directory.load()?;
    let state = match state {
        Ok(state) => Ok(container_state::parse(&state, directory, &recording)?),
        Err(error) => Err(error),
    };
    let result = state
        .and_then(|state| first_process(&state))
        .and_then(|init| arm(directory, &recording, init));
    let result = result.map_err(|error| match directory.remove() {
        Ok(()) => error,
        Err(other) => anyhow!("{}; {other}", line(error.as_ref())),
    });
    match result {
        Err(error) if recording.mode == Mode::Observe => {
            let id = &recording.container.id;
            journal::warning(&format!(
                "container {id} is not observed: {}",
                line(error.as_ref())
            ));
            Ok(())
        }
        result => result,
    }
}

/// The container's first process, from the state that the runtime passes to its hooks.
fn first_process(state: &State) -> anyhow::Result<Process> {
    let pid = state
        .pid()
        .context("read the container's state from standard input: it has no pid")?;
    process::find(pid)
        .with_context(|| format!("read /proc/{pid}/stat: the container's process is gone"))
}

/// Arms every recorder that the recording wants for the container with this first process.
///
/// # Errors
/// No recorder could be armed; then nothing stays armed.
pub(crate) fn arm(
    directory: &Directory,
    recording: &Recording,
    init: Process,
) -> anyhow::Result<()> {
    if is_armed(directory, init) {
        return Ok(());
    }
    let mut armed = ArmedRecorders::new(init);
    // This is written before anything is armed, because recovery must know the process for which an abandoned recording waits.
    directory.save_json(ARMED, &armed)?;
    let result = arm_each(directory, recording, &mut armed)
        .and_then(|()| Ok(directory.save_json(ARMED, &armed)?));
    if result.is_err() {
        // A recorder that was armed but not written down would stay armed for ever. The first error is reported.
        armed.release(directory, recording);
        for forget in armed.forget_each() {
            let _ = forget();
        }
    }
    result
}

/// Returns true if the recorders are already armed for this process. runc 1.1 runs the prestart hooks of a container without a mount namespace of its
/// own twice (libcontainer/process_linux.go; findings/runc-hooks-twice.sh); the recorders of the first run would then belong to no recording.
fn is_armed(directory: &Directory, init: Process) -> bool {
    directory
        .load_json::<ArmedRecorders>(ARMED)
        .is_ok_and(|armed| armed.init == init && !armed.recorders.is_empty())
}

fn arm_each(
    directory: &Directory,
    recording: &Recording,
    armed: &mut ArmedRecorders,
) -> anyhow::Result<()> {
    for recorder in RECORDERS {
        if recorder.is_wanted(recording) {
            armed
                .recorders
                .push(arm_one(recorder, directory, recording, armed.init)?);
        }
    }
    let reports = armed.reports();
    if recording.verifies().is_none() && !reports.iter().any(|report| report.recorded) {
        let tried: Vec<String> = reports
            .into_iter()
            .flat_map(|report| report.refused)
            .collect();
        bail!(
            "arm recorders: nothing can be recorded on this host: {} (see capprofctl doctor)",
            tried.join("; ")
        );
    }
    Ok(())
}

fn arm_one(
    recorder: &dyn Recorder,
    directory: &Directory,
    recording: &Recording,
    init: Process,
) -> anyhow::Result<ArmedRecorder> {
    match recorder.arm(recording, directory, init) {
        Err(error) if !recorder.is_required(recording) => {
            let reason = line(error.as_ref());
            Ok(ArmedRecorder::refused(recorder.name(), reason, None))
        }
        result => result,
    }
}
