//! Arguments of system calls that decide if a check matters.

use crate::container::{Container, Tools, is_overcommit};
use crate::{hides_capset, of, one, rest, whole};
use anyhow::{Context, bail, ensure};
use capprof_profile::object::Object;
use capprof_profile::observation::{Audit, CheckAnswer, Evidence, Namespace, Observation};
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
        // This machine has no 32-bit system calls, so there is nothing to misread.
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
    // Its path is in another register, and the numbers of others stand for calls with a path in the other table.
    ensure!(check.object.is_none(), "{:?}", check.object);
    if cfg!(target_arch = "x86_64") {
        let check = one(&evidence, Capability::SYS_BOOT)?;
        ensure!(check.object.is_none(), "{:?}", check.object);
    }
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

/// The objects of a capability's checks that have one.
fn objects(evidence: &Evidence, capability: Capability) -> anyhow::Result<Vec<Object>> {
    Ok(of(evidence, capability)?
        .into_iter()
        .filter_map(|check| check.object.clone())
        .collect())
}

fn has(objects: &[Object], wanted: impl Fn(&Object) -> bool) -> anyhow::Result<()> {
    ensure!(objects.iter().any(wanted), "{objects:#?}");
    Ok(())
}

pub(crate) fn a_check_has_the_object_of_its_system_call(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "objects"])?.run()?;
    whole(&evidence)?;
    let is =
        |path: &'static str| move |object: &Object| object.path.as_deref() == Some(path.as_ref());
    let of_call = |call: &str, capability| {
        let all = objects(&evidence, capability)?;
        anyhow::Ok(
            all.into_iter()
                .filter(|object| object.syscall == call)
                .collect::<Vec<_>>(),
        )
    };
    has(
        &of_call("openat", Capability::DAC_OVERRIDE)?,
        is("/tmp/theirs"),
    )?;
    has(&of_call("fchownat", Capability::CHOWN)?, is("/tmp/theirs"))?;
    let made = of_call("mknodat", Capability::MKNOD)?;
    has(&made, is("device"))?;
    has(&made, |object| object.device.as_deref() == Some("c 1:3"))?;
    let mounts = of_call("mount", Capability::SYS_ADMIN)?;
    has(&mounts, |object| {
        is("/mnt")(object) && object.file_system.as_deref() == Some("tmpfs")
    })?;
    has(&of_call("bind", Capability::NET_BIND_SERVICE)?, |object| {
        object.port == Some(81)
    })?;
    has(&of_call("kill", Capability::KILL)?, |object| {
        object.process.is_some_and(|it| it > 1)
    })?;
    has(&of_call("setuid", Capability::SETUID)?, |object| {
        object.user == Some(12345)
    })?;
    has(&of_call("chroot", Capability::SYS_CHROOT)?, is("/tmp"))?;
    let sockets = of_call("connect", Capability::DAC_OVERRIDE)?;
    has(&sockets, is("/tmp/socket"))?;
    Ok(())
}

pub(crate) fn a_long_path_is_cut_and_marked(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "long-chroot"])?.run()?;
    whole(&evidence)?;
    let all = objects(&evidence, Capability::SYS_CHROOT)?;
    let [object] = &all[..] else {
        bail!("{all:#?}");
    };
    let path = object.path.as_ref().context("no path")?;
    let long = "/".repeat(4000);
    ensure!(object.cut && path.as_os_str().len() == 134, "{object:?}");
    ensure!(long.starts_with(&path.display().to_string()), "{object:?}");
    Ok(())
}

pub(crate) fn an_object_that_cannot_be_read_is_absent(tools: &Tools) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "chown-by-descriptor"])?.run()?;
    whole(&evidence)?;
    ensure!(objects(&evidence, Capability::CHOWN)?.is_empty());
    // The memory of the program that executes another one is gone when most checks are made.
    let overcommit = evidence
        .observations
        .iter()
        .filter(|seen| is_overcommit(seen));
    let executed = overcommit.filter(|seen| {
        seen.syscall
            .as_ref()
            .is_some_and(|call| call.name.starts_with("execve"))
    });
    ensure!(executed.into_iter().all(|seen| seen.object.is_none()));
    Ok(())
}
