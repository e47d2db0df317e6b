//! `capprofctl verify --today`: finds out if a workload does without capabilities that it asks for and is not given.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::ensure;
use capprof_profile::part::{Part, TriedBy};
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::profiles::Store;
use serde_json::json;
use std::fs;
use std::process::Output;
use std::sync::Arc;

const BODIES: [(&str, Body); 5] = [
    (
        "what_is_done_without_is_left_out",
        what_is_done_without_is_left_out,
    ),
    ("what_fails_today_stays", what_fails_today_stays),
    (
        "that_it_starts_settles_nothing",
        that_it_starts_settles_nothing,
    ),
    (
        "who_asks_for_nothing_more_is_not_run",
        who_asks_for_nothing_more_is_not_run,
    ),
    (
        "another_user_is_tried_with_what_is_ambient_today",
        another_user_is_tried_with_what_is_ambient_today,
    ),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    Test::each(environment, "today", Some("ebpf"), &BODIES)
}

/// Exit status of a run that has not passed.
const NOT_VERIFIED: Option<i32> = Some(4);

/// Capabilities that the bundle gives in addition to those of `runc spec`. The programs below use only the first.
const GIVEN: [Capability; 2] = [Capability::SYS_CHROOT, Capability::SYSLOG];

fn set(list: &[Capability]) -> CapabilitySet {
    list.iter().copied().collect()
}

/// A profiled container that is given more than it uses. It uses SYS_CHROOT and also asks for SYS_ADMIN; `script` decides what follows.
fn profiled(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    script: &str,
) -> anyhow::Result<(Container, Profile)> {
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    container.grant(set(&GIVEN))?;
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "profiling: {}: {}",
        output.status,
        said(&output)
    );
    let profile = container.profile()?;
    Ok((container, profile))
}

fn today(container: &Container, options: &[&str]) -> anyhow::Result<Output> {
    let mut arguments = vec!["verify", "last", "--today"];
    arguments.extend(options);
    Ok(container.ctl_with_runtime(&arguments)?.output()?)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn stored(container: &Container) -> anyhow::Result<Profile> {
    Ok(Store::at(container.store()).find("last")?.profile)
}

/// The output of `capprofctl report` for docker.
fn form(container: &Container) -> anyhow::Result<String> {
    let output = container
        .ctl(&["report", "last", "--format", "docker"])?
        .output()?;
    ensure!(output.status.success(), "report: {}", said(&output));
    Ok(said(&output))
}

fn expect(output: &Output, status: Option<i32>, words: &[&str]) -> anyhow::Result<()> {
    let said = said(output);
    ensure!(
        output.status.code() == status,
        "capprofctl verify --today: {}, expected {status:?}: {said}",
        output.status
    );
    for word in words {
        ensure!(said.contains(word), "not said: {word}: {said}");
    }
    Ok(())
}

fn what_is_done_without_is_left_out(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "/bin/corpus sys_chroot && { /bin/corpus sys_admin-sethostname || true; }";
    let (container, profile) = profiled(environment, runtime, script)?;
    let [held, asked] = [
        set(&[Capability::SYS_CHROOT]),
        set(&[Capability::SYS_ADMIN]),
    ];
    ensure!(
        profile.part(Part::Held) == held && profile.part(Part::Asked) == asked,
        "{:?}",
        profile.findings.needed
    );
    let before = form(&container)?;
    ensure!(
        before.contains("# asks for SYS_ADMIN too") && !before.contains("--cap-add=SYS_ADMIN"),
        "{before}"
    );
    let configuration = fs::read(container.bundle().join("config.json"))?;
    let output = today(&container, &[])?;
    let words = ["it works without CAP_SYS_ADMIN", "with CAP_SYS_CHROOT\n"];
    expect(&output, Some(0), &words)?;
    let after = stored(&container)?;
    let settled = after.today.as_ref();
    ensure!(
        settled.is_some_and(|today| today.passed
            && today.by == TriedBy::Verified
            && today.set == held),
        "{settled:?}"
    );
    ensure!(
        after.answer().0 == held && after.unsettled().is_empty(),
        "{:?}",
        after.answer()
    );
    // The run had another set than the profile's own, so it is no verdict on that.
    ensure!(after.verification.is_none(), "{:?}", after.verification);
    let form = form(&container)?;
    ensure!(
        form.contains("--cap-add=SYS_CHROOT") && !form.contains("SYS_ADMIN"),
        "{form}"
    );
    ensure!(fs::read(container.bundle().join("config.json"))? == configuration);
    // The omitted capabilities stay omitted, and a plain verify tries the rest.
    let output = container.ctl_with_runtime(&["verify", "last"])?.output()?;
    expect(&output, Some(0), &["with CAP_SYS_CHROOT\n"])?;
    container.expect_nothing_left()
}

fn what_fails_today_stays(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "/bin/corpus sys_chroot && /bin/corpus sys_admin-sethostname";
    let (container, _) = profiled(environment, runtime, script)?;
    let output = today(&container, &[])?;
    let words = ["NOT VERIFIED", "it needs", "SYS_ADMIN"];
    expect(&output, NOT_VERIFIED, &words)?;
    let after = stored(&container)?;
    let all = set(&[Capability::SYS_CHROOT, Capability::SYS_ADMIN]);
    ensure!(
        after.answer().0 == all && after.part(Part::Beyond) == set(&[Capability::SYS_ADMIN]),
        "{:?}",
        after.findings.needed
    );
    let failures = after.today.map(|today| (today.passed, today.failures));
    ensure!(
        failures
            .as_ref()
            .is_some_and(|(passed, lines)| !passed && !lines.is_empty()),
        "{failures:?}"
    );
    let form = form(&container)?;
    ensure!(
        form.contains("--cap-add=SYS_ADMIN") && !form.contains("# asks for"),
        "{form}"
    );
    container.expect_nothing_left()
}

fn that_it_starts_settles_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "/bin/corpus sys_admin-sethostname || true; read seconds < /etc/seconds; \
                  > /tmp/ready; sleep $seconds";
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    let seconds = container.bundle().join("rootfs/etc/seconds");
    fs::write(&seconds, "0\n")?;
    let output = container.run()?;
    ensure!(output.status.success(), "profiling: {}", said(&output));
    fs::write(&seconds, "100\n")?;
    let before = stored(&container)?;
    let output = today(&container, &["--timeout", "3"])?;
    expect(&output, Some(0), &["started only", "give a check"])?;
    ensure!(stored(&container)? == before, "the profile is another");
    // A check decides it.
    let check = "test -e /proc/$CAPPROF_CONTAINER_PID/root/tmp/ready";
    let output = today(&container, &["--check", check, "--timeout", "50"])?;
    expect(&output, Some(0), &["it works without CAP_SYS_ADMIN"])?;
    ensure!(stored(&container)?.answer().0.is_empty());
    container.expect_nothing_left()
}

fn who_asks_for_nothing_more_is_not_run(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, profile) = profiled(environment, runtime, "/bin/corpus sys_chroot")?;
    let output = today(&container, &[])?;
    expect(&output, Some(0), &["there is nothing to try"])?;
    ensure!(stored(&container)? == profile, "the profile is another");
    container.expect_nothing_left()
}

fn another_user_is_tried_with_what_is_ambient_today(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "/bin/corpus net_bind_service; true";
    let mut container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    container.use_user(1000)?;
    container.grant_ambient();
    // docker puts it into the bounding set alone, which has no effect for this user.
    container.edit(|config| {
        for set in ["effective", "permitted", "inheritable", "ambient"] {
            config["process"]["capabilities"][set] = json!([]);
        }
    })?;
    let output = container.run()?;
    ensure!(output.status.success(), "profiling: {}", said(&output));
    let before = container.profile()?;
    ensure!(
        before.findings.minimized == set(&[Capability::NET_BIND_SERVICE])
            && before.todays_set().is_empty(),
        "{:?}",
        before.findings.needed
    );
    let output = today(&container, &[])?;
    expect(&output, Some(0), &["it works without CAP_NET_BIND_SERVICE"])?;
    ensure!(stored(&container)?.answer().0.is_empty());
    container.expect_nothing_left()
}
