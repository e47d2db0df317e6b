//! Resource limits of processes, below which the kernel does not check a capability.

use super::super::form_kind::FormKind;
use capprof_profile::privileges::{EngineGrants, ResourceLimit};
use capprof_profile::{Capability, CapabilitySet};

/// A limit in the syntax of an engine; `None` if the engine has no option for it.
pub(super) fn words(engine: FormKind, name: &str, limit: ResourceLimit) -> Option<String> {
    let (soft, hard) = (number(limit.soft), number(limit.hard));
    Some(match engine {
        FormKind::Docker | FormKind::DockerOptions | FormKind::Podman | FormKind::Nixos => {
            format!("--ulimit={name}={soft}:{hard}")
        }
        FormKind::Compose => {
            let (name, value) = assignment(engine, name, limit)?;
            format!("ulimits: {{{name}: {value}}}")
        }
        FormKind::Quadlet => {
            let (name, value) = assignment(engine, name, limit)?;
            format!("Ulimit={name}={value}")
        }
        FormKind::Systemd => {
            let (name, value) = assignment(engine, name, limit)?;
            format!("{name}={value}")
        }
        FormKind::ContainersConf => format!("default_ulimits = [\"{name}={soft}:{hard}\"]"),
        FormKind::Nomad => format!("ulimit {{ {name} = \"{soft}:{hard}\" }}"),
        FormKind::Ecs => format!(
            "\"ulimits\": [{{\"name\": \"{name}\", \"softLimit\": {soft}, \"hardLimit\": {hard}}}]"
        ),
        // Pods have no resource limits of processes, and ctr has only the option for open files.
        FormKind::Kubernetes
        | FormKind::Kustomize
        | FormKind::Helm
        | FormKind::Scc
        | FormKind::Ctr => {
            return None;
        }
    })
}

/// A limit as a name and a value of the file that starts a workload; `None` if that file has none.
fn assignment(engine: FormKind, name: &str, limit: ResourceLimit) -> Option<(String, String)> {
    let (soft, hard) = (number(limit.soft), number(limit.hard));
    let is_one = soft == hard;
    Some(match engine {
        FormKind::Compose if is_one => (name.to_owned(), soft),
        FormKind::Compose => (name.to_owned(), format!("{{soft: {soft}, hard: {hard}}}")),
        FormKind::Quadlet => (name.to_owned(), format!("{soft}:{hard}")),
        FormKind::Systemd => {
            let value = match is_one {
                true => soft,
                false => format!("{soft}:{hard}"),
            };
            let value = value.replace("-1", "infinity");
            (format!("Limit{}", name.to_uppercase()), value)
        }
        _ => return None,
    })
}

fn number(limit: u64) -> String {
    match limit {
        u64::MAX => "-1".to_owned(),
        number => number.to_string(),
    }
}

/// The beginning of a line of [`kept()`] that names the option for the limit.
pub(super) const KEPT: &str = "the container had this limit";

/// Limits that the container had and that must stay unless it is given the capability, a line each.
pub(super) fn kept(engine: FormKind, granted: &EngineGrants, set: CapabilitySet) -> Vec<String> {
    let line = |(name, limit, capability): (&str, ResourceLimit, Capability)| {
        let (of, soft) = (capability.short_name(), number(limit.soft));
        match words(engine, name, limit) {
            Some(words) => {
                format!("{KEPT}, within which the kernel does not check {of}: {words}")
            }
            None => format!(
                "the container had the limit {name}={soft}, for which this has no option: a program that used it needs {of}"
            ),
        }
    };
    instead_of_capabilities(granted, set).map(line).collect()
}

/// The same limits as names and values of the file that starts the workload.
pub(super) fn assignments(
    engine: FormKind,
    granted: &EngineGrants,
    set: CapabilitySet,
) -> Vec<(String, String)> {
    instead_of_capabilities(granted, set)
        .filter_map(|(name, limit, _)| assignment(engine, name, limit))
        .collect()
}

/// The limits that made a capability unnecessary which the set does not have.
fn instead_of_capabilities(
    granted: &EngineGrants,
    set: CapabilitySet,
) -> impl Iterator<Item = (&str, ResourceLimit, Capability)> {
    granted.limits.iter().filter_map(move |(name, limit)| {
        let capability = match name.as_str() {
            "memlock" => Capability::IPC_LOCK,
            "nice" | "rtprio" => Capability::SYS_NICE,
            _ => return None,
        };
        (!set.contains(capability)).then_some((name.as_str(), *limit, capability))
    })
}
