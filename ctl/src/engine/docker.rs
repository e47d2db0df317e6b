//! `/etc/docker/daemon.json` (dockerd(8), "Daemon configuration file").

use super::kind::NAME;
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::ffi::OsStr;
use std::path::Path;

/// The configuration with the runtime added.
///
/// # Errors
/// It is no JSON object, or has something else in the place of the runtimes.
pub(super) fn add(before: Option<&str>, runtime: &str) -> anyhow::Result<String> {
    let mut configuration = parse(before)?;
    let runtimes = configuration.entry("runtimes").or_insert(Value::Null);
    if runtimes.is_null() {
        *runtimes = json!({});
    }
    let runtimes = runtimes
        .as_object_mut()
        .context("runtimes: not an object")?;
    let path = runtimes.get(NAME).and_then(|entry| entry.get("path"));
    let registered = path == Some(&json!(runtime));
    let is_capprof = |path: &Value| {
        let path = path.as_str().map(Path::new);
        path.and_then(Path::file_name) == Some(OsStr::new(NAME))
    };
    if let Some(other) = path.filter(|path| !is_capprof(path)) {
        bail!("runtimes: {NAME} is {other} already: give that runtime another name first");
    }
    if let Some(text) = before
        && registered
    {
        return Ok(text.to_owned());
    }
    // No runtimeArgs: dockerd would write a shell wrapper for them, which stays between it and the runtime.
    runtimes.insert(NAME.to_owned(), json!({ "path": runtime }));
    write(&configuration, before)
}

/// The configuration without the runtime; `None` if nothing is left of it.
///
/// # Errors
/// As [`add`], or the runtime is the default one.
pub(super) fn remove(before: &str) -> anyhow::Result<Option<String>> {
    let mut configuration = parse(Some(before))?;
    if configuration.get("default-runtime") == Some(&json!(NAME)) {
        bail!("\"default-runtime\" is {NAME}: name another one first");
    }
    let Some(runtimes) = configuration
        .get_mut("runtimes")
        .filter(|runtimes| !runtimes.is_null())
    else {
        return Ok(Some(before.to_owned()));
    };
    let runtimes = runtimes
        .as_object_mut()
        .context("runtimes: not an object")?;
    if runtimes.shift_remove(NAME).is_none() {
        return Ok(Some(before.to_owned()));
    }
    if runtimes.is_empty() {
        configuration.shift_remove("runtimes");
    }
    if configuration.is_empty() {
        return Ok(None);
    }
    write(&configuration, Some(before)).map(Some)
}

fn parse(text: Option<&str>) -> anyhow::Result<Map<String, Value>> {
    // dockerd reads an empty file, and `null`, as an empty configuration, and ignores a byte order mark.
    let text = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    match text.filter(|text| !text.trim().is_empty()) {
        None => Ok(Map::new()),
        Some(text) => match serde_json::from_str(text)? {
            Value::Object(configuration) => Ok(configuration),
            Value::Null => Ok(Map::new()),
            _ => bail!("not an object"),
        },
    }
}

/// Indented as the former text was.
fn write(configuration: &Map<String, Value>, before: Option<&str>) -> anyhow::Result<String> {
    let indent: String = before
        .and_then(|text| {
            text.lines().find_map(|line| {
                let indent: String = line
                    .chars()
                    .take_while(|character| matches!(character, ' ' | '\t'))
                    .collect();
                (!indent.is_empty() && line.trim_start().starts_with('"')).then_some(indent)
            })
        })
        .unwrap_or_else(|| "    ".to_owned());
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    configuration.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, formatter,
    ))?;
    text.push(b'\n');
    Ok(String::from_utf8(text)?)
}
