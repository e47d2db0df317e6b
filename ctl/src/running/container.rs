//! A running container, and the capabilities of its processes.

use super::state;
use capprof::annotations;
use capprof::bundle::Configuration;
use capprof::engine::{self, Docker};
use capprof_profile::recording::{Process, ProcessSets, Workload};
use capprof_store::process;
use std::path::PathBuf;

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// The id that its engine gave; for a bare process, its number.
    pub(crate) id: String,
    /// Its first process.
    pub(crate) init: Process,
    /// `runc` or `crun`; empty for a bare process.
    pub(crate) runtime: &'static str,
    /// Its directory in the runtime's state.
    pub(crate) state: PathBuf,
    /// The engine's configuration, if it can be read.
    pub(crate) configuration: Option<Configuration>,
    /// Its name.
    pub(crate) workload: Workload,
}

impl Running {
    /// Completes the runtime's state of a container; `None` if the container is gone.
    pub(super) fn of(found: state::RuntimeState) -> Option<Self> {
        process::exists(found.init).then_some(())?;
        let configuration = found
            .bundle
            .as_ref()
            .and_then(|bundle| Configuration::open(bundle.as_os_str(), None).ok());
        let workload = configuration
            .as_ref()
            .map_or_else(Workload::default, |own| {
                let value = &own.document.value;
                let docker = Docker::of(&found.id, value);
                let annotated = annotations::workload(value);
                engine::complete(annotated, docker.as_ref(), &found.id, &own.bundle)
            });
        Some(Self {
            id: found.id,
            init: found.init,
            runtime: found.runtime,
            state: found.state,
            configuration,
            workload,
        })
    }

    /// Its name for users.
    pub(crate) fn name(&self) -> String {
        match (&self.workload.pod, &self.workload.container) {
            (Some(pod), Some(container)) => format!("{pod}/{container}"),
            (_, Some(container)) => container.clone(),
            (_, None) => self.id.chars().take(12).collect(),
        }
    }

    /// Returns true if a name or id means it.
    pub(super) fn is_called(&self, wanted: &str) -> bool {
        let names = [
            self.workload.container.as_deref(),
            self.workload.pod.as_deref(),
        ];
        self.id == wanted || self.name() == wanted || names.contains(&Some(wanted))
    }

    /// The sets of the container: those of the engine's configuration, else those of its first process.
    pub(crate) fn sets(&self) -> ProcessSets {
        self.configuration
            .as_ref()
            .and_then(|own| {
                let process = own.document.value.get("process")?.as_object()?;
                capprof::rewrite::sets_of(process).ok()
            })
            .unwrap_or_else(|| sets_of(self.init.pid))
    }

    /// Returns true if it runs with what engines give for `--privileged`: every device.
    pub(crate) fn is_privileged(&self) -> bool {
        self.configuration.as_ref().is_some_and(|own| {
            let held = sets_of(1).bounding;
            capprof::engine_grants::of(own, &self.sets(), held).is_privileged()
        })
    }
}

/// The sets of a process; empty if it is gone.
pub(crate) fn sets_of(pid: i32) -> ProcessSets {
    process::capabilities(pid).unwrap_or_default()
}
