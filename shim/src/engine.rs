//! Facts about a container that docker and podman do not write into its configuration: the names of the container and its image, service, labels.
//!
//! Both engines write them into files before they call the runtime. The sources of their mounts, and the path of the bundle, show where these
//! files are. The engine itself cannot be asked, because it waits for the runtime.

use capprof_profile::recording::Workload;
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The largest size of a file, in bytes. podman's list has one entry of about 1 kB per container.
const LIMIT: u64 = 16 << 20;

/// The prefix of capprof's own labels.
const OWN: &str = "io.capprof.";

/// Adds the engine's facts to those of the configuration's annotations, which take precedence.
///
/// A file that is missing, unreadable or malformed adds nothing: a container must not fail because a name is missing.
pub fn complete(
    mut workload: Workload,
    docker: Option<&Docker>,
    id: &str,
    bundle: &Path,
) -> Workload {
    // The annotations of a pod have all facts.
    if workload.engine.is_some() && workload.image.is_some() && workload.container.is_some() {
        return workload;
    }
    let known = docker
        .map(|docker| docker.container.known())
        .or_else(|| podman(id, bundle))
        .unwrap_or_default();
    workload.image = workload.image.or(known.image);
    workload.container = workload.container.or(known.container);
    workload.engine = workload.engine.or(known.engine.map(str::to_owned));
    workload.service = workload.service.or(known.service);
    workload
}

/// A container of docker, from docker's own file, which is read once for each create.
#[derive(Debug)]
pub struct Docker {
    /// `DATA-ROOT/containers/ID`.
    directory: PathBuf,
    container: Container,
}

impl Docker {
    /// Reads `DATA-ROOT/containers/ID/config.v2.json`; `None` if it is not a container of docker. docker mounts `hosts`, `hostname`, `resolv.conf`
    /// and `mounts/shm` from the same directory.
    pub fn of(id: &str, configuration: &Value) -> Option<Self> {
        let directory = directory(id, configuration)?;
        let container = json(&directory.join("config.v2.json"))?;
        Some(Self {
            directory,
            container,
        })
    }

    /// The labels that replace annotations, which docker has only from version 24 on: those that begin with `io.capprof.`.
    ///
    /// A label of the image does not count, because the builder of an image must not choose its mode or its capabilities. If the image's labels
    /// cannot be read, no label counts.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.container.config.labels.iter().flatten();
        let own: BTreeMap<String, String> = labels
            .filter(|(key, _)| key.starts_with(OWN))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if own.is_empty() {
            return own;
        }
        let Some(image) = self.container.image_labels(&self.directory) else {
            return BTreeMap::new();
        };
        own.into_iter()
            .filter(|(key, _)| !image.contains_key(key))
            .collect()
    }
}

#[derive(Debug, Default)]
struct Known {
    image: Option<String>,
    container: Option<String>,
    engine: Option<&'static str>,
    service: Option<String>,
}

impl Known {
    fn new(engine: &'static str, image: &str, container: &str) -> Self {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Self {
            image: named(image),
            container: named(container),
            engine: Some(engine),
            service: None,
        }
    }
}

/// docker's data of a container (moby, container/container.go) and of an image (moby, image/image.go), as far as they matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    #[serde(default)]
    name: String,
    /// The image's id, `sha256:…`.
    #[serde(default)]
    image: String,
    /// The storage driver: `overlay2`.
    #[serde(default)]
    driver: String,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Container {
    fn known(&self) -> Known {
        let labels = self.config.labels.as_ref();
        Known {
            service: labels
                .and_then(|labels| labels.get("com.docker.compose.service"))
                .filter(|service| !service.is_empty())
                .cloned(),
            ..Known::new(
                "docker",
                &self.config.image,
                self.name.trim_start_matches('/'),
            )
        }
    }

    /// The labels of its image: `DATA-ROOT/image/DRIVER/imagedb/content/sha256/DIGEST` (moby, image/fs.go). `None` if they cannot be read, for
    /// example because containerd keeps the images.
    fn image_labels(&self, directory: &Path) -> Option<BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Image {
            #[serde(default)]
            config: Option<Config>,
        }
        let digest = self.image.strip_prefix("sha256:")?;
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !plain(digest) || !plain(&self.driver) {
            return None;
        }
        let root = directory.parent()?.parent()?;
        let image: Image = json(
            &root
                .join("image")
                .join(&self.driver)
                .join("imagedb/content/sha256")
                .join(digest),
        )?;
        Some(
            image
                .config
                .and_then(|config| config.labels)
                .unwrap_or_default(),
        )
    }
}

/// The directory of a docker container, found by the files that are mounted from it.
fn directory(id: &str, configuration: &Value) -> Option<PathBuf> {
    configuration
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
        })
}

/// Reads `containers.json` of containers/storage, two directories above the bundle `…/ID/userdata`. Containers that do not survive a reboot, like
/// those of `--rm`, are in a list of their own.
fn podman(id: &str, bundle: &Path) -> Option<Known> {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default)]
        metadata: String,
    }
    /// podman's metadata in it (libpod, `RuntimeContainerMetadata`).
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
    Some(Known::new("podman", &metadata.image_name, &metadata.name))
}

/// Reads a JSON document from a regular file, and from nothing that could make the reader wait.
fn json<T: for<'de> Deserialize<'de>>(path: &PathBuf) -> Option<T> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed())
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

    fn named(engine: &str, image: &str, container: &str) -> Workload {
        Workload {
            image: Some(image.to_owned()),
            container: Some(container.to_owned()),
            engine: Some(engine.to_owned()),
            ..Workload::default()
        }
    }

    fn completed(workload: Workload, id: &str, bundle: &Path, configuration: &Value) -> Workload {
        let docker = Docker::of(id, configuration);
        complete(workload, docker.as_ref(), id, bundle)
    }

    fn labels(id: &str, configuration: &Value) -> BTreeMap<String, String> {
        Docker::of(id, configuration).map_or_else(BTreeMap::new, |docker| docker.labels())
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
    fn docker_is_known_by_a_file_next_to_what_it_mounts() {
        let root = tempfile::tempdir().unwrap();
        let configuration = docker_container(root.path(), "1234");
        let of = |id| completed(Workload::default(), id, Path::new("/run/b"), &configuration);
        assert_eq!(of("1234"), named("docker", "nginx:1.27", "web"));
        // `hosts` is that of another container, as with --network=container:OTHER.
        assert_eq!(of("5678"), Workload::default());
    }

    /// A docker container with these labels, of an image with those.
    fn labelled(root: &Path, labels: &Value, image: Option<&Value>) -> Value {
        let configuration = docker_container(root, "1234");
        let container = json!({
            "Config": {"Image": "web", "Labels": labels},
            "Image": "sha256:ab",
            "Driver": "overlay2",
            "Name": "/web",
        });
        let file = root.join("containers/1234/config.v2.json");
        fs::write(file, container.to_string()).unwrap();
        if let Some(labels) = image {
            let folder = root.join("image/overlay2/imagedb/content/sha256");
            fs::create_dir_all(&folder).unwrap();
            let image = json!({"config": {"Labels": labels}});
            fs::write(folder.join("ab"), image.to_string()).unwrap();
        }
        configuration
    }

    #[test]
    fn labels_of_the_container_stand_for_annotations_and_those_of_the_image_do_not() {
        let root = tempfile::tempdir().unwrap();
        let both = json!({"io.capprof.name": "mine", "io.capprof.mode": "off", "other": "x"});
        let of_image = json!({"io.capprof.mode": "off"});
        let configuration = labelled(root.path(), &both, Some(&of_image));
        let found = labels("1234", &configuration);
        assert_eq!(
            found,
            BTreeMap::from([("io.capprof.name".to_owned(), "mine".to_owned())])
        );
        // The image's labels cannot be read.
        let root = tempfile::tempdir().unwrap();
        let configuration = labelled(root.path(), &both, None);
        assert_eq!(labels("1234", &configuration), BTreeMap::new());
        // The image has no labels.
        let root = tempfile::tempdir().unwrap();
        let configuration = labelled(root.path(), &both, Some(&Value::Null));
        assert_eq!(labels("1234", &configuration).len(), 2);
    }

    #[test]
    fn a_service_of_compose_is_known_by_its_label() {
        let root = tempfile::tempdir().unwrap();
        let label = json!({"com.docker.compose.service": "db"});
        let configuration = labelled(root.path(), &label, None);
        let workload = completed(
            Workload::default(),
            "1234",
            Path::new("/run/b"),
            &configuration,
        );
        assert_eq!(workload.service.as_deref(), Some("db"));
    }

    #[test]
    fn shared_memory_tells_where_docker_keeps_a_container_too() {
        let root = tempfile::tempdir().unwrap();
        docker_container(root.path(), "1234");
        let shm = root.path().join("containers/1234/mounts/shm");
        let configuration = json!({"mounts": [{"destination": "/dev/shm", "source": shm}]});
        let bundle = Path::new("/run/b");
        assert_eq!(
            completed(Workload::default(), "1234", bundle, &configuration),
            named("docker", "nginx:1.27", "web")
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
            let of = |id| completed(Workload::default(), id, &bundle, &json!({}));
            assert_eq!(
                of("1234"),
                named("podman", "docker.io/library/nginx:latest", "web")
            );
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
            completed(annotated, "1234", Path::new("/run/b"), &configuration),
            named("docker", "mine", "web")
        );
    }

    #[test]
    fn what_cannot_be_read_adds_nothing() {
        let root = tempfile::tempdir().unwrap();
        let configuration = docker_container(root.path(), "1234");
        let file = root.path().join("containers/1234/config.v2.json");
        let bundle = Path::new("/run/b");
        let of = || completed(Workload::default(), "1234", bundle, &configuration);
        for content in ["", "[]", "{\"Config\": 1}"] {
            fs::write(&file, content).unwrap();
            assert_eq!(of(), Workload::default(), "{content}");
        }
        // Even if the image has no name, the engine is known.
        fs::write(&file, "{\"Config\": {\"Image\": \"\"}}").unwrap();
        let unnamed = Workload {
            engine: Some("docker".to_owned()),
            ..Workload::default()
        };
        assert_eq!(of(), unnamed);
        fs::remove_file(&file).unwrap();
        // No process ever writes to it, so opening it for reading would wait.
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(of(), Workload::default());
    }
}
