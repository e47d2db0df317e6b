//! Puts an answer into the file that starts the workload, and leaves the rest of the file as it is.

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

/// The kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// A compose file.
    Compose,
    /// A manifest of Kubernetes.
    Kubernetes,
    /// A `.container` unit of podman.
    Quadlet,
    /// A `.service` unit of systemd.
    Systemd,
}

/// Returns the kind of a file, by its name and content.
///
/// # Errors
/// [`Error::Kind`]; or it is no YAML.
pub(crate) fn kind(path: &Path, text: &str) -> Result<FileFormat, Error> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("container") => Ok(FileFormat::Quadlet),
        Some("service" | "conf") => Ok(FileFormat::Systemd),
        _ => {
            let document = document::YamlFile::parse(text)?;
            let root = |key| document.roots.iter().any(|root| root.get(key).is_some());
            if root("services") {
                Ok(FileFormat::Compose)
            } else if root("kind") {
                Ok(FileFormat::Kubernetes)
            } else {
                Err(Error::Kind)
            }
        }
    }
}

/// Returns the names that can have an answer: services of a compose file, containers of a manifest; empty for a unit, which takes one answer.
///
/// # Errors
/// It is no YAML.
pub(crate) fn names(kind: FileFormat, text: &str) -> Result<Vec<String>, Error> {
    match kind {
        FileFormat::Compose => compose::names(text),
        FileFormat::Kubernetes => kubernetes::names(text),
        FileFormat::Quadlet | FileFormat::Systemd => Ok(Vec::new()),
    }
}

/// Puts an answer into the text. `name` is the service or container; a unit has none.
///
/// # Errors
/// Any [`Error`]; then nothing was changed.
pub(crate) fn apply(
    kind: FileFormat,
    text: &str,
    name: &str,
    parts: &Parts,
) -> Result<Edited, Error> {
    match kind {
        FileFormat::Compose => compose::apply(text, name, parts),
        FileFormat::Kubernetes => kubernetes::apply(text, name, parts),
        FileFormat::Quadlet => Ok(unit::quadlet(text, parts)),
        FileFormat::Systemd => Ok(unit::systemd(text, parts)),
    }
}
