//! Bounds that few programs come to: each is named.

use crate::container::{Container, Tools};
use crate::limits::{with_full, with_full_map};
use crate::recording::recording;
use crate::whole;
use anyhow::{Context, bail, ensure};
use capprof_profile::observation::{Evidence, Results};
use capprof_store::recording::Directory;
use libbpf_rs::MapHandle;
use libbpf_rs::query::MapInfoIter;
use serde_json::json;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

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
    value["unit"] = json!({ "name": "x.service", "control_group": group(work.path())? });
    Directory::at(work.path().to_owned()).save(&serde_json::from_value(value)?)?;
    let errors = with_full("groups", || arm(tools, work.path()))??;
    ensure!(
        errors.contains("update eBPF map groups: it is full"),
        "{errors:?}"
    );
    ensure!(tools.record(&["slots"])? == before);
    Ok(())
}

/// A directory for a control group. The kernel knows one by its number, which must be none of those that fill the map.
fn group(directory: &Path) -> anyhow::Result<PathBuf> {
    const GROUPS: u64 = 1024;
    for name in 0..=GROUPS {
        let path = directory.join(name.to_string());
        fs::create_dir(&path)?;
        if fs::metadata(&path)?.ino() > GROUPS {
            return Ok(path);
        }
    }
    bail!("all directories have small numbers")
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
    // No process needs a pin of it: it is the last one of that name that was made.
    let calls = MapInfoIter::default()
        .filter(|map| map.name == "calls")
        .map(|map| map.id)
        .max()
        .context("no map of calls")?;
    let container = Container::new(tools, &["/bin/probe", "chroot-1000"])?;
    let evidence = with_full_map(&MapHandle::from_map_id(calls)?, || container.run())??;
    let found = lost(&evidence, "the map of calls was full")?;
    tools.record(&["unload"])?;
    ensure!(found >= 1000, "{found}: {:?}", evidence.losses);
    Ok(())
}

/// The most frames of a stack trace that the kernel keeps.
const FRAMES: &str = "/proc/sys/kernel/perf_event_max_stack";

/// The kernel lets nobody change it while programs that take stack traces are loaded, and frees them some time after they were unloaded.
fn set_frames(value: &str) -> anyhow::Result<()> {
    for _ in 0..200 {
        match fs::write(FRAMES, value) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                thread::sleep(Duration::from_millis(50));
            }
            result => return Ok(result?),
        }
    }
    bail!("{FRAMES} stays busy")
}

/// Where programs cannot be preempted, only this setting of the whole machine leaves a check without a stack trace. So only a guest of its own
/// can try that (`CAPPROF_PROBE`).
pub(crate) fn checks_without_a_stack_trace_are_named(tools: &Tools) -> anyhow::Result<()> {
    if std::env::var_os("CAPPROF_PROBE").is_none() {
        return skipped(
            "checks_without_a_stack_trace_are_named",
            "it would change a setting of this machine",
        );
    }
    tools.record(&["unload"])?;
    let before = fs::read_to_string(FRAMES)?;
    set_frames("0")?;
    let evidence = Container::new(tools, &["/bin/probe", "chroot"])?.run();
    tools.record(&["unload"])?;
    set_frames(&before)?;
    let evidence = evidence?;
    ensure!(
        lost(&evidence, "no stack trace could be taken")? > 0,
        "{:?}",
        evidence.losses
    );
    Ok(())
}
