//! `capprofctl shrink` on programs whose needs a single run cannot show.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 7] = [
    ("what_one_run_cannot_tell", what_one_run_cannot_tell),
    ("a_blind_spot_is_found", a_blind_spot_is_found),
    (
        "a_server_is_judged_by_its_check",
        a_server_is_judged_by_its_check,
    ),
    (
        "an_interrupted_search_goes_on",
        an_interrupted_search_goes_on,
    ),
    ("a_killed_search_goes_on", a_killed_search_goes_on),
    ("an_unreliable_judge_is_told", an_unreliable_judge_is_told),
    (
        "a_terminal_gets_a_bar_in_lines_of_its_own",
        a_terminal_gets_a_bar_in_lines_of_its_own,
    ),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    Test::each(environment, "shrink", Some("auto"), &BODIES)
}

fn set(members: &[Capability]) -> CapabilitySet {
    members.iter().copied().collect()
}

/// A container that has been profiled.
fn profiled(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    script: &str,
) -> anyhow::Result<Container> {
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    let output = container.run()?;
    ensure!(output.status.success(), "profiling: {output:?}");
    Ok(container)
}

/// `capprofctl shrink last OPTIONS -- RUNTIME run --bundle … ID`.
fn shrink(container: &Container, options: &[&str]) -> anyhow::Result<Command> {
    let arguments = [&["shrink", "last"], options].concat();
    container.ctl_with_runtime(&arguments)
}

fn finish(command: &mut Command) -> anyhow::Result<(Output, String)> {
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output, errors))
}

fn stored(container: &Container) -> anyhow::Result<(PathBuf, Profile)> {
    let profiles = container.store().join("profiles").join(&container.id);
    let directory = fs::read_dir(&profiles)?
        .next()
        .context("no profile")??
        .path();
    let profile = serde_json::from_slice(&fs::read(directory.join("capprof.json"))?)?;
    Ok((directory, profile))
}

/// The search ends with exactly this, keeps its promise, and leaves nothing.
fn expect(
    container: &Container,
    options: &[&str],
    expected: &[Capability],
) -> anyhow::Result<Profile> {
    let (output, errors) = finish(&mut shrink(container, options)?)?;
    ensure!(output.status.success(), "{}: {errors}", output.status);
    let (directory, profile) = stored(container)?;
    let shrunk = profile.shrunk.as_ref().context("nothing in the profile")?;
    ensure!(
        shrunk.set == set(expected),
        "expected {}, found {}: {errors}",
        set(expected),
        shrunk.set
    );
    ensure!(
        shrunk.left_out == profile.findings.minimized.difference(shrunk.set),
        "{shrunk:?}"
    );
    let state: Value = serde_json::from_slice(&fs::read(directory.join("shrink.json"))?)?;
    let runs = state["runs"].as_array().context("runs")?;
    ensure!(
        runs.len() as u64 <= state["promised"].as_u64().unwrap_or_default()
            && runs.len() == shrunk.runs,
        "more runs than promised: {state}"
    );
    let distinct: BTreeSet<String> = runs
        .iter()
        .map(|run| format!("{} {}", run["set"], run["again"]))
        .collect();
    ensure!(
        distinct.len() == runs.len(),
        "a run was made twice: {state}"
    );
    // Without colours and bars if no user watches.
    ensure!(
        errors.contains("run 1 of at most ") && !errors.contains('\u{1b}'),
        "{errors}"
    );
    for member in shrunk.left_out.iter() {
        let line = format!("not needed: {member}, which had looked needed: ");
        ensure!(
            String::from_utf8_lossy(&output.stdout).contains(&line),
            "{output:?}"
        );
    }
    expect_nothing_left(container)?;
    Ok(profile)
}

fn expect_nothing_left(container: &Container) -> anyhow::Result<()> {
    let left = container.recordings()?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    let state = container.path("runtime").join(&container.id);
    ensure!(!state.exists(), "the container is still there");
    Ok(())
}

fn what_one_run_cannot_tell(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    for (script, expected) in [
        ("exec corpus capget-branch", &[][..]),
        ("exec corpus setuid-fallback", &[]),
        ("exec corpus ptrace-subset", &[]),
        ("exec corpus sys_chroot", &[Capability::SYS_CHROOT]),
        (
            "corpus net_raw && corpus setuid-fallback && corpus kill && corpus ptrace-subset",
            &[Capability::KILL, Capability::NET_RAW],
        ),
    ] {
        let container = profiled(environment, runtime, script)?;
        let before = fs::read(container.bundle().join("config.json"))?;
        let profile = expect(&container, &[], expected).with_context(|| script.to_owned())?;
        ensure!(
            fs::read(container.bundle().join("config.json"))? == before,
            "config.json is not what it was"
        );
        // The search's result is enforced from now on, and a report advises it.
        let (directory, _) = stored(&container)?;
        let config: Value =
            serde_json::from_slice(&fs::read(directory.join("config.shrunk.json"))?)?;
        let bounding: CapabilitySet =
            serde_json::from_value(config["process"]["capabilities"]["bounding"].clone())?;
        ensure!(bounding == set(expected), "config.shrunk.json: {bounding}");
        container.edit(|config| {
            config["annotations"] =
                json!({"io.capprof.mode": "enforce", "io.capprof.profile": profile.origin.recording_id});
        })?;
        let output = container.run()?;
        ensure!(output.status.success(), "{script}: enforced: {output:?}");
        let report = container.ctl(&["report", "last"])?.output()?;
        ensure!(
            String::from_utf8_lossy(&report.stdout).contains("shrunk"),
            "{report:?}"
        );
    }
    Ok(())
}

fn a_blind_spot_is_found(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks")?;
    ensure!(
        protected.trim() != "0",
        "fs.protected_hardlinks is 0: everybody may link"
    );
    let container = profiled(environment, runtime, "exec corpus hard-link-other")?;
    let (_, profile) = stored(&container)?;
    ensure!(
        !profile
            .findings
            .minimized
            .contains(Capability::DAC_OVERRIDE),
        "it is no blind spot any more: {profile:?}"
    );
    let profile = expect(&container, &[], &[Capability::DAC_OVERRIDE])?;
    let added = profile.shrunk.map(|shrunk| shrunk.added);
    ensure!(added == Some(set(&[Capability::DAC_OVERRIDE])), "{added:?}");
    Ok(())
}

/// A profiled server that shows when it is ready, and a check for that.
fn server(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    needs: &str,
) -> anyhow::Result<(Container, String)> {
    let script = format!("{needs} echo ready > /etc/ready && exec corpus wait");
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", &script])?;
    container.edit(|config| config["root"]["readonly"] = json!(false))?;
    let bundle = container.bundle();
    let ready = bundle.join("rootfs/etc/ready");
    let bundle = bundle.to_string_lossy();
    container.capprof_succeeds(&["run", "--detach", "--bundle", &bundle, &container.id])?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::remove_file(&ready).is_err() {
        ensure!(Instant::now() < deadline, "the server does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    container.stop()?;
    Ok((container, format!("rm {}", ready.display())))
}

fn a_server_is_judged_by_its_check(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, check) = server(
        environment,
        runtime,
        "corpus sys_chroot && corpus setuid-fallback && corpus net_raw &&",
    )?;
    let options = ["--check", &check, "--timeout", "20", "--empty-fails"];
    let expected = [Capability::NET_RAW, Capability::SYS_CHROOT];
    expect(&container, &options, &expected)?;
    // The search notices a check that tests nothing, and a set that is too small from the beginning.
    let (output, errors) = finish(&mut shrink(
        &container,
        &["--check", "true", "--empty-fails"],
    )?)?;
    ensure!(
        output.status.code() == Some(1) && errors.contains("passes without any capability"),
        "{errors}"
    );
    let (output, errors) = finish(&mut shrink(
        &container,
        &["--check", "false", "--timeout", "1"],
    )?)?;
    ensure!(
        output.status.code() == Some(1) && errors.contains("the profile's own set does not pass"),
        "{errors}"
    );
    expect_nothing_left(&container)
}

/// Waits until a search has made this many runs and the container of the next run has made this file.
fn wait_for_runs(container: &Container, runs: usize, made_file: &Path) -> anyhow::Result<()> {
    let (directory, _) = stored(container)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let state = fs::read(directory.join("shrink.json"))
            .ok()
            .and_then(|content| serde_json::from_slice::<Value>(&content).ok())
            .unwrap_or_default();
        let made = state["runs"].as_array().map_or(0, Vec::len);
        if made >= runs && state["running"] == true && made_file.exists() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no run under way: {state}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Options of a search that is disturbed. No run waits until its time is over: with too small a set, the container ends by itself.
const PATIENT: [&str; 2] = ["--timeout", "60"];

/// A search that is disturbed in its second run, whose container waits for that.
fn disturbed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    signal: Signal,
) -> anyhow::Result<(Container, String)> {
    let (container, check) = server(
        environment,
        runtime,
        "corpus sys_chroot && corpus setuid-fallback;",
    )?;
    container.edit(|config| {
        config["process"]["args"] = json!([
            "/bin/sh",
            "-c",
            "if [ -e /etc/first ]; then > /etc/second; while [ -e /etc/hold ]; do sleep 0.1; done; fi; > /etc/first; \
             corpus setuid-fallback && corpus sys_chroot && echo ready > /etc/ready && exec corpus wait"
        ]);
    })?;
    let hold = container.bundle().join("rootfs/etc/hold");
    fs::write(&hold, "")?;
    let mut command = shrink(&container, &[&["--check", &check], &PATIENT[..]].concat())?;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(fs::File::create(container.path("search"))?)
        .spawn()?;
    let second = container.bundle().join("rootfs/etc/second");
    let waited = wait_for_runs(&container, 1, &second);
    // The search itself, not the program that started it.
    let pid = search_under(child.id()).unwrap_or(child.id());
    kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
    let status = child.wait()?;
    waited?;
    fs::remove_file(&hold)?;
    ensure!(
        signal == Signal::SIGKILL || status.code() == Some(130),
        "{status}: {}",
        fs::read_to_string(container.path("search"))?
    );
    Ok((container, check))
}

/// The descendant of this process that is capprofctl.
fn search_under(pid: u32) -> Option<u32> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    if name.trim() == "capprofctl" {
        return Some(pid);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|child| search_under(child.parse().ok()?))
        .next()
}

fn an_interrupted_search_goes_on(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, check) = disturbed(environment, runtime, Signal::SIGINT)?;
    expect_nothing_left(&container)?;
    // The file of the interrupted run must not make the check of the next run succeed.
    let _ = fs::remove_file(container.bundle().join("rootfs/etc/ready"));
    let options = [&["--check", check.as_str()], &PATIENT[..]].concat();
    // A search that is begun again by mistake would lose its results.
    let (output, errors) = finish(&mut shrink(&container, &options)?)?;
    ensure!(
        output.status.code() == Some(1) && errors.contains("--resume continues"),
        "{errors}"
    );
    let (output, errors) = finish(&mut shrink(&container, &["--resume", "--check", "true"])?)?;
    ensure!(
        output.status.code() == Some(1)
            && errors.contains("begun with another command, check or timeout"),
        "{errors}"
    );
    let limited = [&options[..], &["--resume", "--max-runs", "2"]].concat();
    let (output, errors) = finish(&mut shrink(&container, &limited)?)?;
    ensure!(
        output.status.code() == Some(3)
            && errors.contains("stopped by --max-runs after 2 runs: not proved minimal"),
        "{}: {errors}",
        output.status
    );
    ensure!(stored(&container)?.1.shrunk.is_none(), "not found yet");
    let resumed = [&options[..], &["--resume"]].concat();
    resume_and_expect(&container, &resumed)
}

fn resume_and_expect(container: &Container, options: &[&str]) -> anyhow::Result<()> {
    let (output, errors) = finish(&mut shrink(container, options)?)?;
    ensure!(output.status.success(), "{errors}");
    ensure!(
        !errors.contains("run 1 of at most "),
        "made again: {errors}"
    );
    let shrunk = stored(container)?.1.shrunk.context("no result")?;
    ensure!(shrunk.set == set(&[Capability::SYS_CHROOT]), "{shrunk:?}");
    expect_nothing_left(container)
}

fn a_killed_search_goes_on(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, check) = disturbed(environment, runtime, Signal::SIGKILL)?;
    let state = container.path("runtime").join(&container.id);
    ensure!(
        state.exists(),
        "a killed search cannot have removed its container"
    );
    // The file of the killed run must not make the check of the next run succeed.
    let ready = container.bundle().join("rootfs/etc/ready");
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::remove_file(&ready).is_err() {
        ensure!(
            Instant::now() < deadline,
            "the container that was left does not get ready"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let options = [&["--check", &check, "--resume"], &PATIENT[..]].concat();
    resume_and_expect(&container, &options)
}

fn an_unreliable_judge_is_told(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = profiled(environment, runtime, "exec corpus sys_chroot")?;
    container.edit(|config| config["process"]["args"] = json!(["/bin/corpus", "wait"]))?;
    // This check succeeds only once.
    let check = format!("mkdir {}", container.path("once").display());
    let options = ["--check", check.as_str(), "--timeout", "1"];
    let (output, errors) = finish(&mut shrink(&container, &options)?)?;
    ensure!(
        output.status.code() == Some(1) && errors.contains("passed once and failed once"),
        "{}: {errors}",
        output.status
    );
    ensure!(stored(&container)?.1.shrunk.is_none(), "kept all the same");
    expect_nothing_left(&container)
}

fn a_terminal_gets_a_bar_in_lines_of_its_own(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = profiled(environment, runtime, "exec corpus sys_chroot")?;
    let size = nix::pty::Winsize {
        ws_row: 30,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = nix::pty::openpty(Some(&size), None)?;
    let mut command = shrink(&container, &[])?;
    let mut child = command
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(terminal.slave)
        .spawn()?;
    // This closes the last copy in this process: reading ends with an error when the search closes its own.
    drop(command);
    let mut shown = Vec::new();
    let _ = fs::File::from(terminal.master).read_to_end(&mut shown);
    let status = child.wait()?;
    let shown = String::from_utf8_lossy(&shown).into_owned();
    ensure!(status.success(), "{status}: {shown}");
    ensure!(
        shown.contains("of at most") && shown.contains('\u{1b}'),
        "no bar: {shown:?}"
    );
    // The text of a line before the terminal returns to its beginning and clears it.
    for line in shown.split(['\r', '\n']) {
        ensure!(
            !(line.contains('░') && line.contains("capprofctl: ")),
            "the bar shares a line: {line:?}"
        );
    }
    Ok(())
}
