//! Finds containers that were made with the runtime. Without the runtime, their engine can neither stop nor remove them.

use super::directory::entries;
use super::kind::{Engine, NAME};
use super::{command_line, containerd};
use anyhow::{Context, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the engine's containers of this runtime, a line each.
///
/// # Errors
/// The engine's containers cannot be listed.
pub(crate) fn of(engine: Engine, root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = match engine {
        Engine::Docker => docker(root),
        Engine::Podman if root == Path::new("/") => podman()?,
        Engine::Podman => Vec::new(),
        Engine::Containerd => containerd(root),
        Engine::Crio => crio(root),
    };
    found.sort();
    Ok(found)
}

/// From dockerd's own files, so that it need not run: running and stopped ones.
fn docker(root: &Path) -> Vec<String> {
    let mut data = vec!["/var/lib/docker".to_owned()];
    data.extend(
        json(&root.join("etc/docker/daemon.json"))
            .and_then(|configuration| Some(configuration.get("data-root")?.as_str()?.to_owned())),
    );
    data.extend(command_line::values(root, "dockerd", "docker", "data-root"));
    // With userns-remap, there is a directory `UID.GID` of the first id in between.
    let is_remapped = |directory: &PathBuf| {
        directory.file_name().is_some_and(|name| {
            name.as_encoded_bytes()
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
    };
    different(root, data)
        .into_iter()
        .flat_map(|data| {
            let remapped: Vec<PathBuf> = entries(&data).into_iter().filter(is_remapped).collect();
            std::iter::once(data).chain(remapped)
        })
        .flat_map(|directory| entries(&directory.join("containers")))
        .filter(|directory| {
            json(&directory.join("hostconfig.json"))
                .is_some_and(|host| host.get("Runtime").and_then(Value::as_str) == Some(NAME))
        })
        .map(|directory| {
            let name = json(&directory.join("config.v2.json")).and_then(|config| {
                Some(
                    config
                        .get("Name")?
                        .as_str()?
                        .trim_start_matches('/')
                        .to_owned(),
                )
            });
            named(&directory, name)
        })
        .collect()
}

/// Finds them with podman's client, because podman keeps them in a data base of its own.
fn podman() -> anyhow::Result<Vec<String>> {
    let ask = |arguments: &[&str]| {
        let output = match Command::new("podman").args(arguments).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
            result => result.context("run podman")?,
        };
        if !output.status.success() {
            bail!(
                "podman {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let ids = ask(&["ps", "--all", "--quiet", "--no-trunc"])?;
    let mut arguments = vec![
        "container",
        "inspect",
        "--format",
        "{{.OCIRuntime}} {{.Id}} {{.Name}}",
    ];
    arguments.extend(ids.split_whitespace());
    if arguments.len() == 4 {
        return Ok(Vec::new());
    }
    Ok(ask(&arguments)?
        .lines()
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            let runtime = Path::new(words.next()?).file_name()?.to_str()?;
            let (id, name) = (words.next()?, words.next()?);
            is_ours(runtime).then(|| format!("{name} ({id})"))
        })
        .collect())
}

/// Finds them by the files that containerd's shims keep next to the bundles of their tasks. docker's containers are left to [`docker`].
fn containerd(root: &Path) -> Vec<String> {
    let mut state = vec!["/run/containerd".to_owned()];
    state.extend(containerd::state(root));
    state.extend(command_line::values(
        root,
        "containerd",
        "containerd",
        "state",
    ));
    different(root, state)
        .into_iter()
        .flat_map(|state| entries(&state.join("io.containerd.runtime.v2.task")))
        .filter(|namespace| !namespace.ends_with("moby"))
        .flat_map(|namespace| entries(&namespace))
        .filter(|bundle| {
            json(&bundle.join("options.json")).is_some_and(|options| {
                // Once the name in Go, once that in protobuf's JSON.
                ["BinaryName", "binary_name", "binaryName"]
                    .iter()
                    .filter_map(|key| options.get(key)?.as_str())
                    .filter_map(|path| Path::new(path).file_name()?.to_str())
                    .any(is_ours)
            })
        })
        .map(|bundle| {
            let annotation = |key: &str| {
                json(&bundle.join("config.json")).and_then(|config| {
                    Some(config.get("annotations")?.get(key)?.as_str()?.to_owned())
                })
            };
            let name = annotation("io.kubernetes.cri.sandbox-name").map(|pod| {
                match annotation("io.kubernetes.cri.container-name") {
                    Some(container) => format!("{pod}/{container}"),
                    None => pod,
                }
            });
            named(&bundle, name)
        })
        .collect()
}

/// Finds them by the command lines of the monitors that CRI-O starts, one for each container.
fn crio(root: &Path) -> Vec<String> {
    entries(&root.join("proc"))
        .into_iter()
        .filter_map(|process| {
            let line = fs::read(process.join("cmdline")).ok()?;
            let words: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            let after = |option: &str| {
                let at = words.iter().position(|word| word == option)?;
                words.get(at + 1).map(String::as_str)
            };
            let monitor = Path::new(words.first()?).file_name()? == "conmon";
            let of_crio = after("--exit-dir").is_some_and(|path| path.contains("crio"));
            let runtime = Path::new(after("-r")?).file_name()?.to_str()?;
            (monitor && of_crio && is_ours(runtime)).then(|| after("-c").map(str::to_owned))?
        })
        .collect()
}

fn is_ours(runtime: &str) -> bool {
    runtime
        .strip_prefix(NAME)
        .is_some_and(|rest| matches!(rest, "" | "-runc" | "-crun"))
}

fn named(directory: &Path, name: Option<String>) -> String {
    let id = directory
        .file_name()
        .map(|id| id.to_string_lossy().into_owned())
        .unwrap_or_default();
    match name {
        Some(name) => format!("{name} ({id})"),
        None => id,
    }
}

/// The directories to which these paths lead below the root, each once.
fn different(root: &Path, paths: Vec<String>) -> BTreeSet<PathBuf> {
    paths
        .iter()
        .filter_map(|path| fs::canonicalize(root.join(path.trim_start_matches('/'))).ok())
        .collect()
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a file below a root directory for tests.
    pub(in super::super) fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn docker_containers_are_found_in_its_files() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "etc/docker/daemon.json",
            "{\"data-root\": \"/srv/docker\"}",
        );
        for (place, runtime) in [
            ("containers/1", "capprof"),
            ("containers/2", "runc"),
            ("165536.165536/containers/3", "capprof"),
        ] {
            write(
                root.path(),
                &format!("srv/docker/{place}/hostconfig.json"),
                &format!("{{\"Runtime\": \"{runtime}\"}}"),
            );
        }
        write(
            root.path(),
            "srv/docker/containers/1/config.v2.json",
            "{\"Name\": \"/web\"}",
        );
        assert_eq!(of(Engine::Docker, root.path()).unwrap(), ["3", "web (1)"]);
    }

    #[test]
    fn docker_containers_are_found_where_the_command_line_puts_them() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "proc/1/cmdline",
            "/usr/sbin/dockerd\0--data-root\0/srv/docker\0",
        );
        for directory in ["srv/docker", "var/lib/docker"] {
            write(
                root.path(),
                &format!("{directory}/containers/1/hostconfig.json"),
                "{\"Runtime\": \"capprof\"}",
            );
        }
        // Containers in the daemon's default directory are its own too, although it now has another.
        assert_eq!(of(Engine::Docker, root.path()).unwrap(), ["1", "1"]);
    }

    #[test]
    fn containerd_tasks_are_found_where_its_configuration_puts_them() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "etc/containerd/config.toml",
            "version = 2\nstate = \"/srv/state\"\n",
        );
        write(
            root.path(),
            "proc/1/cmdline",
            "/usr/bin/containerd\0--state=/run/other\0",
        );
        for (place, task) in [
            ("srv/state", "1"),
            ("run/other", "2"),
            ("run/containerd", "3"),
        ] {
            write(
                root.path(),
                &format!("{place}/io.containerd.runtime.v2.task/k8s.io/{task}/options.json"),
                "{\"BinaryName\": \"/usr/bin/capprof\"}",
            );
        }
        assert_eq!(
            of(Engine::Containerd, root.path()).unwrap(),
            ["1", "2", "3"]
        );
    }

    #[test]
    fn containerd_tasks_are_found_and_dockers_are_not() {
        let root = tempfile::tempdir().unwrap();
        for (task, options) in [
            (
                "k8s.io/1",
                "{\"BinaryName\":\"/usr/bin/capprof\",\"Root\":\"\"}",
            ),
            ("k8s.io/2", "{\"BinaryName\":\"/usr/bin/runc\"}"),
            ("default/3", "{\"binary_name\":\"/usr/bin/capprof-crun\"}"),
            ("moby/4", "{\"BinaryName\":\"/usr/bin/capprof\"}"),
        ] {
            write(
                root.path(),
                &format!("run/containerd/io.containerd.runtime.v2.task/{task}/options.json"),
                options,
            );
        }
        write(
            root.path(),
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/1/config.json",
            "{\"annotations\": {\"io.kubernetes.cri.sandbox-name\": \"pod\", \"io.kubernetes.cri.container-name\": \"web\"}}",
        );
        assert_eq!(
            of(Engine::Containerd, root.path()).unwrap(),
            ["3", "pod/web (1)"]
        );
    }

    #[test]
    fn crio_monitors_are_found() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "proc/1/cmdline",
            "/usr/bin/conmon\0-b\0/b\0-c\0abc\0--exit-dir\0/var/run/crio/exits\0-r\0/usr/bin/capprof\0",
        );
        write(
            root.path(),
            "proc/2/cmdline",
            "/usr/bin/conmon\0-c\0def\0--exit-dir\0/run/libpod/exits\0-r\0/usr/bin/capprof\0",
        );
        assert_eq!(of(Engine::Crio, root.path()).unwrap(), ["abc"]);
    }
}
