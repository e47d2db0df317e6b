//! `capprofctl observe`, and the commands for recordings in progress, on containers that capprof did not start.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, bail, ensure};
use capprof_profile::profile::Profile;
use capprof_profile::recording::Mode;
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::profiles::Store;
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 6] = [
    ("what_runs_is_recorded", what_runs_is_recorded),
    ("it_ends_with_the_container", it_ends_with_the_container),
    (
        "a_killed_observer_leaves_nothing",
        a_killed_observer_leaves_nothing,
    ),
    ("a_container_has_one_observer", a_container_has_one_observer),
    ("what_is_known_so_far_is_told", what_is_known_so_far_is_told),
    ("bad_input_gets_one_line", bad_input_gets_one_line),
];

/// All tests of this file under each runtime.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    Test::each(environment, "attach", Some("ebpf"), &BODIES)
}

/// The time limit of something that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The container's loop: the shell itself asks for CAP_SYS_RESOURCE and is refused, and the program that it starts uses CAP_SYS_CHROOT.
const WORK: &str = "while :; do ulimit -S -n 1000; ulimit -H -n 1500; ulimit -H -n 2000; /bin/corpus sys_chroot; sleep 0.2; done 2>/dev/null";

/// A container that the runtime runs without capprof.
struct Bare {
    container: Container,
    child: Child,
}

impl Bare {
    fn run(
        environment: &Arc<Environment>,
        runtime: &Runtime,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let container = Container::new(environment, runtime, arguments)?;
        container.grant(
            [Capability::SYS_CHROOT, Capability::SYS_TIME]
                .into_iter()
                .collect(),
        )?;
        let child = container
            .bare()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let bare = Self { container, child };
        eventually(|| {
            let found = bare.audit()?;
            Ok(found.as_array().is_some_and(|entries| !entries.is_empty()))
        })
        .context("the container does not run")?;
        Ok(bare)
    }

    fn id(&self) -> String {
        format!("{}-bare", self.container.id)
    }

    fn root(&self) -> String {
        self.container.path("bare").display().to_string()
    }

    /// The container's entry in the JSON of `audit`.
    fn audit(&self) -> anyhow::Result<Value> {
        let mut arguments = vec!["audit", "--format", "json", "--root"];
        let (root, id) = (self.root(), self.id());
        arguments.extend([root.as_str(), id.as_str()]);
        let output = self.container.ctl(&arguments)?.output()?;
        Ok(match output.status.success() {
            true => serde_json::from_slice(&output.stdout)?,
            // The entry is not there yet.
            false => Value::Null,
        })
    }

    fn observe(&self, options: &[&str]) -> anyhow::Result<Command> {
        let (root, id) = (self.root(), self.id());
        let mut arguments = vec!["observe", "--root", &root, &id];
        arguments.extend(options);
        let mut command = self.container.ctl(&arguments)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    fn recordings(&self) -> anyhow::Result<usize> {
        Ok(self.all()?.len())
    }

    fn all(&self) -> anyhow::Result<Vec<capprof_store::recording::Directory>> {
        let state = match self.container.environment.system {
            true => "/run/capprof".into(),
            false => self.container.path("run"),
        };
        let key = capprof_store::recording::container_key(self.id().as_ref());
        Ok(capprof_store::recording::Directory::list(
            &state,
            Some(&key),
        )?)
    }

    /// Waits until a recording is armed.
    fn wait_for_observer(&self) -> anyhow::Result<()> {
        eventually(|| {
            Ok(self.all()?.first().is_some_and(|directory| {
                directory
                    .load_json::<Value>("armed.json")
                    .is_ok_and(|armed| {
                        armed["recorders"]
                            .as_array()
                            .is_some_and(|list| !list.is_empty())
                    })
            }))
        })
        .context("nothing is recorded")
    }

    fn profile(&self) -> anyhow::Result<Profile> {
        Ok(Store::at(self.container.store()).find(&self.id())?.profile)
    }

    /// Ends the container.
    fn end(&mut self) -> anyhow::Result<()> {
        let mut words = self.container.runtime.prefix.clone();
        words.push(self.container.runtime.name.to_owned());
        words.extend([
            "--root".to_owned(),
            self.root(),
            "kill".to_owned(),
            self.id(),
            "KILL".to_owned(),
        ]);
        Command::new(&words[0]).args(&words[1..]).output()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn eventually(mut condition: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !condition()? {
        if started.elapsed() > PATIENCE {
            bail!("not within {} seconds", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn text(output: &Output) -> String {
    format!(
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The text without line breaks, whose places depend on the report's width.
fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn set(members: &[Capability]) -> CapabilitySet {
    members.iter().copied().collect()
}

fn denied(profile: &Profile) -> CapabilitySet {
    profile
        .denied_needs
        .iter()
        .map(|need| need.capability)
        .collect()
}

fn what_runs_is_recorded(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let bare = Bare::run(environment, runtime, &["/bin/sh", "-c", WORK])?;
    let output = bare.observe(&["--for", "3s"])?.output()?;
    ensure!(output.status.success(), "{}", text(&output));
    let profile = bare.profile()?;
    ensure!(profile.conditions.mode == Mode::Observe && profile.conditions.attached);
    ensure!(!profile.complete && !profile.conditions.in_progress);
    ensure!(
        profile.losses().next().is_none(),
        "{:?}",
        profile.incomplete_because
    );
    ensure!(
        profile.findings.minimized == set(&[Capability::SYS_CHROOT]),
        "{}",
        profile.findings.minimized
    );
    ensure!(
        denied(&profile).contains(Capability::SYS_RESOURCE),
        "{}",
        denied(&profile)
    );
    let shell = profile
        .denied_needs
        .iter()
        .any(|need| need.programs.iter().any(|program| program == "sh"));
    ensure!(shell, "the shell has no name: {:?}", profile.denied_needs);
    let report = one_line(&output.stdout);
    ensure!(report.contains("start not seen"), "{report}");
    ensure!(
        report.contains("drops ") && report.contains("SYS_TIME"),
        "{report}"
    );
    ensure!(bare.recordings()? == 0);
    Ok(())
}

fn it_ends_with_the_container(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut bare = Bare::run(environment, runtime, &["/bin/sleep", "1000"])?;
    let observer = bare.observe(&[])?.spawn()?;
    bare.wait_for_observer()?;
    // A process that `exec` adds later.
    let mut words = runtime.prefix.clone();
    words.push(runtime.name.to_owned());
    words.extend([
        "--root".to_owned(),
        bare.root(),
        "exec".to_owned(),
        bare.id(),
    ]);
    words.extend(["/bin/corpus", "sys_chroot"].map(str::to_owned));
    let output = Command::new(&words[0]).args(&words[1..]).output()?;
    ensure!(output.status.success(), "{}", text(&output));
    bare.end()?;
    let output = observer.wait_with_output()?;
    ensure!(output.status.success(), "{}", text(&output));
    let profile = bare.profile()?;
    ensure!(
        profile.findings.minimized == set(&[Capability::SYS_CHROOT]),
        "{}",
        profile.findings.minimized
    );
    ensure!(bare.recordings()? == 0);
    Ok(())
}

fn a_killed_observer_leaves_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let bare = Bare::run(environment, runtime, &["/bin/sh", "-c", WORK])?;
    let mut observer = bare.observe(&[])?;
    // Not through timeout(1), which would be killed in its place.
    let mut direct = Command::new(environment.binaries.join("capprofctl"));
    direct
        .args(observer.get_args().skip_while(|word| *word != "observe"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for (key, value) in observer.get_envs() {
        direct.env(key, value.unwrap_or_default());
    }
    let mut child = direct.spawn()?;
    bare.wait_for_observer()?;
    std::thread::sleep(Duration::from_secs(1));
    child.kill()?;
    child.wait()?;
    ensure!(bare.recordings()? == 1);
    let output = bare.container.ctl(&["recover"])?.output()?;
    ensure!(output.status.success(), "{}", text(&output));
    ensure!(bare.recordings()? == 0, "{}", text(&output));
    // Its observations are not lost, and another observer can take over.
    ensure!(
        bare.profile()?
            .findings
            .minimized
            .contains(Capability::SYS_CHROOT)
    );
    observer = bare.observe(&["--for", "1s"])?;
    let output = observer.output()?;
    ensure!(output.status.success(), "{}", text(&output));
    Ok(())
}

fn a_container_has_one_observer(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut bare = Bare::run(environment, runtime, &["/bin/sleep", "1000"])?;
    let first = bare.observe(&[])?.spawn()?;
    bare.wait_for_observer()?;
    let second = bare.observe(&[])?.output()?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(second.status.code() == Some(1), "{}", text(&second));
    ensure!(
        said.lines().count() == 1 && said.contains("is recorded already, by recording"),
        "{said}"
    );
    ensure!(bare.recordings()? == 1);
    bare.end()?;
    ensure!(first.wait_with_output()?.status.success());
    Ok(())
}

fn what_is_known_so_far_is_told(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // The text has a control sequence that a terminal would obey (CSI, ECMA-48).
    let script = format!("{WORK} # \u{9b}2J");
    let mut bare = Bare::run(environment, runtime, &["/bin/sh", "-c", &script])?;
    let observer = bare.observe(&[])?.spawn()?;
    bare.wait_for_observer()?;
    let id = bare.id();
    let ctl = |arguments: &[&str]| -> anyhow::Result<String> {
        let output = bare.container.ctl(arguments)?.output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", text(&output));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let watched = ctl(&["watch", &id, "--until-quiet", "2s"])?;
    for line in [
        "used CAP_SYS_CHROOT corpus: chroot",
        "refused CAP_SYS_RESOURCE sh: ",
    ] {
        let times = watched.lines().filter(|own| own.contains(line)).count();
        ensure!(times == 1, "{line}: {times}: {watched}");
    }
    let report = ctl(&["report", &id])?;
    ensure!(
        one_line(report.as_bytes()).contains("so far") && report.contains("CAP_SYS_CHROOT"),
        "{report}"
    );
    let profile: Profile = serde_json::from_str(&ctl(&["report", &id, "--format", "json"])?)?;
    ensure!(profile.conditions.in_progress && !profile.complete);
    let listed = ctl(&["ps"])?;
    ensure!(listed.contains(&profile.origin.recording_id), "{listed}");
    let listed = ctl(&["ps", "--format", "json"])?;
    ensure!(
        listed.contains("# \\u009b2J") && !listed.contains('\u{9b}'),
        "{listed}"
    );
    let audit = bare.audit()?;
    ensure!(
        audit[0]["seen"]["used"] == serde_json::json!(["CAP_SYS_CHROOT"]),
        "{audit}"
    );
    ensure!(
        audit[0]["seen"]["unused"]
            .to_string()
            .contains("CAP_SYS_TIME"),
        "{audit}"
    );
    let root = bare.root();
    let metrics = ctl(&["audit", "--format", "prometheus", "--root", &root, &id])?;
    ensure!(
        metrics.contains("capability=\"CAP_SYS_TIME\"} 1\n"),
        "{metrics}"
    );
    ctl(&["snapshot", "--all"])?;
    let stored = bare.profile()?;
    ensure!(stored.conditions.in_progress, "the store has no snapshot");
    bare.end()?;
    ensure!(observer.wait_with_output()?.status.success());
    let stored = bare.profile()?;
    ensure!(!stored.conditions.in_progress, "the snapshot stayed");
    Ok(())
}

fn bad_input_gets_one_line(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/true"])?;
    let mut sleep = Command::new("sleep").arg("60").spawn()?;
    let pid = sleep.id().to_string();
    for (arguments, status, expected) in [
        (
            vec!["observe", "no-such-container"],
            1,
            "no container \"no-such-container\" runs here",
        ),
        (
            vec!["observe", "999999999"],
            1,
            "no process 999999999 runs here",
        ),
        (
            vec!["observe", &pid],
            1,
            "neither a control group nor a pid namespace of its own",
        ),
        (
            vec!["watch", "no-such-container"],
            1,
            "no recording of \"no-such-container\" is in progress",
        ),
        (
            vec!["snapshot", "no-such-container"],
            1,
            "no recording of \"no-such-container\" is in progress",
        ),
    ] {
        let output = container.ctl(&arguments)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(status)
                && said.lines().count() == 1
                && said.contains(expected),
            "{arguments:?}: {}",
            text(&output)
        );
    }
    sleep.kill()?;
    sleep.wait()?;
    let output = container.ctl(&["observe", "--for", "10", "x"])?.output()?;
    ensure!(output.status.code() == Some(2), "{}", text(&output));
    Ok(())
}
