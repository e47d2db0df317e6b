//! The trait of recorders.

use capprof_profile::observation::{self, Evidence};
use capprof_profile::profile::RecorderReport;
use capprof_profile::recording::{Process, Recording};
use capprof_store::recording::Directory;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// A recorder of capability use. The prestart hook arms it for a container; when the container is gone, another process collects its evidence.
pub trait Recorder: Sync {
    /// The recorder's name in profiles.
    fn name(&self) -> observation::RecorderName;

    /// Returns true if the profile must have a report of this recorder.
    fn is_wanted(&self, recording: &Recording) -> bool;

    /// Returns true if the container cannot start unless this recorder is armed.
    fn is_required(&self, recording: &Recording) -> bool;

    /// Returns the recorder's abilities on this host, as a JSON object for `capprofctl doctor` that always has the members `usable` and `refused`.
    /// `state` is the state directory.
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

    /// Collects the recorder's evidence. `state` is the state that [`arm`](Self::arm) returned. It never fails as a whole: each error is a line in
    /// [`Evidence::losses`].
    fn collect(&self, recording: &Recording, state: &Value) -> Collection;

    /// Restores what [`arm`](Self::arm) changed on the host, but forgets no evidence. It is no error if that is already restored. Returns lines for
    /// the administrator.
    ///
    /// # Errors
    /// The host could not be restored; [`sweep`](Self::sweep) tries again.
    fn release(
        &self,
        recording: &Recording,
        directory: &Directory,
        state: &Value,
    ) -> anyhow::Result<Vec<String>>;

    /// Forgets evidence that another process has collected and that is now on disk. It is no error if it is already forgotten.
    ///
    /// # Errors
    /// Something could not be removed; [`sweep`](Self::sweep) tries again.
    fn forget(&self, _state: &Value) -> anyhow::Result<()> {
        Ok(())
    }

    /// Returns true if recordings switch something on the whole host. Leftovers of a killed process are then cleaned up at once, not only by recovery.
    fn switches_host(&self) -> bool;

    /// Cleans up after recordings of this state directory that are gone. `live` has the ids of all recordings in it. Returns a line for each action.
    ///
    /// # Errors
    /// The host could not be restored.
    fn sweep(&self, state: &Path, live: &[String]) -> anyhow::Result<Vec<String>>;

    /// Removes everything that the recorder keeps on the host between recordings. Returns a line for each action.
    ///
    /// # Errors
    /// A part of it could not be removed.
    fn unload(&self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// The evidence of a recorder, and the function that makes the recorder forget it.
pub struct Collection {
    /// The evidence.
    pub evidence: Evidence,
    /// Makes the recorder forget this evidence, like [`Recorder::forget`]; to be called when it is on disk.
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
    /// Evidence of which the recorder keeps no copy.
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
    /// A recorder that records, with its report.
    pub fn recorded(report: RecorderReport, state: Value) -> Self {
        Self {
            report,
            state: Some(state),
        }
    }

    /// A recorder that does not record, with the reason. It may nevertheless be armed, and then has a state.
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
