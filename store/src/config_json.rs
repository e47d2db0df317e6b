//! Edits of a bundle's config.json (runtime-spec, config.md) that several programs make: the capability sets.

use crate::document::Document;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use serde_json::{Map, Value, json};

/// Returns the text of the engine's configuration with the minimized capability sets. Everything else stays: the order of keys, numbers, and members
/// that capprof does not know. A configuration without a `process` object stays as it is.
///
/// # Errors
/// It is not JSON. A configuration that the shim has accepted is.
pub fn minimized_configuration(original: &str, profile: &Profile) -> serde_json::Result<Vec<u8>> {
    let mut document = Document::parse(original)?;
    if let Some(process) = document
        .value
        .get_mut("process")
        .and_then(Value::as_object_mut)
    {
        set_capabilities(process, &profile.findings.minimized_sets.named());
    }
    Ok(document.write(original))
}

/// Gives a process of config.json exactly these sets, by their names there; other sets stay as they are.
pub fn set_capabilities(process: &mut Map<String, Value>, sets: &[(&str, CapabilitySet)]) {
    let capabilities = process
        .entry("capabilities")
        .or_insert_with(|| Value::Object(Map::new()));
    if !capabilities.is_object() {
        *capabilities = Value::Object(Map::new());
    }
    if let Some(capabilities) = capabilities.as_object_mut() {
        for (name, set) in sets.iter().copied() {
            // An empty set is not added where there was none.
            if !set.is_empty() || capabilities.contains_key(name) {
                capabilities.insert(name.to_owned(), names(set));
            }
        }
    }
}

fn names(set: CapabilitySet) -> Value {
    json!(
        set.iter()
            .map(|capability| capability.to_string())
            .collect::<Vec<_>>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use capprof_profile::fixtures::{check, host, recording, reports};
    use capprof_profile::observation::{Evidence, RecorderName};
    use capprof_profile::recorded_profile;

    #[test]
    fn only_the_capability_sets_of_a_configuration_change() {
        let text = r#"{"ociVersion":"1.2.0","process":{"terminal":false,"capabilities":{"bounding":["CAP_CHOWN","CAP_NET_RAW"],"effective":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]},"rlimits":[{"hard":18446744073709551615,"soft":1.50}],"args":["sh"]},"annotations":{"z":"1","a":"2"}}"#;
        let recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let evidence = vec![(
            RecorderName::Ebpf,
            Evidence {
                observations: vec![check(Capability::CHOWN, "chown", &["chown_ok"])],
                ..Evidence::default()
            },
        )];
        let profile =
            recorded_profile::profile(&recording, reports(), evidence, String::new(), host());
        let minimized = |text: &str| {
            let bytes = minimized_configuration(text, &profile).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(
            minimized(text),
            text.replace(r#"["CAP_CHOWN","CAP_NET_RAW"]"#, r#"["CAP_CHOWN"]"#)
        );
        // There is no process to write them to.
        let hooks = r#"{"ociVersion":"1.2.0"}"#;
        assert_eq!(minimized(hooks), hooks);
        // An original without `capabilities` grants none, so all sets are written out.
        assert_eq!(
            minimized(r#"{"process":{}}"#),
            r#"{"process":{"capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]}}}"#
        );
        // A strict reader would refuse some of what runtimes accept.
        let odd = format!(
            r#"{{"process":{{"env":["X=\ud800"]}},"x":{}1{}}}"#,
            "[".repeat(1000),
            "]".repeat(1000)
        );
        assert!(minimized(&odd).contains(r#""env":["X=\ud800"]"#));
    }
}
