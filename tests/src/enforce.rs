//! Mode `enforce`: the sets of a container, and no leftovers.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use capprof_profile::recording::ProcessSets;
use capprof_profile::{Capability, CapabilitySet};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

const BODIES: [(&str, Body); 8] = [
    (
        "a_list_is_all_that_a_process_gets",
        a_list_is_all_that_a_process_gets,
    ),
    (
        "a_profile_is_enforced_by_its_name",
        a_profile_is_enforced_by_its_name,
    ),
    (
        "another_user_gets_what_its_profile_says",
        another_user_gets_what_its_profile_says,
    ),
    ("exec_gets_no_more", exec_gets_no_more),
    (
        "exec_gets_no_more_if_the_configuration_is_broken",
        exec_gets_no_more_if_the_configuration_is_broken,
    ),
    ("config_json_stays_as_it_is", config_json_stays_as_it_is),
    (
        "a_killed_runtime_leaves_nothing",
        a_killed_runtime_leaves_nothing,
    ),
    (
        "what_cannot_be_enforced_is_not_run",
        what_cannot_be_enforced_is_not_run,
    ),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    Test::each(environment, "enforce", None, &BODIES)
}

const STATUS: [&str; 2] = ["/bin/cat", "/proc/self/status"];

fn set(members: &[Capability]) -> CapabilitySet {
    members.iter().copied().collect()
}

fn annotate(container: &Container, annotations: Value) -> anyhow::Result<()> {
    container.edit(|config| config["annotations"] = annotations)
}

/// The sets of a process, from its /proc/self/status (proc(5)).
fn sets(status: &[u8]) -> anyhow::Result<ProcessSets> {
    let status = String::from_utf8_lossy(status).into_owned();
    let of = |name: &str| -> anyhow::Result<CapabilitySet> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
            .with_context(|| format!("no {name} in {status}"))?;
        Ok(CapabilitySet::from_bits(u64::from_str_radix(line, 16)?))
    };
    Ok(ProcessSets {
        bounding: of("CapBnd")?,
        effective: of("CapEff")?,
        permitted: of("CapPrm")?,
        inheritable: of("CapInh")?,
        ambient: of("CapAmb")?,
    })
}

/// Runs the container, which prints its status.
fn run(container: &Container) -> anyhow::Result<ProcessSets> {
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "the container failed: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    sets(&output.stdout)
}

fn a_list_is_all_that_a_process_gets(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &STATUS)?;
    let root = |members: &[Capability]| ProcessSets {
        bounding: set(members),
        effective: set(members),
        permitted: set(members),
        ..ProcessSets::default()
    };
    let both = [Capability::KILL, Capability::SYSLOG];
    for (list, members) in [("CAP_KILL,CAP_SYSLOG", &both[..]), ("", &[])] {
        annotate(
            &container,
            json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": list}),
        )?;
        let found = run(&container)?;
        ensure!(found == root(members), "{list}: {found:?}");
    }
    // A user who calls capprof need not edit the configuration.
    container.edit(|config| {
        config
            .as_object_mut()
            .map(|config| config.remove("annotations"));
    })?;
    let bundle = container.bundle();
    let output = container
        .command(&["run", "--bundle", &bundle.to_string_lossy(), &container.id])?
        .env("CAPPROF_MODE", "enforce")
        .env("CAPPROF_CAPABILITIES", "CAP_SYSLOG")
        .output()?;
    let found = sets(&output.stdout)?;
    ensure!(found == root(&[Capability::SYSLOG]), "{found:?}");
    // A user other than root loses at execve what is not ambient.
    container.use_user(1000)?;
    annotate(
        &container,
        json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": "CAP_KILL,CAP_SYSLOG"}),
    )?;
    let found = run(&container)?;
    let all = ProcessSets {
        inheritable: set(&both),
        ambient: set(&both),
        ..root(&both)
    };
    ensure!(found == all, "{found:?}");
    ensure!(
        !bundle.join("capprof.json").exists(),
        "something was recorded"
    );
    container.expect_nothing_left()
}

/// From a profiled to an enforced container by a change of the mode alone.
fn from_profile_to_enforced(
    container: &Container,
    script: &str,
    expected: &[Capability],
) -> anyhow::Result<ProcessSets> {
    let program = |arguments: Value| container.edit(|config| config["process"]["args"] = arguments);
    program(json!(["/bin/sh", "-c", script]))?;
    annotate(container, json!({"io.capprof.name": "web"}))?;
    let output = container.run()?;
    ensure!(output.status.success(), "profiling: {output:?}");
    let profile = container.profile()?;
    ensure!(
        profile.complete && profile.findings.minimized == set(expected),
        "{profile:?}"
    );
    let enforce = json!({"io.capprof.name": "web", "io.capprof.mode": "enforce"});
    annotate(container, enforce)?;
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "under its own profile: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    program(json!(STATUS))?;
    let found = run(container)?;
    ensure!(
        found == profile.findings.minimized_sets,
        "{found:?} instead of {:?}",
        profile.findings.minimized_sets
    );
    // A part of a profile, as in the runs of `shrink`.
    for member in expected {
        annotate(
            container,
            json!({
                "io.capprof.mode": "enforce", "io.capprof.profile": profile.origin.recording_id,
                "io.capprof.capabilities": member.to_string(),
            }),
        )?;
        let part = run(container)?;
        ensure!(
            part == profile.findings.minimized_sets.at_most(set(&[*member])),
            "{member}: {part:?}"
        );
        program(json!(["/bin/sh", "-c", script]))?;
        let output = container.run()?;
        ensure!(!output.status.success(), "{member} alone suffices");
        program(json!(STATUS))?;
    }
    Ok(found)
}

fn a_profile_is_enforced_by_its_name(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    if let Some(reason) = environment.unusable_recorder("auto") {
        anyhow::bail!("cannot profile here: {reason}");
    }
    let container = Container::new(environment, runtime, &STATUS)?;
    from_profile_to_enforced(
        &container,
        "corpus sys_chroot && corpus net_raw",
        &[Capability::NET_RAW, Capability::SYS_CHROOT],
    )?;
    container.expect_nothing_left()
}

fn another_user_gets_what_its_profile_says(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut container = Container::new(environment, runtime, &STATUS)?;
    container.use_user(1000)?;
    container.grant_ambient();
    let members = [Capability::NET_RAW, Capability::SYS_CHROOT];
    let script = "corpus sys_chroot && corpus net_raw";
    let found = from_profile_to_enforced(&container, script, &members)?;
    ensure!(found.ambient == set(&members), "{found:?}");
    // Root's sets would not fit this user, nor these sets root.
    container.use_user(0)?;
    annotate(
        &container,
        json!({"io.capprof.mode": "enforce", "io.capprof.profile": "web"}),
    )?;
    let output = container.run()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && errors.contains("of user 1000, this one is of user 0"),
        "{errors}"
    );
    container.expect_nothing_left()
}

fn exec_gets_no_more(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "wait"])?;
    annotate(
        &container,
        json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": "CAP_KILL,CAP_SYSLOG"}),
    )?;
    container.start()?;
    let limit = set(&[Capability::KILL, Capability::SYSLOG]);
    // This is what docker exec --privileged does.
    let all: Vec<String> = environment
        .held
        .iter()
        .map(|capability| capability.to_string())
        .collect();
    let file = container.path("process.json");
    let exec = |capabilities: Option<Value>| -> anyhow::Result<ProcessSets> {
        let mut process =
            json!({"user": {"uid": 0, "gid": 0}, "args": STATUS, "env": ["PATH=/bin"], "cwd": "/"});
        if let Some(capabilities) = capabilities {
            process["capabilities"] = capabilities;
        }
        fs::write(&file, process.to_string())?;
        let output = container.capprof_succeeds(&[
            "exec",
            "--process",
            &file.to_string_lossy(),
            &container.id,
        ])?;
        sets(&output.stdout)
    };
    let found = exec(Some(
        json!({"bounding": all, "effective": all, "permitted": all, "inheritable": all, "ambient": all}),
    ))?;
    ensure!(
        found.bounding == limit && found.effective == limit && found.ambient == limit,
        "{found:?}"
    );
    let found = exec(Some(
        json!({"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL", "CAP_SYS_ADMIN"]}),
    ))?;
    ensure!(found.permitted == set(&[Capability::KILL]), "{found:?}");
    let found = exec(None)?;
    ensure!(found.bounding.is_subset(limit), "{found:?}");
    let id = container.id.as_str();
    let output = container.capprof_succeeds(&["exec", id, STATUS[0], STATUS[1]])?;
    let found = sets(&output.stdout)?;
    ensure!(
        found.bounding == limit && found.effective == limit,
        "{found:?}"
    );
    for arguments in [
        &["exec", "--cap", "CAP_SYS_ADMIN", id, STATUS[0], STATUS[1]][..],
        &[
            "exec",
            "--cap=CAP_KILL",
            "-c",
            "CAP_SYS_CHROOT",
            id,
            STATUS[0],
        ],
        &["exec", "--not-invented-yet", id, STATUS[0]],
    ] {
        let output = container.capprof(arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            !output.status.success() && output.stdout.is_empty() && errors.starts_with("capprof: "),
            "{arguments:?}: {errors}"
        );
    }
    container.stop()?;
    container.expect_nothing_left()
}

fn exec_gets_no_more_if_the_configuration_is_broken(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut container = Container::new(environment, runtime, &["/bin/corpus", "wait"])?;
    annotate(
        &container,
        json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": "CAP_KILL"}),
    )?;
    container.start()?;
    let id = container.id.clone();
    let arguments = ["exec", "--cap", "CAP_SYS_ADMIN", &id, STATUS[0], STATUS[1]];
    let refused = |output: Output, expected: &str| -> anyhow::Result<()> {
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && output.stdout.is_empty() && errors.contains(expected),
            "{output:?}"
        );
        Ok(())
    };
    // A line without a value, beside the one that names the state directory.
    container.configuration.push("mode =".to_owned());
    refused(container.capprof(&arguments)?, "limited to CAP_KILL")?;
    container.configuration.pop();
    let file = container.path("config.toml");
    let mut command = container.command(&arguments)?;
    fs::remove_file(&file)?;
    fs::create_dir(&file)?;
    let output = command.output();
    fs::remove_dir(&file)?;
    refused(output?, "is limited to is not known")?;
    container.stop()?;
    container.expect_nothing_left()
}

/// A limited container that was created but not started, with its config.json and the content of that.
fn created(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<(Container, PathBuf, Vec<u8>)> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "wait"])?;
    annotate(
        &container,
        json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": "CAP_KILL"}),
    )?;
    let path = container.bundle().join("config.json");
    let before = fs::read(&path)?;
    let bundle = container.bundle();
    let bundle = bundle.to_string_lossy();
    container.capprof_succeeds(&["create", "--bundle", &bundle, &container.id])?;
    ensure!(fs::read(&path)? == before, "config.json was written to");
    Ok((container, path, before))
}

fn config_json_stays_as_it_is(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, path, before) = created(environment, runtime)?;
    container.capprof_succeeds(&["start", &container.id])?;
    container.stop()?;
    container.start()?;
    container.stop()?;
    ensure!(
        fs::read(&path)? == before,
        "after delete: config.json is not what it was"
    );
    container.expect_nothing_left()
}

fn a_killed_runtime_leaves_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, path, _) = created(environment, runtime)?;
    container.capprof_succeeds(&["delete", "--force", &container.id])?;
    container.expect_nothing_left()?;
    // The runtime is gone without a trace: the next call finds the recording.
    container.edit(|config| config["process"]["args"] = json!(["/bin/absent"]))?;
    let before = fs::read(&path)?;
    let output = container.run()?;
    ensure!(
        !output.status.success(),
        "a program that does not exist was run"
    );
    container.capprof(&["delete", "--force", &container.id])?;
    ensure!(
        fs::read(&path)? == before,
        "after a failed create: config.json is not what it was"
    );
    container.expect_nothing_left()
}

fn what_cannot_be_enforced_is_not_run(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &STATUS)?;
    let path = container.bundle().join("config.json");
    for (annotations, expected) in [
        (
            json!({"io.capprof.mode": "enforce"}),
            "needs io.capprof.profile",
        ),
        (
            json!({"io.capprof.mode": "enforce", "io.capprof.profile": "absent"}),
            "enforce: no profile \"absent\" in",
        ),
        (
            json!({"io.capprof.mode": "verify", "io.capprof.profile": "absent"}),
            "verify: no profile \"absent\" in",
        ),
        (
            json!({"io.capprof.mode": "enforce", "io.capprof.profile": "../../etc/passwd"}),
            "enforce: no profile",
        ),
        (
            json!({"io.capprof.mode": "enforce", "io.capprof.capabilities": "CAP_KILLL"}),
            "expected names like CAP_CHOWN",
        ),
        (
            json!({"io.capprof.profile": "web"}),
            "goes with modes enforce and verify only",
        ),
    ] {
        annotate(&container, annotations.clone())?;
        let before = fs::read(&path)?;
        let output = container.run()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            !output.status.success() && output.stdout.is_empty() && errors.contains(expected),
            "{annotations}: {errors}"
        );
        ensure!(
            errors.trim_end().lines().count() == 1,
            "{annotations}: {errors}"
        );
        ensure!(fs::read(&path)? == before, "{annotations}: config.json");
        container.expect_nothing_left()?;
    }
    Ok(())
}
