//! The limit of a container: makes the five sets of its process from its annotations.

use crate::annotations::CapabilityLimit;
use crate::rewrite;
use capprof_profile::recording::ProcessSets;
use capprof_store::profiles::{self, Store};
use serde_json::{Map, Value};

/// The error that keeps a limit from being enforced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such profile, or it is not reliable.
    #[error(transparent)]
    Store(#[from] profiles::Error),
    /// One of the two users is root and the other is not, so the sets do not fit.
    #[error(
        "profile {recording}: it is of a process of user {profiled}, this one is of user {uid}: profile the container as it is to run"
    )]
    User {
        /// The profile's recording.
        recording: String,
        /// The user of the profiled process.
        profiled: u32,
        /// The user of this process.
        uid: u32,
    },
    /// The process is not what the runtime-spec says.
    #[error(transparent)]
    Process(#[from] rewrite::Error),
}

/// A limit with its sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The sets of the process.
    pub sets: ProcessSets,
    /// The recording whose profile has the sets.
    pub profile: Option<String>,
}

/// Returns the sets of a process. From a profile: those of `config.minimized.json`, or those that `capprofctl shrink` found. From a profile and a
/// list: the list in the profile's sets. From a list alone: the list in all sets that make it effective for the process's user.
///
/// # Errors
/// Any [`Error`].
pub fn resolve(
    limit: &CapabilityLimit,
    store: &Store,
    process: &Map<String, Value>,
) -> Result<Resolved, Error> {
    let uid = rewrite::uid(process)?;
    let Some(wanted) = &limit.profile else {
        let original = rewrite::sets_of(process)?;
        return Ok(Resolved {
            sets: ProcessSets::of_list(limit.capabilities.unwrap_or_default(), uid, &original),
            profile: None,
        });
    };
    let found = store.find_complete(wanted)?;
    let profile = &found.profile;
    let recording = profile.origin.recording_id.clone();
    if (profile.origin.process.uid == 0) != (uid == 0) {
        return Err(Error::User {
            recording,
            profiled: profile.origin.process.uid,
            uid,
        });
    }
    let sets = match limit.capabilities {
        None => profile.answer().1,
        // The sets of a capability that only another recording of the workload needed are in that recording.
        Some(list) if !list.difference(profile.findings.minimized).is_empty() => {
            store.unite_trusted(found)?.profile.sets_of(list)
        }
        Some(list) => profile.sets_of(list),
    };
    Ok(Resolved {
        sets,
        profile: Some(recording),
    })
}
