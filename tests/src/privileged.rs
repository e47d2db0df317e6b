//! Privileges besides capabilities that a privileged container uses.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, bail, ensure};
use capprof_profile::Capability;
use capprof_profile::privileges::{Device, Privileges};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const BODIES: [(&str, Body); 10] = [
    ("devices_are_listed_as_opened", devices_are_listed_as_opened),
    (
        "devices_of_every_container_are_not_listed",
        devices_of_every_container_are_not_listed,
    ),
    (
        "devices_opened_by_the_host_are_not_listed",
        devices_opened_by_the_host_are_not_listed,
    ),
    (
        "devices_opened_in_exec_are_listed",
        devices_opened_in_exec_are_listed,
    ),
    (
        "a_device_that_the_program_makes_is_given",
        a_device_that_the_program_makes_is_given,
    ),
    (
        "a_refused_device_is_not_listed",
        a_refused_device_is_not_listed,
    ),
    ("mounts_are_listed", mounts_are_listed),
    (
        "a_device_that_is_mounted_is_listed",
        a_device_that_is_mounted_is_listed,
    ),
    ("sysctls_are_listed", sysctls_are_listed),
    (
        "an_ordinary_container_has_no_such_section",
        an_ordinary_container_has_no_such_section,
    ),
];

/// All tests of this file under each runtime. Only eBPF sees devices.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Test::each(environment, "privileged", Some("ebpf"), &BODIES);
    // The kernel asks the device rules of version 1 last.
    if Path::new("/sys/fs/cgroup/devices").exists() {
        for test in &mut tests {
            if test.name.ends_with("/a_refused_device_is_not_listed") && test.skip.is_none() {
                test.skip = Some(
                    "device rules are of control groups version 1 here, or of none".to_owned(),
                );
            }
        }
    }
    tests
}

/// A device node of this machine.
struct Node {
    name: &'static str,
    kind: &'static str,
    major: u64,
    minor: u64,
}

impl Node {
    fn find(name: &'static str) -> Option<Self> {
        let metadata = fs::metadata(format!("/dev/{name}")).ok()?;
        let kind = match metadata.file_type() {
            file if file.is_block_device() => "b",
            file if file.is_char_device() => "c",
            _ => return None,
        };
        Some(Self {
            name,
            kind,
            major: nix::sys::stat::major(metadata.rdev()),
            minor: nix::sys::stat::minor(metadata.rdev()),
        })
    }

    /// Three devices that can be opened without harm; every kernel has the first.
    fn three() -> anyhow::Result<[Self; 3]> {
        ["kmsg", "fuse", "loop-control", "kvm", "net/tun", "autofs"]
            .into_iter()
            .filter_map(Self::find)
            .take(3)
            .collect::<Vec<_>>()
            .try_into()
            .ok()
            .context("this machine has fewer than three devices to open")
    }

    /// The form in which engines write a device of the host into config.json.
    fn entry(&self) -> Value {
        json!({"path": format!("/dev/{}", self.name), "type": self.kind, "major": self.major, "minor": self.minor, "fileMode": 438})
    }
}

/// A container as engines make it for `--privileged`, with these devices, and a shell that runs this script.
fn privileged(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    nodes: &[&Node],
    script: &str,
) -> anyhow::Result<Container> {
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    for name in ["echo", "mount", "umount", "mknod", "ls"] {
        let link = container.bundle().join("rootfs/bin").join(name);
        if !link.exists() {
            std::os::unix::fs::symlink("busybox", link)?;
        }
    }
    let all: Vec<String> = environment.held.iter().map(|one| one.to_string()).collect();
    container.edit(|config| {
        config["process"]["capabilities"] =
            json!({"bounding": all, "effective": all, "permitted": all});
        let linux = &mut config["linux"];
        linux["devices"] = nodes.iter().map(|node| node.entry()).collect();
        linux["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
        for hiding in ["seccomp", "maskedPaths", "readonlyPaths"] {
            if let Some(linux) = linux.as_object_mut() {
                linux.remove(hiding);
            }
        }
    })?;
    Ok(container)
}

/// Runs it to its end.
fn run(container: &Container) -> anyhow::Result<Privileges> {
    let output = container.run()?;
    if !output.status.success() {
        bail!(
            "the program failed: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    found(container)
}

fn found(container: &Container) -> anyhow::Result<Privileges> {
    let profile = container.profile()?;
    ensure!(
        profile.complete,
        "incomplete: {}",
        profile.incomplete_because.join("; ")
    );
    let found = profile.privileges.context("the profile has none")?;
    ensure!(found.not_observed.is_empty(), "{:?}", found.not_observed);
    Ok(found)
}

fn report(container: &Container) -> anyhow::Result<String> {
    let output = container
        .ctl(&[
            "--store",
            &container.store().to_string_lossy(),
            "report",
            &container.id,
        ])?
        .output()?;
    ensure!(output.status.success(), "capprofctl report: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn shown(devices: &[Device]) -> Vec<(String, String, String)> {
    let mut shown: Vec<_> = devices
        .iter()
        .map(|device| {
            (
                device.name(),
                device.access.clone(),
                device.access_only.clone(),
            )
        })
        .collect();
    shown.sort();
    shown
}

fn expect(found: &Privileges, expected: &[(&str, &str, &str)]) -> anyhow::Result<()> {
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(name, access, asked)| {
            (
                format!("/dev/{name}"),
                (*access).to_owned(),
                (*asked).to_owned(),
            )
        })
        .collect();
    expected.sort();
    let shown = shown(&found.devices);
    ensure!(shown == expected, "expected {expected:?}, found {shown:?}");
    Ok(())
}

fn contains(report: &str, line: &str) -> anyhow::Result<()> {
    ensure!(
        report.lines().any(|one| one.trim().starts_with(line)),
        "\"{line}\" is not in:\n{report}"
    );
    Ok(())
}

fn devices_are_listed_as_opened(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, two, three] = Node::three()?;
    // A driver may refuse after the device rules have allowed it. `test` opens nothing.
    let script = format!(
        "(exec 3</dev/{}) 2>/dev/null; (exec 3<>/dev/{}) 2>/dev/null; test -c /dev/{}",
        one.name, two.name, three.name
    );
    let container = privileged(environment, runtime, &[&one, &two, &three], &script)?;
    let found = run(&container)?;
    expect(&found, &[(one.name, "r", ""), (two.name, "rw", "")])?;
    ensure!(
        found.engine_grants.is_privileged(),
        "{:?}",
        found.engine_grants
    );
    let report = report(&container)?;
    contains(
        &report,
        "beyond capabilities: what else of --privileged was used",
    )?;
    let (first, second) = (one.name, two.name);
    for option in [
        format!("--device=/dev/{first}:/dev/{first}:r "),
        format!("--device=/dev/{second}:/dev/{second}:rw "),
    ] {
        ensure!(report.contains(&option), "{option} is not in:\n{report}");
    }
    ensure!(
        !report.contains(&format!("--device=/dev/{}", three.name)),
        "a device that was not opened is in:\n{report}"
    );
    Ok(())
}

fn devices_of_every_container_are_not_listed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, ..] = Node::three()?;
    let script = "cat /dev/null >/dev/full; for i in null zero full random urandom ptmx; do (exec 3</dev/$i) || exit 1; done; \
                  (exec 3<>/dev/tty) 2>/dev/null; ls -l /dev >/dev/null";
    let container = privileged(environment, runtime, &[&one], script)?;
    let found = run(&container)?;
    expect(&found, &[])?;
    contains(&report(&container)?, "nothing that capprof looks at")
}

fn devices_opened_by_the_host_are_not_listed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, two, _] = Node::three()?;
    let container = privileged(
        environment,
        runtime,
        &[&one, &two],
        &format!("(exec 3</dev/{}) 2>/dev/null; sleep 1", two.name),
    )?;
    let over = AtomicBool::new(false);
    let path = format!("/dev/{}", one.name);
    let (found, opened) = thread::scope(|scope| -> anyhow::Result<_> {
        let host = scope.spawn(|| {
            let mut opened = 0_u64;
            while !over.load(Ordering::Relaxed) {
                opened += u64::from(fs::File::open(&path).is_ok());
                thread::sleep(std::time::Duration::from_millis(1));
            }
            opened
        });
        let found = run(&container);
        over.store(true, Ordering::Relaxed);
        let opened = host.join().ok().context("the host's thread")?;
        Ok((found?, opened))
    })?;
    ensure!(opened > 10, "the host opened {path} {opened} times");
    expect(&found, &[(two.name, "r", "")])
}

fn devices_opened_in_exec_are_listed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, ..] = Node::three()?;
    let container = privileged(environment, runtime, &[&one], "sleep 60")?;
    let bundle = container.bundle();
    container.capprof_succeeds(&[
        "create",
        "--bundle",
        &bundle.to_string_lossy(),
        &container.id,
    ])?;
    container.capprof_succeeds(&["start", &container.id])?;
    let script = format!("exec 3<>/dev/{}", one.name);
    container.capprof_succeeds(&["exec", &container.id, "/bin/sh", "-c", &script])?;
    container.capprof_succeeds(&["kill", &container.id, "KILL"])?;
    for _ in 0..50 {
        thread::sleep(std::time::Duration::from_millis(100));
        if container
            .capprof(&["delete", &container.id])?
            .status
            .success()
        {
            break;
        }
    }
    expect(&found(&container)?, &[(one.name, "rw", "")])
}

fn a_device_that_the_program_makes_is_given(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, ..] = Node::three()?;
    let Node {
        name, major, minor, ..
    } = one;
    let script = format!(
        "mknod /dev/own c {major} {minor} && (exec 3</dev/own) 2>/dev/null; mknod /dev/other b 250 3"
    );
    let container = privileged(environment, runtime, &[], &script)?;
    let found = run(&container)?;
    let shown = shown(&found.devices);
    let expected = [
        (format!("/dev/{name}"), "rm".to_owned(), String::new()),
        ("b 250:3".to_owned(), "m".to_owned(), String::new()),
    ];
    ensure!(shown == expected, "expected {expected:?}, found {shown:?}");
    let report = report(&container)?;
    let option = format!("--device=/dev/{name}:/dev/{name}:r ");
    ensure!(report.contains(&option), "{option} is not in:\n{report}");
    ensure!(!report.contains("'b 250:3"), "{report}");
    Ok(())
}

/// A device that the engine's own rules refuse was not used.
fn a_refused_device_is_not_listed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, two, _] = Node::three()?;
    let script = format!(
        "(exec 3</dev/{}) 2>/dev/null && exit 9; (exec 3</dev/{}) 2>/dev/null; exit 0",
        one.name, two.name
    );
    let container = privileged(environment, runtime, &[&one, &two], &script)?;
    container.edit(|config| {
        config["linux"]["resources"]["devices"] = json!([
            {"allow": true, "access": "rwm"},
            {"allow": false, "type": one.kind, "major": one.major, "minor": one.minor, "access": "rwm"}]);
    })?;
    let found = run(&container)?;
    expect(&found, &[(two.name, "r", "")])
}

fn mounts_are_listed(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = privileged(
        environment,
        runtime,
        &[],
        "mount -t tmpfs tmpfs /tmp && umount /tmp",
    )?;
    let found = run(&container)?;
    let names: Vec<&str> = found
        .syscalls
        .iter()
        .map(|call| call.name.as_str())
        .collect();
    ensure!(names == ["mount", "umount2"], "{names:?}");
    expect(&found, &[])?;
    let profile = container.profile()?;
    ensure!(
        profile.findings.minimized.contains(Capability::SYS_ADMIN),
        "{}",
        profile.findings.minimized
    );
    contains(&report(&container)?, "mounts: mount, umount2, by ")
}

/// The mount may fail: the kernel asks the rules before it looks for the device and for a file system on it.
fn a_device_that_is_mounted_is_listed(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let device = Node {
        name: "device",
        kind: "b",
        major: 7,
        minor: 7,
    };
    let script = "mount -t ext2 -o ro /dev/device /tmp 2>/dev/null; exit 0";
    let found = run(&privileged(environment, runtime, &[&device], script)?)?;
    let devices: Vec<_> = found
        .devices
        .iter()
        .map(|one| (one.number.to_string(), one.access.as_str()))
        .collect();
    ensure!(devices == [("b 7:7".to_owned(), "r")], "{devices:?}");
    Ok(())
}

fn sysctls_are_listed(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = privileged(
        environment,
        runtime,
        &[],
        "cat /proc/sys/net/ipv4/ip_default_ttl >/dev/null; echo 1 >/proc/sys/net/ipv4/ip_forward; \
         echo 77 >/proc/sys/net/ipv4/ip_default_ttl",
    )?;
    let found = run(&container)?;
    let sysctls: Vec<(&str, Vec<&str>)> = found
        .sysctls
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.values.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    ensure!(
        sysctls
            == [
                ("net.ipv4.ip_default_ttl", vec!["77"]),
                ("net.ipv4.ip_forward", vec!["1"])
            ],
        "{sysctls:?}"
    );
    let report = report(&container)?;
    ensure!(
        report.contains("--sysctl=net.ipv4.ip_default_ttl=77 --sysctl=net.ipv4.ip_forward=1 "),
        "{report}"
    );
    Ok(())
}

fn an_ordinary_container_has_no_such_section(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let [one, ..] = Node::three()?;
    let container = Container::new(
        environment,
        runtime,
        &["/bin/sh", "-c", &format!("exec 3</dev/{}", one.name)],
    )?;
    container.edit(|config| {
        config["linux"]["devices"] = json!([one.entry()]);
        config["linux"]["resources"]["devices"] = json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": one.kind, "major": one.major, "minor": one.minor, "access": "rwm"}]);
    })?;
    let found = run(&container)?;
    ensure!(
        !found.engine_grants.is_privileged(),
        "{:?}",
        found.engine_grants
    );
    expect(&found, &[(one.name, "r", "")])?;
    let report = report(&container)?;
    ensure!(
        !report.contains("--privileged") && !report.contains("--device"),
        "{report}"
    );
    Ok(())
}
