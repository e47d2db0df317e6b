//! `exec --process FILE` in a container under profiling: the process gets what the container's own got.
//!
//! Without a file the runtime takes capabilities and label from the rewritten configuration by itself.

use crate::bundle;
use crate::create::held;
use crate::rewrite::{self, Grant};
use capprof_profile::configuration::Configuration;
use capprof_profile::file::{self, Attributes};
use capprof_profile::recording::Recording;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why a process file could not be rewritten. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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

/// Gives the process in a file the recording's grant and label.
///
/// # Errors
/// Any [`Error`].
pub fn prepare(process: &Path, recording: &Recording) -> Result<(), Error> {
    // A mistake in the configuration fails the next `create`, not the life of a container that runs.
    let settings = Configuration::load(&Configuration::path()).unwrap_or_default();
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
    let grant = Grant {
        held: held()?.intersection(recording.granted.bounding),
        non_root: settings.grant_non_root,
        relax_apparmor: settings.relax_apparmor,
        label: recording.label.as_ref().map(|label| label.context.as_str()),
    };
    rewrite::grant(object, &grant).map_err(failed)?;
    file::write(
        &path,
        value.to_string().as_bytes(),
        Attributes::Like(&metadata),
    )?;
    Ok(())
}
