//! The machine under test and its abilities.

use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The machine under test.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Directory of the binaries under test.
    pub(crate) binaries: PathBuf,
    /// The built corpus.
    pub(crate) corpus: PathBuf,
    /// The script that lays out a bundle for it.
    pub(crate) bundle: PathBuf,
    /// What to write as `recorders` into capprof's configuration, one after the other.
    pub(crate) recorders: Vec<String>,
    /// True if the system's own directories are used.
    pub(crate) system: bool,
    /// Capabilities that this process holds. It cannot grant more.
    pub(crate) held: CapabilitySet,
    /// Capabilities that the machine around a guest holds. Their programs need not be tried in both.
    pub(crate) held_around: CapabilitySet,
    /// The runtimes, each with the reason if it cannot run here.
    pub(crate) runtimes: Vec<Runtime>,
    /// True if this is a guest, where a program may disturb the machine.
    pub(crate) guest: bool,
    /// The number of checks that each thread of a storm makes.
    pub(crate) checks: u64,
    /// True if the tests that a slow machine leaves out run too.
    pub(crate) full: bool,
    /// The directory of bundles that are laid out once, for tests to copy.
    pub(crate) templates: TempDir,
    /// `capprof-hook doctor`.
    pub(crate) doctor: serde_json::Value,
}

/// A low-level runtime, and how to call it here.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    /// `runc` or `crun`.
    pub(crate) name: &'static str,
    /// The reason why it cannot run here.
    pub(crate) unusable: Option<String>,
    /// The words to put before every command line that calls it.
    pub(crate) prefix: Vec<String>,
    /// Its global options on this machine.
    pub(crate) globals: Vec<String>,
}

/// Gives the command after it a mount namespace with nothing but cgroup2 at `/sys/fs/cgroup`: crun refuses a hybrid hierarchy.
const CGROUP2_ALONE: &str = "mount --make-rprivate / && umount -R -l /sys/fs/cgroup && \
     mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"";

/// Returns true if the program is attached that every system call of the host runs while a recording wants results.
pub(crate) fn follows_system_calls() -> bool {
    // There may be pins of another version next to this one's.
    fs::read_dir("/sys/fs/bpf/capprof").is_ok_and(|versions| {
        versions
            .flatten()
            .any(|version| version.path().join("link-system_call_exit").exists())
    })
}

impl Environment {
    /// Examines the machine.
    pub(crate) fn detect() -> anyhow::Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!("must run as root: it starts containers");
        }
        let guest = std::env::var_os("CAPPROF_E2E_GUEST").is_some();
        let own = std::env::current_exe()?
            .parent()
            .context("own directory")?
            .to_owned();
        let path = |variable: &str, default: PathBuf| {
            std::env::var_os(variable).map_or(default, PathBuf::from)
        };
        let binaries = path("CAPPROF_BIN", own.clone());
        let corpus = path("CAPPROF_CORPUS", own.join("corpus"));
        let bundle = corpus.with_file_name("corpus-bundle");
        for file in [
            &corpus,
            &bundle,
            &binaries.join("capprof"),
            &binaries.join("capprofctl"),
        ] {
            if !file.exists() {
                bail!("{} is missing: run make build", file.display());
            }
        }
        mount_bpf_file_system()?;
        let doctor = Command::new(hook(&binaries)?).arg("doctor").output()?;
        let doctor = serde_json::from_slice(&doctor.stdout).with_context(|| {
            format!(
                "capprof-hook doctor: {}",
                String::from_utf8_lossy(&doctor.stderr)
            )
        })?;
        let templates = tempfile::Builder::new().prefix("capprof-e2e-").tempdir()?;
        crate::container::make_accessible(templates.path())?;
        Ok(Self {
            templates,
            corpus,
            bundle,
            recorders: std::env::var("CAPPROF_E2E_RECORDERS")
                .unwrap_or_else(|_| "auto".to_owned())
                .split(',')
                .map(str::to_owned)
                .collect(),
            system: std::env::var_os("CAPPROF_E2E_SYSTEM").is_some(),
            held: held()?,
            held_around: std::env::var("CAPPROF_E2E_AROUND")
                .map_or(Ok(CapabilitySet::default()), |bits| from_hexadecimal(&bits))?,
            runtimes: vec![runc(), crun()],
            guest,
            checks: match std::env::var("CAPPROF_E2E_CHECKS") {
                Ok(number) => number.parse().context("CAPPROF_E2E_CHECKS")?,
                Err(_) if guest => 10_000,
                Err(_) => 40_000,
            },
            full: std::env::var_os("CAPPROF_E2E_FULL").is_some(),
            doctor,
            binaries,
        })
    }

    /// The reason why a recorder cannot record here; `None` if it can.
    pub(crate) fn unusable_recorder(&self, recorder: &str) -> Option<String> {
        // For `auto` any recorder will do.
        let names: &[&str] = match recorder {
            "auto" => &["ebpf", "selinux"],
            name => &[name],
        };
        let reasons: Vec<String> = names
            .iter()
            .filter_map(|name| {
                let report = &self.doctor["recorders"][name];
                (report["usable"] != true).then(|| format!("{name}: {}", report["refused"]))
            })
            .collect();
        (reasons.len() == names.len()).then(|| reasons.join("; "))
    }
}

/// The hook binary as the shim finds it.
pub(crate) fn hook(binaries: &Path) -> anyhow::Result<PathBuf> {
    [
        binaries.join("capprof-hook"),
        binaries.join("../libexec/capprof/capprof-hook"),
    ]
    .into_iter()
    .find(|path| path.exists())
    .context("capprof-hook is missing: run make build")
}

/// Mounts bpffs for all namespaces, before a test makes a mount namespace of its own: capprof's pins must outlive that one.
fn mount_bpf_file_system() -> anyhow::Result<()> {
    let mounted = std::fs::read_to_string("/proc/self/mounts")?
        .lines()
        .any(|line| line.contains(" /sys/fs/bpf bpf "));
    if !mounted {
        nix::mount::mount(
            Some("bpf"),
            "/sys/fs/bpf",
            Some("bpf"),
            nix::mount::MsFlags::empty(),
            Some("mode=0700"),
        )
        .context("mount /sys/fs/bpf")?;
    }
    Ok(())
}

fn held() -> anyhow::Result<CapabilitySet> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .context("no CapEff in /proc/self/status")?;
    from_hexadecimal(line)
}

/// A set as `/proc/PID/status` has it.
fn from_hexadecimal(bits: &str) -> anyhow::Result<CapabilitySet> {
    let bits = u64::from_str_radix(bits.trim(), 16).with_context(|| format!("read {bits:?}"))?;
    Ok(CapabilitySet::from_bits(bits))
}

fn runs(command: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(command)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
    {
        Err(error) => Err(format!("{command}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
                .trim()
                .replace('\n', " ")
        )),
    }
}

fn runc() -> Runtime {
    Runtime {
        name: "runc",
        unusable: runs("runc", &["--version"]).err(),
        prefix: Vec::new(),
        globals: Vec::new(),
    }
}

fn crun() -> Runtime {
    let hybrid = Path::new("/sys/fs/cgroup/unified").is_dir();
    let mut runtime = Runtime {
        name: "crun",
        unusable: runs("crun", &["--version"]).err(),
        prefix: Vec::new(),
        globals: Vec::new(),
    };
    if hybrid {
        runtime.prefix = ["unshare", "-m", "sh", "-c", CGROUP2_ALONE, "sh"]
            .map(str::to_owned)
            .to_vec();
        runtime.globals = vec!["--cgroup-manager=disabled".to_owned()];
        if runtime.unusable.is_none() {
            runtime.unusable = runs("unshare", &["-m", "sh", "-c", CGROUP2_ALONE, "sh", "true"])
                .err()
                .map(|reason| format!("no mount namespace with cgroup2 alone: {reason}"));
        }
    }
    runtime
}
