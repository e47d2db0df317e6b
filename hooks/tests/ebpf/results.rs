//! The results of system calls with a refused check, and the recordings that have them.

use crate::container::{Container, Tools, command, is_overcommit};
use crate::{of, one, whole};
use anyhow::{Context, ensure};
use capprof_profile::Capability;
use capprof_profile::observation::{CheckAnswer, Evidence, Results};
use std::os::unix::fs::MetadataExt;

/// All refused checks of a capability, with the sum of their results.
fn results(evidence: &Evidence, capability: Capability) -> anyhow::Result<(u64, Results)> {
    let mut sum = Results::default();
    let mut count = 0;
    for check in of(evidence, capability)? {
        ensure!(check.verdict == CheckAnswer::Denied, "{check:?}");
        count += check.count;
        sum.add(&check.results.context("no results")?);
    }
    Ok((count, sum))
}

fn refusals(container: Container<'_>) -> anyhow::Result<()> {
    let closed = container.root().join("closed");
    std::fs::write(&closed, "")?;
    command("chown", &["1000".as_ref(), closed.as_ref()])?;
    command("chmod", &["0600".as_ref(), closed.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let none = Results::default();
    for (capability, count, expected) in [
        (Capability::SYS_CHROOT, 3, Results { eperm: 3, ..none }),
        (Capability::DAC_OVERRIDE, 2, Results { eacces: 2, ..none }),
        (
            Capability::DAC_READ_SEARCH,
            2,
            Results { eacces: 2, ..none },
        ),
        (
            // mm/mlock.c do_mlock() asks twice.
            Capability::IPC_LOCK,
            2,
            Results {
                other_error: 2,
                ..none
            },
        ),
        (Capability::SETUID, 1, Results { success: 1, ..none }),
    ] {
        let found = results(&evidence, capability)?;
        ensure!(found == (count, expected), "{capability}: {found:?}");
    }
    // Every check of memory accounting was refused, and no system call failed because of it.
    let mut memory = Results::default();
    for check in evidence
        .observations
        .iter()
        .filter(|one| is_overcommit(one))
    {
        memory.add(&check.results.context("no results")?);
    }
    ensure!(memory.success > 0 && memory.failed() == 0, "{memory:?}");
    Ok(())
}

pub(crate) fn refused_checks_have_the_results_of_their_system_calls(
    tools: &Tools,
) -> anyhow::Result<()> {
    refusals(Container::new(tools, &["/bin/probe", "refusals"])?.verifying())
}

pub(crate) fn crun_refused_checks_have_the_same_results(tools: &Tools) -> anyhow::Result<()> {
    refusals(
        Container::new(tools, &["/bin/probe", "refusals"])?
            .verifying()
            .runtime("crun"),
    )
}

pub(crate) fn refused_checks_of_a_process_added_by_exec_have_results(
    tools: &Tools,
) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/sleep", "60"])?.verifying();
    let evidence = container.run_with(|container| container.exec("! /bin/probe chroot"))?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    let expected = Results {
        eperm: 1,
        ..Results::default()
    };
    ensure!(check.joined && check.results == Some(expected), "{check:?}");
    Ok(())
}

/// The link of the program that every system call of the host passes while it is attached, and the program.
const FOLLOWER: &str = "link-system_call_exit";
const FOLLOWING: &str = "program-system_call_exit";

pub(crate) fn system_calls_are_followed_only_while_a_recording_verifies(
    tools: &Tools,
) -> anyhow::Result<()> {
    let is_there = || capprof_hook::ebpf::directory().join(FOLLOWER).exists();
    let mut container = Container::new(tools, &["/bin/sleep", "60"])?;
    container.config["process"]["capabilities"] =
        serde_json::json!({ "bounding": [], "effective": [], "permitted": [] });
    let evidence = container.run_with(|container| {
        ensure!(!is_there(), "it is there for a recording that profiles");
        container.exec("! /bin/probe chroot")
    })?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(
        check.verdict == CheckAnswer::Denied && check.results.is_none(),
        "{check:?}"
    );

    let first = Container::new(tools, &["/bin/sleep", "60"])?.verifying();
    let second = Container::new(tools, &["/bin/probe", "nothing"])?.verifying();
    first.run_with(|_| {
        ensure!(is_there());
        second.run()?;
        drop(second);
        ensure!(is_there(), "it is gone, and one recording still wants it");
        Ok(())
    })?;
    ensure!(is_there());
    drop(first);
    ensure!(!is_there(), "it stays though no recording wants it");
    // A program that is loaded anew is pinned anew.
    let program = || std::fs::metadata(capprof_hook::ebpf::directory().join(FOLLOWING));
    let loaded = program()?.ino();

    // A recording that is never forgotten, because its state directory is gone too.
    let killed = Container::new(tools, &["/bin/sleep", "60"])?.verifying();
    let evidence = killed.run_with(|container| container.exec("! /bin/probe chroot"))?;
    ensure!(is_there());
    ensure!(program()?.ino() == loaded, "it was loaded again");
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.results.is_some_and(|it| it.eperm == 1), "{check:?}");
    let elsewhere = tempfile::tempdir()?;
    tools.record(&["sweep", &elsewhere.path().to_string_lossy()])?;
    ensure!(
        !is_there(),
        "it stays though nothing of the recording lives"
    );
    Ok(())
}
