//! The outcome of a check in the forms that people and pipelines read.

use super::outcome::CheckOutcome;
use crate::render;
use capprof_profile::{Capability, CapabilitySet};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The bytes of a path that a URI reference cannot have as they are: all but `/` and the unreserved characters of RFC 3986, 2.3.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The schema that a SARIF log names.
const SARIF: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The value of `schema` in JSON.
const SCHEMA: &str = "capprof.check/v1";

/// The form for people: each finding, or a line that there is none.
pub(super) fn text(outcome: &CheckOutcome<'_>) -> String {
    if outcome.findings.is_empty() {
        return format!(
            "passed: {} needs {}, all of which {} allows\n",
            render::title(outcome.profile),
            outcome.profile.answer().0,
            outcome.limit.name
        );
    }
    let mut text = String::new();
    for finding in &outcome.findings {
        text.push_str(&finding.message);
        text.push('\n');
    }
    text
}

/// The form for scripts.
pub(super) fn json(outcome: &CheckOutcome<'_>) -> Value {
    let beyond: CapabilitySet = outcome
        .findings
        .iter()
        .filter_map(|it| it.capability)
        .collect();
    let messages: Vec<&str> = outcome
        .findings
        .iter()
        .map(|it| it.message.as_str())
        .collect();
    json!({
        "schema": SCHEMA,
        "recording_id": outcome.profile.origin.recording_id,
        "passed": outcome.findings.is_empty(),
        "needed": outcome.profile.answer().0,
        "allowed": outcome.limit.allowed,
        "beyond": beyond,
        "messages": messages,
    })
}

/// The Static Analysis Results Interchange Format (OASIS SARIF 2.1.0), which code hosts show next to changes. A finding points to the file with the
/// allowed capabilities, because a change of that file would allow it; code hosts show no finding without a file.
pub(super) fn sarif(outcome: &CheckOutcome<'_>) -> Value {
    let mut place = json!({
        "logicalLocations": [{"name": render::title(outcome.profile), "kind": "container"}],
    });
    if let Some(file) = &outcome.limit.file {
        place["physicalLocation"] = json!({
            "artifactLocation": {"uri": uri_reference(file)},
            "region": {"startLine": 1},
        });
    }
    let mut rules: Vec<Option<Capability>> =
        outcome.findings.iter().map(|it| it.capability).collect();
    rules.sort();
    rules.dedup();
    let results: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": rule_id(finding.capability),
                "ruleIndex": rules.iter().position(|it| *it == finding.capability),
                "level": "error",
                "message": {"text": finding.message},
                "locations": [place],
            })
        })
        .collect();
    let rules: Vec<_> = rules.iter().map(|it| rule(*it)).collect();
    json!({
        "$schema": SARIF,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "capprofctl",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    })
}

fn rule_id(capability: Option<Capability>) -> String {
    capability.map_or_else(|| "conditions".to_owned(), |it| it.to_string())
}

/// A rule in SARIF (3.49, reportingDescriptor): for a capability that is needed and not allowed, or for any other obstacle.
fn rule(capability: Option<Capability>) -> Value {
    let Some(capability) = capability else {
        return json!({
            "id": rule_id(None),
            "shortDescription": {"text": "The profile is incomplete, or the workload breaks another rule of the level."},
            "fullDescription": {"text": "The limit has conditions that are no capabilities, or the profile cannot be relied on."},
            "help": {"text": "Profile the workload again if the profile is incomplete. Otherwise change what the message names."},
        });
    };
    let words = render::words(capability);
    json!({
        "id": rule_id(Some(capability)),
        "shortDescription": {"text": format!("The workload needs {capability}, which is not allowed.")},
        "fullDescription": {"text": format!(
            "{capability} lets a process {}. The risk is {}: {}.", words.does, words.risk.word(), words.risk.meaning()
        )},
        "help": {"text": format!(
            "Allow {capability}, or change the workload so that it does without. `capprofctl explain {capability}` says what Linux asks it for."
        )},
    })
}

/// A path as a reference in the sense of RFC 3986: relative if the path is, else with the scheme `file`.
fn uri_reference(path: &Path) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::new();
    if path.is_absolute() {
        uri.push_str("file://");
    }
    uri.extend(percent_encode(path.as_os_str().as_bytes(), PATH));
    uri
}

/// JUnit's XML, as CI systems read it: a case for each needed capability, and one for each finding about something else.
pub(super) fn junit(outcome: &CheckOutcome<'_>) -> String {
    let mut cases: Vec<(String, Option<&str>)> = outcome
        .profile
        .answer()
        .0
        .iter()
        .map(|capability| {
            let finding = outcome
                .findings
                .iter()
                .find(|it| it.capability == Some(capability));
            (
                capability.to_string(),
                finding.map(|it| it.message.as_str()),
            )
        })
        .collect();
    for finding in outcome.findings.iter().filter(|it| it.capability.is_none()) {
        cases.push(("conditions".to_owned(), Some(&finding.message)));
    }
    if cases.is_empty() {
        cases.push(("needs no capability".to_owned(), None));
    }
    let failures = cases
        .iter()
        .filter(|(_, failure)| failure.is_some())
        .count();
    let title = escaped(&render::title(outcome.profile));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{title}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\">\n",
        cases.len()
    );
    for (name, failure) in cases {
        let name = escaped(&name);
        // Writing to a string does not fail.
        let _ = match failure {
            None => writeln!(xml, "    <testcase classname=\"capprof\" name=\"{name}\"/>"),
            Some(message) => writeln!(
                xml,
                "    <testcase classname=\"capprof\" name=\"{name}\"><failure message=\"{}\"/></testcase>",
                escaped(message)
            ),
        };
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Escapes text for XML (Extensible Markup Language 1.0, 2.2 and 2.4); characters that no document may contain become `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push('?'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::check::allowed::Allowed;
    use crate::command::check::outcome::findings;
    use capprof_profile::fixtures::{full_evidence, host, recording, reports};
    use capprof_profile::pod_security::Level;
    use capprof_profile::profile::Profile;

    fn profile() -> Profile {
        capprof_profile::recorded_profile::profile(
            &recording("a<b", "20260101T000000Z-00000001"),
            reports(),
            full_evidence(),
            "2026-01-01T00:00:00Z".to_owned(),
            host(),
        )
    }

    fn limit(allowed: CapabilitySet, level: Option<Level>) -> Allowed {
        Allowed {
            name: "the list".to_owned(),
            allowed,
            level,
            file: None,
        }
    }

    #[test]
    fn what_is_allowed_passes_in_each_form() {
        let profile = profile();
        let limit = limit(Capability::all().collect(), None);
        let outcome = CheckOutcome {
            profile: &profile,
            limit: &limit,
            findings: findings(&profile, &limit)
                .into_iter()
                .filter(|finding| finding.capability.is_some())
                .collect(),
        };
        assert!(text(&outcome).starts_with("passed: "));
        assert_eq!(json(&outcome)["passed"], true);
        assert!(junit(&outcome).contains(" failures=\"0\""));
        let value = sarif(&outcome);
        assert_eq!(value["runs"][0]["results"], serde_json::json!([]));
    }

    #[test]
    fn what_is_beyond_is_named_in_each_form() {
        let profile = profile();
        let limit = limit(CapabilitySet::EMPTY, Some(Level::Restricted));
        let outcome = CheckOutcome {
            profile: &profile,
            limit: &limit,
            findings: findings(&profile, &limit),
        };
        let first = profile.answer().0.iter().next().unwrap().to_string();
        assert!(text(&outcome).contains(&format!("the list does not allow {first}")));
        let value = sarif(&outcome);
        assert_eq!(value["runs"][0]["results"][0]["ruleId"], first.as_str());
        assert_eq!(
            value["runs"][0]["tool"]["driver"]["rules"][0]["id"],
            "conditions"
        );
        let xml = junit(&outcome);
        assert!(
            xml.contains(&format!(
                "name=\"{first}\"><failure message=\"the list does not"
            )),
            "{xml}"
        );
        assert!(!xml.contains("a<b"), "{xml}");
    }

    #[test]
    fn a_finding_is_shown_at_the_file_that_does_not_allow_it() {
        let profile = profile();
        let mut limit = limit(CapabilitySet::EMPTY, None);
        for (path, expected) in [
            ("./ci/allowed set", "ci/allowed%20set"),
            ("/etc/allowed", "file:///etc/allowed"),
            ("50%", "50%25"),
        ] {
            limit.file = Some(path.into());
            let outcome = CheckOutcome {
                profile: &profile,
                limit: &limit,
                findings: findings(&profile, &limit),
            };
            let value = sarif(&outcome);
            let results = value["runs"][0]["results"].as_array().unwrap();
            assert!(!results.is_empty());
            for result in results {
                let place = &result["locations"][0]["physicalLocation"];
                assert_eq!(place["artifactLocation"]["uri"], expected);
            }
        }
    }
}
