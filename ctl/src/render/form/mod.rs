//! The minimized set in the words of an engine, ready to paste.
//!
//! Only what the engine can carry out is written. What a process that does not run as root gets of the capabilities that it is
//! given differs:
//!
//! - podman puts what `--cap-add` names into the ambient set of a user other than root (pkg/specgen/generate/security_linux.go).
//! - docker does not (moby/moby#8460), nor do containerd and CRI-O for Kubernetes (kubernetes/kubernetes#56374): there it reaches the
//!   bounding set, from which programs with file capabilities and set-user-ID programs take it, unless no_new_privs is on.
//! - systemd has `AmbientCapabilities=`.
//!
//! Mode `enforce` gives them too where the engine can carry annotations: docker from 24 on, and pods.

mod caveats;
mod engines;
mod names;
#[cfg(test)]
mod tests;
mod unable;
mod workload;

pub(crate) use unable::Unable;
pub(crate) use workload::Workload;

use self::caveats::caveats;
use self::engines::{command, compose, kubernetes, lines, quadlet, systemd};
use super::engine::Engine;
use super::privileged::Replacement;
use capprof_profile::Capability;

/// The form for one engine: lines to paste, each with a newline; caveats are comments before them.
///
/// # Errors
/// The engine cannot carry it out.
pub(crate) fn form<'a>(
    engine: Engine,
    workload: impl Into<Workload<'a>>,
) -> Result<String, Unable> {
    let mut workload = workload.into();
    workload.minimized = workload.set_for(engine);
    let workload = &workload;
    let set = workload.minimized;
    if let Some(unnamed) = set.iter().find(|capability| !has_name(*capability)) {
        return Err(Unable {
            engine,
            reason: format!(
                "capability {unnamed} is newer than this version of capprof, which does not know its name"
            ),
        });
    }
    let beyond = workload
        .privileges
        .map(|privileges| Replacement::of(engine, privileges, set))
        .unwrap_or_default();
    let caveats: String = caveats(engine, workload)?
        .iter()
        .chain(&beyond.caveats)
        .map(|text| format!("# {text}\n"))
        .collect();
    let body = match engine {
        Engine::Docker | Engine::Podman => command(engine, workload, &beyond),
        Engine::Kubernetes => kubernetes(workload),
        Engine::Compose => compose(workload) + &lines("    ", &beyond.compose()),
        Engine::Quadlet => quadlet(set) + &lines("", &beyond.quadlet()),
        Engine::Systemd => systemd(workload) + &lines("", &beyond.systemd()),
    };
    Ok(caveats + &body)
}

fn has_name(capability: Capability) -> bool {
    Capability::all().any(|named| named == capability)
}
