//! systemd services that are recorded: what a drop-in has systemd execute before the service's program, and drop-ins that were left.

use crate::recorder::Recorder;
use crate::recorders::ArmedRecorders;
use crate::{ebpf, journal};
use capprof_profile::error::line;
use capprof_store::drop_in;
use capprof_store::file::{self, Attributes};
use capprof_store::recording::{ARMED, Directory, JOINED};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};

/// Has what systemd executes in this process's control group from now on be recorded. To record a service must not keep it from starting: what goes
/// wrong is only logged, and a recording that is gone is passed over in silence.
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

/// Removes drop-ins whose process is gone, and starts services again that run with the capabilities that such a drop-in gave them. Returns a line
/// for each thing that was done, and the errors.
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
        let mut calls = vec![vec!["daemon-reload"]];
        if abandoned.changes {
            // What failed meanwhile must not keep it from starting with its own settings; there may be nothing to forget.
            let _ = systemctl(&["reset-failed", &abandoned.unit]);
            calls.push(vec!["try-restart", &abandoned.unit]);
        }
        for words in calls {
            if let Err(reason) = systemctl(&words) {
                errors.push(format!("systemctl {}: {reason}", words.join(" ")));
            }
        }
    }
    (done, errors)
}

/// Runs systemctl, which is never found through `PATH` here.
fn systemctl(words: &[&str]) -> Result<(), String> {
    let program = ["/usr/bin/systemctl", "/bin/systemctl"]
        .into_iter()
        .find(|program| Path::new(program).exists())
        .ok_or("not there")?;
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
