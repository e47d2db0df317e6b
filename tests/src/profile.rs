//! `capprofctl profile`, and the commands for stored profiles: `diff`, `check`, `list`, `rm`, `prune`.

use crate::container::Container;
use crate::environment::{Environment, Runtime, follows_system_calls};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use capprof_profile::profile::Profile;
use capprof_profile::verification::Verdict;
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::profiles::Store;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 6] = [
    (
        "one_command_gives_a_verified_answer",
        one_command_gives_a_verified_answer,
    ),
    (
        "a_check_that_never_succeeds_is_told",
        a_check_that_never_succeeds_is_told,
    ),
    (
        "it_ends_when_nothing_new_comes",
        it_ends_when_nothing_new_comes,
    ),
    (
        "an_interrupt_leaves_nothing_and_loses_nothing",
        an_interrupt_leaves_nothing_and_loses_nothing,
    ),
    (
        "a_report_says_what_a_capability_was_used_on",
        a_report_says_what_a_capability_was_used_on,
    ),
    (
        "profiles_are_compared_checked_and_removed",
        profiles_are_compared_checked_and_removed,
    ),
];

/// A program that ends when it is asked to.
const PATIENT: &str = "trap 'exit 0' TERM; sleep 100 & wait";

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Test::each(environment, "profile", Some("ebpf"), &BODIES);
    let alone = [(
        "a_program_that_is_no_container",
        a_program_that_is_no_container as Body,
    )];
    // This test must run alone: the recordings of other tests would attach the program too.
    tests.extend(
        Test::each(environment, "profile", Some("ebpf"), &alone)
            .into_iter()
            .map(Test::alone),
    );
    tests
}

fn expect(output: &Output, status: i32) -> anyhow::Result<String> {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        output.status.code() == Some(status),
        "{}, expected {status}: {said}",
        output.status
    );
    Ok(said)
}

fn stored(container: &Container) -> anyhow::Result<Profile> {
    Ok(Store::at(container.store()).find(&container.id)?.profile)
}

fn nothing_is_left(container: &Container) -> anyhow::Result<()> {
    let recordings = container.recordings()?;
    ensure!(recordings.is_empty(), "recordings are left: {recordings:?}");
    let state = container.path("runtime").join(&container.id);
    ensure!(!state.exists(), "the container is left");
    Ok(())
}

fn one_command_gives_a_verified_answer(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "net_bind_service"])?;
    let output = container.ctl_with_runtime(&["profile"])?.output()?;
    let said = expect(&output, 0)?;
    for part in ["step 1: profiling", "running: ", "NET_BIND_SERVICE"] {
        ensure!(said.contains(part), "not said: {part}: {said}");
    }
    let profile = stored(&container)?;
    ensure!(profile.answer().0 == [Capability::NET_BIND_SERVICE].into_iter().collect());
    let verification = profile
        .verification
        .context("the profile is not verified")?;
    ensure!(verification.verdict == Verdict::Verified);
    let said = expect(&container.ctl(&["why", &container.id])?.output()?, 0)?;
    ensure!(said.contains("nothing was refused"), "{said}");
    nothing_is_left(&container)
}

fn a_check_that_never_succeeds_is_told(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", PATIENT])?;
    let options = ["profile", "--check", "false", "--timeout", "2s"];
    let output = container.ctl_with_runtime(&options)?.output()?;
    let said = expect(&output, 4)?;
    ensure!(
        said.contains("the check does not succeed even with everything granted"),
        "{said}"
    );
    ensure!(stored(&container)?.verification.is_none());
    let said = expect(&container.ctl(&["why", &container.id])?.output()?, 1)?;
    ensure!(
        said.contains("had every capability, so none was refused"),
        "{said}"
    );
    nothing_is_left(&container)
}

/// The second capability comes late after the first, but before the quiet time is over. Repeated uses are no news.
fn it_ends_when_nothing_new_comes(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let program = "trap 'exit 0' TERM; /bin/corpus sys_chroot; sleep 2; /bin/corpus net_bind_service; \
                   while sleep 1; do /bin/corpus net_bind_service; done";
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", program])?;
    let options = ["profile", "--until-quiet", "4s", "--no-shrink"];
    let started = Instant::now();
    let output = container.ctl_with_runtime(&options)?.output()?;
    let said = expect(&output, 4)?;
    for part in [
        "new: used CAP_SYS_CHROOT corpus: chroot",
        "new: used CAP_NET_BIND_SERVICE corpus: bind",
        "it was only started; next: give --check",
    ] {
        ensure!(said.contains(part), "not said: {part}: {said}");
    }
    ensure!(said.matches("new: ").count() == 2, "{said}");
    ensure!(started.elapsed() > Duration::from_secs(6), "it ended early");
    let set = stored(&container)?.answer().0;
    ensure!(
        set == [Capability::SYS_CHROOT, Capability::NET_BIND_SERVICE]
            .into_iter()
            .collect(),
        "{set}: {said}"
    );
    nothing_is_left(&container)
}

fn an_interrupt_leaves_nothing_and_loses_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let program = format!("/bin/corpus sys_chroot && echo started; {PATIENT}");
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", &program])?;
    let mut child = container
        .ctl_with_runtime(&["profile"])?
        .stdout(Stdio::null())
        .stderr(fs::File::create(container.path("said"))?)
        .spawn()?;
    let started = Instant::now();
    while !fs::read_to_string(container.path("said"))?.contains("started") {
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "it does not start"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The child is `timeout`, which passes the signal on.
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    child.wait()?;
    let said = fs::read_to_string(container.path("said"))?;
    ensure!(said.contains("interrupted: the profile is kept"), "{said}");
    ensure!(said.contains("next: capprofctl verify "), "{said}");
    ensure!(
        stored(&container)?
            .answer()
            .0
            .contains(Capability::SYS_CHROOT)
    );
    nothing_is_left(&container)
}

fn a_program_that_is_no_container(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/true"])?;
    let corpus = environment.corpus.display().to_string();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo");
    let before = mounts()?;
    let output = container
        .ctl(&["profile", "--no-shrink", "--", &corpus, "net_bind_service"])?
        .output()?;
    let said = expect(&output, 0)?;
    let (set, verdict) = {
        let profile = Store::at(container.store()).find("latest")?.profile;
        (
            profile.answer().0,
            profile.verification.map(|it| it.verdict),
        )
    };
    ensure!(
        set == [Capability::NET_BIND_SERVICE].into_iter().collect(),
        "{set}: {said}"
    );
    ensure!(verdict == Some(Verdict::Verified), "{said}");
    // A service would start it, and no engine.
    let set = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE";
    ensure!(said.contains(set) && !said.contains("docker run"), "{said}");
    let roots = |text: &str| {
        text.lines()
            .filter(|line| line.split(' ').nth(4) == Some("/"))
            .count()
    };
    let (before, after) = (roots(&before), roots(&mounts()?));
    ensure!(before == after, "{after} mounts on /, {before} before");
    // runc runs the prestart hook twice in this case.
    ensure!(!follows_system_calls(), "still attached");
    nothing_is_left(&container)
}

fn a_report_says_what_a_capability_was_used_on(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let program = [
        "/bin/corpus",
        "seq",
        "net_bind_service",
        "mknod",
        "sys_admin-mount",
        "kill-child",
        "dac_override-create",
    ];
    let container = Container::new(environment, runtime, &program)?;
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let id = container.profile()?.origin.recording_id;
    for format in ["text", "markdown", "html"] {
        let output = container
            .ctl(&["report", "--format", format, &id])?
            .output()?;
        let said = expect(&output, 0)?;
        // Lines are wrapped.
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "bound port 80",
            "created device c 1:3 at null",
            "mounted tmpfs at /tmp/mount-",
            "signalled process ",
            "became user 12345",
            "made the directory entry",
        ] {
            ensure!(words.contains(part), "not said: {part}: {said}");
        }
    }
    Ok(())
}

fn profiles_are_compared_checked_and_removed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "net_bind_service"])?;
    let profiled = |program: &str| -> anyhow::Result<String> {
        container
            .edit(|config| config["process"]["args"] = Value::from(vec!["/bin/corpus", program]))?;
        let output = container.run()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(container.profile()?.origin.recording_id)
    };
    let (less, more) = (profiled("noop")?, profiled("net_bind_service")?);
    let ctl =
        |arguments: &[&str]| -> anyhow::Result<Output> { Ok(container.ctl(arguments)?.output()?) };

    let said = expect(&ctl(&["diff", &less, &more])?, 5)?;
    ensure!(said.contains("more  CAP_NET_BIND_SERVICE  used"), "{said}");
    let said = expect(&ctl(&["diff", &more, &less])?, 0)?;
    ensure!(said.contains("less  CAP_NET_BIND_SERVICE"), "{said}");

    expect(&ctl(&["check", &more, "--against", "baseline"])?, 0)?;
    expect(
        &ctl(&["check", &more, "--against", "chown,NET_BIND_SERVICE"])?,
        0,
    )?;
    let said = expect(&ctl(&["check", &more, "--against", "none"])?, 5)?;
    ensure!(
        said.contains("the list does not allow CAP_NET_BIND_SERVICE"),
        "{said}"
    );
    let output = ctl(&["check", &more, "--against", "none", "--format", "sarif"])?;
    let sarif: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        sarif["runs"][0]["results"][0]["ruleId"] == "CAP_NET_BIND_SERVICE",
        "{sarif}"
    );

    let output = ctl(&["list", "--needs", "net_bind_service", "--format", "json"])?;
    let listed: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        listed.as_array().is_some_and(|list| list.len() == 1),
        "{listed}"
    );
    let set: CapabilitySet = serde_json::from_value(listed[0]["minimized"].clone())?;
    ensure!(set.len() == 1);

    expect(&ctl(&["prune"])?, 0)?;
    expect(&ctl(&["prune", "--older-than", "1d"])?, 0)?;
    ensure!(
        container
            .store()
            .join("profiles")
            .join(&container.id)
            .join(&less)
            .exists()
    );
    expect(&ctl(&["rm", &less])?, 0)?;
    expect(&ctl(&["report", &less])?, 1)?;
    expect(&ctl(&["report", &more])?, 0)?;
    expect(&ctl(&["rm", "--all", &container.id])?, 0)?;
    let said = expect(&ctl(&["list"])?, 0)?;
    ensure!(
        environment.system || said.contains("no profiles yet"),
        "{said}"
    );
    Ok(())
}
