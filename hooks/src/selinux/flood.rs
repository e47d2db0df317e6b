//! Ends the auditing of a capability that a container uses all the time.

use super::events::EventCollector;
use super::selinuxfs::Selinuxfs;
use crate::journal;
use crate::lease::{LeaseKind, Leases, Switch};
use capprof_profile::Capability;
use capprof_store::recording::Directory;
use std::fs;

/// The number of records of a capability after which its auditing ends.
const ENOUGH: u64 = 100;

/// The number of records of a capability after which its auditing ends even if another recording has not seen enough of it yet.
const TOO_MANY: u64 = 5_000;

/// The auditing of one capability whose every use is recorded, and when to end it.
#[derive(Debug)]
pub(super) struct Flood {
    capability: Capability,
    boolean: String,
    /// The count at which it is checked again.
    next: u64,
    marked: bool,
}

impl Flood {
    pub(super) fn new(capability: Capability, boolean: String) -> Self {
        Self {
            capability,
            boolean,
            next: ENOUGH,
            marked: false,
        }
    }

    /// Marks in the recording's directory that this recording has seen enough. Switches auditing off if all recordings have, or if the records are too
    /// many.
    pub(super) fn check(&mut self, directory: &Directory, collector: &EventCollector) {
        let (own, any) = collector.granted(self.capability);
        if any < self.next {
            return;
        }
        self.next = any + ENOUGH;
        let mark = format!("enough-{}", self.capability);
        // Uses in a nested user namespace prove nothing about the container's own.
        if own >= ENOUGH && !self.marked {
            self.marked = fs::write(directory.path().join(&mark), "").is_ok();
        }
        let selinuxfs = Selinuxfs::new();
        let result = Leases::new(directory.state(), &selinuxfs).switch_if(
            LeaseKind::Domain,
            &Switch::Boolean(self.boolean.clone()),
            false,
            |recordings| {
                any >= TOO_MANY
                    || recordings
                        .iter()
                        .all(|recording| recording.join(&mark).exists())
            },
        );
        match result {
            Ok(true) => journal::warning(&format!(
                "auditing of {} ended after {any} records ({} off until the last recording ends)",
                self.capability, self.boolean
            )),
            Ok(false) => {}
            Err(error) => {
                // One message is enough: every further hundred records would repeat it.
                self.next = u64::MAX;
                journal::warning(&format!("end auditing of {}: {error}", self.capability));
            }
        }
    }
}
