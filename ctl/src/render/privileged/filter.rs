//! The system calls that the default seccomp filters refuse.

use super::super::form_kind::FormKind;
use capprof_profile::CapabilitySet;
use capprof_profile::default_filter::filtered;
use capprof_profile::privileges::Privileges;

/// The system calls that were made and that an engine's default filter refuses to a container with these capabilities.
pub(super) fn refused(engine: FormKind, privileges: &Privileges, set: CapabilitySet) -> Vec<&str> {
    privileges
        .syscalls
        .iter()
        .filter(|call| {
            filtered(&call.name).is_some_and(|(docker, podman)| {
                match engine.runs_by() {
                    FormKind::Podman => podman,
                    _ => docker,
                }
                .refuses(set)
            })
        })
        .map(|call| call.name.as_str())
        .collect()
}
