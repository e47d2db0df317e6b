//! The eBPF recorder: counts the kernel's capability checks of a container's processes.
//!
//! One program set serves the whole host. The first [`arm()`] after boot loads it and pins it in bpffs, where it stays. Containers are entries in its
//! maps, so a container's start waits only for updates of maps. See `bpf/capprof.bpf.c`.

mod argument;
mod arm;
mod armed;
mod attach;
mod batch;
mod btf;
mod call_object;
mod cgroup;
mod checks;
mod collect;
pub(crate) mod error;
mod executables;
mod executions;
pub(crate) mod features;
mod layers;
mod layout;
pub(crate) mod libbpf;
mod limits;
mod members;
mod method;
mod object;
mod probe;
mod program_set;
pub(crate) mod programs;
mod real_time;
mod refused_checks;
mod service_cgroups;
mod slot;
mod standby;
pub(crate) mod symbols;
mod tasks;

pub(crate) use arm::INITIAL_PID_NAMESPACE;
pub use arm::arm;
pub use armed::EbpfState;
pub use collect::{Collected, collect};
pub use error::Error;
pub use method::{Method, UnknownMethod};
pub use probe::{Attempt, EbpfReport, probe};
pub use program_set::{directory, unload};
pub use service_cgroups::enter_own;

use crate::recorder::{self, Collection, Recorder};
use capprof_profile::observation::{self, Evidence};
use capprof_profile::profile::RecorderReport;
use capprof_profile::recording::{Process, Recording};
use capprof_profile::settings::Recorders;
use capprof_store::recording::Directory;
use layout::{Check, CheckKey, Container, Task};
use program_set::ProgramSet;
use serde::Deserialize;
use serde_json::{Value, json};
use slot::Owner;
use std::collections::BTreeMap;
use std::path::Path;

/// The eBPF recorder.
#[derive(Debug)]
pub struct Ebpf;

impl Recorder for Ebpf {
    fn name(&self) -> observation::RecorderName {
        observation::RecorderName::Ebpf
    }

    fn is_wanted(&self, recording: &Recording) -> bool {
        recording.recorders != Recorders::Selinux
    }

    fn is_required(&self, recording: &Recording) -> bool {
        recording.is_from_outside()
    }

    fn switches_host(&self) -> bool {
        false
    }

    fn probe(&self, _: &Path) -> Value {
        json!(probe())
    }

    fn arm(
        &self,
        recording: &Recording,
        directory: &Directory,
        init: Process,
    ) -> anyhow::Result<recorder::ArmedRecorder> {
        let armed = arm(recording, directory, init)?;
        let report = RecorderReport {
            recorder: self.name(),
            recorded: true,
            method: armed.method.to_string(),
            scope: None,
            refused: armed.refused.clone(),
            results_unseen: armed.results_unseen().map(str::to_owned),
        };
        Ok(recorder::ArmedRecorder::recorded(report, json!(armed)))
    }

    fn collect(&self, recording: &Recording, state: &Value) -> Collection {
        match EbpfState::deserialize(state) {
            Ok(armed) => {
                let mut collected = collect(recording, &armed);
                Collection {
                    evidence: std::mem::take(&mut collected.evidence),
                    forget: Box::new(|| Ok(collected.forget()?)),
                }
            }
            Err(error) => Collection::of(Evidence {
                losses: vec![format!("read the eBPF recorder's state: {error}")],
                ..Evidence::default()
            }),
        }
    }

    /// Does nothing: the recorder holds only the rows with its evidence, which `forget` deletes.
    fn release(&self, _: &Recording, _: &Directory, _: &Value) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn forget(&self, state: &Value) -> anyhow::Result<()> {
        Ok(forget(&EbpfState::deserialize(state)?)?)
    }

    fn sweep(&self, state: &Path, live: &[String]) -> anyhow::Result<Vec<String>> {
        Ok(sweep(state, live)?)
    }

    fn unload(&self) -> anyhow::Result<Vec<String>> {
        Ok(match unload()? {
            true => vec!["unloaded the eBPF programs".to_owned()],
            false => Vec::new(),
        })
    }
}

/// Forgets a recording; the programs stay loaded for the next one. It is no error if the recording is already forgotten.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub fn forget(armed: &EbpfState) -> Result<(), Error> {
    match ProgramSet::open()? {
        Some(set) => forget_slot(&set, armed.slot),
        None => Ok(()),
    }
}

fn forget_slot(set: &ProgramSet, slot: u64) -> Result<(), Error> {
    slot::forget(set, slot)?;
    refused_checks::release(set).map(|_| ())
}

/// Forgets the recordings of a state directory that are not in `live`, and leftover rows of recordings that were partly forgotten. Returns a line for
/// each.
///
/// # Errors
/// [`Error::Pin`], [`Error::Update`].
pub fn sweep(state: &Path, live: &[String]) -> Result<Vec<String>, Error> {
    let Some(set) = ProgramSet::open()? else {
        return Ok(Vec::new());
    };
    let mut done = Vec::new();
    // This comes before the list of containers: a slot enters that map before any other.
    let in_use = slot::in_use(&set)?;
    let containers = set.containers()?;
    for (slot, container) in &containers {
        let owner = Owner::of(container);
        if owner.is_in(state) && !live.contains(&owner.recording) && !slot::is_young(*slot) {
            forget_slot(&set, *slot)?;
            done.push(format!(
                "forgot eBPF state of recording {}, which is gone",
                owner.recording
            ));
        }
    }
    for slot in in_use {
        let is_known = |(known, _): &(u64, Container)| *known == slot;
        if !containers.iter().any(is_known) && !slot::is_young(slot) {
            slot::forget(&set, slot)?;
            done.push("removed eBPF map rows of a recording that is gone".to_owned());
        }
    }
    // A hook was killed between attaching the program and entering its recording.
    if refused_checks::release(&set)? {
        done.push(
            "detached the eBPF program that follows refused checks, which no recording needs"
                .to_owned(),
        );
    }
    Ok(done)
}

/// The recordings that the kernel side knows, by slot, with their ids.
///
/// # Errors
/// [`Error::Pin`]. If nothing is loaded, there are none.
pub fn live_slots() -> Result<Vec<(u64, String)>, Error> {
    let Some(set) = ProgramSet::open()? else {
        return Ok(Vec::new());
    };
    Ok(set
        .containers()?
        .into_iter()
        .map(|(slot, container)| (slot, Owner::of(&container).recording))
        .collect())
}

/// The number of checks of each recording, by its id.
///
/// # Errors
/// [`Error::Pin`]. If nothing is loaded, there are none.
pub fn activity() -> Result<BTreeMap<String, u64>, Error> {
    let Some(set) = ProgramSet::open()? else {
        return Ok(BTreeMap::new());
    };
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for (key, row) in set.rows::<CheckKey, Check>("checks")? {
        *counts.entry(key.slot).or_default() += row.count;
    }
    Ok(set
        .containers()?
        .into_iter()
        .map(|(slot, container)| {
            let count = counts.get(&slot).copied().unwrap_or_default();
            (Owner::of(&container).recording, count)
        })
        .collect())
}

/// Loads the program set, if none is loaded, by the first of these methods that works.
///
/// # Errors
/// As [`arm()`].
pub fn load(methods: &[Method]) -> Result<(), Error> {
    ProgramSet::ensure(methods).map(|_| ())
}

/// The reasons why devices or writes to /proc/sys are not seen, a line each.
///
/// # Errors
/// [`Error::Pin`]. If nothing is loaded, the list is empty.
pub fn unseen() -> Result<Vec<String>, Error> {
    Ok(ProgramSet::open()?.map_or_else(Vec::new, |set| cgroup::unseen(&set, None)))
}

/// The thread groups that belong to recordings, and the mount namespaces that lead to one, by number.
///
/// # Errors
/// [`Error::Pin`]. If nothing is loaded, there are none.
pub fn processes() -> Result<(Vec<u32>, Vec<u32>), Error> {
    let Some(set) = ProgramSet::open()? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let tasks = set.rows::<u32, Task>("tasks")?;
    let joins = set.rows::<u32, u64>("joins")?;
    Ok((
        tasks.into_iter().map(|(tgid, _)| tgid).collect(),
        joins.into_iter().map(|(mounts, _)| mounts).collect(),
    ))
}
