mod blind_spots;
mod choice;
mod filter;
mod need;
mod properties;
mod recorders;

use super::*;
use crate::classify::Context;
use crate::fixtures::check;
use crate::minimize::input::evidence_of;
use crate::observation::{
    Capset, Evidence, Execution, FileCapabilities, Observation, RecorderName,
};
use crate::profile::RecorderReport;
use crate::recording::{Mode, ProcessSets};
use crate::settings::Preference;
use crate::{Capability, CapabilitySet};
use std::collections::BTreeSet;

const DOCKER: [Capability; 4] = [
    Capability::CHOWN,
    Capability::DAC_OVERRIDE,
    Capability::FOWNER,
    Capability::NET_RAW,
];

fn set(capabilities: &[Capability]) -> CapabilitySet {
    capabilities.iter().copied().collect()
}

struct Case {
    uid: u32,
    program: &'static str,
    original: ProcessSets,
    granted: ProcessSets,
    preference: Preference,
    reports: Vec<RecorderReport>,
    evidence: Vec<(RecorderName, Evidence)>,
    unprivileged_port_start: Option<u16>,
    filter_refuses: BTreeSet<String>,
    filter_relaxed: bool,
}

impl Default for Case {
    fn default() -> Self {
        let all: CapabilitySet = Capability::all().collect();
        Self {
            uid: 0,
            program: "ping",
            original: ProcessSets::default(),
            granted: ProcessSets {
                bounding: all,
                effective: all,
                permitted: all,
                ..ProcessSets::default()
            },
            preference: Preference::Default,
            reports: Vec::new(),
            evidence: Vec::new(),
            unprivileged_port_start: None,
            filter_refuses: BTreeSet::new(),
            filter_relaxed: true,
        }
    }
}

impl Case {
    fn seen(observations: Vec<Observation>) -> Self {
        let mut case = Self::default();
        for recorder in [RecorderName::Ebpf, RecorderName::Selinux] {
            let observations: Vec<_> = observations
                .iter()
                .filter(|check| check.recorder == recorder)
                .cloned()
                .collect();
            if !observations.is_empty() {
                case.evidence.push((
                    recorder,
                    Evidence {
                        observations,
                        ..Evidence::default()
                    },
                ));
            }
        }
        case
    }

    fn evidence(&mut self, recorder: RecorderName) -> &mut Evidence {
        if evidence_of(&self.input(), recorder).is_none() {
            self.evidence.push((recorder, Evidence::default()));
        }
        self.evidence
            .iter_mut()
            .find(|(of, _)| *of == recorder)
            .map(|(_, evidence)| evidence)
            .unwrap()
    }

    fn input(&self) -> Input<'_> {
        Input {
            context: Context {
                uid: self.uid,
                user_namespace: false,
                no_new_privileges: false,
                granted: self.granted.bounding,
            },
            program: self.program,
            original: &self.original,
            granted: &self.granted,
            preference: self.preference,
            reports: &self.reports,
            evidence: &self.evidence,
            mode: Mode::Profile,
            unprivileged_port_start: self.unprivileged_port_start,
            filter_refuses: &self.filter_refuses,
            filter_relaxed: self.filter_relaxed,
        }
    }

    fn minimize(&self) -> Minimized {
        minimize(&self.input())
    }
}

fn mount() -> Observation {
    check(
        Capability::SYS_ADMIN,
        "mount",
        &["ns_capable", "path_mount"],
    )
}

fn read_file() -> Observation {
    check(
        Capability::DAC_READ_SEARCH,
        "openat",
        &["capable_wrt_inode_uidgid", "generic_permission", "may_open"],
    )
}

fn write_file() -> Observation {
    check(
        Capability::DAC_OVERRIDE,
        "openat",
        &["capable_wrt_inode_uidgid", "generic_permission", "may_open"],
    )
}

fn perf() -> Observation {
    check(
        Capability::PERFMON,
        "perf_event_open",
        &["capable", "__do_sys_perf_event_open"],
    )
}

fn noise() -> Observation {
    check(
        Capability::SYS_ADMIN,
        "mmap",
        &["security_vm_enough_memory_mm"],
    )
}

fn execution(effective: bool) -> Execution {
    Execution {
        path: "/usr/bin/ping".into(),
        uid: 0,
        file_capabilities: Some(FileCapabilities {
            permitted: set(&[Capability::NET_RAW]),
            inheritable: CapabilitySet::EMPTY,
            effective,
        }),
        unreadable: None,
        gained: CapabilitySet::EMPTY,
        nested: false,
        memory_policy: false,
        count: 2,
    }
}

fn capset(held: CapabilitySet, permitted: CapabilitySet, effective: CapabilitySet) -> Capset {
    Capset {
        program: "chronyd".into(),
        executable: None,
        held,
        effective,
        permitted,
        inheritable: CapabilitySet::EMPTY,
        ambient: CapabilitySet::EMPTY,
        as_root: false,
        count: 1,
    }
}
