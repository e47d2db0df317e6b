//! `exec` in a container of capprof's: under profiling the process gets what the container's own got; where a limit is enforced, nothing
//! beyond that.
//!
//! Without a file the runtime takes capabilities and label from the rewritten configuration by itself, and adds what `--cap` names.

use crate::argv::Command;
use crate::bundle;
use crate::create::held;
use crate::rewrite::{self, Grant, Sets};
use capprof_profile::CapabilitySet;
use capprof_profile::recording::{Mode, Recording};
use capprof_store::file::{self, Attributes};
use capprof_store::settings;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why a process must not be started, or its file could not be rewritten. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--cap` names what the container is not to have.
    #[error("exec --cap {capability}: this container is limited to {limit}")]
    Beyond {
        /// What it names.
        capability: String,
        /// All that may be had.
        limit: CapabilitySet,
    },
    /// It cannot be read.
    #[error("exec --process: {0}")]
    Read(#[from] bundle::Error),
    /// It is not what the runtime-spec says of a process.
    #[error("exec --process: rewrite {}: {source}", path.display())]
    Rewrite {
        /// The file.
        path: PathBuf,
        /// What is not.
        source: rewrite::Error,
    },
    /// It cannot be written.
    #[error("exec --process: {0}")]
    Write(#[from] file::Error),
    /// The own capabilities cannot be read.
    #[error("exec --process: read own capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
}

/// Sees to it that a process that is about to be started in a container gets what the container's recording says.
///
/// # Errors
/// Any [`Error`].
pub fn prepare(command: &Command, recording: &Recording) -> Result<(), Error> {
    if recording.mode.limits() {
        let limit = recording.grant.granted.bounding;
        let beyond = command.capabilities.iter().find(|name| {
            let known = name.to_str().and_then(|name| name.parse().ok());
            !known.is_some_and(|capability| limit.contains(capability))
        });
        if let Some(name) = beyond {
            return Err(Error::Beyond {
                capability: name.to_string_lossy().escape_default().to_string(),
                limit,
            });
        }
    }
    match &command.process {
        Some(file) => prepare_file(Path::new(file), recording),
        None => Ok(()),
    }
}

/// Gives the process in a file the recording's grant and label, or takes from it what is beyond the recording's limit.
fn prepare_file(process: &Path, recording: &Recording) -> Result<(), Error> {
    let path = process
        .canonicalize()
        .map_err(|source| bundle::Error::Read {
            path: process.to_owned(),
            source,
        })?;
    let (metadata, content) = bundle::read_regular(&path)?;
    let mut value = bundle::parse(&path, &content, serde_json::from_str)?;
    let failed = |source| Error::Rewrite {
        path: path.clone(),
        source,
    };
    let Value::Object(object) = &mut value else {
        return Err(failed(rewrite::Error::Kind {
            pointer: "the process".to_owned(),
            expected: "an object",
        }));
    };
    let grant = match recording.mode {
        // The runtime gives it the container's own, which are within the limit.
        Mode::Enforce | Mode::Verify if object.get("capabilities").is_none_or(Value::is_null) => {
            return Ok(());
        }
        Mode::Enforce | Mode::Verify => Grant {
            sets: Sets::AtMost(recording.grant.granted.bounding),
            relax_apparmor: false,
            label: None,
        },
        Mode::Profile => {
            // A mistake in the configuration fails the next `create`, not the life of a container that runs.
            let settings = settings::load(&settings::path()).unwrap_or_default();
            Grant {
                sets: Sets::Everything {
                    held: held()?.intersection(recording.grant.granted.bounding),
                    non_root: settings.grant_non_root,
                },
                relax_apparmor: settings.relax_apparmor,
                label: recording
                    .grant
                    .label
                    .as_ref()
                    .map(|label| label.context.as_str()),
            }
        }
    };
    rewrite::grant(object, &grant).map_err(failed)?;
    // Of no use after a crash of the machine.
    file::write_unsynced(
        &path,
        value.to_string().as_bytes(),
        Attributes::Like(&metadata),
    )?;
    Ok(())
}
