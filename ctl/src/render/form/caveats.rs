//! Caveats that belong to a form: facts to know, and steps besides pasting it.

use super::super::form_kind::FormKind;
use super::super::printable::printable;
use super::input::FormInput;
use super::limit::kept;
use super::names::{docker_default, full_names, short_names};
use super::substitutes;
use super::unable::Unable;
use capprof_profile::{Capability, CapabilitySet};
use std::collections::BTreeMap;

/// Returns further steps and facts, a line each; an error if no form works.
pub(super) fn caveats(engine: FormKind, workload: &FormInput<'_>) -> Result<Vec<String>, Unable> {
    let mut caveats = Vec::new();
    if !workload.unsettled.is_empty() {
        caveats.push(format!(
            "asks for {} too, which it does not have today: if it works today, it works without; else add them",
            short_names(workload.unsettled).join(", ")
        ));
    }
    caveats.extend(for_other_users(engine, workload)?);
    let binds = workload.only_binds && workload.minimized.contains(Capability::NET_BIND_SERVICE);
    if binds && engine.is_dockers() {
        caveats.push(
            "NET_BIND_SERVICE is needed with the host's network alone: in a container's own, docker lets every process bind ports below 1024"
                .to_owned(),
        );
    }
    let asked = workload.minimized.union(workload.unsettled);
    caveats.extend(substitutes::lines(engine, &workload.instead, asked));
    if let Some(privileges) = workload.privileges {
        caveats.extend(kept(engine, &privileges.engine_grants, asked));
    }
    if workload.is_privileged()
        && let Some(option) = privileged_option(engine)
    {
        caveats.push(format!("take out {option}: with it, these have no effect"));
    }
    let beyond: CapabilitySet = workload
        .minimized
        .iter()
        .filter(|c| INITIAL.contains(c))
        .collect();
    if !beyond.is_empty() && engine.runs_by() == FormKind::Podman {
        caveats.push(format!(
            "not rootless: no container in a user namespace of its own can be granted {}",
            short_names(beyond).join(", ")
        ));
    }
    caveats.extend(allowed(engine, workload.minimized));
    Ok(caveats)
}

/// The other policies that must allow the capabilities.
fn allowed(engine: FormKind, set: CapabilitySet) -> Option<String> {
    match engine {
        // nomad, drivers/shared/capabilities/defaults.go: docker's without NET_RAW.
        FormKind::Nomad => {
            let mut more = set.difference(docker_default());
            if set.contains(Capability::NET_RAW) {
                more.insert(Capability::NET_RAW);
            }
            (!more.is_empty()).then(|| {
                format!(
                    "the client must allow {} (plugin \"docker\", allow_caps)",
                    short_names(more).join(", ").to_lowercase()
                )
            })
        }
        FormKind::Ecs => {
            let mut more = set;
            more.remove(Capability::SYS_PTRACE);
            (!more.is_empty()).then(|| "for ECS on EC2: Fargate lets a task add only SYS_PTRACE".to_owned())
        }
        FormKind::Helm => Some(
            "for charts that `helm create` began; others name it containerSecurityContext, or put it below a component's name"
                .to_owned(),
        ),
        FormKind::Kustomize => Some(
            "a patch for kustomization.yaml: patches: [{path: FILE, target: {kind: Deployment, name: DEPLOYMENT}}]"
                .to_owned(),
        ),
        FormKind::ContainersConf => Some(
            "for every container of podman that reads it: /etc/containers/containers.conf.d/NAME.conf, or CONTAINERS_CONF_OVERRIDE".to_owned(),
        ),
        _ => None,
    }
}

/// The setting with which an engine gives everything, so that dropping a capability has no effect.
fn privileged_option(engine: FormKind) -> Option<&'static str> {
    match engine {
        FormKind::Docker
        | FormKind::DockerOptions
        | FormKind::Podman
        | FormKind::Nixos
        | FormKind::Ctr
        | FormKind::ContainersConf => Some("--privileged"),
        FormKind::Compose | FormKind::Kubernetes => Some("privileged: true"),
        FormKind::Quadlet => Some("PodmanArgs=--privileged"),
        FormKind::Nomad => Some("privileged = true"),
        // These forms contain the opposite setting.
        FormKind::Kustomize | FormKind::Helm | FormKind::Scc | FormKind::Ecs => None,
        FormKind::Systemd => None,
    }
}

/// Capabilities that the kernel checks against the initial user namespace at every place (`capable()`, in all of Linux 5.8 to 6.18 except for a time
/// namespace's own offsets). tests/corpus proves it with programs. Capabilities for which that is true of only some uses are not here.
const INITIAL: [Capability; 14] = [
    Capability::AUDIT_CONTROL,
    Capability::AUDIT_READ,
    Capability::AUDIT_WRITE,
    Capability::BLOCK_SUSPEND,
    Capability::LEASE,
    Capability::LINUX_IMMUTABLE,
    Capability::MKNOD,
    Capability::SYSLOG,
    Capability::SYS_MODULE,
    Capability::SYS_PACCT,
    Capability::SYS_RAWIO,
    Capability::SYS_TIME,
    Capability::SYS_TTY_CONFIG,
    Capability::WAKE_ALARM,
];

/// The ways in which a user other than root gets the capabilities.
fn for_other_users(engine: FormKind, workload: &FormInput<'_>) -> Result<Vec<String>, Unable> {
    let uid = workload.uid;
    let carried = workload.ambient;
    let ambient = matches!(
        engine,
        FormKind::Podman | FormKind::Quadlet | FormKind::Systemd | FormKind::Nixos
    );
    if uid == 0 || carried.is_empty() || ambient {
        return Ok(Vec::new());
    }
    if engine == FormKind::ContainersConf {
        return Err(Unable {
            engine,
            reason: format!(
                "podman gives user {uid} what --cap-add names, and nothing of default_capabilities; use the form podman"
            ),
        });
    }
    let name = engine.runs_by().name();
    let enforce = enforce(engine, workload);
    if workload.no_new_privileges {
        // no_new_privs does not affect ambient capabilities.
        if let Some(enforce) = enforce {
            return Ok(vec![format!(
                "{name} gives user {uid} no ambient capabilities, and no_new_privs keeps it from file capabilities: {enforce}"
            )]);
        }
        return Err(Unable {
            engine,
            reason: format!(
                "{name} gives user {uid} no ambient capabilities, and no_new_privs keeps it from file capabilities; run it with podman, or \
                 start it as root and let it drop to {uid} itself"
            ),
        });
    }
    let mut caveats = Vec::new();
    let mut rest = carried;
    for (program, capabilities) in setcap_candidates(workload) {
        caveats.push(format!(
            "{name} makes these effective for root alone. For user {uid}, give them in the image to {}: setcap {}+ep FILE",
            printable(program),
            capabilities
                .iter()
                .map(|capability| capability.to_string().to_lowercase())
                .collect::<Vec<_>>()
                .join(",")
        ));
        rest = rest.difference(capabilities);
    }
    if !rest.is_empty() {
        caveats.push(format!(
            "{name} makes {} effective for root alone, and no file should give that to user {uid}: run it with podman, or start it as root \
             and let it drop to {uid} itself",
            short_names(rest).join(", ")
        ));
    }
    caveats.extend(enforce.map(|enforce| format!("or {enforce}")));
    Ok(caveats)
}

/// Programs that can have file capabilities, each with those that it needs. Afterwards every user who may execute the file has them. So no program
/// that executes others gets any, and no file gets a capability that makes its holder root or opens every file, or that several programs use.
fn setcap_candidates<'a>(workload: &FormInput<'a>) -> Vec<(&'a String, CapabilitySet)> {
    let carried = workload.ambient;
    let mut by_program: BTreeMap<&String, CapabilitySet> = BTreeMap::new();
    for capability in carried.iter() {
        let mut users = workload
            .programs
            .iter()
            .filter(|(used, _)| *used == capability)
            .map(|(_, program)| *program);
        if let (Some(program), None) = (users.next(), users.next()) {
            by_program.entry(program).or_default().insert(capability);
        }
    }
    by_program.retain(|program, capabilities| {
        !executes_others(program)
            && !capabilities
                .iter()
                .any(|capability| NEVER_ON_A_FILE.contains(&capability))
    });
    by_program.into_iter().collect()
}

/// With one of these on a file, its user can become root, or read and write root's files.
const NEVER_ON_A_FILE: [Capability; 14] = [
    Capability::CHOWN,
    Capability::DAC_OVERRIDE,
    Capability::DAC_READ_SEARCH,
    Capability::FOWNER,
    Capability::FSETID,
    Capability::SETFCAP,
    Capability::SETGID,
    Capability::SETPCAP,
    Capability::SETUID,
    Capability::SYS_ADMIN,
    Capability::SYS_MODULE,
    Capability::SYS_PTRACE,
    Capability::SYS_RAWIO,
    Capability::MKNOD,
];

/// Returns true if a program executes or loads code of its user's choice: shells, interpreters, and programs that change the user.
fn executes_others(program: &str) -> bool {
    const NAMES: [&str; 26] = [
        "ash", "awk", "bash", "busybox", "csh", "dash", "doas", "env", "find", "fish", "gosu",
        "java", "ksh", "lua", "mksh", "node", "perl", "php", "ruby", "sh", "su", "sudo", "su-exec",
        "tcsh", "xargs", "zsh",
    ];
    let plain = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    NAMES.contains(&plain) || plain.starts_with("python")
}

/// Explains how capprof gives the sets with `io.capprof.mode=enforce`, for engines that carry annotations and give no ambient capabilities.
fn enforce(engine: FormKind, workload: &FormInput<'_>) -> Option<String> {
    match engine {
        FormKind::Docker => {
            let what = match workload.recording {
                Some(recording) => format!("io.capprof.profile={recording}"),
                None => format!(
                    "io.capprof.capabilities={}",
                    full_names(workload.minimized, ",")
                ),
            };
            Some(format!(
                "have capprof give them, with docker 24 or newer: docker run --runtime=capprof --annotation io.capprof.mode=enforce \
                 --annotation {what} {}",
                workload.plain_image()
            ))
        }
        // Another node has another store.
        FormKind::Kubernetes | FormKind::Kustomize | FormKind::Helm | FormKind::Scc => {
            Some(format!(
                "have capprof give them, to all containers of the pod: runtimeClassName: capprof, and the annotations io.capprof.mode: enforce, \
             io.capprof.capabilities: {}",
                full_names(workload.minimized, ",")
            ))
        }
        _ => None,
    }
}
