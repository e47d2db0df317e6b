//! The state of a search, stored next to the profile, so that an interrupted search can go on.

use super::plan::Ask;
use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use capprof_store::file;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file, next to the profile.
pub(super) const STATE: &str = "shrink.json";

/// The value of [`SearchState::schema`].
const SCHEMA: &str = "capprof.shrink/v1";

/// The input of a search. The verdicts of another input do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SearchInput {
    pub(super) command: Vec<String>,
    pub(super) check: Option<String>,
    pub(super) timeout: u64,
    pub(super) engine_options: bool,
}

/// The state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SearchState {
    pub(super) schema: String,
    pub(super) recording: String,
    pub(super) question: SearchInput,
    /// The largest number of runs.
    pub(super) promised: usize,
    /// True if a container of an earlier call may still be running.
    pub(super) running: bool,
    /// True if the search has come to its end.
    pub(super) finished: bool,
    pub(super) runs: Vec<SearchRun>,
    /// Runs that were stopped when another one had made them useless.
    #[serde(default)]
    pub(super) stopped: usize,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SearchRun {
    pub(super) set: CapabilitySet,
    pub(super) passed: bool,
    pub(super) why: String,
    pub(super) milliseconds: u64,
    /// True if the run repeats another, to see if the result is the same. The search does not use its result.
    pub(super) again: bool,
}

impl SearchRun {
    /// Returns the request of the search that this run answers.
    pub(super) fn ask(&self) -> Ask {
        Ask {
            set: self.set,
            again: self.again,
        }
    }
}

impl SearchState {
    /// The number of runs.
    pub(super) fn made(&self) -> usize {
        self.runs.len() + self.stopped
    }

    /// Begins a search, or goes on with one.
    ///
    /// # Errors
    /// There is nothing to resume, another search was interrupted, or the file cannot be read.
    pub(super) fn begin(
        directory: &Path,
        recording: &str,
        question: SearchInput,
        promised: usize,
        resume: bool,
    ) -> anyhow::Result<Self> {
        let path = directory.join(STATE);
        let fresh = |promised| Self {
            schema: SCHEMA.to_owned(),
            recording: recording.to_owned(),
            question: question.clone(),
            promised,
            running: false,
            finished: false,
            runs: Vec::new(),
            stopped: 0,
        };
        let known: Option<Self> = match path.exists() {
            true => Some(file::read_json(&path).context("remove the file to start over")?),
            false => None,
        };
        match (known, resume) {
            (None, true) => bail!("nothing to resume: {recording} has not been shrunk yet"),
            (None, false) => Ok(fresh(promised)),
            (Some(known), true) => {
                if known.question != question {
                    bail!(
                        "cannot resume: it was begun with another command, check or timeout: {} --check {:?} --timeout {}",
                        known.question.command.join(" "),
                        known.question.check.unwrap_or_default(),
                        known.question.timeout
                    );
                }
                // The number of runs that was promised does not grow.
                let promised = known.promised;
                Ok(Self {
                    promised,
                    finished: false,
                    ..known
                })
            }
            (Some(known), false) if !known.finished && !known.runs.is_empty() => bail!(
                "{recording} is being shrunk and was interrupted after {} runs: --resume continues; remove {} to start over",
                known.runs.len(),
                path.display()
            ),
            (Some(known), false) => Ok(Self {
                running: known.running,
                ..fresh(promised)
            }),
        }
    }
}
