//! A container of busybox, run by a real low-level runtime with the eBPF recorder alone as its prestart hook.

use crate::recording::recording;
use anyhow::{Context, ensure};
use capprof_profile::Capability;
use capprof_profile::observation::{Evidence, Observation};
use capprof_profile::recording::Recording;
use capprof_store::recording::Directory;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The programs that the tests are made of.
pub(crate) struct Tools {
    /// The recorder alone, `examples/ebpf.rs`.
    pub(crate) recorder: PathBuf,
    /// `probe.c`.
    pub(crate) probe: PathBuf,
    /// The directory of `probe`.
    _directory: TempDir,
}

impl Tools {
    /// Finds the recorder next to this program and compiles the probe; in a guest without a compiler, `CAPPROF_EBPF` and `CAPPROF_PROBE` name them.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let recorder = match std::env::var_os("CAPPROF_EBPF") {
            Some(recorder) => recorder.into(),
            None => own
                .parent()
                .and_then(Path::parent)
                .context("this program lies in no target directory")?
                .join("examples/ebpf"),
        };
        ensure!(recorder.exists(), "{} is not built", recorder.display());
        let directory = tempfile::tempdir()?;
        let probe = match std::env::var_os("CAPPROF_PROBE") {
            Some(probe) => probe.into(),
            None => {
                let probe = directory.path().join("probe");
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ebpf/probe.c");
                let status = Command::new("cc")
                    .args(["-static", "-O1", "-pthread", "-o"])
                    .args([&probe, &source])
                    .status()
                    .context("run cc")?;
                ensure!(status.success(), "cc could not compile probe.c");
                probe
            }
        };
        Ok(Self {
            recorder,
            probe,
            _directory: directory,
        })
    }

    /// Runs the recorder with a command of its own.
    pub(crate) fn record(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.recorder).args(arguments).output()?;
        ensure!(
            output.status.success(),
            "ebpf {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// A bundle, and the container that is run from it.
pub(crate) struct Container<'tools> {
    tools: &'tools Tools,
    runtime: &'static str,
    id: String,
    work: TempDir,
    pub(crate) config: Value,
    user_namespace: bool,
    overlay: bool,
    verifies: bool,
}

impl<'tools> Container<'tools> {
    pub(crate) fn new(tools: &'tools Tools, command: &[&str]) -> anyhow::Result<Self> {
        let work = tempfile::Builder::new().prefix("capprof-ebpf.").tempdir()?;
        fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755))?;
        let root = work.path().join("rootfs");
        for directory in ["bin", "proc", "sys", "dev", "tmp", "etc", "root"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::copy("/bin/busybox", root.join("bin/busybox"))?;
        for applet in [
            "sh", "true", "sleep", "cat", "chown", "chroot", "cp", "hostname", "id", "ls", "mkdir",
            "mknod", "mount", "rm", "su", "touch", "unshare",
        ] {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        fs::copy(&tools.probe, root.join("bin/probe"))?;
        fs::copy(&tools.probe, root.join("bin/second"))?;
        fs::create_dir(work.path().join("recording"))?;
        let status = Command::new("runc")
            .arg("spec")
            .current_dir(&work)
            .status()?;
        ensure!(status.success(), "runc spec failed");
        let mut config: Value =
            serde_json::from_slice(&fs::read(work.path().join("config.json"))?)?;
        let held = held()?;
        config["process"]["args"] = json!(command);
        config["process"]["terminal"] = json!(false);
        config["process"]["noNewPrivileges"] = json!(false);
        config["process"]["rlimits"] = json!([]);
        config["process"]["capabilities"] =
            json!({ "bounding": held, "effective": held, "permitted": held });
        config["root"]["readonly"] = json!(false);
        for hiding in ["maskedPaths", "readonlyPaths", "seccomp", "resources"] {
            if let Some(linux) = config["linux"].as_object_mut() {
                linux.remove(hiding);
            }
        }
        config["hooks"] = json!({ "prestart": [{
            "path": tools.recorder,
            "args": ["ebpf", "arm", work.path().join("recording")],
        }] });
        let id = format!(
            "capprof-ebpf-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        Ok(Self {
            tools,
            runtime: "runc",
            id,
            work,
            config,
            user_namespace: false,
            overlay: false,
            verifies: false,
        })
    }

    pub(crate) fn shell(tools: &'tools Tools, script: &str) -> anyhow::Result<Self> {
        Self::new(tools, &["/bin/sh", "-c", script])
    }

    pub(crate) fn runtime(mut self, runtime: &'static str) -> Self {
        self.runtime = runtime;
        self
    }

    /// Removes all capabilities, and makes the recorder record the results of system calls with a refused check.
    pub(crate) fn verifying(mut self) -> Self {
        self.config["process"]["capabilities"] =
            json!({ "bounding": [], "effective": [], "permitted": [] });
        self.verifies = true;
        self
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.work.path().join("rootfs")
    }

    /// Runs the program as this user, with all capabilities ambient.
    pub(crate) fn user(mut self, uid: u32) -> anyhow::Result<Self> {
        let held = held()?;
        self.config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        self.config["process"]["capabilities"]["inheritable"] = json!(held);
        self.config["process"]["capabilities"]["ambient"] = json!(held);
        Ok(self)
    }

    pub(crate) fn user_namespace(mut self) -> anyhow::Result<Self> {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        self.config["linux"]["uidMappings"] = map.clone();
        self.config["linux"]["gidMappings"] = map;
        self.config["linux"]["namespaces"]
            .as_array_mut()
            .context("no namespaces")?
            .push(json!({ "type": "user" }));
        command(
            "chown",
            &[
                "-R".as_ref(),
                "100000:100000".as_ref(),
                self.root().as_ref(),
            ],
        )?;
        self.user_namespace = true;
        Ok(self)
    }

    /// Puts an overlay over the root file system.
    pub(crate) fn overlay(mut self) -> anyhow::Result<Self> {
        let work = self.work.path();
        fs::rename(self.root(), work.join("lower"))?;
        for directory in ["upper", "work", "rootfs"] {
            fs::create_dir(work.join(directory))?;
        }
        let at = work.display();
        let options = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work");
        command(
            "mount",
            &[
                "-t".as_ref(),
                "overlay".as_ref(),
                "overlay".as_ref(),
                "-o".as_ref(),
                options.as_ref(),
                self.root().as_ref(),
            ],
        )?;
        self.overlay = true;
        Ok(self)
    }

    /// The runtime's command; on machines with both versions of control groups, crun gets a mount that it accepts.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.runtime {
            "crun" => {
                let mut command = Command::new("unshare");
                command.args(["-m", "sh", "-c"]).arg(
                    "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/unified && \
                     mount -t cgroup2 none /sys/fs/cgroup && exec timeout -s KILL 60 crun --cgroup-manager=disabled \"$@\"",
                );
                command.arg("crun");
                command
            }
            runtime => {
                let mut command = Command::new("timeout");
                command.args(["-s", "KILL", "60", runtime]);
                command
            }
        };
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn invoke(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).output()?)
    }

    fn prepare(&self) -> anyhow::Result<()> {
        fs::write(
            self.work.path().join("config.json"),
            serde_json::to_vec(&self.config)?,
        )?;
        let mut value = recording(&self.id, self.work.path());
        value["runtime"]["name"] = json!(self.runtime);
        value["user_namespace"] = json!(self.user_namespace);
        value["root_filesystem"] = json!(self.root());
        if self.verifies {
            value["mode"] = json!("verify");
            value["profile"] = json!("20260101T000000Z-00000000");
        }
        let recording: Recording = serde_json::from_value(value)?;
        self.directory().save(&recording)?;
        Ok(())
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory::at(self.work.path().join("recording"))
    }

    /// Runs the container to its end, which must be a success; returns the evidence.
    pub(crate) fn run(&self) -> anyhow::Result<Evidence> {
        self.start_and_wait()?;
        self.collect()
    }

    /// Runs the container to any end; returns its exit status and the evidence.
    pub(crate) fn run_to_any_end(&self) -> anyhow::Result<(Option<i32>, Evidence)> {
        let output = self.start()?;
        Ok((output.status.code(), self.collect()?))
    }

    fn start(&self) -> anyhow::Result<Output> {
        self.prepare()?;
        let bundle = self.work.path().display().to_string();
        self.invoke(&["run", "--bundle", &bundle, &self.id])
    }

    pub(crate) fn start_and_wait(&self) -> anyhow::Result<()> {
        let output = self.start()?;
        ensure!(
            output.status.success(),
            "{} run: {}: {}",
            self.runtime,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Starts the container, which sleeps, makes processes join it, and ends it.
    pub(crate) fn run_with(
        &self,
        between: impl FnOnce(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Evidence> {
        self.prepare()?;
        let bundle = self.work.path().display().to_string();
        let status = self
            .command(&["run", "--detach", "--bundle", &bundle, &self.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "{} run --detach: {status}", self.runtime);
        let result = between(self);
        self.invoke(&["delete", "--force", &self.id])?;
        result?;
        self.collect()
    }

    pub(crate) fn exec(&self, script: &str) -> anyhow::Result<()> {
        let output = self.invoke(&["exec", &self.id, "/bin/sh", "-c", script])?;
        ensure!(
            output.status.success(),
            "exec {script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    pub(crate) fn pid(&self) -> anyhow::Result<String> {
        let output = self.invoke(&["state", &self.id])?;
        let state: Value = serde_json::from_slice(&output.stdout)?;
        Ok(state["pid"].to_string())
    }

    /// Returns the evidence so far.
    pub(crate) fn collect(&self) -> anyhow::Result<Evidence> {
        let directory = self.directory().path().display().to_string();
        let evidence = self.tools.record(&["collect", &directory])?;
        Ok(serde_json::from_str(&evidence)?)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let directory = self.directory().path().display().to_string();
        let _ = self.tools.record(&["release", &directory]);
        if self.overlay {
            let _ = Command::new("umount").arg(self.root()).status();
        }
    }
}

/// The capabilities that this process holds and can give.
fn held() -> anyhow::Result<Vec<Capability>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .context("/proc/self/status has no CapEff")?;
    let bits = u64::from_str_radix(bits.trim(), 16)?;
    Ok(capprof_profile::CapabilitySet::from_bits(bits)
        .iter()
        .collect())
}

pub(crate) fn command(program: &str, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        std::io::stderr().write_all(&output.stderr)?;
    }
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(())
}

/// Returns true if the check comes from the kernel's memory accounting, which every program causes.
pub(crate) fn is_overcommit(observation: &Observation) -> bool {
    observation
        .call_site
        .iter()
        .any(|name| name.contains("vm_enough_memory"))
}
