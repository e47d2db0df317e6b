//! Bounds that few programs come to: each is named.

use crate::container::{Container, Tools};
use crate::limits::with_full;
use crate::recording::recording;
use crate::whole;
use anyhow::{Context, ensure};
use capprof_profile::observation::{Evidence, Results};
use capprof_store::recording::Directory;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many kinds of refused checks of one system call are followed: `REFUSALS` in the program.
const REFUSALS: u64 = 16;

/// The number before the words of a loss; 0 if it is not among the losses.
fn lost(evidence: &Evidence, what: &str) -> anyhow::Result<u64> {
    let Some(line) = evidence.losses.iter().find(|line| line.contains(what)) else {
        return Ok(0);
    };
    let number = line.split(' ').next().unwrap_or_default();
    number.parse().with_context(|| line.clone())
}

#[expect(clippy::print_stdout, reason = "a test that cannot run says so")]
fn skipped(test: &str, reason: &str) -> anyhow::Result<()> {
    println!("skipped: {test}: {reason}");
    Ok(())
}

/// What became of the checks that were refused in io_uring_enter(2).
fn results(evidence: &Evidence) -> Results {
    let mut sum = Results::default();
    for check in &evidence.observations {
        let call = check.syscall.as_ref();
        if call.is_some_and(|call| call.name == "io_uring_enter") {
            sum.add(&check.results.unwrap_or_default());
        }
    }
    sum
}

pub(crate) fn refused_checks_beyond_those_followed_are_named(tools: &Tools) -> anyhow::Result<()> {
    let set = |options: u32| {
        let action = format!("refused-at-once-{options}");
        let container = Container::new(tools, &["/bin/probe", &action])?.verifying();
        container.run_to_any_end()
    };
    let (status, few) = set(8)?;
    if status == Some(2) {
        return skipped(
            "refused_checks_beyond_those_followed_are_named",
            "io_uring does not set options of sockets here",
        );
    }
    ensure!(status == Some(0), "{status:?}");
    whole(&few)?;
    let followed = results(&few);
    ensure!(
        followed.success >= 8 && followed.unseen == 0,
        "{followed:?}"
    );
    let (status, many) = set(18)?;
    ensure!(status == Some(0), "{status:?}");
    let not_followed = lost(&many, "refused capability checks were not followed")?;
    let followed = results(&many);
    ensure!(
        not_followed > 0 && followed.unseen == not_followed && followed.success >= REFUSALS,
        "{followed:?}: {:?}",
        many.losses
    );
    Ok(())
}

pub(crate) fn a_service_without_room_for_its_control_group_is_named(
    tools: &Tools,
) -> anyhow::Result<()> {
    whole(&Container::new(tools, &["/bin/true"])?.run()?)?;
    let before = tools.record(&["slots"])?;
    let work = tempfile::tempdir()?;
    let mut value = recording("service", work.path());
    // The kernel knows a control group by the number of its directory.
    value["unit"] = json!({ "name": "x.service", "control_group": work.path() });
    Directory::at(work.path().to_owned()).save(&serde_json::from_value(value)?)?;
    let errors = with_full("groups", || arm(tools, work.path()))??;
    ensure!(
        errors.contains("update eBPF map groups: it is full"),
        "{errors:?}"
    );
    ensure!(tools.record(&["slots"])? == before);
    Ok(())
}

/// Has the recorder begin a recording, which it does not; returns what it says.
fn arm(tools: &Tools, directory: &Path) -> anyhow::Result<String> {
    let mut child = Command::new(&tools.recorder)
        .arg("arm")
        .arg(directory)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let state = json!({ "pid": std::process::id() });
    child
        .stdin
        .take()
        .context("no input")?
        .write_all(state.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(!output.status.success(), "a recording has begun");
    Ok(String::from_utf8(output.stderr)?)
}

/// The map has room for 4096 threads that are in `cap_capable()`, which does not wait: so many processors are asking at the same time, or have
/// preempted who asks. Only the kprobes use it, and they are attached where nothing else can be.
pub(crate) fn checks_between_two_probes_without_room_are_named(
    tools: &Tools,
) -> anyhow::Result<()> {
    if !Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        return skipped(
            "checks_between_two_probes_without_room_are_named",
            "this kernel has no kprobes",
        );
    }
    tools.record(&["unload"])?;
    tools.record(&["load", "kprobe"])?;
    let container = Container::new(tools, &["/bin/probe", "chroot-1000"])?;
    let evidence = with_full("calls", || container.run())??;
    let found = lost(&evidence, "the map of calls was full")?;
    tools.record(&["unload"])?;
    ensure!(found >= 1000, "{found}: {:?}", evidence.losses);
    Ok(())
}

/// The most frames of a stack trace that the kernel keeps.
const FRAMES: &str = "/proc/sys/kernel/perf_event_max_stack";

/// Where programs cannot be preempted, only this setting of the whole machine leaves a check without a stack trace. So only a guest of its own
/// can try that (`CAPPROF_PROBE`).
pub(crate) fn checks_without_a_stack_trace_are_named(tools: &Tools) -> anyhow::Result<()> {
    if std::env::var_os("CAPPROF_PROBE").is_none() {
        return skipped(
            "checks_without_a_stack_trace_are_named",
            "it would change a setting of this machine",
        );
    }
    // The kernel lets nobody change it while programs that take stack traces are loaded.
    tools.record(&["unload"])?;
    let before = fs::read_to_string(FRAMES)?;
    fs::write(FRAMES, "0")?;
    let evidence = Container::new(tools, &["/bin/probe", "chroot"])?.run();
    tools.record(&["unload"])?;
    fs::write(FRAMES, before)?;
    let evidence = evidence?;
    ensure!(
        lost(&evidence, "no stack trace could be taken")? > 0,
        "{:?}",
        evidence.losses
    );
    Ok(())
}
