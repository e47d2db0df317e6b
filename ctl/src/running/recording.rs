//! The recording of a container that already runs.

use super::container::{Running, sets_of};
use anyhow::Context;
use capprof::{create, engine_grants, rewrite};
use capprof_profile::privileges::EngineGrants;
use capprof_profile::recording::{
    Container, ContainerProcess, Delivery, Grant, JudgedBy, Mode, Recording, ResultSettings,
    Runtime, SCHEMA,
};
use capprof_profile::settings::{Recorders, Settings};
use capprof_store::file::{self, Attributes};
use capprof_store::recording::{Directory, container_key};
use capprof_store::time;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Describes the recording of a running container. It arms nothing.
///
/// # Errors
/// The state directory cannot be written.
pub(crate) fn begin(running: &Running, settings: &Settings) -> anyhow::Result<Directory> {
    let now = jiff::Timestamp::now();
    let id = create::recording_id(now).context("get random numbers")?;
    let recording = describe(running, settings, id, time::rfc3339(now));
    let configuration = running.configuration.as_ref();
    keep(
        &recording,
        configuration.map(|own| own.content.as_str()),
        settings,
    )
}

/// Writes the description of a recording, with the engine's configuration. If there is none, it writes the part that follows from the recording.
///
/// # Errors
/// The state directory cannot be written.
pub(crate) fn keep(
    recording: &Recording,
    engines: Option<&str>,
    settings: &Settings,
) -> anyhow::Result<Directory> {
    let key = container_key(recording.container.id.as_ref());
    let directory = Directory::create(&settings.state, &key, &recording.id)?;
    let own = || configuration(recording);
    let written = file::write(
        &directory.original_configuration(),
        engines.map_or_else(own, str::to_owned).as_bytes(),
        Attributes::Mode(0o600),
    )
    .and_then(|()| directory.save(recording));
    if let Err(error) = written {
        let _ = directory.remove();
        return Err(error.into());
    }
    Ok(directory)
}

/// The part of a configuration that follows from the recording alone.
fn configuration(recording: &Recording) -> String {
    let sets = recording.grant.original;
    let named: serde_json::Map<String, Value> = sets
        .named()
        .into_iter()
        .map(|(name, set)| (name.to_owned(), json!(set)))
        .collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "args": recording.process.args,
            "user": {"uid": recording.process.uid},
            "capabilities": named,
        },
    })
    .to_string()
}

fn describe(running: &Running, settings: &Settings, id: String, created: String) -> Recording {
    let sets = running.sets();
    let own = running.configuration.as_ref();
    Recording {
        schema: SCHEMA.to_owned(),
        id,
        mode: Mode::Observe,
        profile: None,
        judge: JudgedBy::Hook,
        attached: Some(running.init),
        unit: None,
        created,
        container: container(running),
        shim: create::own_process(),
        process: described_process(running),
        grant: Grant {
            original: sets,
            granted: sets,
            relaxed: Vec::new(),
            engine_grants: own.map(|own| EngineGrants {
                filter_refuses: own
                    .document
                    .value
                    .get("linux")
                    .and_then(Value::as_object)
                    .map(rewrite::refused_calls)
                    .unwrap_or_default(),
                ..engine_grants::of(own, &sets, sets_of(1).bounding)
            }),
            label: None,
        },
        recorders: Recorders::Ebpf,
        results: stored(settings),
    }
}

/// The destination of results of workloads that no engine started: only the store.
pub(crate) fn stored(settings: &Settings) -> ResultSettings {
    ResultSettings {
        output: None,
        output_identity: None,
        store: settings.store.clone(),
        retention: settings.retention,
        fail_on_error: true,
        preference: settings.prefer,
    }
}

fn container(running: &Running) -> Container {
    let own = running.configuration.as_ref();
    let path = |pointer: &str| own?.document.value.pointer(pointer)?.as_str();
    let bundle = own.map_or_else(|| running.state.clone(), |own| own.bundle.clone());
    let name = own.and_then(|own| own.document.value["annotations"]["io.capprof.name"].as_str());
    Container {
        id: running.id.clone(),
        name: name.map(str::to_owned),
        workload: running.workload.clone(),
        bundle_identity: None,
        configuration: own.map_or_else(PathBuf::new, |own| own.path.clone()),
        delivery: Delivery::default(),
        root_filesystem: match path("/root/path") {
            Some(root) => Some(bundle.join(root)),
            None => Some(PathBuf::from(format!("/proc/{}/root", running.init.pid))),
        },
        bind_mounts: own.map_or_else(Vec::new, |own| {
            create::bind_mounts(&own.document.value, &bundle)
        }),
        runtime: Runtime {
            name: running.runtime.to_owned(),
            path: PathBuf::from(running.runtime),
            state: running.state.clone(),
        },
        bundle,
    }
}

/// The process according to the configuration, else according to /proc.
fn described_process(running: &Running) -> ContainerProcess {
    let pid = running.init.pid;
    let process = running
        .configuration
        .as_ref()
        .and_then(|own| own.document.value.get("process"));
    let args = match process.and_then(|process| process.get("args")?.as_array()) {
        Some(args) => args
            .iter()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect(),
        None => command_line(pid),
    };
    let uid = process
        .and_then(Value::as_object)
        .and_then(|process| rewrite::uid(process).ok())
        .unwrap_or_else(|| effective_user(pid));
    let namespace = |pid: &str| {
        let link = Path::new("/proc").join(pid).join("ns/user");
        fs::metadata(link).ok().map(|link| link.ino())
    };
    ContainerProcess {
        args,
        uid,
        user_namespace: namespace(&pid.to_string()) != namespace("1"),
        no_new_privileges: process
            .is_some_and(|process| process.get("noNewPrivileges") == Some(&Value::Bool(true))),
    }
}

fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

fn effective_user(pid: i32) -> u32 {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix("Uid:")?
                .split_whitespace()
                .nth(1)?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}
