//! What a container is limited to: from what its annotations name to the five sets that its process gets.

use crate::annotations::Limit;
use crate::rewrite;
use capprof_profile::CapabilitySet;
use capprof_profile::recording::ProcessSets;
use capprof_profile::store::{self, Store};
use serde_json::{Map, Value};

/// What keeps a limit from being enforced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such profile, or none to rely on.
    #[error("enforce: {0}")]
    Store(#[from] store::Error),
    /// It is of another kind of user, whose sets do not suit this one.
    #[error(
        "enforce profile {recording}: it is of a process of user {profiled}, this one is of user {uid}: profile the container as it is to run"
    )]
    User {
        /// The profile's recording.
        recording: String,
        /// Whose the profiled process was.
        profiled: u32,
        /// Whose this one is.
        uid: u32,
    },
    /// The list is no part of the profile.
    #[error(
        "enforce profile {recording}: {capabilities} is not in it: enforce the list alone, without the profile"
    )]
    NotInProfile {
        /// The profile's recording.
        recording: String,
        /// What the list has beyond the profile.
        capabilities: CapabilitySet,
    },
    /// The process is not what the runtime-spec says.
    #[error(transparent)]
    Process(#[from] rewrite::Error),
}

/// A limit in figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What the process gets.
    pub sets: ProcessSets,
    /// The recording of the profile that says so.
    pub profile: Option<String>,
}

/// Finds out which sets a process gets: those of `config.minimized.json`, where a profile says what it needs; with a list, what the list
/// leaves of them; with a list alone, that list in all sets that make it effective for the process's user.
///
/// # Errors
/// Any [`Error`].
pub fn resolve(
    limit: &Limit,
    store: &Store,
    process: &Map<String, Value>,
) -> Result<Resolved, Error> {
    let uid = rewrite::uid(process)?;
    let Some(wanted) = &limit.profile else {
        let original = rewrite::sets_of(process)?;
        return Ok(Resolved {
            sets: listed(limit.capabilities.unwrap_or_default(), uid, &original),
            profile: None,
        });
    };
    let profile = store.find_complete(wanted)?.profile;
    let recording = profile.recording_id;
    if (profile.process.uid == 0) != (uid == 0) {
        return Err(Error::User {
            recording,
            profiled: profile.process.uid,
            uid,
        });
    }
    let sets = match limit.capabilities {
        None => profile.minimized_sets,
        Some(list) => {
            let beyond = list.difference(profile.minimized);
            if !beyond.is_empty() {
                return Err(Error::NotInProfile {
                    recording,
                    capabilities: beyond,
                });
            }
            profile.minimized_sets.at_most(list)
        }
    };
    Ok(Resolved {
        sets,
        profile: Some(recording),
    })
}

/// A list as sets: for root as a profile has them; another user loses at execve what is not ambient (capabilities(7)).
fn listed(list: CapabilitySet, uid: u32, original: &ProcessSets) -> ProcessSets {
    let (inheritable, ambient) = match uid {
        0 => (
            original.inheritable.intersection(list),
            original.ambient.intersection(list),
        ),
        _ => (list, list),
    };
    ProcessSets {
        bounding: list,
        effective: list,
        permitted: list,
        inheritable,
        ambient,
    }
}
