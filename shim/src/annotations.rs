//! The annotations of a configuration: requests to capprof, and facts about the workload.

use capprof_profile::CapabilitySet;
use capprof_profile::capability::UnknownCapability;
use capprof_profile::recording::{JudgedBy, Workload};
use capprof_profile::settings::{DefaultMode, Scope};
use serde_json::Value;
use std::path::PathBuf;

/// An annotation, or the environment variable that replaces it, that capprof cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its value is not one of those allowed.
    #[error("{key}={value}: {expected}")]
    Value {
        /// `annotation io.capprof.mode`, `environment variable CAPPROF_MODE`.
        key: String,
        /// The value.
        value: String,
        /// The allowed values.
        expected: String,
    },
    /// There is nothing to enforce.
    #[error("{0}=enforce: needs io.capprof.profile, io.capprof.name or io.capprof.capabilities")]
    Nothing(String),
    /// There is nothing to verify.
    #[error("{0}=verify: needs io.capprof.profile or io.capprof.name")]
    NoProfile(String),
}

/// The requested mode of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedMode {
    /// capprof passes it to the runtime unchanged.
    Off,
    /// It is granted everything, and recorders record its use.
    Profile,
    /// It is granted this set and no more.
    Enforce(CapabilityLimit),
    /// It is granted this part of a profile and no more, and recorders record what it lacks.
    Verify(CapabilityLimit),
    /// It is granted only what its engine gives, and recorders record what it uses and lacks.
    Observe,
}

/// The limit of a container: a profile's sets, a list, or a list in those sets in which a profile has it. At least one member is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityLimit {
    /// The name by which the profile is found; see [`capprof_store::profiles::Store::find_complete`].
    pub profile: Option<String>,
    /// The list; `None` if the profile alone decides.
    pub capabilities: Option<CapabilitySet>,
}

/// Looks up an environment variable by its name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The sources for settings that a configuration's annotations leave open.
#[derive(Clone, Copy)]
pub(crate) struct Elsewhere<'a> {
    /// The caller's environment.
    pub environment: Environment<'a>,
    /// The administrator's mode for all containers.
    pub default: DefaultMode,
}

/// The request of the annotations `io.capprof.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The mode.
    pub mode: RequestedMode,
    /// A name for the result.
    pub name: Option<String>,
    /// A directory for the result.
    pub output: Option<PathBuf>,
    /// The SELinux scope.
    pub scope: Option<Scope>,
    /// The program that judges a run with a profile's set.
    pub judge: JudgedBy,
}

/// Reads `io.capprof.mode`, `io.capprof.profile`, `io.capprof.capabilities`, `io.capprof.name`, `io.capprof.output`, `io.capprof.scope` and
/// `io.capprof.judge`.
/// A Kubernetes sandbox ("pause") container is left alone.
///
/// If none of the first three annotations is present, the environment variables `CAPPROF_MODE`, `CAPPROF_PROFILE` and `CAPPROF_CAPABILITIES`
/// count: a user who calls capprof can set them without editing a configuration. If neither has a mode, the administrator's mode counts.
///
/// # Errors
/// A value is not one of those allowed.
pub(crate) fn request(configuration: &Value, elsewhere: Elsewhere<'_>) -> Result<Request, Error> {
    let get = |key| annotation(configuration, key);
    let sandbox = [
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri-o.ContainerType",
    ]
    .into_iter()
    .any(|key| get(key) == Some("sandbox"));
    // Then no other annotation is read, so none can be wrong.
    if sandbox || is_off(configuration, elsewhere.environment) {
        return Ok(Request {
            mode: RequestedMode::Off,
            name: None,
            output: None,
            scope: None,
            judge: JudgedBy::Hook,
        });
    }
    let refuse = |key: &str, value: &str, expected: &str| {
        Err(Error::Value {
            key: format!("annotation {key}"),
            value: value.to_owned(),
            expected: expected.to_owned(),
        })
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
    let mode = mode(configuration, elsewhere, name.as_deref())?;
    Ok(Request {
        mode,
        name,
        output,
        scope,
        judge: judge(configuration, elsewhere.environment)?,
    })
}

/// The annotations that choose a mode and the enforced set, and the variables that replace them.
const KEYS: [&str; 3] = [
    "io.capprof.mode",
    "io.capprof.profile",
    "io.capprof.capabilities",
];
const VARIABLES: [&str; 3] = ["CAPPROF_MODE", "CAPPROF_PROFILE", "CAPPROF_CAPABILITIES"];

/// Returns true if the environment says `off`. That counts if the configuration has none of the three annotations, or cannot be read.
pub fn environment_says_off(environment: Environment<'_>) -> bool {
    environment(VARIABLES[0]).as_deref() == Some("off")
}

fn is_off(configuration: &Value, environment: Environment<'_>) -> bool {
    if KEYS
        .iter()
        .any(|key| annotation(configuration, key).is_some())
    {
        annotation(configuration, KEYS[0]) == Some("off")
    } else {
        environment_says_off(environment)
    }
}

/// The program that judges the run: `capprofctl verify` names itself, in the annotation or in the variable that replaces it.
fn judge(configuration: &Value, environment: Environment<'_>) -> Result<JudgedBy, Error> {
    let (key, value) = match annotation(configuration, "io.capprof.judge") {
        Some(value) => ("annotation io.capprof.judge", Some(value.to_owned())),
        None => (
            "environment variable CAPPROF_JUDGE",
            environment("CAPPROF_JUDGE"),
        ),
    };
    match value.as_deref() {
        None | Some("hook") => Ok(JudgedBy::Hook),
        Some("caller") => Ok(JudgedBy::Caller),
        Some(value) => Err(Error::Value {
            key: key.to_owned(),
            value: value.escape_default().to_string(),
            expected: "expected hook or caller".to_owned(),
        }),
    }
}

/// The mode with its limit: that of the annotations, else that of the environment.
fn mode(
    configuration: &Value,
    elsewhere: Elsewhere<'_>,
    name: Option<&str>,
) -> Result<RequestedMode, Error> {
    let annotated = KEYS.map(|key| annotation(configuration, key).map(str::to_owned));
    let (keys, [mode, profile, capabilities]) = if annotated.iter().any(Option::is_some) {
        (KEYS.map(|key| format!("annotation {key}")), annotated)
    } else {
        (
            VARIABLES.map(|key| format!("environment variable {key}")),
            VARIABLES.map(elsewhere.environment),
        )
    };
    let [of_mode, of_profile, of_capabilities] = keys;
    let refuse = |key: String, value: String, expected: String| {
        Err(Error::Value {
            key,
            value,
            expected,
        })
    };
    match mode.as_deref() {
        None | Some("profile" | "observe") => {
            // The author of such an annotation wants a limit, but would get none.
            for (key, value) in [(of_profile, profile), (of_capabilities, capabilities)] {
                if let Some(value) = value {
                    let expected = "goes with modes enforce and verify only".to_owned();
                    return refuse(key, value.escape_default().to_string(), expected);
                }
            }
            Ok(match (mode.as_deref(), elsewhere.default) {
                (Some("profile"), _) | (None, DefaultMode::Profile) => RequestedMode::Profile,
                (None, DefaultMode::Off) => RequestedMode::Off,
                _ => RequestedMode::Observe,
            })
        }
        Some(mode @ ("enforce" | "verify")) => {
            let capabilities = match capabilities.as_deref().map(parse_capabilities) {
                None => None,
                Some(Ok(set)) => Some(set),
                Some(Err(UnknownCapability(name))) => {
                    return refuse(
                        of_capabilities,
                        name.escape_default().to_string(),
                        "expected names like CAP_CHOWN, separated by commas".to_owned(),
                    );
                }
            };
            if mode == "enforce" {
                return enforced(capabilities, profile, name).ok_or(Error::Nothing(of_mode));
            }
            let profile = profile.or_else(|| name.map(str::to_owned));
            let limit = profile.map(|profile| CapabilityLimit {
                profile: Some(profile),
                capabilities,
            });
            limit
                .map(RequestedMode::Verify)
                .ok_or(Error::NoProfile(of_mode))
        }
        Some(value) => refuse(
            of_mode,
            value.escape_default().to_string(),
            "expected profile, observe, enforce, verify or off".to_owned(),
        ),
    }
}

/// The limit to enforce: a list, a profile, or a part of one; `None` if neither is named.
fn enforced(
    capabilities: Option<CapabilitySet>,
    profile: Option<String>,
    name: Option<&str>,
) -> Option<RequestedMode> {
    // The name under which a container was profiled also finds its profile when it is enforced.
    let profile = match capabilities {
        None => profile.or_else(|| name.map(str::to_owned)),
        Some(_) => profile,
    };
    (profile.is_some() || capabilities.is_some()).then_some(RequestedMode::Enforce(
        CapabilityLimit {
            profile,
            capabilities,
        },
    ))
}

/// Parses a list of names. A number counts as misspelt. The error has the first misspelt name.
fn parse_capabilities(list: &str) -> Result<CapabilitySet, UnknownCapability> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| match name.starts_with("CAP_") {
            true => name.parse(),
            false => Err(UnknownCapability(name.to_owned())),
        })
        .collect()
}

/// The engine's facts about the workload. Keys: containerd `pkg/cri/annotations`, CRI-O `pkg/annotations` and the kubelet's labels,
/// nerdctl `pkg/labels`, image-spec `annotations.md`. docker and podman write none of them, see [`crate::engine`].
pub fn workload(configuration: &Value) -> Workload {
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| annotation(configuration, key).filter(|value| !value.is_empty()))
            .map(str::to_owned)
    };
    let pod = first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
    let nerdctl = first(&["nerdctl/name", "nerdctl/namespace"]);
    let engine = match (&pod, nerdctl) {
        (Some(_), _) => Some("kubernetes".to_owned()),
        (None, Some(_)) => Some("nerdctl".to_owned()),
        (None, None) => None,
    };
    Workload {
        image: first(&[
            "io.kubernetes.cri.image-name",
            "io.kubernetes.cri-o.ImageName",
            "nerdctl/image-name",
            "org.opencontainers.image.ref.name",
            "org.opencontainers.image.title",
        ]),
        pod,
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
        engine,
        service: None,
    }
}

fn annotation<'a>(configuration: &'a Value, key: &str) -> Option<&'a str> {
    configuration.get("annotations")?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use capprof_store::document::Document;
    use serde_json::json;

    const NONE: Environment<'_> = &|_| None;

    fn request(configuration: &Value, environment: Environment<'_>) -> Result<Request, Error> {
        let default = DefaultMode::Profile;
        super::request(
            configuration,
            Elsewhere {
                environment,
                default,
            },
        )
    }

    fn limit(profile: Option<&str>, capabilities: Option<&[Capability]>) -> RequestedMode {
        RequestedMode::Enforce(CapabilityLimit {
            profile: profile.map(str::to_owned),
            capabilities: capabilities.map(|list| list.iter().copied().collect()),
        })
    }

    #[test]
    fn what_is_enforced_is_a_profile_or_a_list_or_a_part_of_a_profile() {
        let of = |annotations: Value| request(&with(annotations), NONE).unwrap().mode;
        let mode = "io.capprof.mode";
        for (annotations, expected) in [
            (
                json!({mode: "enforce", "io.capprof.profile": "web"}),
                limit(Some("web"), None),
            ),
            // The same name as when it was profiled.
            (
                json!({mode: "enforce", "io.capprof.name": "web"}),
                limit(Some("web"), None),
            ),
            (
                json!({mode: "enforce", "io.capprof.name": "web", "io.capprof.profile": "other"}),
                limit(Some("other"), None),
            ),
            (
                json!({mode: "enforce", "io.capprof.capabilities": "CAP_CHOWN, CAP_KILL,", "io.capprof.name": "web"}),
                limit(None, Some(&[Capability::CHOWN, Capability::KILL])),
            ),
            (
                json!({mode: "enforce", "io.capprof.capabilities": ""}),
                limit(None, Some(&[])),
            ),
            (
                json!({mode: "enforce", "io.capprof.profile": "web", "io.capprof.capabilities": "CAP_KILL"}),
                limit(Some("web"), Some(&[Capability::KILL])),
            ),
            (
                json!({mode: "off", "io.capprof.profile": "web"}),
                RequestedMode::Off,
            ),
            (
                json!({mode: "verify", "io.capprof.profile": "web"}),
                RequestedMode::Verify(CapabilityLimit {
                    profile: Some("web".to_owned()),
                    capabilities: None,
                }),
            ),
            (
                json!({mode: "verify", "io.capprof.profile": "web", "io.capprof.capabilities": "CAP_KILL"}),
                RequestedMode::Verify(CapabilityLimit {
                    profile: Some("web".to_owned()),
                    capabilities: Some([Capability::KILL].into_iter().collect()),
                }),
            ),
            (
                json!({mode: "verify", "io.capprof.name": "web"}),
                RequestedMode::Verify(CapabilityLimit {
                    profile: Some("web".to_owned()),
                    capabilities: None,
                }),
            ),
        ] {
            assert_eq!(of(annotations.clone()), expected, "{annotations}");
        }
        for list in ["CHOWN", "cap_chown", "CAP_CHOWN;CAP_KILL", "7", "all"] {
            let annotations = with(json!({mode: "enforce", "io.capprof.capabilities": list}));
            let error = request(&annotations, NONE).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "annotation io.capprof.capabilities={list}: expected names like CAP_CHOWN, separated by commas"
                )
            );
        }
    }

    #[test]
    fn the_environment_speaks_where_no_annotation_does() {
        let environment: Environment<'_> = &|name| match name {
            "CAPPROF_MODE" => Some("enforce".to_owned()),
            "CAPPROF_CAPABILITIES" => Some("CAP_KILL".to_owned()),
            _ => None,
        };
        let of = |annotations: Value| request(&with(annotations), environment).map(|it| it.mode);
        assert_eq!(
            of(json!({})).unwrap(),
            limit(None, Some(&[Capability::KILL]))
        );
        assert_eq!(
            of(json!({"io.capprof.mode": "profile"})).unwrap(),
            RequestedMode::Profile
        );
        assert!(of(json!({"io.capprof.profile": "web"})).is_err());
        let wrong: Environment<'_> = &|name| (name == "CAPPROF_MODE").then(|| "on".to_owned());
        assert_eq!(
            request(&json!({}), wrong).unwrap_err().to_string(),
            "environment variable CAPPROF_MODE=on: expected profile, observe, enforce, verify or off"
        );
    }

    /// As a configuration is read, of which not all annotations are taken apart.
    fn with(annotations: Value) -> Value {
        let text = json!({ "annotations": annotations }).to_string();
        Document::parse(&text).unwrap().value
    }

    #[test]
    fn the_caller_judges_a_run_if_it_says_so() {
        let judge = |annotations: Value, variable: Option<&str>| {
            let variable = variable.map(str::to_owned);
            let environment = |key: &str| variable.clone().filter(|_| key == "CAPPROF_JUDGE");
            request(&with(annotations), &environment).map(|request| request.judge)
        };
        assert_eq!(judge(json!({}), None), Ok(JudgedBy::Hook));
        assert_eq!(judge(json!({}), Some("caller")), Ok(JudgedBy::Caller));
        let annotated = json!({"io.capprof.judge": "caller"});
        assert_eq!(judge(annotated, Some("hook")), Ok(JudgedBy::Caller));
        let error = judge(json!({}), Some("x")).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable CAPPROF_JUDGE=x: expected hook or caller"
        );
    }

    #[test]
    fn containers_are_profiled_unless_an_annotation_or_variable_says_no() {
        for (annotations, profiled) in [
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
                request(&with(annotations.clone()), NONE).unwrap().mode,
                if profiled {
                    RequestedMode::Profile
                } else {
                    RequestedMode::Off
                },
                "{annotations}"
            );
        }
        assert_eq!(
            request(&json!({}), NONE).unwrap().mode,
            RequestedMode::Profile
        );
    }

    #[test]
    fn the_administrator_says_what_containers_are_run_for_that_do_not_say_so() {
        let of = |annotations: Value, environment, default| {
            let elsewhere = Elsewhere {
                environment,
                default,
            };
            super::request(&with(annotations), elsewhere).unwrap().mode
        };
        let key = "io.capprof.mode";
        assert_eq!(
            of(json!({}), NONE, DefaultMode::Observe),
            RequestedMode::Observe
        );
        assert_eq!(of(json!({}), NONE, DefaultMode::Off), RequestedMode::Off);
        let named = json!({"io.capprof.name": "web"});
        assert_eq!(
            of(named, NONE, DefaultMode::Observe),
            RequestedMode::Observe
        );
        for default in [DefaultMode::Profile, DefaultMode::Observe, DefaultMode::Off] {
            assert_eq!(
                of(json!({key: "observe"}), NONE, default),
                RequestedMode::Observe
            );
            assert_eq!(
                of(json!({key: "profile"}), NONE, default),
                RequestedMode::Profile
            );
            assert_eq!(of(json!({key: "off"}), NONE, default), RequestedMode::Off);
            let variable: Environment<'_> =
                &|name| (name == "CAPPROF_MODE").then(|| "observe".to_owned());
            assert_eq!(of(json!({}), variable, default), RequestedMode::Observe);
        }
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
            ("io.capprof.mode", "enforce"),
            ("io.capprof.mode", "verify"),
            // Without a mode these would be profiled, with all capabilities.
            ("io.capprof.profile", "web"),
            ("io.capprof.capabilities", ""),
        ] {
            let error = request(&with(json!({ key: value })), NONE)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(&format!("annotation {key}=")), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn requests_are_taken_as_they_are() {
        let annotations = json!({
            "io.capprof.name": "my name", "io.capprof.output": "/srv/out", "io.capprof.scope": "host",
        });
        let wishes = request(&with(annotations), NONE).unwrap();
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
