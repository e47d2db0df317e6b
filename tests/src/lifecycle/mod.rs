//! The life of a container around its program: creation, exec, failure, the end.
mod overlay;
mod settings;
mod storm;
mod users;

use crate::container::{Container, expect_answer, succeed};
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use capprof_profile::Capability;
use capprof_store::profiles::Store;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 13] = [
    (
        "use_in_exec_alone_is_recorded",
        use_in_exec_alone_is_recorded,
    ),
    (
        "exec_without_process_file_is_recorded",
        exec_without_process_file_is_recorded,
    ),
    (
        "a_program_that_exits_at_once_is_recorded",
        a_program_that_exits_at_once_is_recorded,
    ),
    (
        "file_capabilities_are_read_of_an_unmounted_root",
        file_capabilities_are_read_of_an_unmounted_root,
    ),
    ("create_start_kill_delete", create_start_kill_delete),
    (
        "a_created_container_that_never_starts",
        a_created_container_that_never_starts,
    ),
    (
        "a_failed_create_leaves_nothing",
        a_failed_create_leaves_nothing,
    ),
    ("one_id_under_two_roots", one_id_under_two_roots),
    ("config_json_stays_as_it_is", config_json_stays_as_it_is),
    (
        "the_minimized_configuration_suffices",
        the_minimized_configuration_suffices,
    ),
    (
        "a_killed_runtime_loses_nothing",
        a_killed_runtime_loses_nothing,
    ),
    (FULL_DISK, a_full_disk_loses_nothing),
    (
        "streams_and_status_are_the_programs_own",
        streams_and_status_are_the_programs_own,
    ),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let recorders = environment.recorders.first().cloned().unwrap_or_default();
    let mut tests = Vec::new();
    for bodies in [
        &BODIES[..],
        &overlay::BODIES,
        &settings::BODIES,
        &storm::BODIES,
        &users::BODIES,
    ] {
        tests.extend(Test::each(
            environment,
            "lifecycle",
            Some(&recorders),
            bodies,
        ));
    }
    for test in &mut tests {
        if test.name.ends_with(storm::RESULTS) && test.skip.is_none() {
            test.skip = storm::reason_without_results();
        }
    }
    if environment.system {
        for test in &mut tests {
            if test.name.ends_with(FULL_DISK) {
                test.skip = Some("the store is the host's own".to_owned());
            }
        }
    }
    tests
}

/// The name of the test that needs a store of its own.
const FULL_DISK: &str = "a_full_disk_loses_nothing";

fn use_in_exec_alone_is_recorded(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::waiting(environment, runtime)?;
    // An engine calls exec with the capabilities that it gives by default; they lack the one in use.
    let process = container.path("process.json");
    fs::write(
        &process,
        serde_json::to_vec(&json!({
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/corpus", "sys_chroot"],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]},
        }))?,
    )?;
    container.capprof_succeeds(&[
        "exec",
        "--process",
        &process.to_string_lossy(),
        &container.id,
    ])?;
    container.stop()?;
    expect_answer(&container.profile()?, &[Capability::SYS_CHROOT])?;
    container.expect_nothing_left()
}

fn exec_without_process_file_is_recorded(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::waiting(environment, runtime)?;
    container.capprof_succeeds(&["exec", &container.id, "/bin/corpus", "net_raw"])?;
    container.stop()?;
    expect_answer(&container.profile()?, &[Capability::NET_RAW])?;
    container.expect_nothing_left()
}

fn a_program_that_exits_at_once_is_recorded(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    for round in 0..5 {
        let container = Container::new(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
        container
            .run_and_expect(&[Capability::SYS_CHROOT])
            .with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

/// CRI-O unmounts the root file system before `delete`. The executable is only in the upper layer.
fn file_capabilities_are_read_of_an_unmounted_root(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "/bin/pinger noop && exec corpus wait";
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    let bundle = container.bundle();
    let overlay = overlay::Overlay::over(&container)?;
    let executable = bundle.join("rootfs/bin/pinger");
    fs::copy(bundle.join("rootfs/bin/corpus"), &executable)?;
    succeed(
        Command::new("setcap")
            .arg("cap_net_raw+ep")
            .arg(&executable),
    )?;
    let id = container.id.clone();
    container.capprof_succeeds(&["create", "--bundle", &bundle.to_string_lossy(), &id])?;
    container.capprof_succeeds(&["start", &id])?;
    std::thread::sleep(Duration::from_millis(500));
    container.capprof_succeeds(&["kill", &id, "KILL"])?;
    std::thread::sleep(Duration::from_millis(500));
    drop(overlay);
    ensure!(!executable.exists(), "the root is still mounted");
    container.capprof_succeeds(&["delete", &id])?;
    let profile = container.profile()?;
    expect_answer(&profile, &[Capability::NET_RAW])?;
    ensure!(
        profile.findings.blind_spots.is_empty(),
        "{:?}",
        profile.findings.blind_spots
    );
    container.expect_nothing_left()
}

fn create_start_kill_delete(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "corpus syslog && exec corpus wait";
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    let bundle = container.bundle();
    let before = fs::read(bundle.join("config.json"))?;
    let id = container.id.clone();
    container.capprof_succeeds(&["create", "--bundle", &bundle.to_string_lossy(), &id])?;
    ensure!(
        container.recordings()?.len() == 1,
        "no recording in progress"
    );
    ensure!(
        fs::read(bundle.join("config.json"))? == before,
        "config.json was written to"
    );
    container.capprof_succeeds(&["start", &id])?;
    let state = container.capprof_succeeds(&["state", &id])?;
    ensure!(
        String::from_utf8_lossy(&state.stdout).contains("running"),
        "not running"
    );
    // The shell needs time to get to its second command.
    std::thread::sleep(Duration::from_millis(500));
    container.stop()?;
    expect_answer(&container.profile()?, &[Capability::SYSLOG])?;
    ensure!(
        fs::read(bundle.join("config.json"))? == before,
        "config.json was written to"
    );
    container.expect_nothing_left()
}

fn a_created_container_that_never_starts(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
    let bundle = container.bundle();
    let id = container.id.clone();
    container.capprof_succeeds(&["create", "--bundle", &bundle.to_string_lossy(), &id])?;
    container.capprof_succeeds(&["delete", "--force", &id])?;
    let profile = container.profile()?;
    ensure!(
        !profile.complete && profile.findings.minimized.is_empty(),
        "a program that never ran must not look profiled: {profile:?}"
    );
    container.expect_nothing_left()
}

fn a_failed_create_leaves_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/absent"])?;
    let before = fs::read(container.bundle().join("config.json"))?;
    let output = container.run()?;
    ensure!(
        !output.status.success(),
        "a program that does not exist was run"
    );
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        errors.contains("no such file") || errors.contains("not found"),
        "the runtime's own message is missing: {errors}"
    );
    // Engines call this next. crun has run no poststop hook, so this call finds the recording.
    container.capprof(&["delete", "--force", &container.id])?;
    ensure!(
        fs::read(container.bundle().join("config.json"))? == before,
        "config.json was written to"
    );
    container.expect_nothing_left()
}

fn one_id_under_two_roots(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let mut one = Container::new(environment, runtime, &["/bin/corpus", "wait"])?;
    let mut other = Container::new(environment, runtime, &["/bin/corpus", "wait"])?;
    one.id = format!("{}-same", one.id);
    other.id.clone_from(&one.id);
    for (container, group) in [(&one, "one"), (&other, "other")] {
        // From 1.2 on, runc refuses a control group that has processes.
        let group = format!("/{}-{group}", one.id);
        container.edit(|config| config["linux"]["cgroupsPath"] = json!(group))?;
        container.start()?;
    }
    one.capprof_succeeds(&["exec", &one.id, "/bin/corpus", "sys_chroot"])?;
    other.capprof_succeeds(&["exec", &other.id, "/bin/corpus", "syslog"])?;
    one.stop()?;
    other.stop()?;
    expect_answer(&one.profile()?, &[Capability::SYS_CHROOT])?;
    expect_answer(&other.profile()?, &[Capability::SYSLOG])
}

fn config_json_stays_as_it_is(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/true"])?;
    let path = container.bundle().join("config.json");
    container.edit(|config| {
        config["future"] = json!({"big": 18_446_744_073_709_551_615_u64});
    })?;
    let before = fs::read(&path)?;
    for _ in 0..2 {
        container.run_and_expect(&[])?;
        ensure!(fs::read(&path)? == before, "config.json is not what it was");
    }
    Ok(())
}

fn the_minimized_configuration_suffices(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(
        environment,
        runtime,
        &["/bin/sh", "-c", "corpus sys_chroot && corpus net_raw"],
    )?;
    container.run_and_expect(&[Capability::NET_RAW, Capability::SYS_CHROOT])?;
    let config = container.bundle().join("config.json");
    let minimized = container.bundle().join("config.minimized.json");
    let original: serde_json::Value = serde_json::from_slice(&fs::read(&config)?)?;
    fs::copy(&minimized, &config)?;
    succeed(&mut container.bare()).context("with the minimized set")?;
    for member in [Capability::NET_RAW, Capability::SYS_CHROOT] {
        container.withhold([member].into_iter().collect())?;
        ensure!(
            succeed(&mut container.bare()).is_err(),
            "it runs without {member} too"
        );
        fs::copy(&minimized, &config)?;
    }
    // Everything else is the user's configuration.
    let mut reduced: serde_json::Value = serde_json::from_slice(&fs::read(&minimized)?)?;
    reduced["process"]["capabilities"] = original["process"]["capabilities"].clone();
    ensure!(
        reduced == original,
        "more than the capabilities was changed"
    );
    Ok(())
}

fn a_killed_runtime_loses_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(
        environment,
        runtime,
        &["/bin/sh", "-c", "corpus sys_chroot; exec corpus wait"],
    )?;
    let bundle = container.bundle();
    let mut child = container
        .command(&["run", "--bundle", &bundle.to_string_lossy(), &container.id])?
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !container
        .recordings()?
        .iter()
        .any(|recording| recording.join("armed.json").exists())
    {
        ensure!(Instant::now() < deadline, "the container does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    // This kills the runtime and not `timeout` before it: the id on its command line finds it.
    let pattern = format!("--bundle .*{}$", container.id);
    Command::new("pkill")
        .args(["-KILL", "-f", "--", &pattern])
        .status()?;
    child.wait()?;
    container.capprof_succeeds(&["delete", "--force", &container.id])?;
    expect_answer(&container.profile()?, &[Capability::SYS_CHROOT])?;
    container.expect_nothing_left()
}

/// A file system that is mounted while a test needs it.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// An engine removes the bundle as soon as the container is deleted (`docker run --rm`).
fn a_full_disk_loses_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
    let store = container.store();
    fs::create_dir(&store)?;
    let (tmpfs, options) = (Some("tmpfs"), Some("size=1m"));
    mount(tmpfs, &store, tmpfs, MsFlags::empty(), options)?;
    let mounted = Mounted(store);
    let filler = mounted.0.join("filler");
    ensure!(fs::write(&filler, vec![0; 2 << 20]).is_err());
    let output = container.run()?;
    ensure!(output.status.success(), "{output:?}");
    let left = container.recordings()?;
    ensure!(left.len() == 1, "recordings: {left:?}");
    fs::remove_dir_all(container.bundle())?;
    for (subcommand, words) in [
        ("list", "is not stored"),
        ("doctor", "No space left on device"),
    ] {
        let output = container.ctl(&[subcommand])?.output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(said.contains(words), "{subcommand}: {said}");
    }

    // The disk is still full.
    ensure!(!container.ctl(&["recover"])?.status()?.success());
    ensure!(container.recordings()?.len() == 1);
    fs::remove_file(&filler)?;
    succeed(&mut container.ctl(&["recover"])?)?;
    let stored = Store::at(&mounted.0).find(&container.id)?.profile;
    expect_answer(&stored, &[Capability::SYS_CHROOT])?;
    container.expect_nothing_left()
}

fn streams_and_status_are_the_programs_own(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "echo out; echo err >&2; exit 42";
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    let output = container.run()?;
    ensure!(output.status.code() == Some(42), "status {}", output.status);
    ensure!(output.stdout == b"out\n", "stdout {:?}", output.stdout);
    ensure!(output.stderr == b"err\n", "stderr {:?}", output.stderr);
    expect_answer(&container.profile()?, &[])
}
