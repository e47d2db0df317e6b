//! The input of a form.

use super::super::form_kind::FormKind;
use super::names::is_plain;
use super::substitutes::Substitute;
use crate::merge::Merged;
use capprof_profile::privileges::Privileges;
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};

/// The input of a form.
#[derive(Clone, Debug)]
pub(crate) struct FormInput<'a> {
    /// The engine that ran it; docker if that is not known.
    pub(super) used: FormKind,
    pub(super) name: Option<&'a str>,
    pub(super) image: Option<&'a str>,
    pub(super) uid: u32,
    pub(super) no_new_privileges: bool,
    pub(super) minimized: CapabilitySet,
    /// The capabilities that it asks for and does not have today. No run has shown yet if it works without them.
    pub(super) unsettled: CapabilitySet,
    pub(super) ambient: CapabilitySet,
    pub(super) programs: Vec<(Capability, &'a String)>,
    pub(super) privileges: Option<&'a Privileges>,
    /// The recording by which mode `enforce` finds the sets; `None`: only a list can give them.
    pub(super) recording: Option<&'a str>,
    /// True if CAP_NET_BIND_SERVICE was used for nothing but binding a port below 1024.
    pub(super) only_binds: bool,
    /// True if a port below 1024 was bound without a capability check, because of the network that docker sets up.
    pub(super) binds_unasked: bool,
    /// Limits and sysctls that can replace a capability and grant less.
    pub(super) instead: Vec<Substitute>,
}

impl<'a> FormInput<'a> {
    /// The image's name, if it needs no quoting in a command line.
    pub(super) fn plain_image(&self) -> &'a str {
        self.image
            .filter(|image| is_plain(image) && !image.starts_with('-'))
            .unwrap_or("IMAGE")
    }

    /// The workload's name, if it needs no quoting in a form.
    pub(super) fn plain_name(&self) -> Option<&'a str> {
        self.name
            .filter(|name| is_plain(name) && !name.contains(['/', ':', '@']))
    }

    /// The forms to show: that of the engine that was used, or all.
    pub(crate) fn engines(&self, all: bool) -> Vec<FormKind> {
        match all {
            true => FormKind::ALL.to_vec(),
            false => vec![self.used],
        }
    }

    /// Returns true if the engine gave it everything that `--privileged` gives.
    pub(super) fn is_privileged(&self) -> bool {
        self.privileges
            .is_some_and(|privileges| privileges.engine_grants.is_privileged())
    }

    /// The set for an engine: docker lets every process of a container bind ports below 1024, and the others do not.
    pub(super) fn set_for(&self, engine: FormKind) -> CapabilitySet {
        let mut set = self.minimized;
        if self.binds_unasked && !engine.is_dockers() {
            set.insert(Capability::NET_BIND_SERVICE);
        }
        set
    }
}

/// Returns true if a need for CAP_NET_BIND_SERVICE disappears when net.ipv4.ip_unprivileged_port_start is 0.
fn only_binds<'s>(mut syscalls: impl Iterator<Item = &'s String>) -> bool {
    syscalls.next().is_some_and(|first| first == "bind") && syscalls.next().is_none()
}

impl<'a> From<&'a Profile> for FormInput<'a> {
    fn from(profile: &'a Profile) -> Self {
        Self {
            used: used(profile),
            name: (profile.origin.workload.service.as_deref())
                .or(profile.origin.name.as_deref())
                .or(profile.origin.workload.container.as_deref()),
            image: profile.origin.workload.image.as_deref(),
            uid: profile.origin.process.uid,
            no_new_privileges: profile.origin.process.no_new_privileges,
            minimized: profile.answer().0.difference(profile.unsettled()),
            unsettled: profile.unsettled(),
            ambient: profile.answer().1.ambient.difference(profile.unsettled()),
            privileges: profile.privileges.as_ref(),
            programs: programs_of(
                profile
                    .findings
                    .needed
                    .iter()
                    .map(|need| (need.capability, &need.programs)),
            ),
            // Other recordings of the workload may have needed more than this one.
            recording: Some(profile.origin.recording_id.as_str())
                .filter(|_| profile.united.is_empty()),
            only_binds: profile.findings.needed.iter().any(|need| {
                need.capability == Capability::NET_BIND_SERVICE
                    && only_binds(need.syscalls.iter())
                    // Notes name other reasons for it (a file capability, a list).
                    && need.notes.is_empty()
            }),
            binds_unasked: !profile.findings.unprivileged_ports.is_empty(),
            instead: profile
                .findings
                .needed
                .iter()
                .filter_map(Substitute::of)
                .collect(),
        }
    }
}

impl<'a> From<&'a Merged> for FormInput<'a> {
    /// For several workloads, the values of the most restricted one: a user other than root, no_new_privs.
    fn from(merged: &'a Merged) -> Self {
        let image = match merged.workloads.as_slice() {
            [one] => one.image.as_deref(),
            _ => None,
        };
        let processes = || merged.workloads.iter().map(|workload| &workload.process);
        Self {
            used: FormKind::Docker,
            name: match merged.names.len() {
                1 => merged.names.first().map(String::as_str),
                _ => None,
            },
            image,
            uid: processes().map(|process| process.uid).max().unwrap_or(0),
            no_new_privileges: processes().any(|process| process.no_new_privileges),
            minimized: merged.minimized,
            unsettled: CapabilitySet::EMPTY,
            ambient: merged.minimized_sets.ambient,
            privileges: merged.privileges.as_ref(),
            programs: programs_of(
                merged
                    .needed
                    .iter()
                    .map(|need| (need.capability, &need.programs)),
            ),
            recording: None,
            binds_unasked: false,
            instead: Vec::new(),
            only_binds: merged.needed.iter().any(|need| {
                need.capability == Capability::NET_BIND_SERVICE && only_binds(need.syscalls.iter())
            }),
        }
    }
}

/// Pairs of a capability and a program that needs it.
fn programs_of<'a, P: IntoIterator<Item = &'a String>>(
    needed: impl Iterator<Item = (Capability, P)>,
) -> Vec<(Capability, &'a String)> {
    let pairs = |(capability, programs): (_, P)| {
        let programs = programs.into_iter();
        programs.map(move |program| (capability, program))
    };
    needed.flat_map(pairs).collect()
}

/// The form for the engine that ran the workload.
fn used(profile: &Profile) -> FormKind {
    let workload = &profile.origin.workload;
    // A program with the host's own file system is no container, but a service can start it.
    let is_of_host = |privileges: &Privileges| {
        let namespaces = &privileges.engine_grants.host_namespaces;
        namespaces.contains("mount")
    };
    match workload.engine.as_deref() {
        Some("podman") => FormKind::Podman,
        Some("kubernetes") => FormKind::Kubernetes,
        Some("systemd") => FormKind::Systemd,
        Some("docker") if workload.service.is_some() => FormKind::Compose,
        _ if workload.pod.is_some() => FormKind::Kubernetes,
        None if profile.privileges.as_ref().is_some_and(is_of_host) => FormKind::Systemd,
        _ => FormKind::Docker,
    }
}
