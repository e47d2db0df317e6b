//! Makes the profile of a recording from its evidence.

use crate::classify::Context;
use crate::minimize::{self, Input, Minimized};
use crate::observation::{Evidence, RecorderName};
use crate::privileges::Privileges;
use crate::profile::{
    Conditions, HostReport, Origin, Profile, RecorderReport, RuntimeReport, SCHEMA, START_UNSEEN,
};
use crate::recording::Recording;
use crate::recording::SECCOMP;
use crate::today;
use std::collections::BTreeSet;

/// The refused system calls of an unknown filter.
static NONE: BTreeSet<String> = BTreeSet::new();

/// The minimized set, in its parts.
fn minimized(recording: &Recording, input: &Input<'_>) -> Minimized {
    let mut minimized = minimize::minimize(input);
    today::divide(
        &mut minimized.findings.needed,
        &minimized.findings.minimized_sets,
        input.original,
    );
    if recording.attached.is_some() {
        minimized.incomplete_because.push(START_UNSEEN.to_owned());
    }
    minimized
}

/// Makes the profile of a recording.
///
/// `reports` has a report of each recorder, `evidence` the observations of those that recorded, and `finished` is the time of their collection (RFC
/// 3339 in UTC).
pub fn profile(
    recording: &Recording,
    reports: Vec<RecorderReport>,
    evidence: Vec<(RecorderName, Evidence)>,
    finished: String,
    host: HostReport,
) -> Profile {
    let given = recording.grant.engine_grants.as_ref();
    let input = Input {
        context: Context::from(recording),
        program: recording.process.args.first().map_or("", String::as_str),
        original: &recording.grant.original,
        granted: &recording.grant.granted,
        preference: recording.results.preference,
        reports: &reports,
        evidence: &evidence,
        mode: recording.mode,
        unprivileged_port_start: given.and_then(|given| given.unprivileged_port_start),
        filter_refuses: given.map_or(&NONE, |given| &given.filter_refuses),
        filter_relaxed: recording
            .grant
            .relaxed
            .iter()
            .any(|relaxation| relaxation.pointer == SECCOMP),
    };
    let minimized = minimized(recording, &input);
    let denied_needs = match recording.follows_refusals() {
        true => minimize::denied_needs(&input),
        false => Vec::new(),
    };
    let privileges = recording
        .grant
        .engine_grants
        .as_ref()
        .map(|grants| Privileges::of(grants, &evidence));
    Profile {
        schema: SCHEMA.to_owned(),
        origin: Origin {
            recording_id: recording.id.clone(),
            container_id: recording.container.id.clone(),
            name: recording.container.name.clone(),
            workload: recording.container.workload.clone(),
            started: recording.created.clone(),
            finished,
            runtime: RuntimeReport {
                name: recording.container.runtime.name.clone(),
                path: recording.container.runtime.path.clone(),
            },
            process: recording.process.clone(),
            host,
        },
        complete: minimized.incomplete_because.is_empty(),
        incomplete_because: minimized.incomplete_because,
        conditions: Conditions {
            mode: recording.mode,
            attached: recording.attached.is_some(),
            in_progress: false,
            recorders_wanted: recording.recorders,
            original: recording.grant.original,
            granted: recording.grant.granted,
            relaxed: recording.grant.relaxed.clone(),
            recorders: reports,
        },
        findings: minimized.findings,
        exit: evidence.iter().find_map(|(_, evidence)| evidence.exit),
        verifies: recording.verifies().map(str::to_owned),
        denied_needs,
        verification: None,
        today: None,
        privileges,
        united: Vec::new(),
        shrunk: None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::CapabilitySet;
    use crate::fixtures::{full_evidence, host, recording, reports};
    use crate::observation::{DeviceKind, ProgramExit};
    use crate::privileges::{self, EngineGrants};
    use crate::profile::Shrunk;
    use serde_json::{Value, json};

    #[track_caller]
    pub(crate) fn is_valid(profile: &Profile) {
        let schema: Value =
            serde_json::from_str(include_str!("../../docs/profile.schema.json")).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let value = serde_json::to_value(profile).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        let read: Profile = serde_json::from_value(value).unwrap();
        assert_eq!(read, *profile);
    }

    fn full_privileges() -> Privileges {
        Privileges {
            engine_grants: EngineGrants {
                all_devices: true,
                host_namespaces: ["pid".to_owned()].into(),
                devices: [privileges::DeviceNumber {
                    kind: DeviceKind::Char,
                    major: 10,
                    minor: 229,
                }]
                .into(),
                ..EngineGrants::default()
            },
            devices: vec![privileges::Device {
                number: privileges::DeviceNumber {
                    kind: DeviceKind::Char,
                    major: 10,
                    minor: 232,
                },
                node: Some("kvm".to_owned()),
                access: "rw".to_owned(),
                access_only: "r".to_owned(),
                programs: ["qemu".to_owned()].into(),
            }],
            sysctls: vec![privileges::Sysctl {
                name: "net.ipv4.ip_forward".to_owned(),
                values: ["1".to_owned()].into(),
                programs: ["sysctl".to_owned()].into(),
            }],
            syscalls: vec![privileges::GatedCall {
                name: "mount".to_owned(),
                programs: ["mount".to_owned()].into(),
            }],
            ping_sockets: vec![privileges::PingSocket {
                group: Some(1000),
                programs: ["ping".to_owned()].into(),
            }],
            not_observed: ["devices opened: refused".to_owned()].into(),
        }
    }

    #[test]
    fn profiles_agree_with_the_schema() {
        let recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let finished = || "2026-11-23T15:02:00Z".to_owned();
        let mut full = profile(&recording, reports(), full_evidence(), finished(), host());
        is_valid(&full);
        full.privileges = Some(full_privileges());
        is_valid(&full);
        full.shrunk = Some(Shrunk {
            set: full.findings.minimized,
            sets: full.findings.minimized_sets,
            left_out: CapabilitySet::EMPTY,
            added: CapabilitySet::EMPTY,
            check: Some("true".to_owned()),
            command: vec!["docker".to_owned(), "run".to_owned()],
            runs: 3,
            finished: finished(),
        });
        is_valid(&full);
        assert!(!full.complete);
        assert_eq!(full.exit, Some(ProgramExit::Code(3)));
        assert!(
            !full.findings.needed.is_empty()
                && !full.findings.dismissed.is_empty()
                && !full.findings.denied.is_empty()
        );
        let empty = profile(
            &recording,
            reports(),
            vec![(RecorderName::Ebpf, Evidence::default())],
            finished(),
            host(),
        );
        is_valid(&empty);
        assert!(empty.complete && empty.findings.minimized.is_empty());
        is_valid(&profile(&recording, vec![], vec![], finished(), host()));
    }

    #[test]
    fn a_recording_of_an_older_version_has_no_privileges() {
        let mut recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let privileges = |recording: &Recording| {
            profile(recording, reports(), vec![], String::new(), host()).privileges
        };
        assert!(privileges(&recording).is_some());
        recording.grant.engine_grants = None;
        assert_eq!(privileges(&recording), None);
    }

    #[test]
    fn profiles_with_the_old_names_are_read() {
        let recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let mut full = profile(
            &recording,
            reports(),
            full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        );
        full.denied_needs = full.findings.needed.clone();
        full.privileges = Some(full_privileges());
        full.verification = Some(crate::verify::judge(
            &full,
            &full,
            &crate::verification::Outside::nothing(),
        ));
        let mut text = serde_json::to_string(&full).unwrap();
        for (old, new) in [
            ("silent", "dismissed"),
            ("missed", "denied_needs"),
            ("broke", "failures"),
            ("add", "suggested"),
            ("given", "engine_grants"),
            ("asked", "access_only"),
        ] {
            let new = format!("\"{new}\":");
            assert_eq!(text.matches(&new).count(), 1, "{new}");
            text = text.replace(&new, &format!("\"{old}\":"));
        }
        assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), full);
    }

    #[test]
    fn the_schema_refuses_what_is_not_a_profile() {
        let schema: Value =
            serde_json::from_str(include_str!("../../docs/profile.schema.json")).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let good = serde_json::to_value(profile(
            &recording,
            reports(),
            full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        ))
        .unwrap();
        assert!(validator.is_valid(&good));
        for (pointer, value) in [
            ("/complete", json!(true)),
            ("/minimized", json!(["chown"])),
            ("/needed/0/reason", json!("because")),
            ("/schema", json!("capprof.profile/v2")),
            ("/recording_id", json!("../../etc")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(!validator.is_valid(&bad), "{pointer}");
        }
    }

    #[test]
    fn every_field_is_described() {
        let text = include_str!("../../docs/profile.md");
        let schema: Value =
            serde_json::from_str(include_str!("../../docs/profile.schema.json")).unwrap();
        for pointer in [
            "/properties",
            "/$defs/need/properties",
            "/$defs/dismissed/properties",
            "/$defs/sets/properties",
            "/$defs/outcome/properties",
            "/$defs/verification/properties",
            "/$defs/comparison/properties",
            "/$defs/today/properties",
            "/$defs/privileges/properties",
            "/$defs/privileges/properties/engine_grants/properties",
            "/$defs/device/properties",
            "/$defs/sysctl/properties",
            "/$defs/gated_call/properties",
        ] {
            for field in schema.pointer(pointer).unwrap().as_object().unwrap().keys() {
                assert!(
                    text.contains(&format!("`{field}`")),
                    "{field} is not in docs/profile.md"
                );
            }
        }
    }
}
