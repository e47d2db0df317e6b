//! Programs that a container executes.

use crate::container::{Container, Tools, command};
use crate::{of, whole};
use anyhow::{Context, ensure};
use capprof_profile::{Capability, CapabilitySet};
use std::path::Path;

pub(crate) fn the_execve_of_the_program_itself_is_told_apart(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/closed/probe", "nothing"])?;
    let closed = container.root().join("closed");
    std::fs::create_dir(&closed)?;
    std::fs::copy(&tools.probe, closed.join("probe"))?;
    command("chown", &["1000".as_ref(), closed.as_ref()])?;
    command("chmod", &["0700".as_ref(), closed.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let checks = of(&evidence, Capability::DAC_READ_SEARCH)?;
    ensure!(checks.iter().all(|check| check.pre_exec), "{checks:#?}");
    ensure!(
        checks[0]
            .syscall
            .as_ref()
            .is_some_and(|call| call.name == "execve")
    );
    Ok(())
}

pub(crate) fn executions_have_paths_inside_the_container(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::shell(
        tools,
        "chroot /jail /probe nothing; /bin/probe nothing; /bin/probe nothing",
    )?;
    std::fs::create_dir(container.root().join("jail"))?;
    std::fs::copy(&tools.probe, container.root().join("jail/probe"))?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let count = |path: &str| {
        evidence
            .executions
            .iter()
            .find(|execution| execution.path == Path::new(path))
            .map(|execution| (execution.count, execution.uid))
    };
    ensure!(
        count("/jail/probe") == Some((1, 0)),
        "{:?}",
        evidence.executions
    );
    ensure!(
        count("/bin/probe") == Some((2, 0)),
        "{:?}",
        evidence.executions
    );
    let as_user = Container::new(tools, &["/bin/probe", "nothing"])?
        .user(1000)?
        .run()?;
    ensure!(as_user.executions[0].uid == 1000);
    Ok(())
}

pub(crate) fn file_capabilities_are_read(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::shell(tools, "/bin/second nothing")?;
    let file = container.root().join("bin/second");
    command(
        "setcap",
        &["cap_net_raw,cap_bpf+ep".as_ref(), file.as_ref()],
    )?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let execution = evidence
        .executions
        .iter()
        .find(|execution| execution.path == Path::new("/bin/second"))
        .context("no execution of /bin/second")?;
    let capabilities = execution
        .file_capabilities
        .context("no file capabilities")?;
    ensure!(capabilities.effective);
    ensure!(
        capabilities.permitted == CapabilitySet::from_iter([Capability::NET_RAW, Capability::BPF])
    );
    Ok(())
}

pub(crate) fn unreadable_file_capabilities_say_why(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(
        tools,
        "cp /bin/probe /root/gone && /root/gone nothing && rm /root/gone; mkdir /tmp/m && mount -t tmpfs none /tmp/m && \
         cp /bin/probe /tmp/m/probe && /tmp/m/probe nothing; /bin/probe memfd",
    )?
    .run()?;
    whole(&evidence)?;
    for (path, reason) in [
        ("/root/gone", "removed"),
        ("/tmp/m/probe", "mount"),
        ("anonymous", "no file system"),
    ] {
        let execution = evidence
            .executions
            .iter()
            .find(|execution| execution.path.to_string_lossy().starts_with(path))
            .with_context(|| format!("no {path} in {:?}", evidence.executions))?;
        ensure!(
            execution
                .unreadable
                .as_ref()
                .is_some_and(|why| why.contains(reason)),
            "{execution:?}"
        );
    }
    Ok(())
}

pub(crate) fn capabilities_gained_by_execve_are_seen(tools: &Tools) -> anyhow::Result<()> {
    let mut container = Container::shell(tools, "/bin/second nothing")?;
    // A user without capabilities, as engines start one.
    container.config["process"]["user"] = serde_json::json!({ "uid": 1000, "gid": 1000 });
    let file = container.root().join("bin/second");
    command("setcap", &["cap_net_raw+ep".as_ref(), file.as_ref()])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    for execution in &evidence.executions {
        let expected = match execution.path == Path::new("/bin/second") {
            true => CapabilitySet::from_iter([Capability::NET_RAW]),
            false => CapabilitySet::default(),
        };
        ensure!(execution.gained == expected, "{execution:?}");
    }
    Ok(())
}
