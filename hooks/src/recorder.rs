//! The trait of recorders.

use capprof_profile::observation::{self, Evidence};
use capprof_profile::profile::RecorderReport;
use capprof_profile::recording::{Process, Recording};
use capprof_store::recording::Directory;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// A witness of capability use. It is armed for a container by the prestart hook, and asked for its evidence when the container is gone, by
/// another process.
pub trait Recorder: Sync {
    /// The recorder's name in profiles.
    fn name(&self) -> observation::RecorderName;

    /// Returns true if the profile must say what this recorder did.
    fn is_wanted(&self, recording: &Recording) -> bool;

    /// Returns true if the container cannot start unless this recorder is armed.
    fn is_required(&self, recording: &Recording) -> bool;

    /// What the recorder can do on this host, as a JSON object for `capprofctl doctor`. `usable` and `refused` are always there. `state` is
    /// the state directory.
    fn probe(&self, state: &Path) -> Value;

    /// Arms the recorder for a container whose first process is `init`, which has not executed the container's program yet.
    ///
    /// # Errors
    /// The recorder cannot record this container. Then nothing stays armed.
    fn arm(
        &self,
        recording: &Recording,
        directory: &Directory,
        init: Process,
    ) -> anyhow::Result<ArmedRecorder>;

    /// What the recorder saw. `state` is what [`arm`](Self::arm) left. Never fails as a whole: what could not be read is a line in
    /// [`Evidence::losses`].
    fn collect(&self, recording: &Recording, state: &Value) -> Collection;

    /// Gives back what [`arm`](Self::arm) took of the host, but forgets no evidence. What is given back already is no error. Returns a line
    /// for each thing that an administrator should know.
    ///
    /// # Errors
    /// Something could not be given back; [`sweep`](Self::sweep) tries again.
    fn release(
        &self,
        recording: &Recording,
        directory: &Directory,
        state: &Value,
    ) -> anyhow::Result<Vec<String>>;

    /// Forgets evidence that another process has collected, and that is on disk by now. What is forgotten already is no error.
    ///
    /// # Errors
    /// Something could not be removed; [`sweep`](Self::sweep) tries again.
    fn forget(&self, _state: &Value) -> anyhow::Result<()> {
        Ok(())
    }

    /// Returns true if recordings switch something of the whole host. What a killed process left of that is not left until recovery.
    fn switches_host(&self) -> bool;

    /// Gives back what recordings of this state directory have taken that are gone. `live` has the ids of all recordings in it. Returns a
    /// line for each thing that was done.
    ///
    /// # Errors
    /// Something could not be given back.
    fn sweep(&self, state: &Path, live: &[String]) -> anyhow::Result<Vec<String>>;

    /// Removes what the recorder keeps on the host between recordings. Returns a line for each thing that was done.
    ///
    /// # Errors
    /// Something could not be removed.
    fn unload(&self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// The evidence of a recorder, and the function that makes the recorder forget it.
pub struct Collection {
    /// The evidence.
    pub evidence: Evidence,
    /// Has the recorder forget it, once it is on disk: as [`Recorder::forget`], of what was collected.
    pub forget: Box<dyn FnOnce() -> anyhow::Result<()>>,
}

impl fmt::Debug for Collection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Collection");
        shown
            .field("evidence", &self.evidence)
            .finish_non_exhaustive()
    }
}

impl Collection {
    /// Evidence that the recorder keeps nothing of.
    pub fn of(evidence: Evidence) -> Self {
        Self {
            evidence,
            forget: Box::new(|| Ok(())),
        }
    }
}

/// The result of arming a recorder in the prestart hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedRecorder {
    /// The recorder's report for the profile.
    pub report: RecorderReport,
    /// The recorder's own state; `None` if it was not armed.
    pub state: Option<Value>,
}

impl ArmedRecorder {
    /// A recorder that records, with what the profile says of it.
    pub fn recorded(report: RecorderReport, state: Value) -> Self {
        Self {
            report,
            state: Some(state),
        }
    }

    /// A recorder that does not record, with the reason. It may be armed all the same, and then has a state.
    pub fn refused(
        recorder: observation::RecorderName,
        reason: String,
        state: Option<Value>,
    ) -> Self {
        Self {
            report: RecorderReport {
                recorder,
                recorded: false,
                method: String::new(),
                scope: None,
                refused: vec![reason],
                results_unseen: None,
            },
            state,
        }
    }
}
