//! Bad input and a hostile environment: one clear line, and nothing lost.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const BODIES: [(&str, Body); 11] = [
    ("missing_config", missing_config),
    ("empty_config", empty_config),
    ("truncated_config", truncated_config),
    (
        "config_is_a_link_out_of_the_bundle",
        config_is_a_link_out_of_the_bundle,
    ),
    ("unknown_mode", unknown_mode),
    ("relative_output", relative_output),
    ("unknown_configuration_key", unknown_configuration_key),
    ("read_only_bundle", read_only_bundle),
    ("no_recorder", no_recorder),
    ("bundle_is_a_link", bundle_is_a_link),
    ("store_not_writable", store_not_writable),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Test::each(environment, "bad_input", None, &BODIES);
    if environment.unusable_recorder("selinux").is_none() {
        for test in &mut tests {
            if test.name.ends_with("/no_recorder") {
                test.skip = Some("SELinux can record here".to_owned());
            }
        }
    }
    tests
}

/// A mount of the test's own.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// `capprof create` fails, reports the reason on one line of standard error and in one JSON object of the log, and leaves everything unchanged.
fn expect_refusal(container: &Container, expected: &str) -> anyhow::Result<()> {
    let config = container.bundle().join("config.json");
    let before = fs::read(&config).ok();
    let log = container.path("log.json");
    let bundle = container.bundle();
    let output = container.capprof(&[
        "--log",
        &log.to_string_lossy(),
        "--log-format",
        "json",
        "create",
        "--bundle",
        &bundle.to_string_lossy(),
        &container.id,
    ])?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it was accepted");
    ensure!(
        output.status.code() == Some(1),
        "status {}: {errors}",
        output.status
    );
    ensure!(output.stdout.is_empty(), "stdout {:?}", output.stdout);
    ensure!(
        errors.contains(expected),
        "expected \"{expected}\": {errors}"
    );
    ensure!(
        errors.trim_end().lines().count() == 1,
        "more than one line: {errors}"
    );
    let text = fs::read_to_string(&log).context("read the log")?;
    let entry: Value = serde_json::from_str(&text).with_context(|| format!("the log: {text}"))?;
    ensure!(entry["level"] == "error", "level: {text}");
    ensure!(
        entry["msg"]
            .as_str()
            .is_some_and(|message| message.contains(expected)),
        "the log has another message: {text}"
    );
    ensure!(fs::read(&config).ok() == before, "config.json was changed");
    let left = container.recordings()?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// The container runs, and its profile is in the store.
fn expect_success(container: &Container) -> anyhow::Result<()> {
    let output = container.run()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it was refused: {errors}");
    let profiles = fs::read_dir(container.store().join("profiles").join(&container.id))?.count();
    ensure!(profiles == 1, "{profiles} profiles in the store");
    Ok(())
}

fn trivial(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<Container> {
    Container::new(environment, runtime, &["/bin/true"])
}

fn missing_config(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    fs::remove_file(container.bundle().join("config.json"))?;
    // The message is the runtime's own.
    expect_refusal(&container, "config.json")
}

fn empty_config(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    fs::write(container.bundle().join("config.json"), "")?;
    expect_refusal(&container, "config.json")
}

fn truncated_config(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    let path = container.bundle().join("config.json");
    let content = fs::read(&path)?;
    fs::write(&path, &content[..content.len() / 2])?;
    expect_refusal(&container, "config.json")
}

fn config_is_a_link_out_of_the_bundle(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    let path = container.bundle().join("config.json");
    let outside = container.path("outside.json");
    fs::rename(&path, &outside)?;
    std::os::unix::fs::symlink(&outside, &path)?;
    let before = fs::read(&outside)?;
    expect_success(&container)?;
    ensure!(
        fs::read(&outside)? == before,
        "the file outside was changed"
    );
    Ok(())
}

fn unknown_mode(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    container.edit(|config| config["annotations"] = json!({"io.capprof.mode": "profil"}))?;
    expect_refusal(&container, "io.capprof.mode")
}

fn relative_output(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    container.edit(|config| config["annotations"] = json!({"io.capprof.output": "here"}))?;
    expect_refusal(&container, "io.capprof.output")
}

fn unknown_configuration_key(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut container = trivial(environment, runtime)?;
    container
        .configuration
        .push("recorder = \"ebpf\"".to_owned());
    expect_refusal(&container, "unknown field `recorder`")?;
    // The same broken configuration does not affect other commands.
    let output = container.capprof(&["--version"])?;
    ensure!(output.status.success(), "--version: {}", output.status);
    Ok(())
}

fn read_only_bundle(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    // Its upper layer is in the bundle.
    container.edit(|config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["type"] != "overlay");
        }
    })?;
    let bundle = container.bundle();
    mount(
        Some(&bundle),
        &bundle,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?;
    let _mounted = Mounted(bundle.clone());
    mount(
        None::<&str>,
        &bundle,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        None::<&str>,
    )?;
    expect_success(&container)
}

fn no_recorder(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let mut container = trivial(environment, runtime)?;
    container
        .configuration
        .push("recorders = \"selinux\"".to_owned());
    let before = fs::read(container.bundle().join("config.json"))?;
    let output = container.run()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "a container ran unrecorded");
    ensure!(
        errors.contains("nothing can be recorded on this host"),
        "the reason is not told: {errors}"
    );
    ensure!(
        fs::read(container.bundle().join("config.json"))? == before,
        "config.json was written to"
    );
    let left = container.recordings()?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

fn bundle_is_a_link(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = trivial(environment, runtime)?;
    let link = container.path("link");
    std::os::unix::fs::symlink(container.bundle(), &link)?;
    let output = container.capprof(&["run", "--bundle", &link.to_string_lossy(), &container.id])?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(container.profile()?.complete, "incomplete");
    Ok(())
}

fn store_not_writable(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let mut container = trivial(environment, runtime)?;
    let blocked = container.path("file");
    fs::write(&blocked, "")?;
    if environment.system {
        return Ok(());
    }
    fs::create_dir_all(container.store())?;
    // A file takes the place of the store's directory.
    fs::write(container.store().join("profiles"), "")?;
    container
        .configuration
        .push("fail_on_error = false".to_owned());
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "the container failed for it: {}",
        output.status
    );
    ensure!(
        container.profile()?.complete,
        "the result next to the bundle is missing"
    );
    // The engine may remove the copy next to the bundle, so the recording waits for a writable store.
    let left = container.recordings()?;
    ensure!(left.len() == 1, "recordings: {left:?}");
    fs::remove_file(container.store().join("profiles"))?;
    crate::container::succeed(&mut container.ctl(&["recover"])?)?;
    let left = container.recordings()?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}
