//! What a configuration's annotations say to capprof and about the workload.

use capprof_profile::recording::{Scope, Workload};
use serde_json::Value;
use std::path::PathBuf;

/// An annotation that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has a value that means nothing.
    #[error("annotation {key}={value}: {expected}")]
    Value {
        /// The annotation.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// What `io.capprof.*` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Whether the container is profiled at all.
    pub profile: bool,
    /// A name for the result.
    pub name: Option<String>,
    /// A directory for the result.
    pub output: Option<PathBuf>,
    /// How far SELinux is toggled.
    pub scope: Option<Scope>,
}

/// Reads `io.capprof.mode`, `io.capprof.name`, `io.capprof.output` and `io.capprof.scope`. A Kubernetes sandbox ("pause") container is not profiled.
///
/// # Errors
/// A value that means nothing.
pub fn wishes(configuration: &Value) -> Result<Wishes, Error> {
    let get = |key| annotation(configuration, key);
    let refuse = |key, value: &str, expected| {
        Err(Error::Value {
            key,
            value: value.to_owned(),
            expected,
        })
    };
    let sandbox = [
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri-o.ContainerType",
    ]
    .into_iter()
    .any(|key| get(key) == Some("sandbox"));
    let profile = match get("io.capprof.mode") {
        None | Some("profile") => !sandbox,
        Some("off") => false,
        Some(value) => return refuse("io.capprof.mode", value, "expected profile or off"),
    };
    let name = match get("io.capprof.name") {
        Some(name)
            if name.is_empty()
                || name.len() > 128
                || name.contains(['/', '\0'])
                || name.contains(char::is_control) =>
        {
            return refuse(
                "io.capprof.name",
                &name.escape_default().to_string(),
                "expected 1 to 128 bytes without slashes and control characters",
            );
        }
        name => name.map(str::to_owned),
    };
    let output = match get("io.capprof.output") {
        Some(path) if !path.starts_with('/') || path.contains('\0') => {
            return refuse(
                "io.capprof.output",
                &path.escape_default().to_string(),
                "expected an absolute path of a directory",
            );
        }
        path => path.map(PathBuf::from),
    };
    let scope = match get("io.capprof.scope") {
        None => None,
        Some("auto") => Some(Scope::Auto),
        Some("domain") => Some(Scope::Domain),
        Some("host") => Some(Scope::Host),
        Some(value) => {
            return refuse("io.capprof.scope", value, "expected auto, domain or host");
        }
    };
    Ok(Wishes {
        profile,
        name,
        output,
        scope,
    })
}

/// What the engine says of the workload. Keys: containerd `pkg/cri/annotations`, CRI-O `pkg/annotations` and the kubelet's labels,
/// nerdctl `pkg/labels`, image-spec `annotations.md`. Docker and podman say nothing.
pub fn workload(configuration: &Value) -> Workload {
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| annotation(configuration, key).filter(|value| !value.is_empty()))
            .map(str::to_owned)
    };
    Workload {
        image: first(&[
            "io.kubernetes.cri.image-name",
            "io.kubernetes.cri-o.ImageName",
            "nerdctl/image-name",
            "org.opencontainers.image.ref.name",
            "org.opencontainers.image.title",
        ]),
        pod: first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        pod_namespace: first(&[
            "io.kubernetes.cri.sandbox-namespace",
            "io.kubernetes.pod.namespace",
        ]),
        container: first(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "io.kubernetes.cri-o.ContainerName",
            "nerdctl/name",
        ]),
    }
}

fn annotation<'a>(configuration: &'a Value, key: &str) -> Option<&'a str> {
    configuration.get("annotations")?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(annotations: Value) -> Value {
        json!({ "annotations": annotations })
    }

    #[test]
    fn containers_are_profiled_unless_somebody_says_no() {
        for (annotations, profile) in [
            (json!(null), true),
            (json!({}), true),
            (json!({"io.capprof.mode": "profile"}), true),
            (json!({"io.capprof.mode": "off"}), false),
            (
                json!({"io.kubernetes.cri.container-type": "container"}),
                true,
            ),
            (
                json!({"io.kubernetes.cri.container-type": "sandbox"}),
                false,
            ),
            (
                json!({"io.kubernetes.cri-o.ContainerType": "sandbox"}),
                false,
            ),
            (
                json!({"io.kubernetes.cri-o.ContainerType": "sandbox", "io.capprof.mode": "profile"}),
                false,
            ),
        ] {
            assert_eq!(
                wishes(&with(annotations.clone())).unwrap().profile,
                profile,
                "{annotations}"
            );
        }
        assert!(wishes(&json!({})).unwrap().profile);
    }

    #[test]
    fn a_value_that_means_nothing_is_refused() {
        for (key, value) in [
            ("io.capprof.mode", "on"),
            ("io.capprof.mode", ""),
            ("io.capprof.name", ""),
            ("io.capprof.name", "a/b"),
            ("io.capprof.name", "a\nb"),
            ("io.capprof.output", "relative"),
            ("io.capprof.output", ""),
            ("io.capprof.scope", "all"),
        ] {
            let error = wishes(&with(json!({ key: value })))
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(&format!("annotation {key}=")), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn wishes_are_taken_as_they_are() {
        let wishes = wishes(&with(json!({
            "io.capprof.name": "my name", "io.capprof.output": "/srv/out", "io.capprof.scope": "host",
        })))
        .unwrap();
        assert_eq!(wishes.name.as_deref(), Some("my name"));
        assert_eq!(wishes.output, Some("/srv/out".into()));
        assert_eq!(wishes.scope, Some(Scope::Host));
    }

    #[test]
    fn the_workload_is_named_in_each_engines_words() {
        let of = |annotations| workload(&with(annotations));
        let containerd = of(json!({
            "io.kubernetes.cri.image-name": "docker.io/library/nginx:1", "io.kubernetes.cri.sandbox-name": "web-0",
            "io.kubernetes.cri.sandbox-namespace": "prod", "io.kubernetes.cri.container-name": "nginx",
        }));
        let crio = of(json!({
            "io.kubernetes.cri-o.ImageName": "docker.io/library/nginx:1", "io.kubernetes.pod.name": "web-0",
            "io.kubernetes.pod.namespace": "prod", "io.kubernetes.container.name": "nginx",
        }));
        assert_eq!(containerd, crio);
        assert_eq!(containerd.pod_namespace.as_deref(), Some("prod"));
        assert_eq!(
            of(json!({"nerdctl/name": "web"})).container.as_deref(),
            Some("web")
        );
        assert_eq!(of(json!({"nerdctl/name": ""})), Workload::default());
    }
}
