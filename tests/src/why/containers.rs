//! Containers of the low-level runtimes: started by the command, and already running.

use super::{Expected, check};
use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::{Body, Test};
use anyhow::{Context, ensure};
use capprof_profile::why::report::RefusalReport;
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODIES: [(&str, Body); 10] = [
    ("read_only_root", read_only_root),
    ("read_only_path", read_only_path),
    ("masked_path", masked_path),
    ("capability", capability),
    ("seccomp", seccomp),
    ("user_namespace", user_namespace),
    ("no_new_privileges", no_new_privileges),
    ("file_mode", file_mode),
    ("noexec", noexec),
    ("running", running),
];

/// All tests of this file under each runtime; those of device rules only if the runtime makes eBPF rules here.
pub(super) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Test::each(environment, "why", Some("ebpf"), &BODIES);
    let groups: [(&str, Body); 1] = [("device_rule", device_rule)];
    for mut test in Test::each(environment, "why", Some("ebpf"), &groups) {
        if test.skip.is_none() && Path::new("/sys/fs/cgroup/devices").exists() {
            test.skip =
                Some("device rules are of control groups version 1 here, or of none".to_owned());
        }
        tests.push(test);
    }
    tests
}

/// A container with busybox that runs a script.
pub(super) fn shell(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    script: &str,
) -> anyhow::Result<Container> {
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    for name in [
        "cat", "mkdir", "touch", "hostname", "mknod", "mount", "sleep", "cp", "chmod",
    ] {
        let link = container.bundle().join("rootfs/bin").join(name);
        if !link.exists() {
            std::os::unix::fs::symlink("busybox", link)?;
        }
    }
    Ok(container)
}

pub(super) fn expect(
    container: &Container,
    calls: &'static str,
    cause: &'static str,
    holds: &'static str,
) -> anyhow::Result<()> {
    let expected = Expected {
        calls,
        cause,
        holds,
    };
    check(&container.path("report.json"), expected, || {
        run(container)?;
        Ok(true)
    })?;
    Ok(())
}

/// Runs the container, and returns the report of `why`.
pub(super) fn report(container: &Container) -> anyhow::Result<RefusalReport> {
    run(container)?;
    let text = std::fs::read(container.path("report.json"))?;
    serde_json::from_slice(&text).context("read the report")
}

fn run(container: &Container) -> anyhow::Result<()> {
    let report = container.path("report.json");
    let options = ["why", "--format", "json", "--output"];
    container
        .ctl_with_runtime(&[&options[..], &[&report.to_string_lossy()]].concat())?
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(())
}

fn read_only_root(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(environment, runtime, "mkdir /new")?;
    container.edit(|config| config["root"]["readonly"] = json!(true))?;
    expect(&container, "mkdir", "read_only", "read-only mount")
}

fn read_only_path(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(
        environment,
        runtime,
        "echo 1 >/proc/sys/kernel/ctrl-alt-del",
    )?;
    container.edit(|config| config["linux"]["readonlyPaths"] = json!(["/proc/sys"]))?;
    expect(&container, "open|openat", "read_only", "/proc/sys")
}

fn masked_path(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(environment, runtime, "mkdir /proc/tty/new; sleep 1")?;
    container.edit(|config| config["linux"]["maskedPaths"] = json!(["/proc/tty"]))?;
    expect(&container, "mkdir", "masked_path", "/proc/tty")
}

fn capability(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(environment, runtime, "hostname new")?;
    expect(
        &container,
        "sethostname",
        "capability",
        "CAP_SYS_ADMIN (set the host name)",
    )
}

fn seccomp(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(environment, runtime, "mount -t tmpfs t /tmp")?;
    container.edit(|config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}],
        });
    })?;
    expect(&container, "mount", "seccomp", "errno 1 for mount")
}

fn user_namespace(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let mut container = shell(environment, runtime, "mknod /tmp/n c 1 3")?;
    container.use_user_namespace()?;
    container.edit(|config| {
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(["CAP_MKNOD"]);
        }
    })?;
    expect(&container, "mknod|mknodat", "user_namespace", "CAP_MKNOD")
}

fn no_new_privileges(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    // The program, not the shell's own command of that name.
    let container = shell(environment, runtime, "/bin/hostname new")?;
    let path = container.bundle().join("rootfs/bin/hostname");
    std::fs::remove_file(&path)?;
    std::fs::copy(container.bundle().join("rootfs/bin/busybox"), &path)?;
    std::os::unix::fs::chown(&path, Some(0), Some(0))?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o4755))?;
    container.use_user(1234)?;
    container.edit(|config| config["process"]["noNewPrivileges"] = json!(true))?;
    expect(&container, "sethostname", "capability", "no_new_privs")
}

fn file_mode(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(environment, runtime, "cat /secret")?;
    let path = container.bundle().join("rootfs/secret");
    std::fs::write(&path, "x")?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    std::os::unix::fs::chown(&path, Some(33), Some(33))?;
    container.use_user(1234)?;
    expect(
        &container,
        "open|openat",
        "file_mode",
        "0600, owner 33:33, of /secret",
    )
}

fn noexec(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(
        environment,
        runtime,
        "cp /bin/busybox /scratch/cat; /scratch/cat",
    )?;
    container.edit(|config| {
        let mount = json!({"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["noexec"]});
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.push(mount);
        }
    })?;
    expect(&container, "execve", "no_exec", "/scratch")
}

fn device_rule(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(environment, runtime, "mknod /dev/n c 10 229; cat /dev/n")?;
    container.edit(|config| {
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(["CAP_MKNOD"]);
        }
        config["linux"]["resources"]["devices"] = json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "access": "m"},
        ]);
    })?;
    expect(&container, "open|openat", "device", "c 10:229 r")
}

/// Watches a running container by the id of its first process until the time is over.
fn running(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = shell(
        environment,
        runtime,
        "while :; do hostname new; sleep 0.1; done",
    )?;
    let (bundle, pid_file) = (container.bundle(), container.path("pid"));
    container.edit(|config| config["annotations"]["io.capprof.mode"] = json!("off"))?;
    container.capprof_succeeds(&[
        "run",
        "--detach",
        "--pid-file",
        &pid_file.to_string_lossy(),
        "--bundle",
        &bundle.to_string_lossy(),
        &container.id,
    ])?;
    let start = Instant::now();
    let result = watch(&container, &pid_file);
    container.capprof(&["delete", "--force", &container.id])?;
    ensure!(
        start.elapsed() < Duration::from_secs(30),
        "it did not end by itself"
    );
    result
}

fn watch(container: &Container, pid_file: &Path) -> anyhow::Result<()> {
    let pid = std::fs::read_to_string(pid_file).context("read the pid file")?;
    let report = container.path("report.json");
    let expected = Expected {
        calls: "sethostname",
        cause: "capability",
        holds: "CAP_SYS_ADMIN",
    };
    let why = || {
        let status = container
            .ctl(&[
                "why",
                "--for",
                "2",
                "--format",
                "json",
                "--output",
                &report.to_string_lossy(),
                pid.trim(),
            ])?
            .status()?;
        ensure!(status.success(), "status {status}");
        Ok(true)
    };
    check(&report, expected, why)?;
    Ok(())
}
