//! `exec` in a container of capprof's: under profiling the process gets what the container's own got; where a limit is enforced, nothing
//! beyond that; where the container is observed, what it asks for.
//!
//! Without a file the runtime makes the process from the configuration that the container was created with, and adds what `--cap` names.
//! A file is read once, and the runtime gets a copy: the caller's stays as it is, even if it is a pipe.

use crate::bundle;
use crate::delivery::{self, CommandLine};
use crate::family::Family;
use crate::privilege::held;
use crate::rewrite::{self, ProcessGrant, Sets};
use capprof_profile::CapabilitySet;
use capprof_profile::recording::{Delivery, Mode, Recording};
use capprof_store::document::{Ambiguity, Document};
use capprof_store::recording::Directory;
use capprof_store::settings;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why a process must not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--cap` names a capability beyond the container's limit.
    #[error("exec --cap {capability}: this container is limited to {limit}")]
    Beyond {
        /// The name.
        capability: String,
        /// All capabilities that it may have.
        limit: CapabilitySet,
    },
    /// It cannot be read.
    #[error("exec --process: {0}")]
    Read(#[from] bundle::Error),
    /// It says different things to different runtimes.
    #[error("exec --process: read {}: {source}", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The ambiguity.
        source: Ambiguity,
    },
    /// It is not what the runtime-spec says of a process.
    #[error("exec --process: rewrite {}: {source}", path.display())]
    Rewrite {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: rewrite::Error,
    },
    /// The copy cannot be made.
    #[error("exec --process: copy {}: {source}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// runc cannot be shown the configuration that the container was created with.
    #[error("exec: mount the container's configuration over that of bundle {}: {source}", bundle.display())]
    Show {
        /// The bundle.
        bundle: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// capprof's own capabilities cannot be read.
    #[error("exec --process: read own capabilities: {0}")]
    Capabilities(io::Error),
}

/// Makes sure that a process that is about to be started in a container gets what the container's recording says.
///
/// # Errors
/// Any [`Error`].
pub fn prepare(
    directory: &Directory,
    recording: &Recording,
    family: Family,
    line: &mut CommandLine<'_>,
) -> Result<(), Error> {
    // The runtime makes it of the engine's own.
    if recording.mode == Mode::Observe {
        return Ok(());
    }
    if recording.mode.limits() {
        let limit = recording.grant.granted.bounding;
        let beyond = line.command.capabilities.iter().find(|name| {
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
    // An empty name is none.
    match line
        .command
        .process
        .as_ref()
        .filter(|file| !file.text.is_empty())
    {
        Some(file) => {
            let path = Path::new(&file.text);
            let content = match rewritten(path, recording) {
                Err(Error::Read(error)) if error.is_refused_by_the_runtime() => return Ok(()),
                result => result?,
            };
            delivery::in_memory(line, Some(file), "process", &content).map_err(|source| {
                Error::Copy {
                    path: path.to_owned(),
                    source,
                }
            })
        }
        None if family == Family::Runc && recording.container.delivery == Delivery::Mount => {
            delivery::show_again(directory, &recording.container.bundle).map_err(|source| {
                Error::Show {
                    bundle: recording.container.bundle.clone(),
                    source,
                }
            })
        }
        None => Ok(()),
    }
}

/// The content of a process file, with the recording's grant and label, or without what is beyond the recording's limit.
fn rewritten(path: &Path, recording: &Recording) -> Result<Vec<u8>, Error> {
    let text = bundle::unicode(path, bundle::read_any(path)?)?;
    let mut document = bundle::parse(path, &text, Document::parse_process)?;
    document.check().map_err(|source| Error::Ambiguous {
        path: path.to_owned(),
        source,
    })?;
    let failed = |source| Error::Rewrite {
        path: path.to_owned(),
        source,
    };
    let object = document.value.as_object_mut().ok_or_else(|| {
        failed(rewrite::Error::Kind {
            pointer: "the process".to_owned(),
            expected: "an object",
        })
    })?;
    let grant = match recording.mode {
        // The runtime gives it the container's own, which are within the limit.
        Mode::Enforce | Mode::Verify
            if object
                .get("capabilities")
                .is_none_or(serde_json::Value::is_null) =>
        {
            return Ok(text.into_bytes());
        }
        Mode::Enforce | Mode::Verify => ProcessGrant {
            sets: Sets::AtMost(recording.grant.granted.bounding),
            relax_apparmor: false,
            label: None,
        },
        Mode::Observe => return Ok(text.into_bytes()),
        Mode::Profile => {
            // A mistake in the configuration fails the next `create`, not the life of a container that runs.
            let settings = settings::load(&settings::path()).unwrap_or_default();
            ProcessGrant {
                sets: Sets::Everything {
                    held: held()
                        .map_err(Error::Capabilities)?
                        .intersection(recording.grant.granted.bounding),
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
    Ok(document.write(&text))
}
