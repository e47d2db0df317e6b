//! A container of a Kubernetes manifest (`v1.Container`, `securityContext`).

use super::document::{Error as DocumentError, Node, NodeKind, YamlFile, quoted};
use super::edited::{Edited, Error};
use crate::render::Parts;

/// The place of a pod's specification in each kind that has one.
const PODS: [&[&str]; 3] = [
    &["spec"],
    &["spec", "template", "spec"],
    &["spec", "jobTemplate", "spec", "template", "spec"],
];

/// The lists of containers in it.
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// Returns the names of the containers.
///
/// # Errors
/// It is no YAML.
pub(super) fn names(text: &str) -> Result<Vec<String>, Error> {
    let document = YamlFile::parse(text)?;
    Ok(containers(&document)
        .iter()
        .filter_map(|container| container.get("name")?.scalar().map(str::to_owned))
        .collect())
}

fn containers(document: &YamlFile) -> Vec<&Node> {
    let mut found = Vec::new();
    for root in &document.roots {
        for path in PODS {
            let spec = path.iter().try_fold(root, |node, key| node.get(key));
            let lists = LISTS.into_iter().filter_map(|list| spec?.get(list));
            found.extend(lists.flat_map(Node::items));
        }
    }
    found
}

/// Puts an answer into the securityContext of all containers of this name.
///
/// # Errors
/// Any [`Error`].
pub(super) fn apply(text: &str, name: &str, parts: &Parts) -> Result<Edited, Error> {
    let mut document = YamlFile::parse(text)?;
    let was = document.clone();
    let of_name: Vec<Node> = containers(&document)
        .into_iter()
        .filter(|container| container.get("name").and_then(Node::scalar) == Some(name))
        .cloned()
        .collect();
    if of_name.is_empty() {
        return Err(Error::Missing {
            what: "container",
            name: name.to_owned(),
            known: names(text)?.join(", "),
        });
    }
    for container in &of_name {
        if container.flow {
            return Err(DocumentError::Flow {
                line: container.line + 1,
                what: format!("container {name}"),
            }
            .into());
        }
        context(&mut document, container, parts);
    }
    let edited = document.text(text);
    is_sound(&was, &edited, name)?;
    Ok(Edited {
        text: edited,
        notes: parts.caveats.clone(),
    })
}

/// The securityContext of one container.
fn context(document: &mut YamlFile, container: &Node, parts: &Parts) {
    let keys = container
        .entries()
        .first()
        .map_or(container.column, |(key, _)| key.column);
    let names: Vec<String> = parts.names().iter().map(|one| quoted(one)).collect();
    let capabilities = |indent: usize| {
        let indent = " ".repeat(indent);
        let mut lines = vec![
            format!("{indent}capabilities:"),
            format!("{indent}  drop: [\"ALL\"]"),
        ];
        if !names.is_empty() {
            lines.push(format!("{indent}  add: [{}]", names.join(", ")));
        }
        lines
    };
    match container.entry("securityContext") {
        Some((_, context)) if !context.flow && !context.entries().is_empty() => {
            let context = context.clone();
            document.remove(&context, "privileged");
            let indent = context
                .entries()
                .first()
                .map_or(keys + 2, |(key, _)| key.column);
            match context.entry("capabilities") {
                Some((key, value)) => {
                    document.replace(key.line..value.end.max(key.line + 1), capabilities(indent))
                }
                None => document.append(&context, capabilities(indent)),
            }
            if parts.no_new_privileges && context.get("allowPrivilegeEscalation").is_none() {
                document.append(
                    &context,
                    vec![format!(
                        "{}allowPrivilegeEscalation: false",
                        " ".repeat(indent)
                    )],
                );
            }
        }
        old => {
            // A securityContext in braces, empty, or absent is written again, with the entries that stay.
            let mut lines = Vec::new();
            let indent = " ".repeat(keys + 2);
            for (key, value) in old.map_or(&[] as &[_], |(_, context)| context.entries()) {
                let key_text = key.scalar().unwrap_or_default();
                if !["privileged", "capabilities"].contains(&key_text) {
                    lines.push(format!("{indent}{key_text}: {}", document.source(value)));
                }
            }
            lines.extend(capabilities(keys + 2));
            if parts.no_new_privileges
                && !lines
                    .iter()
                    .any(|line| line.contains("allowPrivilegeEscalation"))
            {
                lines.push(format!("{indent}allowPrivilegeEscalation: false"));
            }
            match old {
                Some((key, value)) => {
                    let before: String = document
                        .lines
                        .get(key.line)
                        .map(|line| line.chars().take(key.column).collect())
                        .unwrap_or_default();
                    lines.insert(0, format!("{before}securityContext:"));
                    document.replace(key.line..value.end.max(key.line + 1), lines);
                }
                None => {
                    lines.insert(0, format!("{}securityContext:", " ".repeat(keys)));
                    document.append(container, lines);
                }
            }
        }
    }
}

/// Makes sure that the edit changed nothing else: the containers of this name are compared without the members that an answer sets, everything
/// else as it is.
fn is_sound(was: &YamlFile, edited: &str, name: &str) -> Result<(), DocumentError> {
    let now = YamlFile::parse(edited)?;
    let rest = |document: &YamlFile| -> Vec<Node> {
        document
            .roots
            .iter()
            .map(|root| stripped(root, name))
            .collect()
    };
    match rest(was) == rest(&now) {
        true => Ok(()),
        false => Err(DocumentError::Unsound),
    }
}

fn stripped(node: &Node, name: &str) -> Node {
    let mut node = match node.get("name").and_then(Node::scalar) == Some(name) {
        true => bare(node),
        false => node.clone(),
    };
    match &mut node.kind {
        NodeKind::Mapping(entries) => entries
            .iter_mut()
            .for_each(|(_, value)| *value = stripped(value, name)),
        NodeKind::Sequence(items) => items
            .iter_mut()
            .for_each(|item| *item = stripped(item, name)),
        NodeKind::Scalar(_) | NodeKind::Alias(_) => {}
    }
    node
}

/// Returns a container without the members of its securityContext that an answer sets, and without the securityContext if it is then empty.
fn bare(container: &Node) -> Node {
    let mut bare = container.clone();
    if let NodeKind::Mapping(entries) = &mut bare.kind {
        for (key, value) in entries.iter_mut() {
            if key.scalar() == Some("securityContext") {
                *value = value.without(&["privileged", "capabilities", "allowPrivilegeEscalation"]);
            }
        }
        entries.retain(|(key, value)| {
            key.scalar() != Some("securityContext") || !value.entries().is_empty()
        });
    }
    bare
}
