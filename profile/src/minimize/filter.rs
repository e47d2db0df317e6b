//! System calls that the engine's seccomp filter allows only with a capability that the kernel does not check.
//!
//! docker's filter, for example, allows `set_mempolicy` only to containers with `CAP_SYS_NICE`, and new user namespaces only to those with
//! `CAP_SYS_ADMIN`. capprof relaxes the filter while a container is profiled; in production the filter is in force again.

use super::input::Input;
use crate::default_filter::opened_by_capabilities;
use crate::observation::{BlindSpot, Namespace, RecorderName};
use crate::privileges::gated;
use crate::{Capability, CapabilitySet};
use std::collections::{BTreeMap, BTreeSet};

/// A system call that was made and that the filter refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilteredCall {
    pub(super) name: &'static str,
    /// Any one of these opens the filter for it.
    pub(super) opened_by: CapabilitySet,
    pub(super) program: String,
}

/// System calls that no capability check reveals, or not with all arguments: unshare(2) of something other than a namespace, open_tree(2) that
/// copies no mount, quotactl(2) of one's own quota, syslog(2) where kernel.dmesg_restrict is 0, and calls on other processes of the same user.
const WITHOUT_TRACE: [&str; 14] = [
    "get_mempolicy",
    "kcmp",
    "mbind",
    "open_tree",
    "pidfd_getfd",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "quotactl_fd",
    "set_mempolicy_home_node",
    "syslog",
    "unshare",
];

/// System calls that the filter allows only with a capability.
fn refused<'a>(input: &Input<'a>) -> impl Iterator<Item = (&'static str, CapabilitySet)> + use<'a> {
    let refuses = input.filter_refuses;
    opened_by_capabilities().filter(move |(name, _)| refuses.contains(*name))
}

/// Returns the system calls that the container could make and that the filter would refuse without a capability. If the filter was relaxed, they are
/// those that it refuses, else those that it lets pass because the container holds a capability. An engine's filter that refuses none at all does
/// not depend on capabilities.
fn passing(input: &Input<'_>) -> Vec<(&'static str, CapabilitySet)> {
    if input.filter_relaxed {
        return refused(input).collect();
    }
    let is_opened = |(name, opened_by): &(&'static str, CapabilitySet)| {
        !input.filter_refuses.contains(*name)
            && !opened_by.intersection(input.granted.bounding).is_empty()
    };
    match input.filter_refuses.is_empty() {
        true => Vec::new(),
        false => opened_by_capabilities().filter(is_opened).collect(),
    }
}

/// The calls that were made, as far as they left a trace.
pub(super) fn calls(input: &Input<'_>) -> Vec<(RecorderName, FilteredCall)> {
    let mut made = Vec::new();
    for (name, opened_by) in passing(input) {
        for (recorder, program) in programs(input, name) {
            let call = FilteredCall {
                name,
                opened_by,
                program,
            };
            made.push((recorder, call));
        }
    }
    made
}

/// The programs that made a system call.
fn programs(input: &Input<'_>, name: &str) -> BTreeSet<(RecorderName, String)> {
    let mut programs = BTreeSet::new();
    for (recorder, evidence) in input.evidence {
        for check in &evidence.observations {
            // The filters allow both ways to make a user namespace, or neither.
            let makes_user_namespace = name == "unshare"
                && (check.by_owner || check.namespace == Namespace::Nested)
                && !check.pre_exec;
            if makes_user_namespace || gated(check) == Some(name) {
                programs.insert((*recorder, check.program.clone()));
            }
        }
        for execution in &evidence.executions {
            let made = match name {
                "set_mempolicy" => execution.memory_policy,
                "unshare" => execution.nested && programs.is_empty(),
                _ => false,
            };
            if made {
                let program = execution.path.file_name().unwrap_or_default();
                programs.insert((*recorder, program.to_string_lossy().into_owned()));
            }
        }
    }
    programs
}

/// The blind spots that the filter causes.
pub(super) fn blind_spots(input: &Input<'_>, set: CapabilitySet) -> Vec<BlindSpot> {
    let Some((recorder, _)) = input.evidence.first() else {
        return Vec::new();
    };
    let spot = |capability, reason| BlindSpot {
        capability,
        recorder: *recorder,
        reason,
    };
    let mut spots = Vec::new();
    let calls: Vec<&str> = refused(input).map(|(name, _)| name).collect();
    if !input.filter_relaxed && !calls.is_empty() {
        let reason = format!(
            "the engine's seccomp filter was in force and refused, before any capability was asked for: {}",
            calls.join(", ")
        );
        spots.push(spot(None, reason));
    }
    let mut unseen: BTreeMap<Capability, Vec<&str>> = BTreeMap::new();
    for (name, opened_by) in passing(input) {
        if WITHOUT_TRACE.contains(&name)
            && opened_by.intersection(set).is_empty()
            && let Some(capability) = match input.filter_relaxed {
                true => opened_by.iter().next(),
                false => opened_by.intersection(input.granted.bounding).iter().next(),
            }
        {
            unseen.entry(capability).or_default().push(name);
        }
    }
    spots.extend(unseen.into_iter().map(|(capability, calls)| {
        let reason = format!(
            "the engine's seccomp filter lets these pass only with it, and they leave no trace where they pass: {}",
            calls.join(", ")
        );
        spot(Some(capability), reason)
    }));
    spots
}
