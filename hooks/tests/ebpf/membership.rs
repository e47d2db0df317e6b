//! The processes that belong to a container.

use crate::container::{Container, Tools, command};
use crate::members::are_counted;
use crate::{of, one, rest, whole};
use anyhow::{bail, ensure};
use capprof_profile::Capability;
use capprof_profile::observation::Evidence;

pub(crate) fn children_belong_to_the_container(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(tools, "(/bin/probe chroot) & wait; /bin/true")?.run()?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.program == "probe" && !check.joined);
    Ok(())
}

pub(crate) fn hooks_in_the_container_do_not(tools: &Tools) -> anyhow::Result<()> {
    let mut container = Container::new(tools, &["/bin/probe", "nothing"])?;
    container.config["hooks"]["startContainer"] =
        serde_json::json!([{ "path": "/bin/probe", "args": ["probe", "chroot"] }]);
    let evidence = container.run()?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

fn joins(tools: &Tools, runtime: &'static str) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/sleep", "60"])?.runtime(runtime);
    let evidence = container.run_with(|container| {
        container.exec("true")?;
        are_counted()?;
        container.exec("/bin/probe chroot")
    })?;
    whole(&evidence)?;
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    ensure!(check.joined && !check.pre_exec && check.program == "probe");
    // The runtime itself uses a dozen capabilities to enter the container.
    ensure!(rest(&evidence).len() == 1, "{:#?}", rest(&evidence));
    Ok(())
}

pub(crate) fn a_process_added_by_exec_joins(tools: &Tools) -> anyhow::Result<()> {
    joins(tools, "runc")
}

pub(crate) fn a_process_added_by_crun_exec_joins(tools: &Tools) -> anyhow::Result<()> {
    joins(tools, "crun")
}

pub(crate) fn a_process_of_the_host_does_not_join(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/sleep", "60"])?;
    let probe = tools.probe.clone();
    let evidence = container.run_with(|container| {
        let pid = container.pid()?;
        // This process is in the container's network namespace, but not in its mount namespace.
        command(
            "nsenter",
            &[
                "-t".as_ref(),
                pid.as_ref(),
                "-n".as_ref(),
                probe.as_ref(),
                "chroot".as_ref(),
            ],
        )?;
        command(&probe.display().to_string(), &["chroot".as_ref()])
    })?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

/// The kernel reuses numbers of mount namespaces at once: the host's next one has the number of the one that the container has left.
pub(crate) fn a_process_in_a_namespace_of_the_same_number_does_not_join(
    tools: &Tools,
) -> anyhow::Result<()> {
    // The first process that makes a namespace gets the number, and other processes make namespaces too.
    for _ in 0..30 {
        if let Some(evidence) = number_used_again(tools)? {
            whole(&evidence)?;
            ensure!(
                of(&evidence, Capability::SYS_CHROOT).is_err(),
                "{:#?}",
                rest(&evidence)
            );
            return Ok(());
        }
    }
    bail!("others were faster than this test each time")
}

/// The evidence of a container whose first mount namespace's number the host has reused; `None` if it has not.
fn number_used_again(tools: &Tools) -> anyhow::Result<Option<Evidence>> {
    const LEVELS: &str = "8";
    let container = Container::shell(
        tools,
        "ls -l /proc/self/ns/mnt >/left; exec unshare -m /bin/sh -c '/bin/touch /moved; exec /bin/sleep 60'",
    )?;
    let numbers = tempfile::NamedTempFile::new()?;
    let evidence = container.run_with(|container| {
        let moved = container.root().join("moved");
        for _ in 0..1500 {
            if moved.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        ensure!(moved.exists(), "the container did not leave its namespace");
        // Each level keeps its namespace until the levels below have ended.
        let script = "\"$3\" chroot; ls -l /proc/self/ns/mnt >>\"$4\"; \
            [ \"$1\" = 0 ] || unshare -m sh -c \"$2\" sh $(($1 - 1)) \"$2\" \"$3\" \"$4\"";
        command(
            "sh",
            &[
                "-c".as_ref(),
                script.as_ref(),
                "sh".as_ref(),
                LEVELS.as_ref(),
                script.as_ref(),
                tools.probe.as_ref(),
                numbers.path().as_ref(),
            ],
        )
    })?;
    let number = |line: &str| {
        line.rsplit_once("mnt:")
            .map_or(String::new(), |(_, number)| number.trim().to_owned())
    };
    let left = number(&std::fs::read_to_string(container.root().join("left"))?);
    let used = std::fs::read_to_string(numbers.path())?;
    Ok(used
        .lines()
        .any(|line| number(line) == left)
        .then_some(evidence))
}

pub(crate) fn execve_by_a_thread_keeps_the_membership(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/probe", "thread-exec"])?;
    let script = container.root().join("bin/second");
    std::fs::remove_file(&script)?;
    std::fs::write(&script, "#!/bin/sh\nexec /bin/probe chroot\n")?;
    command("chmod", &["0755".as_ref(), script.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    one(&evidence, Capability::SYS_CHROOT)?;
    Ok(())
}

pub(crate) fn containers_at_one_time_do_not_mix(tools: &Tools) -> anyhow::Result<()> {
    let sleeping = Container::new(tools, &["/bin/sleep", "60"])?;
    let evidence = sleeping.run_with(|_| {
        let other = Container::new(tools, &["/bin/probe", "chroot"])?.run()?;
        whole(&other)?;
        one(&other, Capability::SYS_CHROOT)?;
        Ok(())
    })?;
    whole(&evidence)?;
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}
