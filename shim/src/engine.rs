//! What docker and podman know of a container and do not say in its configuration: the names of its image and its own.
//!
//! Both keep it in files that they have written before they call the runtime, and both tell, by what they have mounted and where the
//! bundle lies, where these files are. Nothing is asked of a running engine: it waits for the runtime.

use capprof_profile::recording::Workload;
use serde::Deserialize;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is read of a file at most, in bytes. podman's list has one entry of about 1 kB per container.
const LIMIT: u64 = 16 << 20;

/// Adds what the engine knows to what the configuration's annotations have said, which comes first.
///
/// A file that is missing, unreadable or not understood adds nothing: a container must not fail for want of a name.
pub fn complete(
    mut workload: Workload,
    id: &str,
    bundle: &Path,
    configuration: &Value,
) -> Workload {
    if workload.image.is_some() && workload.container.is_some() {
        return workload;
    }
    let known = docker(id, configuration)
        .or_else(|| podman(id, bundle))
        .unwrap_or_default();
    workload.image = workload.image.or(known.image);
    workload.container = workload.container.or(known.container);
    workload
}

#[derive(Debug, Default)]
struct Known {
    image: Option<String>,
    container: Option<String>,
}

impl Known {
    fn new(image: &str, container: &str) -> Self {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Self {
            image: named(image),
            container: named(container),
        }
    }
}

/// `DATA-ROOT/containers/ID/config.v2.json`. From the same directory docker mounts `hosts`, `hostname`, `resolv.conf` and `mounts/shm`.
fn docker(id: &str, configuration: &Value) -> Option<Known> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Container {
        #[serde(default)]
        name: String,
        config: Config,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        #[serde(default)]
        image: String,
    }
    let directory = configuration
        .get("mounts")?
        .as_array()?
        .iter()
        .filter(|mount| {
            let destination = mount.get("destination").and_then(Value::as_str);
            [
                "/etc/hosts",
                "/etc/hostname",
                "/etc/resolv.conf",
                "/dev/shm",
            ]
            .map(Some)
            .contains(&destination)
        })
        .filter_map(|mount| mount.get("source")?.as_str())
        .find_map(|source| {
            let directory = Path::new(source)
                .ancestors()
                .find(|path| path.file_name().is_some_and(|name| name == id))?;
            (directory.is_absolute() && directory.parent()?.file_name()? == "containers")
                .then(|| directory.to_owned())
        })?;
    let container: Container = json(&directory.join("config.v2.json"))?;
    Some(Known::new(
        &container.config.image,
        container.name.trim_start_matches('/'),
    ))
}

/// `containers.json` of containers/storage, two directories above the bundle `…/ID/userdata`. Containers that are not to survive a
/// reboot, like those of `--rm`, are in a list of their own.
fn podman(id: &str, bundle: &Path) -> Option<Known> {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default)]
        metadata: String,
    }
    /// What podman keeps in it (libpod, `RuntimeContainerMetadata`).
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Metadata {
        #[serde(default)]
        image_name: String,
        #[serde(default)]
        name: String,
    }
    let container = bundle.parent()?;
    if bundle.file_name()? != "userdata" || container.file_name()? != id {
        return None;
    }
    let entry = ["containers.json", "volatile-containers.json"]
        .into_iter()
        .filter_map(|name| json::<Vec<Entry>>(&container.parent()?.join(name)))
        .flatten()
        .find(|entry| entry.id == id)?;
    let metadata: Metadata = serde_json::from_str(&entry.metadata).ok()?;
    Some(Known::new(&metadata.image_name, &metadata.name))
}

/// A regular file's content; nothing that could make the reader wait.
fn json<T: for<'de> Deserialize<'de>>(path: &PathBuf) -> Option<T> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut content = Vec::new();
    file.take(LIMIT).read_to_end(&mut content).ok()?;
    serde_json::from_slice(&content).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn named(image: &str, container: &str) -> Workload {
        Workload {
            image: Some(image.to_owned()),
            container: Some(container.to_owned()),
            ..Workload::default()
        }
    }

    /// A docker container's directory, and the configuration that docker makes for it.
    fn docker_container(root: &Path, id: &str) -> Value {
        let directory = root.join("containers").join(id);
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join("config.v2.json"),
            r#"{"ID":"1","Config":{"Hostname":"1","Image":"nginx:1.27"},"Image":"sha256:0","Name":"/web"}"#,
        )
        .unwrap();
        json!({"mounts": [
            {"destination": "/proc", "source": "proc"},
            {"destination": "/etc/hosts", "source": directory.join("hosts")},
        ]})
    }

    #[test]
    fn docker_knows_by_a_file_beside_what_it_mounts() {
        let root = tempfile::tempdir().unwrap();
        let configuration = docker_container(root.path(), "1234");
        let of = |id| complete(Workload::default(), id, Path::new("/run/b"), &configuration);
        assert_eq!(of("1234"), named("nginx:1.27", "web"));
        // Hosts of another container, as with --network=container:OTHER.
        assert_eq!(of("5678"), Workload::default());
    }

    #[test]
    fn shared_memory_tells_where_docker_keeps_a_container_too() {
        let root = tempfile::tempdir().unwrap();
        docker_container(root.path(), "1234");
        let shm = root.path().join("containers/1234/mounts/shm");
        let configuration = json!({"mounts": [{"destination": "/dev/shm", "source": shm}]});
        let bundle = Path::new("/run/b");
        assert_eq!(
            complete(Workload::default(), "1234", bundle, &configuration),
            named("nginx:1.27", "web")
        );
    }

    #[test]
    fn podman_knows_by_the_list_of_its_store() {
        for list in ["containers.json", "volatile-containers.json"] {
            let root = tempfile::tempdir().unwrap();
            let containers = root.path().join("overlay-containers");
            let bundle = containers.join("1234/userdata");
            fs::create_dir_all(&bundle).unwrap();
            let metadata = r#"{"image-name":"docker.io/library/nginx:latest","image-id":"0","name":"web","created-at":1}"#;
            let entries = json!([
                {"id": "1", "metadata": "{}"},
                {"id": "1234", "names": ["web"], "image": "0", "layer": "0", "metadata": metadata},
            ]);
            fs::write(containers.join(list), entries.to_string()).unwrap();
            let of = |id| complete(Workload::default(), id, &bundle, &json!({}));
            assert_eq!(of("1234"), named("docker.io/library/nginx:latest", "web"));
            assert_eq!(of("5678"), Workload::default());
        }
    }

    #[test]
    fn annotations_come_first() {
        let root = tempfile::tempdir().unwrap();
        let configuration = docker_container(root.path(), "1234");
        let annotated = Workload {
            image: Some("mine".to_owned()),
            ..Workload::default()
        };
        assert_eq!(
            complete(annotated, "1234", Path::new("/run/b"), &configuration),
            named("mine", "web")
        );
    }

    #[test]
    fn what_cannot_be_read_adds_nothing() {
        let root = tempfile::tempdir().unwrap();
        let configuration = docker_container(root.path(), "1234");
        let file = root.path().join("containers/1234/config.v2.json");
        let bundle = Path::new("/run/b");
        let of = || complete(Workload::default(), "1234", bundle, &configuration);
        for content in [
            "",
            "[]",
            "{\"Config\": 1}",
            "{\"Config\": {\"Image\": \"\"}}",
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(of(), Workload::default(), "{content}");
        }
        fs::remove_file(&file).unwrap();
        // Nobody ever writes into it: opening it for reading would wait.
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(of(), Workload::default());
    }
}
