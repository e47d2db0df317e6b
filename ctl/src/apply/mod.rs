//! Puts an answer into the file that starts the workload, and leaves all else of it as it is.

mod compose;
mod document;
mod edited;
mod kubernetes;
#[cfg(test)]
mod tests;
mod unit;

use edited::Edited;
use edited::Error;

use crate::render::Parts;
use std::path::Path;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A compose file.
    Compose,
    /// A manifest of Kubernetes.
    Kubernetes,
    /// A `.container` unit of podman.
    Quadlet,
    /// A `.service` unit of systemd.
    Systemd,
}

/// The kind of a file, by its name and what is in it.
///
/// # Errors
/// [`Error::Kind`], and that it is no YAML.
pub(crate) fn kind(path: &Path, text: &str) -> Result<Kind, Error> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("container") => Ok(Kind::Quadlet),
        Some("service" | "conf") => Ok(Kind::Systemd),
        _ => {
            let document = document::Document::parse(text)?;
            let root = |key| document.roots.iter().any(|root| root.get(key).is_some());
            if root("services") {
                Ok(Kind::Compose)
            } else if root("kind") {
                Ok(Kind::Kubernetes)
            } else {
                Err(Error::Kind)
            }
        }
    }
}

/// The names that answers can be put under: services of a compose file, containers of a manifest; empty for a unit, which has one.
///
/// # Errors
/// It is no YAML.
pub(crate) fn names(kind: Kind, text: &str) -> Result<Vec<String>, Error> {
    match kind {
        Kind::Compose => compose::names(text),
        Kind::Kubernetes => kubernetes::names(text),
        Kind::Quadlet | Kind::Systemd => Ok(Vec::new()),
    }
}

/// Puts an answer in. `name` is the service or container; a unit has none.
///
/// # Errors
/// Any [`Error`]; then nothing was changed.
pub(crate) fn apply(kind: Kind, text: &str, name: &str, parts: &Parts) -> Result<Edited, Error> {
    match kind {
        Kind::Compose => compose::apply(text, name, parts),
        Kind::Kubernetes => kubernetes::apply(text, name, parts),
        Kind::Quadlet => Ok(unit::quadlet(text, parts)),
        Kind::Systemd => Ok(unit::systemd(text, parts)),
    }
}
