//! The recordings on which the answer for a workload rests. Retention and `prune` remove none of these while other recordings of the workload stay.

use super::summary::Summary;
use capprof_profile::CapabilitySet;

/// What one recording contributes to the answer for its workload ([`capprof_profile::unite`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contribution {
    needed: CapabilitySet,
    is_complete: bool,
    /// True if `verify` or `shrink` ran the workload with its answer.
    is_tried: bool,
}

impl From<&Summary> for Contribution {
    fn from(summary: &Summary) -> Self {
        Self {
            needed: summary.minimized,
            is_complete: summary.complete,
            is_tried: summary.verification.is_some() || summary.answer != summary.minimized,
        }
    }
}

/// The contribution of all kept recordings of one workload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeptRecordings(Option<Contribution>);

impl KeptRecordings {
    /// Adds a recording that is kept.
    pub(crate) fn add(&mut self, one: Contribution) {
        self.0 = Some(match self.0 {
            None => one,
            Some(known) => Contribution {
                needed: known.needed.union(one.needed),
                is_complete: known.is_complete || one.is_complete,
                is_tried: known.is_tried || one.is_tried,
            },
        });
    }

    /// Returns true if the workload's answer differs without this recording: only it needed some capability, only it is complete, or only its
    /// answer was tried. False if no other recording of the workload is kept: then the whole workload may go.
    pub(crate) fn rests_on(&self, one: Contribution) -> bool {
        self.0.is_some_and(|known| {
            !one.needed.is_subset(known.needed)
                || (one.is_complete && !known.is_complete)
                || (one.is_tried && !known.is_tried)
        })
    }
}
