//! SELinux on an enforcing host: the switches, how long they last, and the records.

mod audit;
mod doctor;
mod domain;
mod host;
mod labels;

use crate::Body;
use crate::container::{Container, expect_answer};
use crate::environment::{Environment, Runtime};
use crate::runner::{Outcome, Passed, Test};
use anyhow::{Context, bail, ensure};
use capprof_profile::Capability;
use capprof_profile::observation::RecorderName;
use capprof_profile::profile::Profile;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn bodies() -> impl Iterator<Item = (&'static str, Body)> {
    [
        &domain::BODIES[..],
        &labels::BODIES,
        &audit::BODIES,
        &doctor::BODIES,
        &host::BODIES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Tests that depend on the runtime: on how it starts hooks, waits, fails, and dies. A guest runs these under crun too, the others only if it is asked
/// for everything.
const OF_THE_RUNTIME: [&str; 6] = [
    "domain_keeps_the_host_enforcing",
    "domain_failed_create_restores",
    "domain_kill_at_every_step_restores",
    "the_same_container_twice",
    "auditd_absent",
    "host_kill_restores",
];

/// Tests that prove what another one proves with less: a guest runs these only if it is asked for everything.
const MORE_OF_THE_SAME: [&str; 1] = ["domain_twenty_overlapping"];

/// All tests of this file under each runtime, each alone on the host.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Vec::new();
    for runtime in &environment.runtimes {
        for (name, body) in bodies() {
            let is_doubled = MORE_OF_THE_SAME.contains(&name)
                || runtime.name != "runc" && !OF_THE_RUNTIME.contains(&name);
            if environment.guest && !environment.full && is_doubled {
                continue;
            }
            let (environment, own) = (Arc::clone(environment), runtime.clone());
            let skip = runtime
                .unusable
                .clone()
                .or_else(|| environment.unusable_recorder("selinux"))
                .or_else(|| {
                    (!environment.guest)
                        .then(|| "would switch this machine's mode; runs in the guest".to_owned())
                });
            tests.push(
                Test::new(
                    format!("selinux/{}/{name}", runtime.name),
                    skip,
                    move || -> Outcome {
                        let before = Switches::read();
                        let result = body(&environment, &own);
                        let after = Switches::read();
                        let restored = match (before, after) {
                            (Ok(before), Ok(after)) if before == after => Ok(()),
                            (before, after) => Err(format!("before {before:?}, after {after:?}")),
                        };
                        result.map_err(|error| format!("{error:#}"))?;
                        restored
                            .map_err(|reason| format!("the host is not what it was: {reason}"))?;
                        Ok(Passed::Good)
                    },
                )
                .alone(),
            );
        }
    }
    tests
}

/// Everything that a recording may toggle.
#[derive(Clone, Debug, PartialEq)]
struct Switches {
    enforcing: bool,
    /// Name and value of every boolean of the loaded policy.
    booleans: Vec<(String, bool)>,
}

impl Switches {
    fn read() -> anyhow::Result<Self> {
        let mut booleans = Vec::new();
        for entry in fs::read_dir("/sys/fs/selinux/booleans")? {
            let entry = entry?;
            let value = fs::read_to_string(entry.path())?;
            booleans.push((
                entry.file_name().to_string_lossy().into_owned(),
                value.starts_with('1'),
            ));
        }
        booleans.sort();
        Ok(Self {
            enforcing: fs::read_to_string("/sys/fs/selinux/enforce")?.trim() == "1",
            booleans,
        })
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        self.booleans
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| *value)
    }
}

const RECORDING: &str = "capprof_recording";

fn set_boolean(name: &str, value: bool) -> anyhow::Result<()> {
    crate::container::succeed(Command::new("setsebool").arg(format!("{name}={}", u8::from(value))))
}

fn set_enforcing(value: bool) -> anyhow::Result<()> {
    crate::container::succeed(Command::new("setenforce").arg(u8::from(value).to_string()))
}

/// A container whose program is a shell script, recorded by SELinux alone in this scope.
fn recorded(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    scope: &str,
    script: &str,
) -> anyhow::Result<Container> {
    let mut container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    share(&container)?;
    container
        .configuration
        .push("recorders = \"selinux\"".to_owned());
    container.configuration.push(format!("scope = \"{scope}\""));
    Ok(container)
}

/// Mounts a directory that belongs to root at `/shared`.
fn share(container: &Container) -> anyhow::Result<()> {
    let directory = container.path("shared");
    fs::create_dir(&directory)?;
    fs::create_dir(container.bundle().join("rootfs/shared"))?;
    container.edit(|config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.push(
                serde_json::json!({"destination": "/shared", "type": "bind", "source": directory,
                "options": ["bind", "rw"]}),
            );
        }
    })
}

fn end(container: &Container) -> anyhow::Result<()> {
    container.capprof(&["kill", &container.id, "KILL"])?;
    wait_until("the container stops", || {
        Ok(container
            .capprof(&["delete", &container.id])?
            .status
            .success())
    })
}

fn wait_until(
    what: &str,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition()? {
        ensure!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Waits until the container's script has made this file in its `/other`.
fn wait_for(container: &Container, name: &str) -> anyhow::Result<()> {
    let path = container.path("shared").join(name);
    wait_until(name, || Ok(path.exists()))
}

fn expect(profile: &Profile, expected: &[Capability]) -> anyhow::Result<()> {
    expect_answer(profile, expected)?;
    for need in &profile.findings.needed {
        ensure!(
            need.recorders == [RecorderName::Selinux],
            "{} was not seen by SELinux alone: {:?}",
            need.capability,
            need.recorders
        );
    }
    Ok(())
}

/// Runs it, and compares the answer of SELinux alone with this one.
fn run_and_expect(container: &Container, expected: &[Capability]) -> anyhow::Result<Profile> {
    let profile = container.run_and_expect(expected)?;
    expect(&profile, expected)?;
    Ok(profile)
}

fn recover(environment: &Environment) -> anyhow::Result<()> {
    crate::container::succeed(Command::new(environment.binaries.join("capprofctl")).arg("recover"))
}

/// Process id of the container's first process, and its context.
fn init(container: &Container) -> anyhow::Result<(i32, String)> {
    let recording = container
        .recordings()?
        .pop()
        .context("no recording in progress")?;
    let armed: serde_json::Value =
        serde_json::from_slice(&fs::read(recording.join("armed.json"))?)?;
    let pid = armed["init"]["pid"]
        .as_i64()
        .context("no pid in armed.json")?;
    let context = fs::read_to_string(format!("/proc/{pid}/attr/current"))?;
    Ok((
        pid.try_into()?,
        context.trim_matches(['\0', '\n']).to_owned(),
    ))
}

const READY: &str = "> /shared/ready; exec corpus wait";

/// Kills the runtime, the hook and the container's first process, all at once, after a while.
fn kill_all(container: &Container, after: Duration) -> anyhow::Result<()> {
    let bundle = container.bundle();
    let mut child = container
        .command(&["run", "--bundle", &bundle.to_string_lossy(), &container.id])?
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .process_group(0)
        .spawn()?;
    std::thread::sleep(after);
    let init = init(container).ok();
    let kill = |process: String| {
        Command::new("kill")
            .args(["-KILL", "--", &process])
            .status()
    };
    // They are killed by their process group: a search by name would miss one that forks or executes at that moment.
    kill(format!("-{}", child.id()))?;
    child.wait()?;
    // The hook's listener has left the group.
    wait_until("the hook's end", || {
        let killed = Command::new("pkill")
            .args(["-KILL", "-x", "capprof-hook"])
            .status()?;
        Ok(!killed.success())
    })?;
    if let Some((pid, _)) = init {
        kill(pid.to_string())?;
    }
    Ok(())
}

/// Deletes a container whose runtime was killed. Its first process may outlive the runtime by a moment and keep its control group, so this tries again,
/// as engines do.
fn delete(container: &Container) -> anyhow::Result<()> {
    let mut output = container.capprof(&["delete", "--force", &container.id])?;
    for _ in 0..20 {
        if output.status.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(250));
        output = container.capprof(&["delete", "--force", &container.id])?;
    }
    bail!("delete: {}", String::from_utf8_lossy(&output.stderr).trim())
}

fn overlapping(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    scope: &str,
    count: usize,
    on: fn(&Switches) -> bool,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    let script = format!("corpus sys_chroot; {READY}");
    let containers = (0..count)
        .map(|_| recorded(environment, runtime, scope, &script))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for container in &containers {
        container.start()?;
    }
    for container in &containers {
        wait_for(container, "ready")?;
    }
    let last = count - 1;
    for (number, container) in containers.iter().enumerate() {
        ensure!(
            on(&Switches::read()?),
            "switched back while {} still record",
            count - number
        );
        end(container)?;
        ensure!(
            (Switches::read()? == before) == (number == last),
            "after {} of {count}",
            number + 1
        );
    }
    for container in &containers {
        let profile = container.profile()?;
        // SELinux alone cannot be complete in scope host. There must be no other reason.
        let others = profile
            .incomplete_because
            .iter()
            .filter(|line| scope != "host" || !line.contains("in scope host"));
        ensure!(
            others.count() == 0 && profile.complete == (scope == "domain"),
            "complete: {}, {:?}",
            profile.complete,
            profile.incomplete_because
        );
        if scope == "domain" {
            expect(&profile, &[Capability::SYS_CHROOT])?;
        }
    }
    Ok(())
}
