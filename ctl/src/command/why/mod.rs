//! `capprofctl why`

mod stored;
mod watched;

use crate::cli::{ListFormat, WhyOptions};
use crate::exit::Exit;
use crate::{hook, output, render};
use anyhow::{Context, bail};
use capprof_profile::printable;
use capprof_profile::why::report::RefusalReport;
use capprof_store::profiles::Store;
use std::fs;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs a command, watches a running container, or reads a finished recording, and reports the refusals and their causes. The exit status is
/// the command's.
///
/// # Errors
/// The hook binary could not watch, or there is no such container and no such recording. A command that could not be started is no error of this
/// program: it has the status 126 or 127.
pub(crate) fn run(
    options: &WhyOptions,
    store: impl Fn() -> anyhow::Result<Store>,
) -> anyhow::Result<Exit> {
    let report = tempfile::NamedTempFile::new().context("make a temporary file")?;
    let mut hook = Command::new(hook::find()?);
    hook.arg("why").arg(report.path());
    let status = match &options.container {
        None => watched::run(&mut hook, &options.command)?,
        Some(container) => {
            let pid = match process_of(container) {
                Ok(pid) => pid,
                // A container that does not run may have left a recording.
                Err(error) => {
                    let store = store()?;
                    return match store.find(container) {
                        Ok(found) => finished(&stored::report(&store, &found.profile)?, options),
                        Err(_) => Err(error),
                    };
                }
            };
            hook.arg(pid.to_string());
            hook.args(options.seconds.map(|seconds| seconds.to_string()));
            run_to_its_end(&mut hook)?;
            None
        }
    };
    let text = fs::read_to_string(report.path()).context("read the report of capprof-hook why")?;
    if text.is_empty() {
        // The hook binary has printed the reason.
        return Ok(Exit::Error);
    }
    let mut report: RefusalReport =
        serde_json::from_str(&text).context("read the report of capprof-hook why")?;
    report.exit_status = status.map(i32::from);
    show(&report, options)?;
    Ok(status.map_or(Exit::Success, Exit::Command))
}

fn finished(report: &RefusalReport, options: &WhyOptions) -> anyhow::Result<Exit> {
    show(report, options)?;
    Ok(Exit::Success)
}

/// Waits for the helper to end. The terminal sends its signals to the helper as well, so this process ignores them and lets the helper react.
fn run_to_its_end(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let seen = Arc::<AtomicBool>::default();
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT] {
        signal_hook::flag::register(signal, Arc::clone(&seen)).context("catch signals")?;
    }
    command
        .status()
        .with_context(|| format!("run {}", command.get_program().display()))
}

fn show(report: &RefusalReport, options: &WhyOptions) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    let plain = |styles: &render::Styles| match options.format {
        ListFormat::Json => printable::json(&json) + "\n",
        ListFormat::Text => render::refusals(report, styles),
    };
    match &options.output {
        Some(path) => fs::write(path, plain(&render::Styles::default()))
            .with_context(|| format!("write {}", path.display())),
        None if options.container.is_some() => output::print(&plain(&output::styles())),
        None => output::print_error(&plain(&output::styles())),
    }
}

/// Finds the first process of a running container, by the name in its engine or runtime, or by the process's id.
fn process_of(container: &str) -> anyhow::Result<u32> {
    if let Ok(pid) = container.parse() {
        return Ok(pid);
    }
    let ask: [(&str, &[&str]); 4] = [
        ("docker", &["inspect", "--format", "{{.State.Pid}}"]),
        ("podman", &["inspect", "--format", "{{.State.Pid}}"]),
        ("runc", &["state"]),
        ("crun", &["state"]),
    ];
    for (engine, arguments) in ask {
        let answer = Command::new(engine).args(arguments).arg(container).output();
        let Ok(answer) = answer.map(|answer| answer.stdout) else {
            continue;
        };
        let text = String::from_utf8_lossy(&answer);
        let pid = text.trim().parse().ok().or_else(|| {
            let state: serde_json::Value = serde_json::from_str(&text).ok()?;
            state.get("pid")?.as_u64()?.try_into().ok()
        });
        match pid {
            Some(0) => bail!("container {container} does not run"),
            Some(pid) => return Ok(pid),
            None => {}
        }
    }
    bail!(
        "find container {container}: docker, podman, runc and crun know no such container that runs (give the number of a process in it), and there is no recording of it"
    )
}
