//! Limits of processes, within which the kernel does not check a capability.

use super::super::form_kind::FormKind;
use capprof_profile::privileges::{EngineGrants, ResourceLimit};
use capprof_profile::{Capability, CapabilitySet};

/// A limit in the words of an engine; `None` if the engine has none.
pub(super) fn words(engine: FormKind, name: &str, limit: ResourceLimit) -> Option<String> {
    let (soft, hard) = (number(limit.soft), number(limit.hard));
    Some(match engine {
        FormKind::Docker | FormKind::DockerOptions | FormKind::Podman | FormKind::Nixos => {
            format!("--ulimit={name}={soft}:{hard}")
        }
        FormKind::Compose if soft == hard => format!("ulimits: {{{name}: {soft}}}"),
        FormKind::Compose => format!("ulimits: {{{name}: {{soft: {soft}, hard: {hard}}}}}"),
        FormKind::Quadlet => format!("Ulimit={name}={soft}:{hard}"),
        FormKind::ContainersConf => format!("default_ulimits = [\"{name}={soft}:{hard}\"]"),
        FormKind::Nomad => format!("ulimit {{ {name} = \"{soft}:{hard}\" }}"),
        FormKind::Ecs => format!(
            "\"ulimits\": [{{\"name\": \"{name}\", \"softLimit\": {soft}, \"hardLimit\": {hard}}}]"
        ),
        FormKind::Systemd => {
            let value = match soft == hard {
                true => soft,
                false => format!("{soft}:{hard}"),
            };
            let value = value.replace("-1", "infinity");
            format!("Limit{}={value}", name.to_uppercase())
        }
        // Pods have no limits of processes, and ctr has one option, for open files.
        FormKind::Kubernetes
        | FormKind::Kustomize
        | FormKind::Helm
        | FormKind::Scc
        | FormKind::Ctr => {
            return None;
        }
    })
}

fn number(limit: u64) -> String {
    match limit {
        u64::MAX => "-1".to_owned(),
        number => number.to_string(),
    }
}

/// Limits that the container had and that must stay unless it is given the capability, a line each.
pub(super) fn kept(engine: FormKind, granted: &EngineGrants, set: CapabilitySet) -> Vec<String> {
    let line = |(name, limit): (&String, &ResourceLimit)| {
        let capability = match name.as_str() {
            "memlock" => Capability::IPC_LOCK,
            "nice" | "rtprio" => Capability::SYS_NICE,
            _ => return None,
        };
        if set.contains(capability) {
            return None;
        }
        let (of, soft) = (capability.short_name(), number(limit.soft));
        Some(match words(engine, name, *limit) {
            Some(words) => format!(
                "the container had this limit, within which the kernel does not check {of}: {words}"
            ),
            None => format!(
                "the container had the limit {name}={soft}, for which this has no option: a program that used it needs {of}"
            ),
        })
    };
    granted.limits.iter().filter_map(line).collect()
}
