//! The state that arming writes for the end of a recording.

use super::log::Position;
use super::recorded_processes::RecordedProcesses;
use crate::lease::LeaseKind;
use capprof_profile::observation::BlindSpot;
use capprof_profile::recording::Process;
use capprof_profile::settings::Scope;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The SELinux recorder's state of an armed recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SelinuxState {
    #[serde(with = "capprof_profile::serde_path")]
    pub(super) directory: PathBuf,
    pub(super) scope: Scope,
    pub(super) target: RecordedProcesses,
    pub(super) context: String,
    /// The end of auditd's log, if auditd writes one.
    pub(super) position: Option<Position>,
    /// The listener, if there is one.
    pub(super) listener: Option<Process>,
    /// The process id of auditd, according to the kernel.
    pub(super) daemon: u32,
    /// The kernel's counter of lost records.
    pub(super) lost: u32,
    /// Milliseconds since boot when it was armed, by a clock that cannot be set.
    pub(super) booted: u64,
    /// Booleans that are off for this recording, in scope `host`.
    pub(super) booleans: Vec<String>,
    pub(super) blind_spots: Vec<BlindSpot>,
    pub(super) refused: Option<String>,
}

impl SelinuxState {
    /// The source of records: `audit log and multicast group, scope domain`.
    pub(super) fn method(&self) -> String {
        let way = match (&self.position, &self.listener) {
            (Some(_), Some(_)) => "audit log and multicast group",
            (Some(_), None) => "audit log",
            (None, _) => "audit multicast group",
        };
        let scope = match self.scope {
            Scope::Host => "host",
            Scope::Domain | Scope::Auto => "domain",
        };
        format!("{way}, scope {scope}")
    }

    /// The reason why nothing will be recorded. The lease is held nevertheless, because the container cannot enter the domain of its label without it.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

/// The kind of lease that a scope takes.
pub(super) fn kind_of(scope: Scope) -> LeaseKind {
    match scope {
        Scope::Host => LeaseKind::Host,
        Scope::Domain | Scope::Auto => LeaseKind::Domain,
    }
}
