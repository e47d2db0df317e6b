//! Leftovers of a recording in the kernel.

use crate::container::{Container, Tools};
use crate::members::{are_counted, map};
use crate::{one, whole};
use anyhow::{Context, ensure};
use capprof_profile::Capability;
use capprof_profile::observation::Evidence;
use libbpf_rs::{MapCore, MapFlags};
use std::process::Command;

pub(crate) fn nothing_stays_armed_after_the_end(tools: &Tools) -> anyhow::Result<()> {
    let before = tools.record(&["processes"])?;
    let container = Container::shell(tools, "/bin/true; /bin/sleep 0; /bin/true & wait")?;
    container.start_and_wait()?;
    ensure!(
        tools.record(&["processes"])? == before,
        "tasks or joins stay"
    );
    let id = container.directory().load()?.id;
    ensure!(tools.record(&["slots"])?.contains(&id));
    drop(container);
    ensure!(!tools.record(&["slots"])?.contains(&id));
    ensure!(tools.record(&["processes"])? == before);
    are_counted()?;
    Ok(())
}

/// A hook was killed, or a call failed, after the row in the map of containers had been deleted.
pub(crate) fn rows_of_a_recording_that_is_half_forgotten_are_swept(
    tools: &Tools,
) -> anyhow::Result<()> {
    // The slot of a recording that was armed right after boot.
    const SLOT: u64 = 1;
    let container = Container::new(tools, &["/bin/sleep", "60"])?;
    container.run_with(|container| {
        let rows = |name: &str| -> anyhow::Result<usize> { Ok(map(name)?.keys().count()) };
        let names = [
            "checks",
            "programs",
            "capsets",
            "devices",
            "sysctls",
            "ports",
            "attributes",
        ];
        let before = names.map(|name| rows(name).unwrap_or(0));
        for name in names {
            let map = map(name)?;
            let mut key = vec![0; map.key_size().try_into()?];
            key[..8].copy_from_slice(&SLOT.to_ne_bytes());
            let value = vec![0; map.value_size().try_into()?];
            map.update(&key, &value, MapFlags::ANY)?;
        }
        let namespace = u32::MAX.to_ne_bytes();
        map("joins")?.update(&namespace, &SLOT.to_ne_bytes(), MapFlags::ANY)?;
        let said = tools.record(&["sweep", "/nowhere"])?;
        ensure!(said.contains("removed eBPF map rows"), "{said}");
        for (name, before) in names.iter().zip(before) {
            // This container may have got more rows in the meantime.
            ensure!(rows(name)? >= before, "{name}: rows of others are gone");
            let is_left = map(name)?.keys().any(|key| key[..8] == SLOT.to_ne_bytes());
            ensure!(!is_left, "{name}: a row is left");
        }
        ensure!(map("joins")?.lookup(&namespace, MapFlags::ANY)?.is_none());
        let slots = tools.record(&["slots"])?;
        ensure!(slots.contains(container.id()), "{slots}");
        Ok(())
    })?;
    Ok(())
}

/// Each call of bpf(2) with which the evidence is read fails once.
pub(crate) fn one_failed_call_under_strace_loses_nothing(tools: &Tools) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/probe", "chroot"])?;
    let expected = container.run()?;
    let directory = container.directory().path().display().to_string();
    let collect = |filter: &[&str]| {
        Command::new("strace")
            .args(["-f", "-qq"])
            .args(filter)
            .arg(&tools.recorder)
            .args(["collect", &directory])
            .output()
    };
    let traced = collect(&["-e", "trace=bpf"])?;
    let calls = String::from_utf8_lossy(&traced.stderr)
        .matches("bpf(")
        .count();
    ensure!(calls > 20, "{calls} calls");
    for call in 1..=calls {
        let inject = format!("inject=bpf:error=ENOMEM:when={call}");
        let output = collect(&["-o", "/dev/null", "-e", "trace=bpf", "-e", &inject])?;
        let evidence: Evidence = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("call {call}: {output:?}"))?;
        ensure!(
            evidence == expected,
            "call {call} of {calls}: {:?}",
            evidence.losses
        );
    }
    Ok(())
}

/// Only their own state directory shows if they are gone.
pub(crate) fn recordings_of_another_state_directory_are_not_swept(
    tools: &Tools,
) -> anyhow::Result<()> {
    let container = Container::new(tools, &["/bin/true"])?;
    container.run()?;
    let containers = map("containers")?;
    let enter = |slot: u64, owner: &str| -> anyhow::Result<()> {
        let mut row = vec![0; containers.value_size().try_into()?];
        let start = row.len() - 64;
        row[start..start + owner.len()].copy_from_slice(owner.as_bytes());
        Ok(containers.update(&slot.to_ne_bytes(), &row, MapFlags::ANY)?)
    };
    // FNV-1a (64 bit).
    let hash = "/run/one"
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    enter(1, &format!("first@{hash:016x}"))?;
    enter(2, "second@0123456789abcdef")?;
    let said = tools.record(&["sweep", "/run/one"])?;
    let slots = tools.record(&["slots"])?;
    for slot in [1_u64, 2] {
        let _ = containers.delete(&slot.to_ne_bytes());
    }
    ensure!(said.contains("first") && !said.contains("second"), "{said}");
    ensure!(
        !slots.contains("first") && slots.contains("second"),
        "{slots}"
    );
    Ok(())
}

/// Runs a shell script in which `$0` is the recorder and whose pins no other process sees. Returns its output.
fn with_pins_of_its_own(tools: &Tools, script: &str) -> anyhow::Result<String> {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "mount --make-rprivate / && mount -t bpf bpf /sys/fs/bpf && {script}"
        ))
        .arg(&tools.recorder)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Capabilities are still recorded, and the report names what is not.
pub(crate) fn nothing_is_seen_of_devices_where_control_groups_are_hidden(
    tools: &Tools,
) -> anyhow::Result<()> {
    let said = with_pins_of_its_own(
        tools,
        "umount -R -l /sys/fs/cgroup && \"$0\" probe && \"$0\" load tp_btf && \"$0\" unseen",
    )?;
    for what in [
        "devices opened: control groups version 2 are not mounted",
        "writes to /proc/sys: control groups version 2 are not mounted",
        "ping sockets: control groups version 2 are not mounted",
    ] {
        // Once in the report of `probe`, and once in that of `unseen`.
        ensure!(said.matches(what).count() == 2, "{said}");
    }
    Ok(())
}

/// Some administrators mount them at another path.
pub(crate) fn devices_are_seen_where_control_groups_are_mounted_elsewhere(
    tools: &Tools,
) -> anyhow::Result<()> {
    let said = with_pins_of_its_own(
        tools,
        "umount -R -l /sys/fs/cgroup && mount -t cgroup2 none /mnt && \"$0\" probe && \"$0\" load tp_btf && \"$0\" unseen",
    )?;
    ensure!(!said.contains("control groups"), "{said}");
    Ok(())
}

/// An upgrade leaves pins of another layout, which only the version that made them could use.
pub(crate) fn pins_of_a_former_version_are_unloaded(tools: &Tools) -> anyhow::Result<()> {
    let said = with_pins_of_its_own(
        tools,
        "cd /sys/fs/bpf && \"$0\" load tp_btf && mv capprof/v* capprof/v0 && \"$0\" load tp_btf && ls capprof && \"$0\" unload && ! ls capprof",
    )?;
    let lines: Vec<&str> = said.lines().rev().collect();
    ensure!(
        matches!(lines.as_slice(), ["true", version, "v0", ..] if version.starts_with('v')),
        "{said}"
    );
    Ok(())
}

/// A hook writes addresses to the front of the map to have them named, and clears them afterwards.
pub(crate) fn addresses_that_a_killed_hook_left_are_not_named_as_ours(
    tools: &Tools,
) -> anyhow::Result<()> {
    let container = || Container::new(tools, &["/bin/probe", "chroot"])?.run();
    let before = one(&container()?, Capability::SYS_CHROOT)?
        .call_site
        .clone();
    ensure!(before.iter().any(|name| name == "ns_capable"), "{before:?}");
    let map =
        libbpf_rs::MapHandle::from_pinned_path(capprof_hook::ebpf::directory().join("symbols"))?;
    let read = |row: u32| -> anyhow::Result<Vec<u8>> {
        map.lookup(&row.to_ne_bytes(), MapFlags::ANY)?
            .context("a row of the map of symbols")
    };
    let none = 0_u64.to_ne_bytes();
    for row in 0..map.max_entries() {
        ensure!(read(row)? == none, "row {row} was not taken back");
        // No function is at this address, so the kernel prints it as a number.
        map.update(&row.to_ne_bytes(), &4711_u64.to_ne_bytes(), MapFlags::ANY)?;
    }
    let evidence = container()?;
    whole(&evidence)?;
    let after = &one(&evidence, Capability::SYS_CHROOT)?.call_site;
    ensure!(*after == before, "{after:?} instead of {before:?}");
    // If the kernel refuses iterators, names come from /proc/kallsyms, and no process reads the map.
    if capprof_hook::ebpf::directory()
        .join("link-name_symbols")
        .exists()
    {
        ensure!(read(0)? == none);
    }
    for row in 0..map.max_entries() {
        map.update(&row.to_ne_bytes(), &none, MapFlags::ANY)?;
    }
    Ok(())
}
