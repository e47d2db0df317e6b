//! `exec` in a container of capprof. In a profiled container the process gets the same capabilities as the container's own process; in a limited
//! one, nothing beyond the limit; in an observed one, what it asks for.
//!
//! Without a process file the runtime makes the process from the configuration that the container was created with, and adds the capabilities of
//! `--cap`. A process file is read once, even if it is a pipe, and the runtime gets a copy: the caller's file stays as it is.

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
    /// The process file cannot be read.
    #[error("exec --process: {0}")]
    Read(#[from] bundle::Error),
    /// Runtimes read the process file differently.
    #[error("exec --process: read {}: {source}", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The ambiguity.
        source: Ambiguity,
    },
    /// The process file is not a process of the runtime-spec.
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

/// Makes sure that a new process in a container gets the capabilities that the container's recording says.
///
/// # Errors
/// Any [`Error`].
pub fn prepare(
    directory: &Directory,
    recording: &Recording,
    family: Family,
    line: &mut CommandLine<'_>,
) -> Result<(), Error> {
    // The runtime makes the process from the engine's own configuration.
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
    // An empty name counts as none.
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

/// The content of a process file: with the recording's grant and label, or without capabilities beyond the recording's limit.
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
        // Then the runtime gives it the container's own sets, which are within the limit.
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
            // A mistake in capprof's configuration fails the next `create`, not an `exec` in a running container.
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
