//! A recording and its evidence made into a profile and a minimized configuration.

use crate::CapabilitySet;
use crate::classify::Context;
use crate::minimize::{self, Input};
use crate::observation::{Evidence, Recorder};
use crate::privileges::Privileges;
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
    let input = Input {
        context: Context::from(recording),
        original: &recording.original,
        granted: &recording.granted,
        preference: recording.preference,
        reports: &reports,
        evidence: &evidence,
        verifying: recording.verifies().is_some(),
        unprivileged_port_start: recording
            .given
            .as_ref()
            .and_then(|given| given.unprivileged_port_start),
    };
    let minimized = minimize::minimize(&input);
    let missed = match recording.verifies() {
        Some(_) => minimize::missed(&input),
        None => Vec::new(),
    };
    let privileges = Privileges::of(recording, &evidence);
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
        exit: evidence.iter().find_map(|(_, evidence)| evidence.exit),
        verifies: recording.verifies().map(str::to_owned),
        missed,
        verification: None,
        privileges,
        shrunk: None,
    }
}

/// The engine's configuration with its capability sets replaced by the minimized ones, and nothing else touched: key order and numbers
/// survive. A configuration without a `process` object is given back as it is.
pub fn minimized_configuration(mut original: Value, profile: &Profile) -> Value {
    if let Some(process) = original.get_mut("process").and_then(Value::as_object_mut) {
        set_capabilities(process, &profile.minimized_sets.named());
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
pub(crate) mod tests {
    use super::*;
    use crate::Capability;
    use crate::configuration::Preference;
    use crate::observation::{
        BlindSpot, Capset, DeviceKind, Execution, Exit, FileCapabilities, Namespace, Observation,
        Results, Verdict,
    };
    use crate::privileges::{self, Given};
    use crate::recording::{Mode, Process, ProcessSets, Recorders, Relaxation, Runtime, Workload};
    use crate::result::Shrunk;
    use crate::testing::{check, record};

    pub(crate) fn recording(container_id: &str, id: &str) -> Recording {
        let all: CapabilitySet = Capability::all().collect();
        Recording {
            schema: crate::recording::SCHEMA.to_owned(),
            id: id.to_owned(),
            mode: Mode::Profile,
            profile: None,
            container_id: container_id.to_owned(),
            name: Some("web".to_owned()),
            workload: Workload {
                image: Some("docker.io/library/nginx:1.27".to_owned()),
                ..Workload::default()
            },
            created: "2026-11-23T15:01:02Z".to_owned(),
            bundle: "/run/bundle".into(),
            configuration: "/run/bundle/config.json".into(),
            runtime: Runtime {
                name: "runc".to_owned(),
                path: "/usr/bin/runc".into(),
                state: "/run/runc/web".into(),
            },
            shim: Process {
                pid: 1,
                start_time: 1,
            },
            uid: 0,
            args: vec![
                "nginx".to_owned(),
                "-g".to_owned(),
                "daemon off;".to_owned(),
            ],
            user_namespace: false,
            no_new_privileges: false,
            root_filesystem: Some("/run/bundle/rootfs".into()),
            bind_mounts: Vec::new(),
            original: ProcessSets {
                bounding: [Capability::CHOWN, Capability::NET_RAW]
                    .into_iter()
                    .collect(),
                ..ProcessSets::default()
            },
            granted: ProcessSets {
                bounding: all,
                effective: all,
                permitted: all,
                ..ProcessSets::default()
            },
            relaxed: vec![Relaxation {
                pointer: "/linux/seccomp".to_owned(),
                change: "default action SCMP_ACT_ERRNO now SCMP_ACT_ALLOW".to_owned(),
            }],
            given: Some(Given::default()),
            recorders: Recorders::Auto,
            label: None,
            output: None,
            store: "/var/lib/capprof".into(),
            retention: 20,
            fail_on_error: false,
            preference: Preference::Default,
        }
    }

    pub(crate) fn reports() -> Vec<RecorderReport> {
        vec![
            RecorderReport {
                recorder: Recorder::Ebpf,
                recorded: true,
                method: "tp_btf/cap_capable".to_owned(),
                refused: vec![],
            },
            RecorderReport {
                recorder: Recorder::Selinux,
                recorded: false,
                method: String::new(),
                refused: vec!["SELinux is not enabled on this host".to_owned()],
            },
        ]
    }

    pub(crate) fn host() -> HostReport {
        HostReport {
            kernel: "6.12.117+deb13-amd64".to_owned(),
            architecture: "x86_64".to_owned(),
            capprof: "0.1.0".to_owned(),
        }
    }

    /// Everything that can be in a profile.
    pub(crate) fn full_evidence() -> Vec<(Recorder, Evidence)> {
        let bind = Observation {
            program: "nginx".to_owned(),
            count: 2,
            ..check(
                Capability::NET_BIND_SERVICE,
                "bind",
                &["ns_capable", "__inet_bind", "inet_bind", "__sys_bind"],
            )
        };
        let refused = Observation {
            verdict: Verdict::Denied,
            namespace: Namespace::Initial,
            results: Some(Results {
                eperm: 1,
                ..Results::default()
            }),
            ..check(
                Capability::SYS_TIME,
                "adjtimex",
                &["capable", "ntp_validate_timex"],
            )
        };
        vec![
            (
                Recorder::Ebpf,
                Evidence {
                    observations: vec![
                        bind,
                        refused,
                        check(
                            Capability::SYS_ADMIN,
                            "brk",
                            &["security_vm_enough_memory_mm"],
                        ),
                        check(
                            Capability::DAC_READ_SEARCH,
                            "openat",
                            &["capable_wrt_inode_uidgid", "generic_permission"],
                        ),
                        check(
                            Capability::DAC_OVERRIDE,
                            "linkat",
                            &["generic_permission", "may_linkat"],
                        ),
                    ],
                    executions: vec![Execution {
                        path: "/usr/bin/ping".into(),
                        uid: 0,
                        file_capabilities: Some(FileCapabilities {
                            permitted: [Capability::NET_RAW].into_iter().collect(),
                            inheritable: CapabilitySet::EMPTY,
                            effective: true,
                        }),
                        unreadable: None,
                        gained: CapabilitySet::EMPTY,
                        count: 1,
                    }],
                    capsets: vec![Capset {
                        program: "nginx".to_owned(),
                        executable: None,
                        held: Capability::all().collect(),
                        effective: CapabilitySet::EMPTY,
                        permitted: [Capability::SETUID].into_iter().collect(),
                        inheritable: CapabilitySet::EMPTY,
                        count: 1,
                    }],
                    losses: vec!["2 checks lost: map full".to_owned()],
                    blind_spots: vec![BlindSpot {
                        capability: None,
                        recorder: Recorder::Ebpf,
                        reason: "kernel functions could not be named".to_owned(),
                    }],
                    exit: Some(Exit::Code(3)),
                    looks_beyond: true,
                    ..Evidence::default()
                },
            ),
            (
                Recorder::Selinux,
                Evidence {
                    observations: vec![record(Capability::NET_BIND_SERVICE)],
                    ..Evidence::default()
                },
            ),
        ]
    }

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

    #[test]
    fn profiles_agree_with_the_schema() {
        let recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let finished = || "2026-11-23T15:02:00Z".to_owned();
        let mut full = profile(&recording, reports(), full_evidence(), finished(), host());
        is_valid(&full);
        full.privileges = Some(Privileges {
            given: Given {
                all_devices: true,
                host_namespaces: ["pid".to_owned()].into(),
                devices: [privileges::DeviceNumber {
                    kind: DeviceKind::Char,
                    major: 10,
                    minor: 229,
                }]
                .into(),
                ..Given::default()
            },
            devices: vec![privileges::Device {
                number: privileges::DeviceNumber {
                    kind: DeviceKind::Char,
                    major: 10,
                    minor: 232,
                },
                node: Some("kvm".to_owned()),
                access: "rw".to_owned(),
                asked: "r".to_owned(),
                programs: ["qemu".to_owned()].into(),
            }],
            sysctls: vec![privileges::Sysctl {
                name: "net.ipv4.ip_forward".to_owned(),
                values: ["1".to_owned()].into(),
                programs: ["sysctl".to_owned()].into(),
            }],
            syscalls: vec![privileges::Call {
                name: "mount".to_owned(),
                programs: ["mount".to_owned()].into(),
            }],
            not_observed: ["devices opened: refused".to_owned()].into(),
        });
        is_valid(&full);
        full.shrunk = Some(Shrunk {
            set: full.minimized,
            sets: full.minimized_sets,
            left_out: CapabilitySet::EMPTY,
            added: CapabilitySet::EMPTY,
            check: Some("true".to_owned()),
            command: vec!["docker".to_owned(), "run".to_owned()],
            runs: 3,
            finished: finished(),
        });
        is_valid(&full);
        assert!(!full.complete);
        assert_eq!(full.exit, Some(Exit::Code(3)));
        assert!(!full.needed.is_empty() && !full.silent.is_empty() && !full.denied.is_empty());
        let empty = profile(
            &recording,
            reports(),
            vec![(Recorder::Ebpf, Evidence::default())],
            finished(),
            host(),
        );
        is_valid(&empty);
        assert!(empty.complete && empty.minimized.is_empty());
        is_valid(&profile(&recording, vec![], vec![], finished(), host()));
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
            "/$defs/privileges/properties",
            "/$defs/privileges/properties/given/properties",
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
        let profile = profile(&recording, reports(), evidence, String::new(), host());
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
}
