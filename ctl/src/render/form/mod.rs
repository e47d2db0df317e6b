//! The minimized set in the syntax of an engine, ready to paste.
//!
//! A form contains only settings that the engine can carry out. Engines differ in the sets that they give a process that does not run as
//! root:
//!
//! - podman puts the capabilities of `--cap-add` into the ambient set of a user other than root (pkg/specgen/generate/security_linux.go).
//! - docker does not (moby/moby#8460), nor do containerd and CRI-O for Kubernetes (kubernetes/kubernetes#56374): there they reach only the
//!   bounding set, from which programs with file capabilities and set-user-ID programs gain them, unless no_new_privs is set.
//! - systemd has `AmbientCapabilities=`.
//!
//! Mode `enforce` also gives ambient capabilities if the engine can carry annotations: docker from 24 on, and pods.

mod caveats;
mod engines;
mod input;
mod limit;
mod names;
mod orchestrators;
mod parts;
mod substitutes;
#[cfg(test)]
mod tests;
mod unable;

pub(crate) use input::FormInput;
pub(crate) use parts::Parts;
pub(crate) use unable::Unable;

use self::caveats::caveats;
use self::engines::{
    command, compose, containers_conf, ctr, kubernetes, lines, nixos, options, quadlet, systemd,
};
use super::form_kind::FormKind;
use super::privileged::Replacement;
use capprof_profile::Capability;

/// The text to paste, and the comments on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Caveats, a line each.
    pub(crate) caveats: Vec<String>,
    /// Lines to paste, each with a newline.
    pub(crate) body: String,
    /// True if caveats can stand before the lines as comments.
    comments: bool,
}

impl Form {
    /// The lines to paste, with the caveats as comments before them where the syntax has comments.
    pub(crate) fn text(&self) -> String {
        let comments: String = match self.comments {
            true => self
                .caveats
                .iter()
                .map(|text| format!("# {text}\n"))
                .collect(),
            false => String::new(),
        };
        comments + &self.body
    }

    /// The caveats that [`Form::text`] cannot contain.
    pub(crate) fn untold(&self) -> &[String] {
        match self.comments {
            true => &[],
            false => &self.caveats,
        }
    }
}

/// The form for one engine.
///
/// # Errors
/// The engine cannot carry it out.
pub(crate) fn form<'a>(
    engine: FormKind,
    workload: impl Into<FormInput<'a>>,
) -> Result<Form, Unable> {
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
    let body = body(engine, workload, &beyond);
    if engine == FormKind::DockerOptions && body.contains('\'') {
        return Err(Unable {
            engine,
            reason: "one of the options has a blank in it, where $(…) would split it; use the form docker".to_owned(),
        });
    }
    let caveats = caveats(engine, workload)?
        .into_iter()
        .chain(beyond.caveats)
        .collect();
    Ok(Form {
        caveats,
        body,
        comments: !matches!(engine, FormKind::DockerOptions | FormKind::Ecs),
    })
}

/// The form's own text, without caveats.
fn body(engine: FormKind, workload: &FormInput<'_>, beyond: &Replacement) -> String {
    let set = workload.minimized;
    match engine {
        FormKind::Docker | FormKind::Podman => command(engine, workload, beyond),
        FormKind::DockerOptions => options(workload, beyond).join(" ") + "\n",
        FormKind::Kubernetes => kubernetes(workload, false),
        FormKind::Helm => kubernetes(workload, true),
        FormKind::Kustomize => orchestrators::kustomize(workload),
        FormKind::Scc => orchestrators::scc(workload),
        FormKind::Compose => compose(workload) + &lines("    ", &beyond.compose()),
        FormKind::Quadlet => quadlet(set) + &lines("", &beyond.quadlet()),
        FormKind::Systemd => systemd(workload) + &lines("", &beyond.systemd()),
        FormKind::Ecs => orchestrators::ecs(workload, beyond),
        FormKind::Nomad => orchestrators::nomad(workload, beyond),
        FormKind::Nixos => nixos(workload, beyond),
        FormKind::Ctr => ctr(workload, beyond),
        FormKind::ContainersConf => containers_conf(set, beyond),
    }
}

fn has_name(capability: Capability) -> bool {
    Capability::all().any(|named| named == capability)
}
