//! Mode `observe`: a container does not change, and the reports about it.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use capprof_profile::recording::Mode;
use capprof_profile::{Capability, CapabilitySet};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;

const BODIES: [(&str, Body); 6] = [
    ("nothing_changes", nothing_changes),
    ("exec_gets_what_it_asks_for", exec_gets_what_it_asks_for),
    ("what_is_not_used_is_named", what_is_not_used_is_named),
    ("what_is_refused_is_named", what_is_refused_is_named),
    (
        "the_configuration_makes_it_the_default",
        the_configuration_makes_it_the_default,
    ),
    (
        "a_host_that_cannot_record_runs_it",
        a_host_that_cannot_record_runs_it,
    ),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    Test::each(environment, "observe", Some("ebpf"), &BODIES)
}

fn observed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    arguments: &[&str],
) -> anyhow::Result<Container> {
    let container = Container::new(environment, runtime, arguments)?;
    container.edit(|config| config["annotations"] = json!({"io.capprof.mode": "observe"}))?;
    Ok(container)
}

/// The lines of a /proc/PID/status that say what a process may do (proc_pid_status(5)).
fn rights(status: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(status)
        .lines()
        .filter(|line| {
            ["Cap", "Seccomp", "NoNewPrivs", "Uid", "Gid", "Groups"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .map(str::to_owned)
        .collect()
}

fn nothing_changes(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = observed(environment, runtime, &["/bin/cat", "/proc/self/status"])?;
    // Profiling would relax these.
    container.edit(|config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
        });
    })?;
    for user in [0, 1000] {
        container.use_user(user)?;
        let bare = container.bare().output()?;
        ensure!(bare.status.success(), "{bare:?}");
        let observed = container.run()?;
        ensure!(observed.status.success(), "{observed:?}");
        let (bare, observed) = (rights(&bare.stdout), rights(&observed.stdout));
        ensure!(
            bare == observed && bare.len() >= 9,
            "{bare:?}\n{observed:?}"
        );
        let profile = container.profile()?;
        ensure!(profile.conditions.mode == Mode::Observe);
        ensure!(profile.conditions.granted == profile.conditions.original);
        ensure!(profile.conditions.relaxed.is_empty() && profile.complete);
    }
    // The whole configuration, except the hooks.
    container.edit(|config| config["process"]["args"] = json!(["/bin/sleep", "60"]))?;
    container.start()?;
    let recording = container.recordings()?.pop().context("no recording")?;
    let read = |name: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&fs::read(recording.join(name))?)?)
    };
    let (engines, mut runtimes) = (read("config.original.json")?, read("config.json")?);
    let hooks = runtimes
        .as_object_mut()
        .and_then(|config| config.shift_remove("hooks"));
    ensure!(hooks.is_some() && engines == runtimes);
    container.stop()
}

fn exec_gets_what_it_asks_for(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = observed(environment, runtime, &["/bin/sleep", "60"])?;
    container.start()?;
    let output = container.capprof_succeeds(&[
        "exec",
        "--cap",
        "CAP_SYS_TIME",
        &container.id,
        "/bin/cat",
        "/proc/self/status",
    ])?;
    let effective = String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("CapPrm:\t").map(str::to_owned))
        .context("no CapPrm")?;
    let set = CapabilitySet::from_bits(u64::from_str_radix(&effective, 16)?);
    ensure!(set.contains(Capability::SYS_TIME), "{set}");
    ensure!(!set.contains(Capability::SYS_MODULE), "{set}");
    container.stop()
}

fn what_is_not_used_is_named(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = observed(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
    container.grant(
        [Capability::SYS_CHROOT, Capability::SYS_TIME]
            .into_iter()
            .collect(),
    )?;
    let output = container.run()?;
    ensure!(output.status.success(), "{output:?}");
    let profile = container.profile()?;
    ensure!(profile.complete, "{:?}", profile.incomplete_because);
    let expected: CapabilitySet = [Capability::SYS_CHROOT].into_iter().collect();
    ensure!(
        profile.findings.minimized == expected,
        "{}",
        profile.findings.minimized
    );
    let held = profile.conditions.original.bounding;
    let report = container.ctl(&["report"])?.output()?;
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    for part in [
        format!("uses 1 of {} ·", held.len()),
        format!("drops {}, among them", held.difference(expected).len()),
    ] {
        ensure!(report.contains(&part), "{part}\n{report}");
    }
    Ok(())
}

fn what_is_refused_is_named(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = observed(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
    container.withhold([Capability::SYS_CHROOT].into_iter().collect())?;
    let output = container.run()?;
    ensure!(!output.status.success(), "it did without: {output:?}");
    let profile = container.profile()?;
    let refused: CapabilitySet = profile
        .denied_needs
        .iter()
        .map(|need| need.capability)
        .collect();
    ensure!(refused.contains(Capability::SYS_CHROOT), "{refused}");
    ensure!(!profile.findings.minimized.contains(Capability::SYS_CHROOT));
    let report = container.ctl(&["report"])?.output()?;
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    let line = "refused, and made system calls fail: CAP_SYS_CHROOT (";
    ensure!(
        report.lines().any(|own| own.starts_with(line)),
        "{line}\n{report}"
    );
    // `why` reports the same from the stored profile.
    let told = container.ctl(&["why", &container.id])?.output()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for line in [
        "corpus: chroot: EPERM",
        "  missing CAP_SYS_CHROOT (",
        "    to allow it: CAP_SYS_CHROOT",
        "not seen: of a finished recording, ",
    ] {
        ensure!(
            told.lines().any(|own| own.starts_with(line)),
            "{line}\n{told}"
        );
    }
    let told = container
        .ctl(&["why", "--format", "json", &container.id])?
        .output()?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let cause = &told["refusals"][0]["explanation"]["causes"][0];
    ensure!(cause["kind"] == "capability", "{told}");
    ensure!(cause["capability"] == "CAP_SYS_CHROOT", "{told}");
    Ok(())
}

fn the_configuration_makes_it_the_default(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut container = Container::new(environment, runtime, &["/bin/true"])?;
    container
        .configuration
        .push("mode = \"observe\"".to_owned());
    for (annotations, expected) in [
        (json!({}), Mode::Observe),
        (json!({"io.capprof.mode": "profile"}), Mode::Profile),
    ] {
        container.edit(|config| config["annotations"] = annotations)?;
        let output = container.run()?;
        ensure!(output.status.success(), "{output:?}");
        ensure!(container.profile()?.conditions.mode == expected);
    }
    Ok(())
}

/// Profiling would be refused there, because the recorder cannot work in a nested pid namespace.
fn a_host_that_cannot_record_runs_it(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/true"])?;
    for (mode, runs) in [("profile", false), ("observe", true)] {
        container.edit(|config| config["annotations"] = json!({"io.capprof.mode": mode}))?;
        let bundle = container.bundle();
        let capprof =
            container.command(&["run", "--bundle", &bundle.to_string_lossy(), &container.id])?;
        let mut nested = std::process::Command::new("unshare");
        nested
            .args(["--pid", "--fork", "--mount-proc"])
            .arg(capprof.get_program())
            .args(capprof.get_args());
        for (key, value) in capprof.get_envs() {
            nested.env(key, value.unwrap_or_default());
        }
        let output = nested.output()?;
        ensure!(output.status.success() == runs, "{mode}: {output:?}");
        ensure!(container.recordings()?.is_empty(), "{mode}");
    }
    Ok(())
}
