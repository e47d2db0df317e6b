//! config.json of a bundle (runtime-spec, config.md): capprof's mark in it, putting the engine's back, and the capability sets.

use crate::file::{self, Attributes};
use crate::recording::Directory;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use capprof_profile::recording::Recording;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::io;
use std::time::Duration;

/// Puts the engine's configuration back, if what stands there is still what capprof wrote for this recording; returns true if it was.
///
/// A file that is gone, or that the engine or another recording has written meanwhile, is left alone. The directory that the file is in is
/// locked (flock(2)) from the look to the write, as a shim does that rewrites it.
///
/// # Errors
/// [`file::Error`].
pub fn put_back(directory: &Directory, recording: &Recording) -> Result<bool, file::Error> {
    let path = recording.container.configuration.as_path();
    let failed = || file::error("read", path);
    let Some(parent) = path.parent() else {
        return Ok(false);
    };
    let _lock = match file::lock_directory(parent, Duration::from_secs(5)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(failed())?,
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(failed())?,
    };
    if !metadata.is_file() {
        return Ok(false);
    }
    let content = file::read(path)?;
    if mark(&content).as_deref() != directory.path().to_str() {
        return Ok(false);
    }
    let original = file::read(&directory.original_configuration())?;
    file::write(path, &original, Attributes::Like(&metadata))?;
    Ok(true)
}

/// The annotation with which the shim marks a configuration that it has rewritten. Its value is the recording's directory.
pub const MARK: &str = "io.capprof.recording";

/// The value of the annotation [`MARK`] in a configuration, without reading the rest of it into memory.
fn mark(configuration: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Marked {
        annotations: Option<Annotations>,
    }
    #[derive(Deserialize)]
    struct Annotations {
        #[serde(rename = "io.capprof.recording")]
        mark: Option<String>,
    }
    serde_json::from_slice::<Marked>(configuration)
        .ok()?
        .annotations?
        .mark
}

/// The engine's configuration with its capability sets replaced by the minimized ones, and nothing else touched: key order and numbers
/// survive. A configuration without a `process` object is given back as it is.
pub fn minimized_configuration(mut original: Value, profile: &Profile) -> Value {
    if let Some(process) = original.get_mut("process").and_then(Value::as_object_mut) {
        set_capabilities(process, &profile.findings.minimized_sets.named());
    }
    original
}

/// Gives a process of config.json exactly these sets, by their names there; others stay as they are.
pub fn set_capabilities(process: &mut Map<String, Value>, sets: &[(&str, CapabilitySet)]) {
    let capabilities = process
        .entry("capabilities")
        .or_insert_with(|| Value::Object(Map::new()));
    if !capabilities.is_object() {
        *capabilities = Value::Object(Map::new());
    }
    if let Some(capabilities) = capabilities.as_object_mut() {
        for (name, set) in sets.iter().copied() {
            // A set that was not there and would be empty stays away.
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
    use capprof_profile::assemble;
    use capprof_profile::fixtures::{check, host, recording, reports};
    use capprof_profile::observation::{Evidence, Recorder};

    #[test]
    fn only_the_capability_sets_of_a_configuration_change() {
        let text = r#"{"ociVersion":"1.2.0","process":{"terminal":false,"capabilities":{"bounding":["CAP_CHOWN","CAP_NET_RAW"],"effective":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]},"rlimits":[{"hard":18446744073709551615,"soft":1.50}],"args":["sh"]},"annotations":{"z":"1","a":"2"}}"#;
        let recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let evidence = vec![(
            Recorder::Ebpf,
            Evidence {
                observations: vec![check(Capability::CHOWN, "chown", &["chown_ok"])],
                ..Evidence::default()
            },
        )];
        let profile = assemble::profile(&recording, reports(), evidence, String::new(), host());
        let minimized = minimized_configuration(serde_json::from_str(text).unwrap(), &profile);
        assert_eq!(
            serde_json::to_string(&minimized).unwrap(),
            text.replace(r#"["CAP_CHOWN","CAP_NET_RAW"]"#, r#"["CAP_CHOWN"]"#)
        );
        // Nothing to write them to.
        let hooks = json!({"ociVersion": "1.2.0"});
        assert_eq!(minimized_configuration(hooks.clone(), &profile), hooks);
        // No capabilities at all in the original means none: the sets are written out.
        let without = minimized_configuration(json!({"process": {}}), &profile);
        assert_eq!(
            without,
            json!({"process": {"capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}}})
        );
    }

    #[test]
    fn a_configuration_is_put_back_only_where_it_is_this_recordings() {
        let state = tempfile::tempdir().unwrap();
        let directory = Directory::create(state.path(), "key", "20260101T000000Z-1").unwrap();
        let mut recording = recording("a", "20260101T000000Z-1");
        recording.container.bundle = state.path().join("bundle");
        recording.container.configuration = state.path().join("bundle/config.json");
        let configuration = &recording.container.configuration;
        // The engine has removed the bundle.
        assert!(!put_back(&directory, &recording).unwrap());
        fs::create_dir(&recording.container.bundle).unwrap();
        assert!(!put_back(&directory, &recording).unwrap());
        fs::write(directory.original_configuration(), "{ }").unwrap();
        for foreign in [
            "{}",
            "",
            r#"{"annotations":{"io.capprof.recording":"/other"}}"#,
        ] {
            fs::write(configuration, foreign).unwrap();
            assert!(!put_back(&directory, &recording).unwrap());
            assert_eq!(fs::read_to_string(configuration).unwrap(), foreign);
        }
        let ours =
            serde_json::json!({"process": {}, "annotations": {"a": "b", MARK: directory.path()}});
        fs::write(configuration, ours.to_string()).unwrap();
        assert!(put_back(&directory, &recording).unwrap());
        assert_eq!(fs::read_to_string(configuration).unwrap(), "{ }");
    }
}
