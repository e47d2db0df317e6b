//! Reads the state that runc and crun keep for their containers.

use capprof_profile::recording::Process;
use capprof_store::{file, process};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A container as its runtime knows it.
#[derive(Debug)]
pub(super) struct RuntimeState {
    pub(super) id: String,
    pub(super) init: Process,
    pub(super) runtime: &'static str,
    pub(super) state: PathBuf,
    pub(super) bundle: Option<PathBuf>,
}

/// The directories in which runtimes keep their containers; `*` stands for every directory: runc and crun by themselves, under podman and under
/// CRI-O; under docker; under containerd; for a user other than root.
const ROOTS: [&str; 8] = [
    "/run/runc",
    "/run/crun",
    "/run/docker/runtime-runc/*",
    "/run/docker/runtime-*/*",
    "/run/containerd/runc/*",
    "/run/containerd/crun/*",
    "/run/user/*/runc",
    "/run/user/*/crun",
];

/// All containers in the usual places and in these.
pub(super) fn all(roots: &[PathBuf]) -> Vec<RuntimeState> {
    let mut places: Vec<PathBuf> = ROOTS.into_iter().flat_map(expanded).collect();
    places.extend(roots.iter().cloned());
    places.sort();
    places.dedup();
    places
        .iter()
        .flat_map(|root| file::subdirectories(root))
        .filter_map(|state| of_runc(&state).or_else(|| of_crun(&state)))
        .collect()
}

/// The directories that a pattern of [`ROOTS`] stands for.
fn expanded(pattern: &str) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("/")];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        places = places
            .into_iter()
            .flat_map(|place| match component.split_once('*') {
                None => vec![place.join(component)],
                Some((prefix, _)) => file::subdirectories(&place)
                    .into_iter()
                    .filter(|path| {
                        path.file_name()
                            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
                    })
                    .collect(),
            })
            .collect();
    }
    places
}

/// Reads runc's state (libcontainer, `State`).
fn of_runc(state: &Path) -> Option<RuntimeState> {
    #[derive(Deserialize)]
    struct State {
        id: String,
        init_process_pid: i32,
        init_process_start: u64,
        config: Config,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        labels: Option<Vec<String>>,
    }
    let known: State = serde_json::from_slice(&fs::read(state.join("state.json")).ok()?).ok()?;
    let bundle = known.config.labels.iter().flatten();
    let bundle = bundle
        .filter_map(|label| label.strip_prefix("bundle="))
        .next();
    Some(RuntimeState {
        id: known.id,
        init: Process {
            pid: known.init_process_pid,
            start_time: known.init_process_start,
        },
        runtime: "runc",
        state: state.to_owned(),
        bundle: bundle.map(PathBuf::from),
    })
}

/// Reads crun's state (`libcrun_container_status_t`).
fn of_crun(state: &Path) -> Option<RuntimeState> {
    #[derive(Deserialize)]
    struct Status {
        pid: i32,
        #[serde(rename = "process-start-time", default)]
        start_time: u64,
        #[serde(default)]
        bundle: Option<PathBuf>,
    }
    let known: Status = serde_json::from_slice(&fs::read(state.join("status")).ok()?).ok()?;
    let init = process::find(known.pid)?;
    (known.start_time == 0 || known.start_time == init.start_time).then(|| RuntimeState {
        id: state
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        init,
        runtime: "crun",
        state: state.to_owned(),
        bundle: known.bundle,
    })
}
