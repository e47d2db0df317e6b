//! One rule of the classification, and the decisions that it can make.

use crate::CapabilitySet;
use crate::observation::Observation;
use crate::profile::Reason;
use crate::recording::Recording;

/// The facts that a rule needs besides the observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// User id of the container's process inside the container.
    pub uid: u32,
    /// True if the container has a user namespace of its own.
    pub user_namespace: bool,
    /// True if the container's processes run with `no_new_privs`.
    pub no_new_privileges: bool,
    /// The bounding set that the container was given while it was profiled.
    pub granted: CapabilitySet,
}

impl From<&Recording> for Context {
    fn from(recording: &Recording) -> Self {
        Self {
            uid: recording.process.uid,
            user_namespace: recording.process.user_namespace,
            no_new_privileges: recording.process.no_new_privileges,
            granted: recording.grant.granted.bounding,
        }
    }
}

/// The classification of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// It counts.
    Needed(Reason),
    /// It was granted, and the same would have happened without.
    Dismissed,
    /// It was granted, and without it the program would have gone on with less: fewer details, other accounting.
    Optional,
    /// It was refused.
    Denied,
}

/// One rule of the classification.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name in profiles and documentation.
    pub name: &'static str,
    /// Its meaning in one line, for the reader of a report.
    pub explanation: &'static str,
    /// Its decision for a granted check.
    pub decision: Decision,
    /// Returns true if it applies to a check whose place the atlas does not list under its name.
    pub(super) applies: fn(&Observation, &Context) -> bool,
}

/// The class of one observation.
#[derive(Clone, Copy, Debug)]
pub struct Classification {
    /// What becomes of it.
    pub decision: Decision,
    /// The rule that decided.
    pub rule: &'static Rule,
}

/// The condition of a rule that applies only to places that the atlas lists under its name: no check beyond these.
pub(super) fn in_atlas(_: &Observation, _: &Context) -> bool {
    false
}
