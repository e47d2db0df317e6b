//! Recorded systemd services: the command that a drop-in makes systemd execute before the service's program, and the removal of leftover drop-ins.

use crate::recorder::Recorder;
use crate::recorders::ArmedRecorders;
use crate::{ebpf, journal};
use capprof_profile::error::line;
use capprof_store::drop_in;
use capprof_store::file::{self, Attributes};
use capprof_store::recording::{ARMED, Directory, JOINED};
use capprof_store::systemctl;
use serde::Deserialize;

/// Makes the recorder record all programs that systemd executes in this process's control group from now on. Recording must not keep a service from
/// starting, so errors are only logged, and a recording that is gone is ignored.
pub(crate) fn join(directory: &Directory) {
    if let Ok(true) = directory.exists()
        && let Err(error) = enter(directory)
    {
        let path = directory.path().display();
        journal::warning(&format!("join {path}: {}", line(error.as_ref())));
    }
}

fn enter(directory: &Directory) -> anyhow::Result<()> {
    let armed: ArmedRecorders = directory.load_json(ARMED)?;
    for recorder in armed.recorders {
        if let Some(state) = &recorder.state
            && recorder.report.recorder == ebpf::Ebpf.name()
        {
            ebpf::enter_own(&ebpf::EbpfState::deserialize(state)?)?;
        }
    }
    Ok(file::write(
        &directory.path().join(JOINED),
        b"",
        Attributes::Mode(0o600),
    )?)
}

/// Removes drop-ins whose process is gone, and restarts services that run with the capabilities of such a drop-in. Returns a line for each action,
/// and the errors.
pub(crate) fn sweep() -> (Vec<String>, Vec<String>) {
    let mut done = Vec::new();
    let mut errors = Vec::new();
    for abandoned in drop_in::abandoned() {
        let path = abandoned.path.display();
        if let Err(error) = drop_in::remove(&abandoned.path) {
            errors.push(error.to_string());
            continue;
        }
        done.push(format!("removed drop-in {path}, whose process is gone"));
        let mut calls = vec![systemctl::reload()];
        if abandoned.changes {
            calls.push(systemctl::restart_if_active(&abandoned.unit));
        }
        errors.extend(
            calls
                .into_iter()
                .filter_map(|call| call.err().map(|error| error.to_string())),
        );
    }
    (done, errors)
}
