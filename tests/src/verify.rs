//! `capprofctl verify`: sets that suffice, sets that do not, and no leftovers.

use crate::container::Container;
use crate::environment::{Environment, Runtime, follows_system_calls};
use crate::{Body, Test};
use anyhow::{Context, bail, ensure};
use capprof_profile::observation::{ProgramExit, RecorderName};
use capprof_profile::profile::Profile;
use capprof_profile::verification::{Compared, Verdict, Verification};
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::profiles::Store;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 9] = [
    ("a_sufficient_set_is_verified", a_sufficient_set_is_verified),
    ("a_missing_member_is_named", a_missing_member_is_named),
    (
        "a_program_that_goes_on_is_verified",
        a_program_that_goes_on_is_verified,
    ),
    (
        "another_exit_status_is_not_verified",
        another_exit_status_is_not_verified,
    ),
    ("a_check_decides", a_check_decides),
    (
        "what_a_check_started_ends_with_it",
        what_a_check_started_ends_with_it,
    ),
    (
        "a_user_other_than_root_is_verified",
        a_user_other_than_root_is_verified,
    ),
    (
        "what_cannot_be_verified_is_not_run",
        what_cannot_be_verified_is_not_run,
    ),
    (
        "an_interrupted_run_leaves_the_profile_as_it_was",
        an_interrupted_run_leaves_the_profile_as_it_was,
    ),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Vec::new();
    for runtime in &environment.runtimes {
        let add = |name: &str, body: Body| {
            Test::of(
                environment,
                runtime,
                Some("ebpf"),
                &format!("verify/{}/{name}", runtime.name),
                body,
            )
        };
        tests.extend(BODIES.map(|(name, body)| add(name, body)));
        // This test must run alone: any other verification would attach the program.
        tests.push(
            add(
                "a_killed_capprofctl_leaves_nothing_attached",
                a_killed_capprofctl_leaves_nothing_attached,
            )
            .alone(),
        );
    }
    tests
}

/// Programs of the corpus that need one capability each and can run twice on one root file system.
const PROGRAMS: [(&str, Capability); 7] = [
    ("net_bind_service", Capability::NET_BIND_SERVICE),
    ("sys_chroot", Capability::SYS_CHROOT),
    ("setuid", Capability::SETUID),
    ("dac_read_search-read", Capability::DAC_READ_SEARCH),
    ("sys_admin-sethostname", Capability::SYS_ADMIN),
    ("ipc_lock", Capability::IPC_LOCK),
    ("syslog", Capability::SYSLOG),
];

/// Exit status of a set that has not passed.
const NOT_VERIFIED: Option<i32> = Some(4);

/// A profiled container of a program.
fn profiled(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    arguments: &[&str],
) -> anyhow::Result<(Container, Profile)> {
    let container = Container::new(environment, runtime, arguments)?;
    let profile = profile(&container)?;
    Ok((container, profile))
}

fn profile(container: &Container) -> anyhow::Result<Profile> {
    let output = container.run()?;
    ensure!(
        output.status.success(),
        "profiling: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    container.profile()
}

fn verify(container: &Container, profile: &Profile, options: &[&str]) -> anyhow::Result<Output> {
    let mut arguments = vec!["verify", profile.origin.recording_id.as_str()];
    arguments.extend(options);
    Ok(container.ctl_with_runtime(&arguments)?.output()?)
}

/// The verdict on a profile in the store.
fn standing(container: &Container, profile: &Profile) -> anyhow::Result<Verification> {
    Store::at(container.store())
        .find(&profile.origin.recording_id)?
        .profile
        .verification
        .context("the profile has no verification")
}

fn expect(output: &Output, status: Option<i32>) -> anyhow::Result<()> {
    ensure!(
        output.status.code() == status,
        "capprofctl verify: {}, expected {status:?}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Removes a capability from the stored answer, and from the needs that it was made from.
fn remove(container: &Container, profile: &Profile, capability: Capability) -> anyhow::Result<()> {
    let path = Store::at(container.store())
        .find(&profile.origin.recording_id)?
        .path;
    let mut value: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let name = Value::from(capability.to_string());
    let mut lists: Vec<&mut Value> = value["minimized_sets"]
        .as_object_mut()
        .context("no minimized_sets")?
        .values_mut()
        .collect();
    for list in &mut lists {
        list.as_array_mut()
            .context("no list")?
            .retain(|member| *member != name);
    }
    value["minimized"]
        .as_array_mut()
        .context("no minimized")?
        .retain(|member| *member != name);
    value["needed"]
        .as_array_mut()
        .context("no needed")?
        .retain(|need| need["capability"] != name);
    Ok(fs::write(&path, serde_json::to_vec(&value)?)?)
}

fn a_sufficient_set_is_verified(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    for (program, capability) in PROGRAMS {
        let (container, profile) = profiled(environment, runtime, &["/bin/corpus", program])?;
        let expected: CapabilitySet = [capability].into_iter().collect();
        ensure!(
            profile.findings.minimized == expected,
            "{program}: {}",
            profile.findings.minimized
        );
        ensure!(
            profile.exit == Some(ProgramExit::Code(0)),
            "{program}: {:?}",
            profile.exit
        );
        let configuration = fs::read(container.bundle().join("config.json"))?;
        let output = verify(&container, &profile, &[])?;
        expect(&output, Some(0)).context(program)?;
        let verification = standing(&container, &profile)?;
        ensure!(
            verification.verdict == Verdict::Verified
                && verification.failures.is_empty()
                && verification.suggested.is_empty()
                && verification.sets == profile.findings.minimized_sets,
            "{program}: {verification:?}"
        );
        let compared: Vec<Compared> = verification.compared.iter().map(|one| one.what).collect();
        ensure!(
            compared == [Compared::Exit, Compared::Denied],
            "{program}: {compared:?}"
        );
        // A check of memory accounting was refused, which is no failure. With fexit that check is inlined and not seen.
        let is_asked = profile.conditions.recorders.iter().any(|report| {
            report.recorder == RecorderName::Ebpf
                && report.recorded
                && report.method.starts_with("tp_btf")
        });
        ensure!(
            capability == Capability::SYS_ADMIN
                || !is_asked
                || verification
                    .denied
                    .iter()
                    .any(|entry| entry.rule == "overcommit"
                        && entry.outcome.is_some_and(|outcome| outcome.failed() == 0)),
            "{program}: {:?}",
            verification.denied
        );
        // Nothing but the verdict has changed.
        ensure!(
            container.profile()? == profile,
            "{program}: the bundle's profile is another"
        );
        let mut stored = Store::at(container.store()).find("last")?.profile;
        stored.verification = None;
        ensure!(
            stored == profile,
            "{program}: the stored profile is another"
        );
        ensure!(fs::read(container.bundle().join("config.json"))? == configuration);
        container.expect_nothing_left()?;
    }
    Ok(())
}

fn a_missing_member_is_named(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    for (program, capability) in PROGRAMS {
        let (container, profile) = profiled(environment, runtime, &["/bin/corpus", program])?;
        remove(&container, &profile, capability)?;
        let output = verify(&container, &profile, &[])?;
        expect(&output, NOT_VERIFIED).context(program)?;
        let verification = standing(&container, &profile)?;
        let expected: CapabilitySet = [capability].into_iter().collect();
        ensure!(
            verification.verdict == Verdict::NotVerified && verification.suggested == expected,
            "{program}: {verification:?}"
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            said.starts_with("NOT VERIFIED") && said.contains(&format!("add: {capability}\n")),
            "{program}: {said}"
        );
        container.expect_nothing_left()?;
    }
    Ok(())
}

fn a_program_that_goes_on_is_verified(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, profile) = profiled(environment, runtime, &["/bin/corpus", "setuid-fallback"])?;
    remove(&container, &profile, Capability::SETUID)?;
    expect(&verify(&container, &profile, &[])?, Some(0))?;
    let verification = standing(&container, &profile)?;
    ensure!(
        verification
            .notes
            .iter()
            .any(|note| note.contains("CAP_SETUID") && note.contains("went on")),
        "{:?}",
        verification.notes
    );
    let refused = verification
        .denied
        .iter()
        .find(|entry| entry.capability == Capability::SETUID)
        .context("CAP_SETUID is not among the refused")?;
    ensure!(
        refused.outcome.is_some_and(|outcome| outcome.eperm == 1),
        "{refused:?}"
    );
    expect(&verify(&container, &profile, &["--strict"])?, NOT_VERIFIED)?;
    let verification = standing(&container, &profile)?;
    ensure!(verification.suggested == [Capability::SETUID].into_iter().collect());
    Ok(())
}

fn another_exit_status_is_not_verified(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(
        environment,
        runtime,
        &["/bin/sh", "-c", "read status < /etc/status; exit $status"],
    )?;
    let status = container.bundle().join("rootfs/etc/status");
    fs::write(&status, "0\n")?;
    let profile = profile(&container)?;
    fs::write(&status, "3\n")?;
    expect(&verify(&container, &profile, &[])?, NOT_VERIFIED)?;
    let verification = standing(&container, &profile)?;
    ensure!(
        verification.failures
            == ["the program: exit status 3; when it was profiled: exit status 0"],
        "{:?}",
        verification.failures
    );
    ensure!(verification.suggested.is_empty());
    Ok(())
}

/// A program that serves for a while. While it is profiled it does not serve, because profiling waits for its end.
struct Server(Container);

impl Server {
    /// It does `first` before it begins to serve.
    fn new(environment: &Arc<Environment>, runtime: &Runtime, first: &str) -> anyhow::Result<Self> {
        let script = format!("read seconds < /etc/seconds; {first}sleep $seconds");
        let server = Self(Container::new(
            environment,
            runtime,
            &["/bin/sh", "-c", &script],
        )?);
        server.serves_for(0)?;
        Ok(server)
    }

    fn serves_for(&self, seconds: u32) -> anyhow::Result<()> {
        let file = self.0.bundle().join("rootfs/etc/seconds");
        Ok(fs::write(file, format!("{seconds}\n"))?)
    }
}

fn a_check_decides(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let server = Server::new(environment, runtime, "> /tmp/ready; ")?;
    let container = &server.0;
    let profile = profile(container)?;
    server.serves_for(100)?;
    let started = Instant::now();
    let check =
        "test -e /proc/$CAPPROF_CONTAINER_PID/root/tmp/ready && test -n \"$CAPPROF_CONTAINER_ID\"";
    let output = verify(container, &profile, &["--check", check, "--timeout", "50"])?;
    expect(&output, Some(0))?;
    ensure!(started.elapsed() < Duration::from_secs(50));
    let verification = standing(container, &profile)?;
    ensure!(
        verification
            .compared
            .iter()
            .any(|one| one.what == Compared::Check && one.passed),
        "{verification:?}"
    );
    container.expect_nothing_left()?;

    let options = ["--check", "exit 7", "--timeout", "3"];
    expect(&verify(container, &profile, &options)?, NOT_VERIFIED)?;
    let verification = standing(container, &profile)?;
    ensure!(
        verification.failures.len() == 1
            && verification.failures[0].starts_with("the check exit 7: exit status: 7"),
        "{:?}",
        verification.failures
    );
    container.expect_nothing_left()?;

    let output = verify(
        container,
        &profile,
        &["--check", "exit 7", "--timeout", "3", "--baseline"],
    )?;
    expect(&output, Some(1))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains("even with everything granted"), "{said}");
    container.expect_nothing_left()
}

fn what_a_check_started_ends_with_it(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let server = Server::new(environment, runtime, "")?;
    let container = &server.0;
    let profile = profile(container)?;
    server.serves_for(100)?;
    // Its time distinguishes it from every other sleep.
    let time = format!("{}.5", 1_000_000 + std::process::id());
    let check = format!("sleep {time} & wait");
    let options = [
        "verify",
        &profile.origin.recording_id,
        "--check",
        &check,
        "--timeout",
        "3",
    ];
    // The output does not go through pipes, because leftover processes would hold them open.
    let status = container
        .ctl_with_runtime(&options)?
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let left = processes_with_argument(&time)?;
    for pid in &left {
        kill(Pid::from_raw(*pid), Signal::SIGKILL)?;
    }
    ensure!(status.code() == NOT_VERIFIED, "{status}");
    ensure!(left.is_empty(), "still running: {left:?}");
    container.expect_nothing_left()
}

/// The processes of this host with this word in their command line.
fn processes_with_argument(word: &str) -> anyhow::Result<Vec<i32>> {
    let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command_line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = command_line.split(|byte| *byte == 0);
        words.any(|own| own == word.as_bytes()).then_some(pid)
    });
    Ok(processes.collect())
}

fn a_user_other_than_root_is_verified(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut container = Container::new(environment, runtime, &["/bin/corpus", "net_bind_service"])?;
    container.use_user(1000)?;
    container.grant_ambient();
    let profile = profile(&container)?;
    expect(&verify(&container, &profile, &[])?, Some(0))?;
    let verification = standing(&container, &profile)?;
    ensure!(
        verification.sets.ambient == [Capability::NET_BIND_SERVICE].into_iter().collect(),
        "{:?}",
        verification.sets
    );
    remove(&container, &profile, Capability::NET_BIND_SERVICE)?;
    expect(&verify(&container, &profile, &[])?, NOT_VERIFIED)?;
    let verification = standing(&container, &profile)?;
    ensure!(verification.suggested == [Capability::NET_BIND_SERVICE].into_iter().collect());
    Ok(())
}

fn what_cannot_be_verified_is_not_run(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, profile) = profiled(environment, runtime, &["/bin/corpus", "noop"])?;
    let output = container
        .ctl_with_runtime(&["verify", "nothing-of-the-kind"])?
        .output()?;
    expect(&output, Some(1))?;
    let path = Store::at(container.store())
        .find(&profile.origin.recording_id)?
        .path;
    let mut value: Value = serde_json::from_slice(&fs::read(&path)?)?;
    value["complete"] = Value::from(false);
    value["incomplete_because"] = Value::from(vec!["eBPF: 1 checks were lost"]);
    fs::write(&path, serde_json::to_vec(&value)?)?;
    let output = verify(&container, &profile, &[])?;
    expect(&output, Some(1))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains("is incomplete"), "{said}");
    ensure!(standing(&container, &profile).is_err());
    container.expect_nothing_left()
}

fn an_interrupted_run_leaves_the_profile_as_it_was(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let server = Server::new(
        environment,
        runtime,
        "/bin/corpus sys_chroot && > /tmp/ready; ",
    )?;
    let container = &server.0;
    let ready = container.bundle().join("ready");
    let check = format!(
        "test -e /proc/$CAPPROF_CONTAINER_PID/root/tmp/ready && : > {}; false",
        ready.display()
    );
    let profile = profile(container)?;
    server.serves_for(100)?;
    let mut before = None;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let _ = fs::remove_file(&ready);
        let mut child = container
            .ctl_with_runtime(&["verify", &profile.origin.recording_id, "--check", &check])?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let started = Instant::now();
        while !ready.exists() {
            if started.elapsed() > Duration::from_secs(30) {
                kill_capprofctl(&container.id, Signal::SIGKILL)?;
                child.wait()?;
                bail!("the container never started");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_capprofctl(&container.id, signal)?;
        let output = child.wait_with_output()?;
        expect(&output, Some(130))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in [
            "interrupted",
            "the profile is as it was",
            "no system call failed for lack of a capability",
        ] {
            ensure!(said.contains(part), "not said: {part}: {said}");
        }
        container.expect_nothing_left()?;
        ensure!(
            !container
                .capprof(&["state", &container.id])?
                .status
                .success(),
            "the container is left"
        );
        ensure!(standing(container, &profile).ok() == before);
        // The second run finds a verdict, which must stay.
        let options = ["--check", "true", "--timeout", "50"];
        expect(&verify(container, &profile, &options)?, Some(0))?;
        before = Some(standing(container, &profile)?);
    }
    Ok(())
}

fn a_killed_capprofctl_leaves_nothing_attached(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let server = Server::new(environment, runtime, "")?;
    let container = &server.0;
    let profile = profile(container)?;
    server.serves_for(100)?;
    ensure!(
        !follows_system_calls(),
        "attached for a recording that profiles"
    );
    let mut child = container
        .ctl_with_runtime(&["verify", &profile.origin.recording_id])?
        .spawn()?;
    let started = Instant::now();
    while !follows_system_calls() {
        ensure!(
            started.elapsed() < Duration::from_secs(30),
            "never attached"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // A hook attaches before the container runs. The runtime must have finished, or it would create the files again that are deleted below.
    while !container.is_running()? {
        ensure!(
            started.elapsed() < Duration::from_secs(30),
            "the container never started"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = kill_capprofctl(&container.id, Signal::SIGKILL)?;
    child.wait()?;
    ensure!(killed == 1, "{killed} processes were capprofctl's");
    // The container goes on, and its engine ends it later.
    container.capprof(&["delete", "--force", &container.id])?;
    ensure!(!follows_system_calls(), "still attached");
    let stored = Store::at(container.store()).find(&profile.origin.recording_id)?;
    ensure!(
        stored.profile.verification.is_none(),
        "a run that was not let come to its end was judged: {:?}",
        stored.profile.verification
    );
    container.expect_nothing_left()
}

/// Sends a signal to the capprofctl that runs this container. Returns the number of these processes.
fn kill_capprofctl(id: &str, signal: Signal) -> anyhow::Result<usize> {
    let mut killed = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        let is_ours = words
            .first()
            .is_some_and(|word| word.ends_with(b"/capprofctl"))
            && words.contains(&id.as_bytes());
        if is_ours {
            kill(Pid::from_raw(pid), signal)?;
            killed += 1;
        }
    }
    Ok(killed)
}
