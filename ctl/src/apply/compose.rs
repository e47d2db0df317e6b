//! A service of a compose file (compose-spec, 05-services.md).

use super::document::{Error as DocumentError, Node, YamlFile, quoted};
use super::edited::{Edited, Error, plain_name};
use crate::render::Parts;

/// The parts of a service that an answer may change.
const KEYS: [&str; 7] = [
    "privileged",
    "cap_drop",
    "cap_add",
    "devices",
    "device_cgroup_rules",
    "sysctls",
    "ulimits",
];

/// Returns the names of the services.
///
/// # Errors
/// It is no YAML.
pub(super) fn names(text: &str) -> Result<Vec<String>, Error> {
    let document = YamlFile::parse(text)?;
    Ok(services(&document)
        .iter()
        .filter_map(|(name, _)| name.scalar().map(str::to_owned))
        .collect())
}

fn services(document: &YamlFile) -> &[(Node, Node)] {
    document
        .roots
        .first()
        .and_then(|root| root.get("services"))
        .map_or(&[], Node::entries)
}

fn service<'a>(document: &'a YamlFile, name: &str) -> Option<&'a Node> {
    services(document)
        .iter()
        .find(|(key, _)| key.scalar() == Some(name))
        .map(|(_, service)| service)
}

/// Puts an answer into a service.
///
/// # Errors
/// Any [`Error`].
pub(super) fn apply(text: &str, name: &str, parts: &Parts) -> Result<Edited, Error> {
    let mut document = YamlFile::parse(text)?;
    let Some(service) = service(&document, name).cloned() else {
        return Err(Error::Missing {
            what: "service",
            name: name.to_owned(),
            known: names(text)?.join(", "),
        });
    };
    if service.flow || service.entries().is_empty() {
        return Err(DocumentError::Flow {
            line: service.line + 1,
            what: format!("service {name}"),
        }
        .into());
    }
    let was = document.clone();
    let mut notes = parts.caveats.clone();
    match document.inherits(&service, "privileged") {
        true => document.set(&service, "privileged", "false"),
        false => document.remove(&service, "privileged"),
    }
    let caps = (true, plain_name as fn(&str) -> String);
    document.set_list(&service, "cap_drop", &["ALL".to_owned()], caps);
    document.set_list(&service, "cap_add", &parts.names(), caps);
    let devices: Vec<String> = parts
        .devices
        .iter()
        .map(|(path, access)| format!("{path}:{path}:{access}"))
        .collect();
    let host = |device: &str| device.split(':').next().unwrap_or_default().to_owned();
    if !devices.is_empty() {
        document.set_list(&service, "devices", &devices, (false, host));
    }
    if !parts.rules.is_empty() {
        let same = (false, str::to_owned as fn(&str) -> String);
        document.set_list(&service, "device_cgroup_rules", &parts.rules, same);
    }
    sysctls(&mut document, &service, parts, name)?;
    limits(&mut document, &service, parts, name)?;
    if service.get("extends").is_some() {
        notes.push(format!(
            "service {name} extends another: compose adds that one's cap_add, devices and privileged to these"
        ));
    }
    let edited = document.text(text);
    is_sound(&was, &edited, name)?;
    Ok(Edited {
        text: edited,
        notes,
    })
}

/// Limits that the service does not have yet.
fn limits(document: &mut YamlFile, service: &Node, parts: &Parts, name: &str) -> Result<(), Error> {
    let there = service.get("ulimits");
    let is_missing = |limit: &str| there.is_none_or(|limits| limits.get(limit).is_none());
    let missing: Vec<_> = parts
        .limits
        .iter()
        .filter(|(limit, _)| is_missing(limit))
        .collect();
    match there {
        _ if missing.is_empty() => {}
        Some(mapping) if mapping.flow => return Err(flow(mapping, "ulimits", name)),
        Some(mapping) if !mapping.entries().is_empty() => {
            let mapping = mapping.clone();
            for (limit, value) in missing {
                document.set(&mapping, limit, value);
            }
        }
        _ => {
            let limits: Vec<String> = missing
                .iter()
                .map(|(limit, value)| format!("{limit}: {value}"))
                .collect();
            document.set(service, "ulimits", &format!("{{{}}}", limits.join(", ")));
        }
    }
    Ok(())
}

/// The error of a mapping on one line, to which no line can be added.
fn flow(mapping: &Node, key: &str, name: &str) -> Error {
    DocumentError::Flow {
        line: mapping.line + 1,
        what: format!("{key} of service {name}"),
    }
    .into()
}

/// Sets sysctls in the form that the service uses, list or mapping.
fn sysctls(
    document: &mut YamlFile,
    service: &Node,
    parts: &Parts,
    name: &str,
) -> Result<(), Error> {
    if parts.sysctls.is_empty() {
        return Ok(());
    }
    match service.get("sysctls") {
        Some(mapping) if !mapping.entries().is_empty() => {
            if mapping.flow {
                return Err(flow(mapping, "sysctls", name));
            }
            let mapping = mapping.clone();
            for (sysctl, value) in &parts.sysctls {
                if mapping.get(sysctl).is_none() {
                    document.set(&mapping, sysctl, &quoted(value));
                }
            }
        }
        _ => {
            let sysctls: Vec<String> = parts
                .sysctls
                .iter()
                .map(|(sysctl, value)| format!("{sysctl}={value}"))
                .collect();
            let key = |sysctl: &str| sysctl.split('=').next().unwrap_or_default().to_owned();
            document.set_list(service, "sysctls", &sysctls, (false, key));
        }
    }
    Ok(())
}

/// Makes sure that the edit changed nothing but the parts in [`KEYS`].
fn is_sound(was: &YamlFile, edited: &str, name: &str) -> Result<(), DocumentError> {
    let now = YamlFile::parse(edited)?;
    let rest = |document: &YamlFile| -> Option<Vec<Node>> {
        let mut roots = document.roots.clone();
        let first = roots.first_mut()?;
        let super::document::NodeKind::Mapping(entries) = &mut first.kind else {
            return None;
        };
        let (_, services) = entries
            .iter_mut()
            .find(|(key, _)| key.scalar() == Some("services"))?;
        let super::document::NodeKind::Mapping(entries) = &mut services.kind else {
            return None;
        };
        let (_, service) = entries
            .iter_mut()
            .find(|(key, _)| key.scalar() == Some(name))?;
        *service = service.without(&KEYS);
        Some(roots)
    };
    match rest(was).is_some() && rest(was) == rest(&now) {
        true => Ok(()),
        false => Err(DocumentError::Unsound),
    }
}
