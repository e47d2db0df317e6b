//! `capprofctl doctor`

use crate::cli::ListFormat;
use crate::exit::Exit;
use crate::{hook, output};
use anyhow::Context;
use capprof_profile::printable::{self, printable};
use serde_json::Value;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

/// Shows the hook binary's report on this host. It looks for recordings in progress in `state`, else in the configured directory.
///
/// # Errors
/// The hook binary could not be run, or its report cannot be read.
pub(crate) fn run(state: Option<&Path>, format: ListFormat) -> anyhow::Result<Exit> {
    let mut arguments = vec![OsStr::new("doctor")];
    arguments.extend(hook::state(state));
    let json = hook::run(&arguments)?;
    match format {
        ListFormat::Json => output::print_raw(&printable::json(&json))?,
        ListFormat::Text => {
            let report: Value =
                serde_json::from_str(&json).context("read the output of capprof-hook doctor")?;
            output::print(&text(&report))?;
        }
    }
    Ok(Exit::Success)
}

/// The report for people. Members that this version does not know are shown by their names.
fn text(report: &Value) -> String {
    let mut text = String::new();
    let recorders = report.get("recorders").and_then(Value::as_object);
    for (name, recorder) in recorders.into_iter().flatten() {
        let name = match name.as_str() {
            "ebpf" => "eBPF",
            "selinux" => "SELinux",
            other => other,
        };
        let method = recorder.get("method").and_then(Value::as_str).unwrap_or("");
        let state = match recorder.get("usable").and_then(Value::as_bool) {
            Some(true) if method.is_empty() => "can record".to_owned(),
            Some(true) => format!("can record, by {method}"),
            Some(false) => "cannot record".to_owned(),
            // SELinux's mode: off, permissive, enforcing.
            None => recorder
                .get("selinux")
                .and_then(Value::as_str)
                .unwrap_or("unknown")
                .to_owned(),
        };
        let _ = writeln!(text, "{name}: {state}");
        let mut shown = vec!["usable", "method", "selinux"];
        if let Some(attempts) = recorder.get("attempts").and_then(Value::as_array) {
            // They repeat `refused`, and add the methods that work.
            shown.extend(["attempts", "refused"]);
            for attempt in attempts {
                let field = |name| attempt.get(name).and_then(Value::as_str);
                let _ = writeln!(
                    text,
                    "  {}: {}",
                    field("method").unwrap_or("?"),
                    field("refused").unwrap_or("works")
                );
            }
        }
        for (key, value) in recorder.as_object().into_iter().flatten() {
            if !shown.contains(&key.as_str()) {
                describe(&mut text, key, value, 1);
            }
        }
        text.push('\n');
    }
    for (key, value) in report.as_object().into_iter().flatten() {
        if key != "recorders" {
            describe(&mut text, key, value, 0);
        }
    }
    text
}

fn describe(text: &mut String, key: &str, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    // Names of booleans and the like stay as they are.
    let name = match key.starts_with("capprof_") {
        true => key.to_owned(),
        false => key.replace('_', " "),
    };
    match value {
        Value::Null => {}
        Value::Bool(answer) => {
            let _ = writeln!(
                text,
                "{indent}{name}: {}",
                if *answer { "yes" } else { "no" }
            );
        }
        Value::Number(number) => {
            let _ = writeln!(text, "{indent}{name}: {number}");
        }
        Value::String(line) if line.is_empty() => {}
        Value::String(line) => {
            let _ = writeln!(text, "{indent}{name}: {}", printable(line));
        }
        Value::Array(entries) => {
            if !entries.is_empty() {
                let _ = writeln!(text, "{indent}{name}:");
            }
            for entry in entries {
                let _ = writeln!(text, "{indent}  {}", printable(&one_line(entry)));
            }
        }
        Value::Object(entries) => {
            if !entries.is_empty() {
                let _ = writeln!(text, "{indent}{name}:");
            }
            for (key, value) in entries {
                describe(text, key, value, depth + 1);
            }
        }
    }
}

/// An entry of a list: a blind spot as `CAPABILITY: reason`, an attempt as its values.
fn one_line(entry: &Value) -> String {
    match entry {
        Value::String(line) => line.clone(),
        Value::Object(fields) => fields
            .iter()
            // The heading already names the recorder.
            .filter(|(key, _)| *key != "recorder")
            .filter_map(|(_, value)| match value {
                Value::Null => None,
                Value::String(text) if text.is_empty() => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            })
            .collect::<Vec<_>>()
            .join(": "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_works_and_what_was_refused_is_told_in_words() {
        let report = json!({
            "version": "0.1.0",
            "recorders": {
                "ebpf": {
                    "usable": true,
                    "method": "tp_btf/cap_capable",
                    "attempts": [
                        {"method": "tp_btf/cap_capable", "refused": null},
                        {"method": "fexit/cap_capable", "refused": "load: Operation not permitted"},
                    ],
                    "refused": ["fexit/cap_capable: load: Operation not permitted"],
                    "loaded": false,
                },
                "selinux": {
                    "selinux": "enforcing",
                    "module": {"loaded": true, "booleans": {"capprof_recording": false}},
                    "scopes": {"host": {"possible": true, "blind_spots": [
                        {"capability": "CAP_CHOWN", "recorder": "selinux", "reason": "allowed without a record"},
                    ]}},
                    "problems": [],
                },
            },
            "recordings": 0,
        });
        assert_eq!(
            text(&report),
            "\
eBPF: can record, by tp_btf/cap_capable
  tp_btf/cap_capable: works
  fexit/cap_capable: load: Operation not permitted
  loaded: no

SELinux: enforcing
  module:
    loaded: yes
    booleans:
      capprof_recording: no
  scopes:
    host:
      possible: yes
      blind spots:
        CAP_CHOWN: allowed without a record

version: 0.1.0
recordings: 0
"
        );
    }
}
