//! What is asked for, by which the answer is judged.

use crate::container::{Container, Tools, is_overcommit};
use crate::{hides_capset, of, one, rest, whole};
use anyhow::{Context, bail, ensure};
use capprof_profile::observation::{Audit, CheckAnswer, Namespace, Observation};
use capprof_profile::{Capability, CapabilitySet};

pub(crate) fn user_namespaces_have_classes(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::shell(
        tools,
        "/bin/probe chroot; mknod /tmp/n c 1 3; unshare -U -r /bin/probe chroot",
    )?
    .user_namespace()?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let classes: Vec<Namespace> = of(&evidence, Capability::SYS_CHROOT)?
        .iter()
        .map(|check| check.namespace)
        .collect();
    ensure!(
        classes.contains(&Namespace::Own)
            && classes.contains(&Namespace::Nested)
            && classes.len() == 2,
        "{classes:?}"
    );
    let mknod = one(&evidence, Capability::MKNOD)?;
    ensure!(mknod.namespace == Namespace::Initial && mknod.verdict == CheckAnswer::Denied);
    Ok(())
}

pub(crate) fn ownership_of_a_namespace_is_told_apart(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(tools, "unshare -U -m /bin/true")?.run()?;
    whole(&evidence)?;
    let checks = of(&evidence, Capability::SYS_ADMIN)?;
    ensure!(
        checks
            .iter()
            .any(|check| check.by_owner && check.namespace == Namespace::Nested),
        "{checks:#?}"
    );
    let evidence = Container::shell(tools, "unshare -m /bin/true")?.run()?;
    let checks = of(&evidence, Capability::SYS_ADMIN)?;
    ensure!(checks.iter().all(|check| !check.by_owner), "{checks:#?}");
    Ok(())
}

pub(crate) fn overlayfs_asks_for_its_mounter(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(
        tools,
        "ls -la / >/dev/null; cat /bin/busybox >/dev/null; touch /bin/busybox",
    )?
    .overlay()?
    .run()?;
    whole(&evidence)?;
    let checks = rest(&evidence);
    ensure!(!checks.is_empty());
    ensure!(checks.iter().all(|check| check.overridden), "{checks:#?}");
    Ok(())
}

pub(crate) fn overcommit_is_silent(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::shell(tools, "/bin/true & wait")?.run()?;
    whole(&evidence)?;
    let memory: Vec<&Observation> = evidence
        .observations
        .iter()
        .filter(|seen| is_overcommit(seen))
        .collect();
    ensure!(
        memory
            .iter()
            .all(|seen| seen.audit == Audit::Silent && seen.capability == Capability::SYS_ADMIN),
        "{memory:#?}"
    );
    ensure!(rest(&evidence).is_empty(), "{:#?}", rest(&evidence));
    Ok(())
}

pub(crate) fn ids_that_are_the_same_have_no_effect(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/probe", "setuid-same", "setresgid-same"])?;
    let evidence = container.run()?;
    whole(&evidence)?;
    let checks = rest(&evidence);
    // Kernels since 6.3 do not even ask in the second case.
    ensure!(
        checks.iter().all(|check| check.without_effect),
        "{checks:#?}"
    );
    ensure!(one(&evidence, Capability::SETUID)?.without_effect);
    let evidence = Container::new(tools, &["/bin/probe", "setgid-other", "setuid-other"])?.run()?;
    ensure!(!one(&evidence, Capability::SETUID)?.without_effect);
    ensure!(!one(&evidence, Capability::SETGID)?.without_effect);
    Ok(())
}

pub(crate) fn ids_that_are_mapped_are_compared_as_the_kernel_does(
    tools: &Tools,
) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "setuid-same"])?
        .user_namespace()?
        .run()?;
    whole(&evidence)?;
    ensure!(one(&evidence, Capability::SETUID)?.without_effect);
    let evidence = Container::new(tools, &["/bin/probe", "setuid-other"])?
        .user_namespace()?
        .run()?;
    ensure!(!one(&evidence, Capability::SETUID)?.without_effect);
    Ok(())
}

pub(crate) fn capset_of_permitted_capabilities_has_no_effect(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-list"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    ensure!(
        rest(&evidence).iter().all(|check| check.without_effect),
        "{:#?}",
        rest(&evidence)
    );
    let [capset] = evidence.capsets.as_slice() else {
        bail!("capsets: {:?}", evidence.capsets);
    };
    let list = CapabilitySet::from_iter([Capability::NET_ADMIN, Capability::NET_BIND_SERVICE]);
    ensure!(capset.permitted == list && capset.effective == list && capset.inheritable.is_empty());
    ensure!(capset.held.len() > 30 && capset.program == "probe");
    Ok(())
}

pub(crate) fn capset_of_an_inheritable_capability_has(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-inheritable"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    let needed: Vec<&Observation> = of(&evidence, Capability::SETPCAP)?
        .into_iter()
        .filter(|check| !check.without_effect)
        .collect();
    ensure!(needed.len() == 1 && needed[0].count == 1, "{needed:#?}");
    ensure!(evidence.capsets.len() == 2, "{:?}", evidence.capsets);
    Ok(())
}

pub(crate) fn a_refused_capset_is_no_need(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-refused"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    ensure!(evidence.capsets.len() == 1, "{:?}", evidence.capsets);
    ensure!(!evidence.capsets[0].permitted.contains(Capability::KILL));
    Ok(())
}

pub(crate) fn securebits_are_seen(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "securebits"])?.run()?;
    whole(&evidence)?;
    if hides_capset(&evidence) {
        return Ok(());
    }
    let check = one(&evidence, Capability::SETPCAP)?;
    ensure!(!check.without_effect && check.verdict == CheckAnswer::Granted);
    ensure!(
        check
            .syscall
            .as_ref()
            .is_some_and(|call| call.name == "prctl")
    );
    Ok(())
}

pub(crate) fn compat_system_calls_have_their_own_table(tools: &Tools) -> anyhow::Result<()> {
    let evidence = match Container::new(tools, &["/bin/probe", "compat-chroot"])?.run() {
        // No 32-bit system calls on this machine: nothing that could be misread.
        Err(error)
            if cfg!(not(target_arch = "x86_64")) && error.to_string().contains("status: 2") =>
        {
            return Ok(());
        }
        result => result?,
    };
    let check = one(&evidence, Capability::SYS_CHROOT)?;
    let call = check.syscall.as_ref().context("no system call")?;
    ensure!(call.name == "chroot" && call.number == 61, "{call:?}");
    Ok(())
}

pub(crate) fn reading_a_sysctl_has_no_effect(tools: &Tools) -> anyhow::Result<()> {
    let read = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msg_next_id";
    let evidence = Container::shell(tools, read)?.user_namespace()?.run()?;
    whole(&evidence)?;
    let checks = of(&evidence, Capability::NET_ADMIN)?;
    ensure!(
        checks.iter().all(|check| check.without_effect),
        "{checks:#?}"
    );
    let write = "cat /proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/ip_forward";
    let evidence = Container::shell(tools, write)?.user_namespace()?.run()?;
    let checks = of(&evidence, Capability::NET_ADMIN)?;
    ensure!(
        checks.iter().any(|check| !check.without_effect),
        "{checks:#?}"
    );
    Ok(())
}
