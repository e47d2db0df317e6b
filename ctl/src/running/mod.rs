//! Finds running containers of any engine, from the state of low-level runtimes and from /proc.
//!
//! No engine is asked, because it may be restarting, and its knowledge is in files too.

mod container;
mod recording;
mod state;

pub(crate) use container::{Running, sets_of};
pub(crate) use recording::{begin, keep, stored};

use anyhow::bail;
use capprof_profile::recording::Workload;
use capprof_store::process;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// All running containers, except the sandboxes of Kubernetes pods. `roots` are further directories in which a runtime keeps its containers.
pub(crate) fn all(roots: &[PathBuf]) -> Vec<Running> {
    let mut running: Vec<Running> = state::all(roots)
        .into_iter()
        .filter_map(Running::of)
        .filter(|container| {
            container.configuration.as_ref().is_none_or(|own| {
                let say =
                    |key: &str| own.document.value["annotations"][key].as_str() == Some("sandbox");
                !say("io.kubernetes.cri.container-type")
                    && !say("io.kubernetes.cri-o.ContainerType")
            })
        })
        .collect();
    running.sort_by_key(Running::name);
    running.dedup_by_key(|container| container.init.pid);
    running
}

/// Finds the container with this id, beginning of an id, name or pod, or with a process of this number.
///
/// # Errors
/// There is none, or several.
pub(crate) fn find(wanted: &str, roots: &[PathBuf]) -> anyhow::Result<Running> {
    let mut all = all(roots);
    let exact: Vec<usize> = positions(&all, |container| container.is_called(wanted));
    let found = match exact.is_empty() && wanted.len() >= 4 {
        true => positions(&all, |container| container.id.starts_with(wanted)),
        false => exact,
    };
    match found.as_slice() {
        [one] => Ok(all.swap_remove(*one)),
        [] => match wanted.parse() {
            Ok(pid) => of_process(pid, all),
            Err(_) => bail!(
                "no container \"{wanted}\" runs here: give a name, an id or the number of a process (capprofctl audit shows all); \
                 --root names the directory of a runtime with its own"
            ),
        },
        several => bail!(
            "\"{wanted}\" may be any of {}: give an id",
            several
                .iter()
                .filter_map(|position| all.get(*position))
                .map(|container| container.id.clone())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn positions(all: &[Running], is_meant: impl Fn(&Running) -> bool) -> Vec<usize> {
    all.iter()
        .enumerate()
        .filter(|(_, container)| is_meant(container))
        .map(|(position, _)| position)
        .collect()
}

/// The container of a process, else the process as a container of its own.
fn of_process(pid: i32, all: Vec<Running>) -> anyhow::Result<Running> {
    let Some(init) = process::find(pid) else {
        bail!("no process {pid} runs here, and no container of that name");
    };
    let own = control_groups(pid);
    let known = all.into_iter().find(|container| {
        container.init == init
            || (!own.is_empty()
                && control_groups(container.init.pid).iter().any(|group| {
                    group.len() > 10 && own.iter().any(|line| line.starts_with(group))
                }))
    });
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Ok(known.unwrap_or_else(|| Running {
        id: format!("pid-{pid}"),
        init,
        runtime: "",
        state: Path::new("/proc").join(pid.to_string()),
        configuration: None,
        workload: Workload {
            container: Some(name.trim_end().to_owned()),
            ..Workload::default()
        },
    }))
}

/// The lines of /proc/PID/cgroup that name a container by its id: those whose path is long enough for an id.
fn control_groups(pid: i32) -> Vec<String> {
    fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .unwrap_or_default()
        .lines()
        .filter(|line| {
            line.rsplit('/')
                .next()
                .is_some_and(|name| OsStr::new(name).len() >= 12)
        })
        .map(str::to_owned)
        .collect()
}
