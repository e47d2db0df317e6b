//! The recording of a service.

use super::service::Service;
use crate::running;
use anyhow::Context;
use capprof::create;
use capprof_profile::recording::{
    Container, ContainerProcess, Delivery, Grant, JudgedBy, Mode, ProcessSets, Recording, Runtime,
    SCHEMA, Unit, Workload,
};
use capprof_profile::settings::{Recorders, Settings};
use capprof_store::recording::Directory;
use capprof_store::{drop_in, time};
use std::path::PathBuf;

/// Describes the recording of a service with these sets: its own, or those of the profile that it verifies. It arms nothing.
///
/// # Errors
/// The state directory cannot be written.
pub(super) fn begin(
    service: &Service,
    verified: Option<(&str, ProcessSets)>,
    settings: &Settings,
) -> anyhow::Result<Directory> {
    let now = jiff::Timestamp::now();
    let id = create::recording_id(now).context("get random numbers")?;
    let sets = verified.map_or_else(|| service.sets(), |(_, sets)| sets);
    let recording = Recording {
        schema: SCHEMA.to_owned(),
        id,
        mode: match verified {
            None => Mode::Observe,
            Some(_) => Mode::Verify,
        },
        profile: verified.map(|(profile, _)| profile.to_owned()),
        judge: JudgedBy::Caller,
        attached: None,
        unit: Some(Unit {
            name: service.name.clone(),
            control_group: service.control_group(),
        }),
        created: time::rfc3339(now),
        container: container(service),
        shim: create::own_process(),
        process: ContainerProcess {
            args: service.words(),
            uid: service.uid(),
            user_namespace: service.has_user_namespace(),
            no_new_privileges: service.no_new_privileges(),
        },
        grant: Grant {
            original: sets,
            granted: sets,
            relaxed: Vec::new(),
            engine_grants: None,
            label: None,
        },
        recorders: Recorders::Ebpf,
        results: running::stored(settings),
    };
    running::keep(&recording, None, settings)
}

fn container(service: &Service) -> Container {
    Container {
        id: service.name.clone(),
        name: None,
        workload: Workload {
            container: Some(service.name.clone()),
            engine: Some("systemd".to_owned()),
            ..Workload::default()
        },
        bundle: PathBuf::from("/"),
        bundle_identity: None,
        configuration: service.file(),
        delivery: Delivery::default(),
        root_filesystem: Some(PathBuf::from("/")),
        bind_mounts: Vec::new(),
        runtime: Runtime {
            name: "systemd".to_owned(),
            path: PathBuf::from("systemd"),
            state: drop_in::path(&service.name),
        },
    }
}
