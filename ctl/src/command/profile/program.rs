//! A program that is not a container: it runs in a bundle that shares everything with the host, so that the same recorders see it.

use crate::launch::Launcher;
use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use capprof_store::settings;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A bundle for a program of the host.
pub(super) struct Program {
    /// The bundle, removed with this.
    _directory: TempDir,
    /// The command line of the runtime that runs it.
    pub(super) command: Vec<OsString>,
}

impl Program {
    /// Lays out a bundle; `None` if the words are an engine's command line.
    ///
    /// # Errors
    /// A word cannot stand in config.json (runtime-spec, config.md), the bundle cannot be written, or this process cannot have mounts of its own.
    pub(super) fn of(words: &[OsString]) -> anyhow::Result<Option<Self>> {
        let Some(first) = words.first().filter(|first| !Launcher::is_program(first)) else {
            return Ok(None);
        };
        // This comes first: the path is no longer known in the new mount namespace, and capprof is next to this program.
        crate::hook::own_program()?;
        leave_the_hosts_mounts()?;
        let directory = tempfile::Builder::new()
            .prefix("capprofctl-")
            .tempdir()
            .context("create temporary directory")?;
        let path = directory.path().join("config.json");
        let configuration = configuration(first, words)?;
        fs::write(&path, serde_json::to_vec_pretty(&configuration)?)
            .with_context(|| format!("write {}", path.display()))?;
        let runtime = settings::essentials(&settings::path()).runtime;
        let runtime = match Launcher::of(OsStr::new(&runtime)) {
            Some(_) => runtime,
            None => Launcher::Runc.name().to_owned(),
        };
        Ok(Some(Self {
            command: vec![
                runtime.into(),
                "run".into(),
                "--bundle".into(),
                directory.path().into(),
                format!("capprof-program-{}", std::process::id()).into(),
            ],
            _directory: directory,
        }))
    }
}

/// Gives this process, and so the runtime, a mount namespace of its own (mount_namespaces(7)): runc and crun mount the root over itself before they
/// run a program in it, and that mount would stay on the host. New mounts of the host still appear here.
fn leave_the_hosts_mounts() -> anyhow::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| {
            nix::mount::mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_SLAVE,
                None::<&str>,
            )
        })
        .context("keep the program's mounts from the host: run it as root")
}

/// A configuration without namespaces and without a root file system of its own: the program runs as this process would run it.
fn configuration(first: &OsStr, words: &[OsString]) -> anyhow::Result<Value> {
    let text = |word: &OsStr| match word.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{}: not UTF-8, which config.json must be", word.display()),
    };
    let arguments = words
        .iter()
        .map(|word| text(word))
        .collect::<anyhow::Result<Vec<String>>>()?;
    let variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value.to_str()?)))
        .collect();
    let directory = std::env::current_dir().context("find the working directory")?;
    let name = Path::new(first).file_name().unwrap_or(first);
    let own = Own::read()?;
    let set: Vec<String> = own.permitted.iter().map(|one| one.to_string()).collect();
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": {"path": "/"},
        // crun refuses a configuration without this member.
        "mounts": [],
        "annotations": {"io.capprof.name": text(name)?},
        "process": {
            "args": arguments,
            "env": variables,
            "cwd": text(directory.as_os_str())?,
            "user": {"uid": 0, "gid": 0, "umask": own.umask, "additionalGids": own.groups},
            "capabilities": {"bounding": set, "effective": set, "permitted": set},
        },
        "linux": {
            "namespaces": [],
            "resources": {"devices": [{"allow": true, "access": "rwm"}]},
        },
    }))
}

/// The properties of this process that the program inherits (proc_pid_status(5)).
struct Own {
    permitted: CapabilitySet,
    umask: u32,
    groups: Vec<u32>,
}

impl Own {
    fn read() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        Ok(Self {
            permitted: CapabilitySet::from_bits(
                u64::from_str_radix(&field("CapPrm:"), 16).context("read /proc/self/status")?,
            ),
            umask: u32::from_str_radix(&field("Umask:"), 8).unwrap_or(0o022),
            groups: field("Groups:")
                .split_whitespace()
                .filter_map(|group| group.parse().ok())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engines_command_line_is_no_program() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
        let namespace = || fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let host = namespace();
        for line in ["docker run x", "/usr/bin/podman run x", "runc run x"] {
            assert!(Program::of(&words(line)).unwrap().is_none(), "{line}");
        }
        assert_eq!(namespace(), host);
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root has mounts of its own");
            return;
        }
        let program = Program::of(&words("/usr/sbin/chroot / true"))
            .unwrap()
            .unwrap();
        assert_ne!(namespace(), host);
        let path = program._directory.path().join("config.json");
        let value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(
            value["process"]["args"],
            json!(["/usr/sbin/chroot", "/", "true"])
        );
        assert_eq!(value["annotations"]["io.capprof.name"], "chroot");
        assert_eq!(value["linux"]["namespaces"], json!([]));
        assert_eq!(program.command[0], "runc");
    }
}
