//! A recording and its evidence made into a profile and a minimized configuration.

use crate::CapabilitySet;
use crate::classify::Context;
use crate::minimize::{self, Input};
use crate::observation::{Evidence, Recorder};
use crate::recording::Recording;
use crate::result::{HostReport, ProcessReport, Profile, RecorderReport, RuntimeReport, SCHEMA};
use serde_json::{Map, Value, json};

/// Makes the profile of a recording.
///
/// `reports` say what became of each recorder, `evidence` what those that recorded brought home, `finished` when that was (RFC 3339 in
/// UTC).
pub fn profile(
    recording: &Recording,
    reports: Vec<RecorderReport>,
    evidence: Vec<(Recorder, Evidence)>,
    finished: String,
    host: HostReport,
) -> Profile {
    let minimized = minimize::minimize(&Input {
        context: Context::from(recording),
        original: &recording.original,
        granted: &recording.granted,
        preference: recording.preference,
        reports: &reports,
        evidence: &evidence,
    });
    Profile {
        schema: SCHEMA.to_owned(),
        recording_id: recording.id.clone(),
        container_id: recording.container_id.clone(),
        name: recording.name.clone(),
        workload: recording.workload.clone(),
        started: recording.created.clone(),
        finished,
        complete: minimized.incomplete_because.is_empty(),
        incomplete_because: minimized.incomplete_because,
        runtime: RuntimeReport {
            name: recording.runtime.name.clone(),
            path: recording.runtime.path.clone(),
        },
        process: ProcessReport {
            args: recording.args.clone(),
            uid: recording.uid,
            user_namespace: recording.user_namespace,
            no_new_privileges: recording.no_new_privileges,
        },
        host,
        recorders_wanted: recording.recorders,
        original: recording.original,
        granted: recording.granted,
        minimized: minimized.set,
        minimized_sets: minimized.sets,
        needed: minimized.needed,
        silent: minimized.silent,
        denied: minimized.denied,
        blind_spots: minimized.blind_spots,
        relaxed: recording.relaxed.clone(),
        recorders: reports,
        notes: minimized.notes,
    }
}

/// The engine's configuration with its capability sets replaced by the minimized ones, and nothing else touched: key order and numbers
/// survive. A configuration without a `process` object is given back as it is.
pub fn minimized_configuration(mut original: Value, profile: &Profile) -> Value {
    let Some(process) = original.get_mut("process").and_then(Value::as_object_mut) else {
        return original;
    };
    let sets = &profile.minimized_sets;
    let capabilities = process
        .entry("capabilities")
        .or_insert_with(|| Value::Object(Map::new()));
    if !capabilities.is_object() {
        *capabilities = Value::Object(Map::new());
    }
    if let Some(capabilities) = capabilities.as_object_mut() {
        for (name, set) in [
            ("bounding", sets.bounding),
            ("effective", sets.effective),
            ("permitted", sets.permitted),
            ("inheritable", sets.inheritable),
            ("ambient", sets.ambient),
        ] {
            // A set that was not there and would be empty stays away.
            if !set.is_empty() || capabilities.contains_key(name) {
                capabilities.insert(name.to_owned(), names(set));
            }
        }
    }
    original
}

fn names(set: CapabilitySet) -> Value {
    json!(
        set.iter()
            .map(|capability| capability.to_string())
            .collect::<Vec<_>>()
    )
}
