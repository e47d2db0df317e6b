//! `create` and `run`: from the engine's configuration to a recording and a rewritten configuration.

mod error;
mod low_level_runtime;
mod mode;
mod recording;

pub use error::Error;
pub use low_level_runtime::LowLevelRuntime;
pub use recording::{bind_mounts, own_process, recording_id};

use crate::annotations::{self, Elsewhere, Request, RequestedMode};
use crate::bundle::Configuration;
use crate::delivery::{self, CommandLine};
use crate::engine::Docker;
use crate::privilege::is_root_of_host;
use crate::sweep;
use capprof_profile::settings::Settings;
use capprof_store::recording::Directory;
use recording::NewRecording;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// Starts a recording if the container is to be profiled or limited, and makes the runtime read a rewritten configuration. Returns `None` if the
/// runtime gets the engine's configuration unchanged.
///
/// # Errors
/// Any [`Error`]; then no recording is left.
pub fn prepare(
    target: &LowLevelRuntime<'_>,
    line: &mut CommandLine<'_>,
) -> Result<Option<Directory>, Error> {
    let Some(id) = &line.command.id else {
        return Ok(None);
    };
    let Some(Wanted {
        source,
        request,
        docker,
    }) = wanted(target, line)?
    else {
        return Ok(None);
    };
    let state = target.state_of(id);
    // The runtime will refuse to create it a second time.
    if state.exists() {
        return Ok(None);
    }
    if !is_root_of_host() {
        match request.mode {
            RequestedMode::Profile | RequestedMode::Verify(_) => return Err(Error::Rootless),
            // capprof was only asked to record, and no recorder works for this user.
            RequestedMode::Observe => return Ok(None),
            RequestedMode::Enforce(_) | RequestedMode::Off => {}
        }
    }
    let id = id
        .to_str()
        .ok_or_else(|| Error::Id(id.to_string_lossy().escape_default().to_string()))?;
    let settings = Settings {
        state: target.state.to_owned(),
        ..target.settings.settings()?
    };
    sweep::sweep(target.state);
    let new = NewRecording {
        settings: &settings,
        request,
        docker,
        id,
        state,
        target,
    };
    Ok(Some(new.start(&source, line)?))
}

/// Refuses to restore a container from a checkpoint, unless capprof leaves it alone.
///
/// # Errors
/// [`Error::Restore`], and those of the configuration.
pub fn refuse_restore(
    target: &LowLevelRuntime<'_>,
    line: &mut CommandLine<'_>,
) -> Result<(), Error> {
    match wanted(target, line)? {
        None => Ok(()),
        Some(wanted) if wanted.request.mode == RequestedMode::Observe => Ok(()),
        Some(wanted) => Err(Error::Restore {
            path: wanted.source.path,
            runtime: target.path.to_owned(),
        }),
    }
}

/// A container that capprof profiles or limits: its configuration, the request to capprof, and docker's facts about it.
struct Wanted {
    source: Configuration,
    request: Request,
    docker: Option<Docker>,
}

/// Reads the configuration and its request. Returns `None` if it asks to be left alone, has no process, or cannot be reached by the runtime either.
fn wanted(
    target: &LowLevelRuntime<'_>,
    line: &mut CommandLine<'_>,
) -> Result<Option<Wanted>, Error> {
    let elsewhere = Elsewhere {
        environment: &variable,
        default: target.mode,
    };
    let source = match target.configuration(line.command) {
        Ok(source) => source,
        Err(error)
            if error.is_refused_by_the_runtime()
                || annotations::environment_says_off(elsewhere.environment) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let document = &source.document;
    let id = line.command.id.as_deref().and_then(OsStr::to_str);
    let docker = id.and_then(|id| Docker::of(id, &document.value));
    let annotated = with_labels(&document.value, docker.as_ref());
    let request =
        annotations::request(&annotated, elsewhere).map_err(|error| Error::Annotation {
            path: source.path.clone(),
            source: error,
        })?;
    let is_off = match request.mode {
        RequestedMode::Off => document.has_clear_annotations(),
        // A configuration that cannot be rewritten safely is left alone: observing must never keep a container from running.
        RequestedMode::Observe => document.has_clear_annotations() && document.check().is_err(),
        _ => false,
    };
    if !is_off {
        document.check().map_err(|error| Error::Ambiguous {
            path: source.path.clone(),
            source: error,
        })?;
    }
    let process = document.value.get("process");
    if !is_off && process.is_some_and(|process| !process.is_null()) {
        return Ok(Some(Wanted {
            source,
            request,
            docker,
        }));
    }
    if source.is_consumed {
        let present = line.command.configuration.as_ref();
        delivery::in_memory(line, present, "config", source.content.as_bytes()).map_err(
            |error| Error::PassOn {
                path: source.path.clone(),
                source: error,
            },
        )?;
    }
    Ok(None)
}

/// The annotations, and the container's labels as a substitute; an annotation takes precedence.
fn with_labels(configuration: &Value, docker: Option<&Docker>) -> Value {
    let mut annotations = configuration["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let labels = docker.map_or_else(BTreeMap::new, Docker::labels);
    for (key, value) in labels {
        annotations.entry(key).or_insert_with(|| value.into());
    }
    json!({ "annotations": annotations })
}

/// An environment variable. Bytes that are not UTF-8 are replaced, so that the value appears in an error as an invalid one.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
