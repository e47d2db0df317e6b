//! Examples for tests, of this crate and of those that use it (feature `fixtures`): observations as the recorders make them, a recording,
//! and evidence with everything that can be in a profile.

use crate::observation::{
    Audit, BlindSpot, Capset, CheckAnswer, Evidence, Execution, FileCapabilities, Namespace,
    Observation, ProgramExit, RecorderName, Syscall,
};
use crate::privileges::EngineGrants;
use crate::profile::{HostReport, Profile, RecorderReport};
use crate::recording::{
    Container, ContainerProcess, Delivery, Grant, JudgedBy, Mode, Process, ProcessSets, Recording,
    Relaxation, ResultSettings, Runtime, Workload,
};
use crate::settings::{Preference, Recorders};
use crate::{Capability, CapabilitySet};

/// A granted check seen by eBPF through the tracepoint, which does not tell whether the kernel asked silently.
pub fn check(capability: Capability, syscall: &str, call_site: &[&str]) -> Observation {
    Observation {
        recorder: RecorderName::Ebpf,
        capability,
        verdict: CheckAnswer::Granted,
        namespace: Namespace::Own,
        audit: Audit::Unknown,
        overridden: false,
        own_mount: false,
        by_owner: false,
        pre_exec: false,
        joined: false,
        as_root: false,
        without_effect: false,
        program: "program".to_owned(),
        executable: Some("/usr/bin/program".into()),
        pid: 4711,
        syscall: Some(Syscall {
            number: match syscall {
                "" => -1,
                _ => 1,
            },
            name: syscall.to_owned(),
        }),
        argument: None,
        call_site: call_site.iter().map(|frame| (*frame).to_owned()).collect(),
        path: None,
        object: None,
        count: 1,
        first_ms: 5,
        last_ms: 5,
        results: None,
    }
}

/// An access vector cache record: no call site, no system call, no silent checks.
pub fn record(capability: Capability) -> Observation {
    Observation {
        recorder: RecorderName::Selinux,
        audit: Audit::Audited,
        syscall: None,
        executable: None,
        ..check(capability, "", &[])
    }
}

/// The recording of a web server under docker.
pub fn recording(container_id: &str, id: &str) -> Recording {
    let all: CapabilitySet = Capability::all().collect();
    Recording {
        schema: crate::recording::SCHEMA.to_owned(),
        id: id.to_owned(),
        mode: Mode::Profile,
        profile: None,
        judge: JudgedBy::Hook,
        attached: None,
        unit: None,
        created: "2026-11-23T15:01:02Z".to_owned(),
        container: Container {
            id: container_id.to_owned(),
            name: Some("web".to_owned()),
            workload: Workload {
                image: Some("docker.io/library/nginx:1.27".to_owned()),
                ..Workload::default()
            },
            bundle: "/run/bundle".into(),
            bundle_identity: None,
            configuration: "/run/bundle/config.json".into(),
            delivery: Delivery::default(),
            root_filesystem: Some("/run/bundle/rootfs".into()),
            bind_mounts: Vec::new(),
            runtime: Runtime {
                name: "runc".to_owned(),
                path: "/usr/bin/runc".into(),
                state: "/run/runc/web".into(),
            },
        },
        shim: Process {
            pid: 1,
            start_time: 1,
        },
        process: ContainerProcess {
            args: vec![
                "nginx".to_owned(),
                "-g".to_owned(),
                "daemon off;".to_owned(),
            ],
            uid: 0,
            user_namespace: false,
            no_new_privileges: false,
        },
        grant: Grant {
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
            engine_grants: Some(EngineGrants::default()),
            label: None,
        },
        recorders: Recorders::Auto,
        results: ResultSettings {
            output: None,
            output_identity: None,
            store: "/var/lib/capprof".into(),
            retention: 20,
            fail_on_error: false,
            preference: Preference::Default,
        },
    }
}

/// The reports of the recorders: eBPF recorded, SELinux is off.
pub fn reports() -> Vec<RecorderReport> {
    vec![
        RecorderReport {
            recorder: RecorderName::Ebpf,
            recorded: true,
            method: "tp_btf/cap_capable".to_owned(),
            scope: None,
            refused: vec![],
            results_unseen: None,
        },
        RecorderReport {
            recorder: RecorderName::Selinux,
            recorded: false,
            method: String::new(),
            scope: None,
            refused: vec!["SELinux is not enabled on this host".to_owned()],
            results_unseen: None,
        },
    ]
}

/// A host.
pub fn host() -> HostReport {
    HostReport {
        kernel: "6.12.117+deb13-amd64".to_owned(),
        architecture: "x86_64".to_owned(),
        capprof: "0.1.0".to_owned(),
    }
}

/// The profile of a recording in which only eBPF recorded something.
pub fn profile(recording: &Recording, finished: &str, evidence: Evidence) -> Profile {
    crate::recorded_profile::profile(
        recording,
        reports(),
        vec![(RecorderName::Ebpf, evidence)],
        finished.to_owned(),
        host(),
    )
}

/// Everything that can be in a profile.
pub fn full_evidence() -> Vec<(RecorderName, Evidence)> {
    vec![
        (
            RecorderName::Ebpf,
            Evidence {
                observations: full_observations(),
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
                    nested: false,
                    memory_policy: false,
                    count: 1,
                }],
                capsets: vec![Capset {
                    program: "nginx".to_owned(),
                    executable: None,
                    held: Capability::all().collect(),
                    effective: CapabilitySet::EMPTY,
                    permitted: [Capability::SETUID].into_iter().collect(),
                    inheritable: CapabilitySet::EMPTY,
                    ambient: CapabilitySet::EMPTY,
                    as_root: false,
                    count: 1,
                }],
                losses: vec!["2 checks lost: map full".to_owned()],
                blind_spots: vec![BlindSpot {
                    capability: None,
                    recorder: RecorderName::Ebpf,
                    reason: "kernel functions could not be named".to_owned(),
                }],
                exit: Some(ProgramExit::Code(3)),
                looks_beyond: true,
                ..Evidence::default()
            },
        ),
        (
            RecorderName::Selinux,
            Evidence {
                observations: vec![record(Capability::NET_BIND_SERVICE)],
                ..Evidence::default()
            },
        ),
    ]
}

fn full_observations() -> Vec<Observation> {
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
        verdict: CheckAnswer::Denied,
        namespace: Namespace::Initial,
        results: Some(crate::observation::Results {
            eperm: 1,
            ..crate::observation::Results::default()
        }),
        ..check(
            Capability::SYS_TIME,
            "adjtimex",
            &["capable", "timekeeping_validate_timex"],
        )
    };
    vec![
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
    ]
}

/// One change that a fuzz test makes to a text.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The position, in 65536ths of the text's length.
    pub place: u16,
    /// The number of bytes that are taken out.
    pub removed: u8,
    /// The bytes that replace them.
    pub inserted: Vec<u8>,
}

/// The text after these changes.
pub fn mutated(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut text = text.to_vec();
    for edit in edits {
        let start = (text.len() * usize::from(edit.place)) >> 16;
        let end = text.len().min(start + usize::from(edit.removed));
        text.splice(start..end, edit.inserted.iter().copied());
    }
    text
}

/// Insertions that a parser of JSON or TOML treats in a special way.
pub const TOKENS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"0.10",
    b"\\ud800",
    b"\\u0000",
    b"\x1b[2J",
    b"\xc2\x9b",
    b"\xff",
    b"/**/",
    b"[[[[[[[[",
    b"\"process\":",
    b"\"CAP_CHOWN\"",
    b"\"a\":{\"a\":",
    b"\n",
];
