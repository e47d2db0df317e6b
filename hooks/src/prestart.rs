//! The prestart hook: arms the recorders. Runs between the runtime's set-up of the namespaces and the container's program.

use crate::collect::{ARMED, Armed};
use crate::{ebpf, selinux};
use anyhow::{Context, bail};
use capprof_profile::observation::Recorder;
use capprof_profile::recording::{
    Directory, Process, Recorders, Recording, Scope, restore_configuration,
};
use capprof_profile::result::RecorderReport;
use oci_spec::runtime::State;

/// Arms every recorder that the recording wants. `state` is the container's, as JSON, or why it could not be read.
///
/// # Errors
/// The recording cannot be read, or no recorder could be armed. Then nothing stays behind: config.json is the engine's
/// again and the recording is gone, since crun runs no poststop hook after a failed create.
pub(crate) fn run(directory: &Directory, state: anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    let recording = directory.load()?;
    let result = state.and_then(|state| arm(directory, &recording, &state));
    if result.is_err() {
        let restored = restore_configuration(directory, &recording);
        let removed = directory.remove();
        restored?;
        removed?;
    }
    result
}

fn arm(directory: &Directory, recording: &Recording, state: &[u8]) -> anyhow::Result<()> {
    let state: State =
        serde_json::from_slice(state).context("read the container's state from standard input")?;
    let pid = state
        .pid()
        .context("read the container's state from standard input: it has no pid")?;
    let init = Process::of(pid)
        .with_context(|| format!("read /proc/{pid}/stat: the container's process is gone"))?;
    let mut armed = Armed {
        init,
        ebpf: None,
        selinux: None,
        reports: Vec::new(),
    };
    // Written before anything is armed: whoever finds this recording abandoned must know whose death it waits for.
    directory.save_json(ARMED, &armed)?;

    let verifying = recording.verifies().is_some();
    if verifying && selinux::is_on() {
        let reason = "SELinux: the container ran under the engine's own label; what its type refused was not looked at (ausearch -m AVC shows it)";
        armed
            .reports
            .push(refused(Recorder::Selinux, reason.to_owned()));
    } else if !verifying && recording.recorders != Recorders::Ebpf {
        let report = match selinux::arm(recording, directory, init) {
            Ok(state) => {
                let report = match state.refused() {
                    Some(reason) => refused(Recorder::Selinux, reason.to_owned()),
                    None => recorded(Recorder::Selinux, state.method(), Vec::new()),
                };
                armed.selinux = Some(state);
                report
            }
            // Without the lease the container could not enter the domain of its label.
            Err(error)
                if recording
                    .label
                    .as_ref()
                    .is_some_and(|label| label.scope == Scope::Domain) =>
            {
                return Err(error.into());
            }
            Err(error) => refused(Recorder::Selinux, error.to_string()),
        };
        armed.reports.push(report);
    }
    if recording.recorders != Recorders::Selinux {
        let report = match ebpf::arm(recording, init) {
            Ok(state) => {
                let report = recorded(Recorder::Ebpf, state.method.clone(), state.refused.clone());
                armed.ebpf = Some(state);
                report
            }
            Err(error) => refused(Recorder::Ebpf, error.to_string()),
        };
        armed.reports.push(report);
    }
    if !verifying && !armed.reports.iter().any(|report| report.recorded) {
        armed.release(directory, recording);
        let tried: Vec<String> = armed
            .reports
            .iter()
            .flat_map(|report| report.refused.iter())
            .cloned()
            .collect();
        bail!(
            "arm recorders: nothing can be recorded on this host: {} (see capprofctl doctor)",
            tried.join("; ")
        );
    }
    if let Err(error) = directory.save_json(ARMED, &armed) {
        // What is armed and not written down would stay armed for ever.
        armed.release(directory, recording);
        return Err(error.into());
    }
    Ok(())
}

fn recorded(recorder: Recorder, method: String, refused: Vec<String>) -> RecorderReport {
    RecorderReport {
        recorder,
        recorded: true,
        method,
        refused,
    }
}

fn refused(recorder: Recorder, reason: String) -> RecorderReport {
    RecorderReport {
        recorder,
        recorded: false,
        method: String::new(),
        refused: vec![reason],
    }
}
