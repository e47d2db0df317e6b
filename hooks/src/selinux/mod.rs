//! The SELinux recorder: capability use as records of the access vector cache.
//!
//! The kernel asks SELinux only after `cap_capable()` has granted a capability (security/security.c), so a record is a granted use. In scope `domain`
//! the container runs as `capprof_t`, a permissive domain of capprof's own policy module that leaves a record for every audited use; the only
//! switch is the boolean that lets processes enter it. In scope `host` it runs in an ordinary container's domain, while the booleans that give that
//! domain capabilities are off and the host is permissive.
//!
//! Only type and range of the label attribute a record to a recording; only its place in the log orders it.

mod arm;
mod armed;
mod audit;
mod audit_rules;
mod blind_spots;
mod booleans;
mod collect;
mod error;
mod events;
mod exclusions;
mod fence;
mod flood;
mod listener;
mod liveness;
mod log;
mod policy;
mod probe;
pub(crate) mod record;
mod recorded_processes;
mod selinuxfs;

use crate::lease::Leases;
use crate::recorder::{self, Collection, Recorder};
use armed::{SelinuxState, kind_of};
use capprof_profile::observation::{self, Evidence};
use capprof_profile::profile::RecorderReport;
use capprof_profile::recording::{Process, Recording};
use capprof_profile::settings::{Recorders, Scope};
use capprof_store::recording::Directory;
use selinuxfs::Selinuxfs;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Listens to audit for a recording, as the process that arming starts.
///
/// # Errors
/// The recording's directory cannot be read or written, or standard input is not a socket of audit's multicast group.
pub fn listen(directory: &Directory) -> anyhow::Result<()> {
    Ok(listener::run(directory)?)
}

/// The SELinux recorder.
#[derive(Debug)]
pub struct Selinux;

impl Recorder for Selinux {
    fn name(&self) -> observation::RecorderName {
        observation::RecorderName::Selinux
    }

    fn is_wanted(&self, recording: &Recording) -> bool {
        match recording.verifies() {
            // Such a recording never uses SELinux. If SELinux is enabled, the profile says so.
            Some(_) => policy::is_on(),
            None => recording.recorders != Recorders::Ebpf,
        }
    }

    fn is_required(&self, recording: &Recording) -> bool {
        // Without the lease the container could not enter the domain of its label.
        recording.verifies().is_none()
            && recording
                .grant
                .label
                .as_ref()
                .is_some_and(|label| label.scope == Scope::Domain)
    }

    fn switches_host(&self) -> bool {
        true
    }

    fn probe(&self, state: &Path) -> Value {
        probe::probe(state)
    }

    fn arm(
        &self,
        recording: &Recording,
        directory: &Directory,
        init: Process,
    ) -> anyhow::Result<recorder::ArmedRecorder> {
        let armed = arm::arm(recording, directory, init)?;
        let state = json!(armed);
        Ok(match armed.refused() {
            Some(reason) => {
                recorder::ArmedRecorder::refused(self.name(), reason.to_owned(), Some(state))
            }
            None => {
                let report = RecorderReport {
                    recorder: self.name(),
                    recorded: true,
                    method: armed.method(),
                    scope: Some(armed.scope),
                    refused: Vec::new(),
                    results_unseen: None,
                };
                recorder::ArmedRecorder::recorded(report, state)
            }
        })
    }

    fn collect(&self, recording: &Recording, state: &Value) -> Collection {
        Collection::of(match SelinuxState::deserialize(state) {
            Ok(armed) => collect::collect(recording, &armed),
            Err(error) => Evidence {
                losses: vec![format!("read the SELinux recorder's state: {error}")],
                ..Evidence::default()
            },
        })
    }

    /// Ends the recording's lease. The last one to leave switches back. A switch that another program changed in between is left alone; returns a line
    /// for each.
    fn release(
        &self,
        recording: &Recording,
        directory: &Directory,
        state: &Value,
    ) -> anyhow::Result<Vec<String>> {
        let scope = SelinuxState::deserialize(state)?.scope;
        let selinuxfs = Selinuxfs::new();
        let (last, mut lines) =
            Leases::new(directory.state(), &selinuxfs).release(kind_of(scope), &recording.id)?;
        if last && scope == Scope::Host {
            lines.push(format!(
                "SELinux is {} again: recording {} of scope host has ended, the last one",
                if policy::enforcing() {
                    "enforcing"
                } else {
                    "permissive as before"
                },
                recording.id
            ));
        }
        Ok(lines)
    }

    /// Ends the leases of recordings whose directory is gone, and finishes what killed processes left.
    fn sweep(&self, state: &Path, _: &[String]) -> anyhow::Result<Vec<String>> {
        let selinuxfs = Selinuxfs::new();
        Ok(Leases::new(state, &selinuxfs).sweep()?)
    }
}
