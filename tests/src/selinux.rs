//! SELinux on an enforcing host: what is switched, for how long, and what the records say meanwhile.

use crate::Body;
use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::runner::{Outcome, Passed, Test};
use anyhow::{Context, bail, ensure};
use capprof_profile::observation::Recorder;
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 22] = [
    (
        "domain_keeps_the_host_enforcing",
        domain_keeps_the_host_enforcing,
    ),
    (
        "domain_boolean_is_the_only_entrance",
        domain_boolean_is_the_only_entrance,
    ),
    (
        "domain_has_no_blind_spot_of_the_policy",
        domain_has_no_blind_spot_of_the_policy,
    ),
    (
        "domain_failed_create_restores",
        domain_failed_create_restores,
    ),
    (
        "domain_kill_at_every_step_restores",
        domain_kill_at_every_step_restores,
    ),
    ("domain_two_overlapping", domain_two_overlapping),
    ("domain_twenty_overlapping", domain_twenty_overlapping),
    (
        "domain_administrator_switches_the_boolean",
        domain_administrator_switches_the_boolean,
    ),
    ("the_same_container_twice", the_same_container_twice),
    (
        "two_containers_with_one_level",
        two_containers_with_one_level,
    ),
    ("files_keep_the_engines_level", files_keep_the_engines_level),
    ("the_clock_set_back", the_clock_set_back),
    ("a_flood_of_other_denials", a_flood_of_other_denials),
    ("a_log_rotated_in_the_middle", a_log_rotated_in_the_middle),
    (
        "auditd_restarted_in_the_middle",
        auditd_restarted_in_the_middle,
    ),
    ("auditd_absent", auditd_absent),
    (
        "a_rule_of_audit_that_excludes_records",
        a_rule_of_audit_that_excludes_records,
    ),
    ("doctor_explains", doctor_explains),
    ("host_toggles_and_restores", host_toggles_and_restores),
    ("host_kill_restores", host_kill_restores),
    ("host_two_overlapping", host_two_overlapping),
    (
        "host_administrator_changes_the_mode",
        host_administrator_changes_the_mode,
    ),
];

/// Those in which the runtime has a part: how it starts hooks, waits, fails, and dies. A guest runs these under crun as well, the others only
/// if it is asked for everything.
const OF_THE_RUNTIME: [&str; 7] = [
    "domain_keeps_the_host_enforcing",
    "domain_failed_create_restores",
    "domain_kill_at_every_step_restores",
    "the_same_container_twice",
    "auditd_absent",
    "a_rule_of_audit_that_excludes_records",
    "host_kill_restores",
];

/// All of them under each runtime, each alone on the host.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Vec::new();
    for runtime in &environment.runtimes {
        for (name, body) in BODIES {
            if environment.guest
                && !environment.full
                && runtime.name != "runc"
                && !OF_THE_RUNTIME.contains(&name)
            {
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

/// All that a recording may toggle.
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

/// Mounts a directory of root's own at `/shared`.
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

fn start(container: &Container) -> anyhow::Result<()> {
    let bundle = container.bundle();
    container.capprof_succeeds(&[
        "run",
        "--detach",
        "--bundle",
        &bundle.to_string_lossy(),
        &container.id,
    ])?;
    Ok(())
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
    let expected: CapabilitySet = expected.iter().copied().collect();
    ensure!(
        profile.complete,
        "incomplete: {:?}",
        profile.incomplete_because
    );
    ensure!(
        profile.findings.minimized == expected,
        "expected {:?}, found {:?}",
        expected
            .iter()
            .map(|one| one.to_string())
            .collect::<Vec<_>>(),
        profile
            .findings
            .minimized
            .iter()
            .map(|one| one.to_string())
            .collect::<Vec<_>>()
    );
    for need in &profile.findings.needed {
        ensure!(
            need.recorders == [Recorder::Selinux],
            "{} was not seen by SELinux alone: {:?}",
            need.capability,
            need.recorders
        );
    }
    Ok(())
}

fn run_and_expect(container: &Container, expected: &[Capability]) -> anyhow::Result<Profile> {
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let profile = container.profile()?;
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

fn domain_keeps_the_host_enforcing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    ensure!(before.enforcing, "this host is not enforcing");
    ensure!(
        before.boolean(RECORDING) == Some(false),
        "{RECORDING} is on or absent"
    );
    let container = recorded(
        environment,
        runtime,
        "domain",
        &format!("corpus syslog; {READY}"),
    )?;
    start(&container)?;
    wait_for(&container, "ready")?;
    let during = Switches::read()?;
    ensure!(during.enforcing, "the host is permissive");
    ensure!(
        during.boolean(RECORDING) == Some(true),
        "{RECORDING} is off"
    );
    for (name, value) in &during.booleans {
        ensure!(
            name == RECORDING || before.boolean(name) == Some(*value),
            "{name} was switched too"
        );
    }
    let (_, context) = init(&container)?;
    ensure!(context.contains(":capprof_t:"), "context {context}");
    end(&container)?;
    ensure!(Switches::read()? == before, "not restored");
    expect(&container.profile()?, &[Capability::SYSLOG])
}

fn domain_boolean_is_the_only_entrance(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = recorded(environment, runtime, "domain", "true")?;
    let refused = Command::new("runcon")
        .args([
            "-t",
            "capprof_t",
            "-r",
            "system_r",
            "-u",
            "system_u",
            "true",
        ])
        .output()?;
    ensure!(
        !refused.status.success(),
        "capprof_t was entered while nothing is recorded"
    );
    run_and_expect(&container, &[])?;
    Ok(())
}

fn domain_has_no_blind_spot_of_the_policy(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = recorded(environment, runtime, "domain", "true")?;
    let profile = run_and_expect(&container, &[])?;
    let named: Vec<_> = profile
        .findings
        .blind_spots
        .iter()
        .filter(|spot| {
            spot.capability.is_some()
                && (spot.reason.contains("allow") || spot.reason.contains("dontaudit"))
        })
        .collect();
    ensure!(named.is_empty(), "the policy hides {named:?}");
    Ok(())
}

fn domain_failed_create_restores(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    let mut container = Container::new(environment, runtime, &["/bin/absent"])?;
    container
        .configuration
        .push("recorders = \"selinux\"".to_owned());
    let output = container.run()?;
    ensure!(
        !output.status.success(),
        "a program that does not exist was run"
    );
    container.capprof(&["delete", "--force", &container.id])?;
    ensure!(Switches::read()? == before, "not restored");
    Ok(())
}

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
    // By their group: looked for by name, one that forks or executes at that moment would be missed.
    kill(format!("-{}", child.id()))?;
    child.wait()?;
    // Who has left the group: the hook's listener.
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

/// Deletes a container whose runtime was killed. Its first process may outlive the runtime by a moment, and hold its control group: engines
/// ask again, too.
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

fn domain_kill_at_every_step_restores(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    for step in 0..8 {
        let container = recorded(environment, runtime, "domain", "exec corpus wait")?;
        kill_all(&container, Duration::from_millis(150 * step))?;
        delete(&container)?;
        recover(environment)?;
        let after = Switches::read()?;
        ensure!(
            after == before,
            "step {step}: before {before:?}, after {after:?}"
        );
        for left in container.recordings()? {
            // The shim was killed before it had written what it was about to do. It counts as left over a minute after.
            ensure!(
                !left.join("recording.json").exists(),
                "step {step}: left behind: {}; the runtime has state of it: {}",
                left.display(),
                container.path("runtime").join(&container.id).exists()
            );
            let long_ago = std::time::SystemTime::now() - Duration::from_secs(120);
            fs::File::open(&left)?.set_modified(long_ago)?;
        }
        recover(environment)?;
        let left = container.recordings()?;
        ensure!(left.is_empty(), "step {step}: left behind: {left:?}");
    }
    Ok(())
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
        start(container)?;
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
        ensure!(
            profile.complete,
            "incomplete: {:?}",
            profile.incomplete_because
        );
        if scope == "domain" {
            expect(&profile, &[Capability::SYS_CHROOT])?;
        }
    }
    Ok(())
}

fn domain_two_overlapping(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    overlapping(environment, runtime, "domain", 2, |now| {
        now.enforcing && now.boolean(RECORDING) == Some(true)
    })
}

fn domain_twenty_overlapping(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    overlapping(environment, runtime, "domain", 20, |now| {
        now.enforcing && now.boolean(RECORDING) == Some(true)
    })
}

fn domain_administrator_switches_the_boolean(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // Off under our hands: it stays as the administrator left it.
    let container = recorded(environment, runtime, "domain", READY.trim_start())?;
    start(&container)?;
    wait_for(&container, "ready")?;
    set_boolean(RECORDING, false)?;
    end(&container)?;
    ensure!(
        Switches::read()?.boolean(RECORDING) == Some(false),
        "switched on again"
    );
    // On before we came: it stays on.
    set_boolean(RECORDING, true)?;
    let result = (|| {
        let container = recorded(environment, runtime, "domain", "corpus sys_chroot")?;
        run_and_expect(&container, &[Capability::SYS_CHROOT])?;
        ensure!(
            Switches::read()?.boolean(RECORDING) == Some(true),
            "what the administrator had switched on was switched off"
        );
        Ok(())
    })();
    set_boolean(RECORDING, false)?;
    result
}

fn the_same_container_twice(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = recorded(
        environment,
        runtime,
        "domain",
        "corpus chown && corpus net_raw",
    )?;
    for round in 0..3 {
        run_and_expect(&container, &[Capability::CHOWN, Capability::NET_RAW])
            .with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

/// Gives the container the label that an engine would.
fn set_label(container: &Container, level: &str) -> anyhow::Result<()> {
    container.edit(|config| {
        config["process"]["selinuxLabel"] = format!("system_u:system_r:container_t:{level}").into();
        config["linux"]["mountLabel"] =
            format!("system_u:object_r:container_file_t:{level}").into();
    })
}

fn two_containers_with_one_level(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // As in a pod.
    let one = recorded(
        environment,
        runtime,
        "domain",
        &format!("corpus sys_chroot; {READY}"),
    )?;
    let other = recorded(
        environment,
        runtime,
        "domain",
        &format!("corpus net_raw; {READY}"),
    )?;
    for container in [&one, &other] {
        set_label(container, "s0:c11,c12")?;
        start(container)?;
    }
    for container in [&one, &other] {
        wait_for(container, "ready")?;
    }
    end(&one)?;
    end(&other)?;
    expect(&one.profile()?, &[Capability::SYS_CHROOT])?;
    expect(&other.profile()?, &[Capability::NET_RAW])
}

fn files_keep_the_engines_level(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let level = "s0:c21,c22";
    let label_of = |path: &Path| -> anyhow::Result<String> {
        let output = Command::new("stat").arg("-c%C").arg(path).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let container = recorded(
        environment,
        runtime,
        "domain",
        "echo profiled > /shared/made",
    )?;
    set_label(&container, level)?;
    let relabel = |container: &Container| {
        crate::container::succeed(
            Command::new("chcon")
                .args(["-R", &format!("system_u:object_r:container_file_t:{level}")])
                .arg(container.path("shared"))
                .arg(container.bundle().join("rootfs")),
        )
    };
    relabel(&container)?;
    run_and_expect(&container, &[])?;
    let made = label_of(&container.path("shared").join("made"))?;
    ensure!(
        made.ends_with(&format!(":{level}")),
        "a file in the volume got {made}"
    );
    // A normal container of the same level reads it afterwards.
    // Into a file: an ordinary container may not write to the pipes of whoever runs this test.
    let copy = ["/bin/sh", "-c", "cat /shared/made > /shared/copy"];
    let reader = Container::new(environment, runtime, &copy)?;
    share(&reader)?;
    set_label(&reader, level)?;
    relabel(&reader)?;
    fs::remove_dir_all(reader.path("shared"))?;
    fs::rename(container.path("shared"), reader.path("shared"))?;
    reader.edit(|config| config["annotations"] = serde_json::json!({"io.capprof.mode": "off"}))?;
    let output = reader.run()?;
    let copied = fs::read_to_string(reader.path("shared").join("copy")).unwrap_or_default();
    ensure!(
        copied == "profiled\n",
        "a normal container cannot read it: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn the_clock_set_back(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let started = Instant::now();
    let script = "corpus sys_chroot && date -s '2020-01-02 03:04:05' > /dev/null && corpus net_raw";
    let container = recorded(environment, runtime, "domain", script)?;
    std::os::unix::fs::symlink("busybox", container.bundle().join("rootfs/bin/date"))?;
    let result = run_and_expect(
        &container,
        &[
            Capability::NET_RAW,
            Capability::SYS_CHROOT,
            Capability::SYS_TIME,
        ],
    );
    crate::container::succeed(
        Command::new("date")
            .arg("-s")
            .arg(format!("@{}", now + started.elapsed().as_secs())),
    )?;
    result.map(|_| ())
}

fn a_flood_of_other_denials(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = format!(
        "corpus sys_chroot; > /shared/ready; while [ ! -e /shared/go ]; do sleep 0.1; done; corpus net_raw; {}",
        READY.replace("ready", "done")
    );
    let container = recorded(environment, runtime, "domain", &script)?;
    start(&container)?;
    wait_for(&container, "ready")?;
    // Records of somebody else's, as fast as this machine makes them.
    let mut flood = Command::new("sh")
        .args([
            "-c",
            "for n in $(seq 300); do auditctl -m \"flood $n\"; done",
        ])
        .spawn()?;
    let denied = Command::new("runcon")
        .args([
            "-t",
            "container_t",
            "-r",
            "system_r",
            "-u",
            "system_u",
            "-l",
            "s0:c901,c902",
        ])
        .args([
            "sh",
            "-c",
            "for n in $(seq 2000); do : < /root/.profile; done",
        ])
        .output();
    fs::write(container.path("shared").join("go"), "")?;
    wait_for(&container, "done")?;
    flood.wait()?;
    drop(denied);
    end(&container)?;
    let profile = container.profile()?;
    if !profile.complete {
        ensure!(
            profile
                .incomplete_because
                .iter()
                .any(|reason| reason.contains("lost")),
            "incomplete without saying what was lost: {:?}",
            profile.incomplete_because
        );
        return Ok(());
    }
    expect(&profile, &[Capability::NET_RAW, Capability::SYS_CHROOT])
}

/// A container that uses one capability, lets the caller do something, and uses another.
fn interrupted(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    interruption: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Profile> {
    let script = format!(
        "corpus sys_chroot; > /shared/ready; while [ ! -e /shared/go ]; do sleep 0.1; done; corpus net_raw; {}",
        READY.replace("ready", "done")
    );
    let container = recorded(environment, runtime, "domain", &script)?;
    start(&container)?;
    wait_for(&container, "ready")?;
    interruption()?;
    fs::write(container.path("shared").join("go"), "")?;
    wait_for(&container, "done")?;
    end(&container)?;
    container.profile()
}

const BOTH: [Capability; 2] = [Capability::NET_RAW, Capability::SYS_CHROOT];

fn a_log_rotated_in_the_middle(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let profile = interrupted(environment, runtime, || {
        let log = Path::new("/var/log/audit/audit.log");
        let inode = |path: &Path| -> anyhow::Result<u64> {
            use std::os::unix::fs::MetadataExt;
            Ok(fs::metadata(path)?.ino())
        };
        let before = inode(log)?;
        crate::container::succeed(Command::new("pkill").args(["-USR1", "-x", "auditd"]))?;
        wait_until("the log is rotated", || {
            Ok(inode(log).is_ok_and(|now| now != before))
        })
    })?;
    expect(&profile, &BOTH)
}

fn auditd(action: &str) -> anyhow::Result<()> {
    // The unit refuses a manual stop; the daemon itself does not.
    let mut command = match action {
        "start" => {
            let mut command = Command::new("systemctl");
            command.args(["start", "auditd"]);
            command
        }
        _ => {
            let mut command = Command::new("pkill");
            command.args(["-TERM", "-x", "auditd"]);
            command
        }
    };
    crate::container::succeed(&mut command)?;
    wait_until("auditd", || {
        Ok(runs(&["-x", "auditd"])? == (action == "start"))
    })
}

/// Whether pgrep(1) finds a process by these arguments.
fn runs(arguments: &[&str]) -> anyhow::Result<bool> {
    let found = Command::new("pgrep").args(arguments).output()?;
    Ok(found.status.success())
}

/// The right answer, or an incomplete profile that says why.
fn right_or_incomplete(profile: &Profile) -> anyhow::Result<()> {
    if profile.complete {
        return expect(profile, &BOTH);
    }
    if profile.incomplete_because.iter().all(String::is_empty) {
        bail!("incomplete without a reason");
    }
    Ok(())
}

fn auditd_restarted_in_the_middle(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let profile = interrupted(environment, runtime, || {
        auditd("stop")?;
        auditd("start")
    })?;
    right_or_incomplete(&profile)
}

fn auditd_absent(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    auditd("stop")?;
    let result = (|| {
        let container = recorded(
            environment,
            runtime,
            "domain",
            "corpus sys_chroot && corpus net_raw",
        )?;
        run_and_expect(&container, &BOTH)?;
        // It ends with the container, but nobody waits for it.
        let ended = Instant::now();
        while runs(&["-f", "capprof-hook listen"])? {
            ensure!(
                ended.elapsed() < Duration::from_secs(10),
                "the listener outlives the recording"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    })();
    auditd("start")?;
    result
}

fn auditctl(arguments: &[&str]) -> anyhow::Result<()> {
    crate::container::succeed(Command::new("auditctl").args(arguments))
}

/// `msgtype=AVC` is part of rule sets that people install (`-a always,exclude -F msgtype=AVC`); nothing counts what it hides.
const EXCLUDE: [&str; 4] = ["-a", "never,exclude", "-F", "msgtype=AVC"];
const INCLUDE: [&str; 4] = ["-d", "never,exclude", "-F", "msgtype=AVC"];

fn a_rule_of_audit_that_excludes_records(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // Loaded before: nothing is recorded, and the runtime's own output says why.
    let container = recorded(environment, runtime, "domain", "corpus sys_chroot")?;
    auditctl(&EXCLUDE)?;
    let bundle = container.bundle();
    let output = container
        .command(&["run", "--bundle", &bundle.to_string_lossy(), &container.id])
        // A pipe, as engines have it.
        .and_then(|mut command| Ok(command.output()?));
    auditctl(&INCLUDE)?;
    let output = output?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && errors.contains("audit rule -a never,exclude -F msgtype=AVC"),
        "{}: {errors}",
        output.status
    );
    container.capprof(&["delete", "--force", &container.id])?;

    // Loaded meanwhile, and still there or gone at the end: incomplete.
    let added = interrupted(environment, runtime, || auditctl(&EXCLUDE));
    auditctl(&INCLUDE)?;
    let removed = interrupted(environment, runtime, || {
        auditctl(&EXCLUDE)?;
        auditctl(&INCLUDE)
    });
    for (profile, reason) in [
        (added?, "-a never,exclude -F msgtype=AVC"),
        (removed?, "exclude list was removed"),
    ] {
        ensure!(
            profile
                .incomplete_because
                .iter()
                .any(|because| because.contains(reason)),
            "{reason}: {:?}",
            profile.incomplete_because
        );
    }

    // Of another kind of record: none of ours is missing.
    let other = ["never,exclude", "-F", "msgtype=CWD"];
    auditctl(&[&["-a"], &other[..]].concat())?;
    let profile = run_and_expect(&container, &[Capability::SYS_CHROOT]);
    auditctl(&[&["-d"], &other[..]].concat())?;
    profile?;

    // A limit of records per second: what it drops is counted.
    let script = "corpus sys_chroot; corpus net_raw; corpus chown; corpus kill; corpus mknod";
    let container = recorded(environment, runtime, "domain", script)?;
    auditctl(&["-r", "1"])?;
    let output = container.run();
    auditctl(&["-r", "0"])?;
    output?;
    let profile = container.profile()?;
    ensure!(
        profile
            .incomplete_because
            .iter()
            .any(|because| because.contains("lost")),
        "a rate limit: {:?}",
        profile.incomplete_because
    );
    Ok(())
}

fn doctor(environment: &Environment) -> anyhow::Result<(serde_json::Value, String)> {
    let run = |arguments: &[&str]| -> anyhow::Result<Vec<u8>> {
        let output = Command::new(environment.binaries.join("capprofctl"))
            .args(arguments)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    };
    let mut report: serde_json::Value =
        serde_json::from_slice(&run(&["doctor", "--format", "json"])?)?;
    let text = String::from_utf8(run(&["doctor"])?)?;
    Ok((report["recorders"]["selinux"].take(), text))
}

fn doctor_explains(environment: &Arc<Environment>, _: &Runtime) -> anyhow::Result<()> {
    let (report, text) = doctor(environment)?;
    ensure!(
        report["usable"] == true
            && report["selinux"] == "enforcing"
            && report["module"]["loaded"] == true
            && report["module"]["booleans"][RECORDING] == false
            && report["audit"]["daemon"] == "auditd"
            && report["audit"]["log"] == "/var/log/audit/audit.log",
        "{report:#}"
    );
    for scope in ["domain", "host"] {
        ensure!(
            report["scopes"][scope]["possible"] == true,
            "scope {scope}: {report:#}"
        );
    }
    let spots = |scope: &str, namespace: &str| -> anyhow::Result<Vec<String>> {
        Ok(report["scopes"][scope]["blind_spots"][namespace]
            .as_array()
            .with_context(|| format!("scope {scope} {namespace}: {report:#}"))?
            .iter()
            .filter_map(|spot| Some(spot["capability"].as_str()?.to_owned()))
            .collect())
    };
    for namespace in ["in_the_initial_user_namespace", "in_a_user_namespace"] {
        let hidden = spots("domain", namespace)?;
        ensure!(hidden.is_empty(), "scope domain {namespace}: {hidden:?}");
    }
    let hidden = spots("host", "in_the_initial_user_namespace")?;
    for capability in ["CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"] {
        ensure!(
            hidden.iter().any(|one| one == capability),
            "scope host: {capability} is not among {hidden:?}"
        );
    }
    for line in [
        "SELinux: can record",
        "capprof_recording: no",
        "daemon: auditd",
        "CAP_NET_BIND_SERVICE: the policy allows it",
    ] {
        ensure!(text.contains(line), "{line}: not in {text}");
    }
    // What stands in the way is told with what to do about it.
    auditctl(&EXCLUDE)?;
    let excluded = doctor(environment);
    auditctl(&INCLUDE)?;
    auditctl(&["-b", "64"])?;
    let short = doctor(environment);
    auditctl(&["-b", "8192"])?;
    auditd("stop")?;
    let absent = doctor(environment);
    auditd("start")?;
    let (report, text) = excluded?;
    ensure!(
        report["usable"] == false && text.contains("audit rule -a never,exclude -F msgtype=AVC"),
        "{text}"
    );
    let (_, text) = short?;
    ensure!(
        text.contains("audit keeps 64 records waiting at most"),
        "{text}"
    );
    let (report, text) = absent?;
    ensure!(
        report["usable"] == true && report["audit"]["log"].is_null(),
        "{text}"
    );
    Ok(())
}

fn toggled(now: &Switches) -> bool {
    !now.enforcing
}

fn host_toggles_and_restores(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    let boolean = ["container_use_host_all_caps", "virt_sandbox_use_all_caps"]
        .into_iter()
        .find(|name| before.boolean(name).is_some())
        .context("the policy has no boolean about containers' capabilities")?;
    // On, so that there is something to toggle; Debian has it off.
    set_boolean(boolean, true)?;
    let on = Switches::read()?;
    let result = (|| {
        let script = format!("corpus dac_override-write; corpus sys_nice; {READY}");
        let container = recorded(environment, runtime, "host", &script)?;
        start(&container)?;
        wait_for(&container, "ready")?;
        let during = Switches::read()?;
        ensure!(!during.enforcing, "the host is enforcing");
        ensure!(during.boolean(boolean) == Some(false), "{boolean} is on");
        let (_, context) = init(&container)?;
        ensure!(context.contains(":container_t:"), "context {context}");
        end(&container)?;
        ensure!(Switches::read()? == on, "not restored");
        let profile = container.profile()?;
        for capability in [Capability::NET_BIND_SERVICE, Capability::SYS_ADMIN] {
            ensure!(
                profile
                    .findings
                    .blind_spots
                    .iter()
                    .any(|spot| spot.capability == Some(capability)),
                "{capability} is not named as a blind spot: {:?}",
                profile.findings.blind_spots
            );
        }
        for capability in [Capability::DAC_OVERRIDE, Capability::SYS_NICE] {
            ensure!(
                profile.findings.minimized.contains(capability),
                "{capability} is missing: {:?}",
                profile.findings.minimized
            );
        }
        Ok(())
    })();
    set_boolean(boolean, before.boolean(boolean) == Some(true))?;
    result
}

fn host_kill_restores(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let before = Switches::read()?;
    for step in 0..6 {
        let container = recorded(environment, runtime, "host", "exec corpus wait")?;
        kill_all(&container, Duration::from_millis(200 * step))?;
        recover(environment)?;
        let after = Switches::read()?;
        if after != before {
            // The container's first process may have outlived the runtime: then it is its deletion that ends the recording.
            delete(&container)?;
            recover(environment)?;
        }
        let after = Switches::read()?;
        ensure!(
            after == before,
            "step {step}: before {before:?}, after {after:?}"
        );
        delete(&container)?;
    }
    Ok(())
}

fn host_two_overlapping(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    overlapping(environment, runtime, "host", 2, toggled)
}

fn host_administrator_changes_the_mode(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // Made enforcing under our hands: stays enforcing.
    let container = recorded(environment, runtime, "host", READY)?;
    start(&container)?;
    wait_for(&container, "ready")?;
    set_enforcing(true)?;
    end(&container)?;
    ensure!(Switches::read()?.enforcing, "made permissive again");
    // Permissive before we came: stays permissive.
    set_enforcing(false)?;
    let result = (|| {
        let container = recorded(environment, runtime, "host", "true")?;
        let output = container.run()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            !Switches::read()?.enforcing,
            "what was permissive was made enforcing"
        );
        Ok(())
    })();
    set_enforcing(true)?;
    result
}
