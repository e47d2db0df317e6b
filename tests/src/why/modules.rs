//! Security modules: refusals of SELinux and AppArmor in containers.

use super::containers::{expect, report, shell};
use crate::Body;
use crate::container::{Container, succeed};
use crate::environment::{Environment, Runtime};
use crate::runner::Test;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const SELINUX: [(&str, Body); 8] = [
    ("selinux_sysctl", selinux_sysctl),
    ("selinux_capability", selinux_capability),
    ("selinux_mount", selinux_mount),
    ("selinux_raw_socket", selinux_raw_socket),
    ("selinux_level", selinux_level),
    ("selinux_execute", selinux_execute),
    ("selinux_remove", selinux_remove),
    ("selinux_without_a_record", selinux_without_a_record),
];

const APPARMOR: [(&str, Body); 5] = [
    ("apparmor_mount", apparmor_mount),
    ("apparmor_sysctl", apparmor_sysctl),
    ("apparmor_file", apparmor_file),
    ("apparmor_capability", apparmor_capability),
    ("apparmor_complains", apparmor_complains),
];

/// Tests that a guest runs under each runtime. For the others one runtime is enough, unless it is asked for everything.
const OF_EACH_RUNTIME: [&str; 2] = ["selinux_sysctl", "apparmor_mount"];
/// Tests that prove what another one proves too: a guest runs these only if it is asked for everything.
const MORE_OF_THE_SAME: [&str; 4] = [
    "selinux_mount",
    "selinux_raw_socket",
    "selinux_execute",
    "selinux_remove",
];

/// All tests of this file under each runtime.
pub(super) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Vec::new();
    for (bodies, missing) in [
        (&SELINUX[..], selinux_is_missing()),
        (&APPARMOR, apparmor_is_missing()),
    ] {
        for mut test in Test::each(environment, "why", Some("ebpf"), bodies) {
            if environment.guest && !environment.full && is_left_out(&test.name) {
                continue;
            }
            test.skip = test.skip.or_else(|| missing.clone());
            tests.push(test);
        }
    }
    tests
}

fn is_left_out(name: &str) -> bool {
    let ends = |names: &[&str]| names.iter().any(|end| name.ends_with(end));
    // The kernels' guests are faster with crun.
    let is_doubled = match ends(&APPARMOR.map(|(name, _)| name)) {
        true => name.contains("/runc/"),
        false => name.contains("/crun/"),
    };
    ends(&MORE_OF_THE_SAME) || is_doubled && !ends(&OF_EACH_RUNTIME)
}

pub(super) fn selinux_is_missing() -> Option<String> {
    let enforces = fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|text| text == "1");
    (!enforces).then(|| "SELinux does not enforce on this machine; it does in a guest".to_owned())
}

fn apparmor_is_missing() -> Option<String> {
    let is_on = fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with('Y'));
    if !is_on {
        return Some("AppArmor is not enabled on this machine; it is in a guest".to_owned());
    }
    let types = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    let name = b"BPF_FUNC_get_func_ip";
    if !types.windows(name.len()).any(|bytes| bytes == name) {
        return Some("this kernel lacks what `why` needs of eBPF (Linux 5.15 has it)".to_owned());
    }
    let parser = Command::new("apparmor_parser").arg("--version").output();
    parser
        .is_err()
        .then(|| "apparmor_parser is not installed".to_owned())
}

const LEVEL: &str = "s0:c900,c901";

/// A container with an engine's label, these capabilities, and a writable /proc.
fn labelled(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    script: &str,
    capabilities: &[&str],
) -> anyhow::Result<Container> {
    let container = shell(environment, runtime, script)?;
    container.edit(|config| {
        config["process"]["selinuxLabel"] = json!(format!("system_u:system_r:container_t:{LEVEL}"));
        config["linux"]["mountLabel"] =
            json!(format!("system_u:object_r:container_file_t:{LEVEL}"));
        config["linux"]["readonlyPaths"] = json!([]);
        config["root"]["readonly"] = json!(false);
        give(config, capabilities);
    })?;
    label(&container, "", "container_file_t", LEVEL)?;
    Ok(container)
}

fn give(config: &mut Value, capabilities: &[&str]) {
    config["process"]["capabilities"] = json!({});
    for set in ["bounding", "effective", "permitted"] {
        config["process"]["capabilities"][set] = json!(capabilities);
    }
}

/// Labels a file of the container, and everything below it.
fn label(container: &Container, path: &str, of_type: &str, level: &str) -> anyhow::Result<()> {
    succeed(
        Command::new("chcon")
            .args(["-R", &format!("system_u:object_r:{of_type}:{level}")])
            .arg(container.bundle().join("rootfs").join(path)),
    )
}

fn selinux_sysctl(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "echo 1 >/proc/sys/kernel/ctrl-alt-del";
    let container = labelled(environment, runtime, script, &[])?;
    let rule = "SELinux: container_t may not write sysctl_kernel_t:file (AVC ";
    expect(&container, "open|openat", "selinux", rule)
}

fn selinux_capability(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = labelled(environment, runtime, "hostname new", &["CAP_SYS_ADMIN"])?;
    let rule = "container_t may not sys_admin container_t:capability";
    expect(&container, "sethostname", "selinux", rule)
}

fn selinux_mount(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "mount -t tmpfs t /tmp";
    let container = labelled(environment, runtime, script, &["CAP_SYS_ADMIN"])?;
    let rule = "container_t may not mounton container_file_t:dir";
    expect(&container, "mount", "selinux", rule)
}

fn selinux_raw_socket(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = labelled(
        environment,
        runtime,
        "busybox ping -c 1 127.0.0.1",
        &["CAP_NET_RAW"],
    )?;
    let rule = "container_t may not net_raw container_t:capability";
    expect(&container, "socket", "selinux", rule)
}

fn selinux_level(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = labelled(environment, runtime, "cat /secret", &[])?;
    fs::write(container.bundle().join("rootfs/secret"), "x")?;
    label(&container, "secret", "container_file_t", "s0:c1,c2")?;
    let rule = "container_t may not read container_file_t:file";
    expect(&container, "open|openat", "selinux", rule)
}

fn selinux_execute(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = labelled(environment, runtime, "/program", &[])?;
    let rootfs = container.bundle().join("rootfs");
    fs::copy(rootfs.join("bin/busybox"), rootfs.join("program"))?;
    label(&container, "program", "var_log_t", "s0")?;
    let rule = "container_t may not execute var_log_t:file";
    expect(&container, "execve", "selinux", rule)
}

fn selinux_remove(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = labelled(environment, runtime, "busybox rm /d/f", &[])?;
    let directory = container.bundle().join("rootfs/d");
    fs::create_dir(&directory)?;
    fs::write(directory.join("f"), "x")?;
    label(&container, "d", "etc_t", "s0")?;
    expect(
        &container,
        "unlink|unlinkat",
        "selinux",
        "container_t may not write etc_t:dir",
    )
}

/// The policy keeps these refusals out of the log. The report names no rule and no record, but SELinux, because nothing else can have refused.
fn selinux_without_a_record(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = labelled(environment, runtime, "echo x >/f; sleep 1", &[])?;
    fs::write(container.bundle().join("rootfs/f"), "x")?;
    label(&container, "f", "wtmp_t", "s0")?;
    let report = report(&container)?;
    let first = report.refusals.first().context("nothing was refused")?;
    let causes: Vec<String> = first
        .explanation
        .causes
        .iter()
        .map(ToString::to_string)
        .collect();
    ensure!(
        first.call.contains("open")
            && matches!(&causes[..], [confined] if confined.ends_with(":container_t:s0:c900,c901")),
        "{first:?}"
    );
    Ok(())
}

/// Rules of docker-default (moby, profiles/apparmor/template.go) that refuse without a record and without variables, and rules that it does not have:
/// those that leave a record.
const PROFILE: &str = "
    network, capability, file, umount,
    signal (send,receive),
    deny /proc/* w,
    deny /proc/sys/[^k]** w,
    deny /proc/sys/kernel/{?,??,[^s][^h][^m]**} w,
    deny /sys/[^f]*/** wklx,
    deny mount,
    audit deny /secret r,
    audit deny capability sys_chroot,
";

/// A profile in the kernel, until this is dropped.
struct Loaded {
    name: String,
}

impl Loaded {
    /// Loads [`PROFILE`] with these flags.
    fn new(name: String, flags: &str) -> anyhow::Result<Self> {
        if !Path::new("/sys/kernel/security/apparmor").exists() {
            let arguments = ["-t", "securityfs", "none", "/sys/kernel/security"];
            succeed(Command::new("mount").args(arguments))?;
        }
        let loaded = Self { name };
        let flags = format!("attach_disconnected,mediate_deleted{flags}");
        let text = format!("profile {} flags=({flags}) {{{PROFILE}}}\n", loaded.name);
        loaded.parse("--replace", &text)?;
        Ok(loaded)
    }

    fn parse(&self, what: &str, text: &str) -> anyhow::Result<()> {
        let mut parser = Command::new("apparmor_parser")
            .args([what, "--skip-cache", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()?;
        let mut input = parser.stdin.take().context("open standard input")?;
        input.write_all(text.as_bytes())?;
        drop(input);
        let status = parser.wait()?;
        ensure!(
            status.success(),
            "apparmor_parser {what} {}: {status}",
            self.name
        );
        Ok(())
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // A profile that stays loaded confines no process.
        let _ = self.parse("--remove", &format!("profile {} {{}}\n", self.name));
    }
}

/// A container under a profile with these flags, with this capability.
fn confined(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    script: &str,
    (capability, flags): (&str, &str),
) -> anyhow::Result<(Container, Loaded)> {
    let container = shell(environment, runtime, script)?;
    let profile = Loaded::new(format!("capprof-{}", container.id), flags)?;
    container.edit(|config| {
        config["process"]["apparmorProfile"] = json!(profile.name);
        config["linux"]["readonlyPaths"] = json!([]);
        give(config, &[capability]);
    })?;
    Ok((container, profile))
}

const ENFORCED: &str = "";

fn apparmor_mount(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "mount -t tmpfs t /tmp; sleep 1";
    let (container, _profile) =
        confined(environment, runtime, script, ("CAP_SYS_ADMIN", ENFORCED))?;
    let told = "does not allow mount";
    expect(&container, "mount", "apparmor", told)
}

fn apparmor_sysctl(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "echo 1 >/proc/sys/kernel/ctrl-alt-del; sleep 1";
    let (container, _profile) = confined(environment, runtime, script, ("CAP_CHOWN", ENFORCED))?;
    let told = "does not allow open";
    expect(&container, "open|openat", "apparmor", told)
}

fn apparmor_file(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let (container, _profile) =
        confined(environment, runtime, "cat /secret", ("CAP_CHOWN", ENFORCED))?;
    fs::write(container.bundle().join("rootfs/secret"), "x")?;
    let told = "does not allow open /secret (r) (AVC ";
    expect(&container, "open|openat", "apparmor", told)
}

fn apparmor_capability(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "busybox chroot / /bin/busybox true";
    let (container, _profile) =
        confined(environment, runtime, script, ("CAP_SYS_CHROOT", ENFORCED))?;
    let told = "does not allow capable sys_chroot (AVC ";
    expect(&container, "chroot", "apparmor", told)
}

/// A profile that only complains refuses nothing.
fn apparmor_complains(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let script = "busybox chroot / /bin/busybox true && hostname new";
    let complains = ("CAP_SYS_CHROOT", ",complain");
    let (container, _profile) = confined(environment, runtime, script, complains)?;
    expect(&container, "sethostname", "capability", "CAP_SYS_ADMIN")
}
