//! Converts the rows of the maps into evidence.

use super::armed::EbpfState;
use super::cgroup;
use super::checks;
use super::error::Error;
use super::executables::{Executable, Root};
use super::executions::Executions;
use super::features;
use super::layout::{
    AttributeKey, CapsetKey, Check, CheckKey, Container, DeviceKey, InSlot, LOSSES, NO_PROCESS,
    PortKey, Program, ProgramKey, REPEATED, Sysctl, SysctlKey,
};
use super::limits::{self, Table};
use super::program_set::ProgramSet;
use super::{refused_checks, slot};
use capprof_profile::CapabilitySet;
use capprof_profile::observation::{BlindSpot, Capset, Evidence, ProgramExit, RecorderName};
use capprof_profile::recording::Recording;
use std::collections::HashMap;
use std::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kernel's counts for a recording.
pub struct Collected {
    /// The evidence.
    pub evidence: Evidence,
    /// The rows from which it was made; `None` if nothing is loaded.
    rows: Option<(ProgramSet, u64, Rows)>,
}

impl fmt::Debug for Collected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Collected");
        shown
            .field("evidence", &self.evidence)
            .finish_non_exhaustive()
    }
}

impl Collected {
    /// Forgets the recording, like [`forget()`](super::forget), but without a new search for its rows. The next sweep removes rows that were added
    /// since.
    ///
    /// # Errors
    /// [`Error::Pin`], [`Error::Update`].
    pub fn forget(self) -> Result<(), Error> {
        let Some((set, slot, rows)) = self.rows else {
            return Ok(());
        };
        slot::forget_processes(&set, slot)?;
        rows.delete_from(&set)?;
        refused_checks::release(&set).map(|_| ())
    }
}

/// Reads the kernel's counts for a recording.
///
/// It never fails as a whole: each error is a line in [`Evidence::losses`].
pub fn collect(recording: &Recording, armed: &EbpfState) -> Collected {
    let mut evidence = Evidence::default();
    let set = match ProgramSet::open() {
        Ok(Some(set)) => set,
        Ok(None) => {
            let line = "the eBPF programs were unloaded while the container ran".to_owned();
            evidence.losses.push(line);
            return Collected {
                evidence,
                rows: None,
            };
        }
        Err(error) => {
            evidence.losses.push(error.to_string());
            return Collected {
                evidence,
                rows: None,
            };
        }
    };
    let rows = Rows::read(&set, armed.slot, &mut evidence.losses);
    if let Some(container) = &rows.container {
        account(container, armed, &set, rows.checks.len(), &mut evidence);
        evidence.executed = Some(container.executed_ns != 0);
        if container.exited != 0 {
            evidence.exit = Some(ProgramExit::from_wait_status(container.exit_status));
        }
    }
    if let Some(reason) = armed.results_unseen() {
        evidence.blind_spots.push(BlindSpot {
            capability: None,
            recorder: RecorderName::Ebpf,
            reason: format!(
                "the results of system calls in which a check was refused could not be recorded: {reason}"
            ),
        });
    }
    let known: HashMap<u64, Executable> = rows
        .programs
        .iter()
        .map(|(key, row)| (key.program, Executable::of(row)))
        .collect();
    evidence.observations =
        checks::observations(&set, armed, &rows.checks, &known, &mut evidence.losses);
    let root = Root::open(
        recording.container.root_filesystem.as_deref(),
        armed.layers.as_ref(),
        &recording.container.bind_mounts,
    );
    let executions = Executions {
        root: &root,
        written: &rows.attributes,
        user_namespace: recording.process.user_namespace,
    };
    evidence.executions = executions.of(&rows.programs);
    evidence.capsets = rows
        .capsets
        .iter()
        .map(|(key, count)| capset(key, *count, known.get(&key.program)))
        .collect();
    evidence
        .blind_spots
        .extend(armed.method.blind_spots(&features::release()));
    evidence.devices = cgroup::devices(&rows.devices, &known);
    evidence.sysctls = cgroup::sysctls(&rows.sysctls, &known);
    evidence.ports = cgroup::ports(&set, &rows.ports, &known);
    evidence.ping_sockets = cgroup::ping_sockets(&rows.ports, &known);
    evidence.unseen = cgroup::unseen(&set, rows.container.as_ref());
    evidence.looks_beyond = true;
    sort(&mut evidence);
    Collected {
        evidence,
        rows: Some((set, armed.slot, rows)),
    }
}

/// Sorts the evidence, because the order of rows in a map is random.
fn sort(evidence: &mut Evidence) {
    evidence.observations.sort_by(|one, other| {
        (one.first_ms, one.capability, &one.program, &one.call_site).cmp(&(
            other.first_ms,
            other.capability,
            &other.program,
            &other.call_site,
        ))
    });
    evidence
        .executions
        .sort_by(|one, other| (&one.path, one.uid).cmp(&(&other.path, other.uid)));
}

/// The rows of one recording, map by map.
struct Rows {
    container: Option<Container>,
    programs: Vec<(ProgramKey, Program)>,
    checks: Vec<(CheckKey, Check)>,
    capsets: Vec<(CapsetKey, u64)>,
    devices: Vec<(DeviceKey, u64)>,
    sysctls: Vec<(SysctlKey, Sysctl)>,
    ports: Vec<(PortKey, u64)>,
    attributes: Vec<(AttributeKey, u64)>,
}

impl Rows {
    /// Reads the rows. Errors are added to `losses`.
    fn read(set: &ProgramSet, slot: u64, losses: &mut Vec<String>) -> Self {
        let container = container(set, slot, losses);
        let mut source = Source {
            set,
            slot,
            container: container.as_ref(),
            losses,
        };
        Self {
            programs: source.select(Table::Programs),
            checks: source.select(Table::Checks),
            capsets: source.select(Table::Capsets),
            devices: source.select(Table::Devices),
            sysctls: source.select(Table::Sysctls),
            ports: source.select(Table::Ports),
            attributes: source.select(Table::Attributes),
            container,
        }
    }

    /// Deletes the rows from the maps.
    fn delete_from(&self, set: &ProgramSet) -> Result<(), Error> {
        set.delete("checks", keys(&self.checks))?;
        set.delete("programs", keys(&self.programs))?;
        set.delete("capsets", keys(&self.capsets))?;
        set.delete("devices", keys(&self.devices))?;
        set.delete("sysctls", keys(&self.sysctls))?;
        set.delete("ports", keys(&self.ports))?;
        set.delete("attributes", keys(&self.attributes))
    }
}

fn keys<K, V>(rows: &[(K, V)]) -> impl Iterator<Item = &K> {
    rows.iter().map(|(key, _)| key)
}

fn container(set: &ProgramSet, slot: u64, losses: &mut Vec<String>) -> Option<Container> {
    match set.row("containers", &slot) {
        Ok(Some(container)) => return Some(container),
        Ok(None) => losses.push(
            "the eBPF state of this recording was removed while the container ran".to_owned(),
        ),
        Err(error) => losses.push(error.to_string()),
    }
    None
}

/// The source of rows.
struct Source<'a> {
    set: &'a ProgramSet,
    slot: u64,
    container: Option<&'a Container>,
    losses: &'a mut Vec<String>,
}

impl Source<'_> {
    /// The rows of a map that belong to the slot. Errors are added to the losses.
    fn select<K, V>(&mut self, table: Table) -> Vec<(K, V)>
    where
        K: InSlot + FromBytes + IntoBytes + KnownLayout + Immutable,
        V: FromBytes + KnownLayout + Immutable,
    {
        // A search takes time for every row of a map, and in most maps a container has no row.
        if self
            .container
            .is_some_and(|container| table.rows(container) == 0)
        {
            return Vec::new();
        }
        self.set
            .select(table.map(), |key: &K| key.slot() == self.slot)
            .unwrap_or_else(|error| {
                self.losses.push(error.to_string());
                Vec::new()
            })
    }
}

/// Adds the losses that the kernel side counted.
fn account(
    container: &Container,
    armed: &EbpfState,
    set: &ProgramSet,
    checks: usize,
    evidence: &mut Evidence,
) {
    if container.executed_ns == 0 {
        let line = "the container's program was never executed: nothing was recorded".to_owned();
        evidence.losses.push(line);
    } else if container.init != NO_PROCESS
        && container.unjoinable.contains(&container.mount_namespace)
    {
        evidence.blind_spots.push(BlindSpot {
            capability: None,
            recorder: RecorderName::Ebpf,
            reason: "the container shares a mount namespace with the host: processes that `exec` adds cannot be told from the host's"
                .to_owned(),
        });
    }
    let results = results_can_be_lost(armed.missed_results, set.missed_results());
    for (loss, (count, what)) in container.losses.iter().zip(LOSSES).enumerate() {
        if *count == 0 || (loss == REPEATED && !results) {
            continue;
        }
        let line = match Table::of_loss(loss) {
            Some(table) => format!(
                "{count} {what}: {}",
                limits::reached(set, container, &[table])
            ),
            None => format!("{count} {what}"),
        };
        evidence.losses.push(line);
    }
    // The kernel counts a row when it is in the map, so fewer rows than counted means that reading went wrong.
    let counted = usize::try_from(Table::Checks.rows(container)).unwrap_or(usize::MAX);
    if checks < counted {
        evidence.losses.push(format!(
            "{} of {counted} rows of capability checks could not be read",
            counted - checks
        ));
    }
    let missed = set.missed().saturating_sub(armed.missed);
    if missed > 0 {
        evidence.losses.push(format!(
            "{missed} runs of the eBPF programs were skipped by the kernel on this host meanwhile, perhaps of this container"
        ));
    }
}

/// True if a repeated system call can be one whose result was lost. It was if the kernel skipped all programs at its end, whose skipped runs it
/// counts: before the recording, and now.
fn results_can_be_lost(before: Option<u64>, now: Option<u64>) -> bool {
    now.is_none_or(|now| now > before.unwrap_or(0))
}

fn capset(key: &CapsetKey, count: u64, program: Option<&Executable>) -> Capset {
    Capset {
        program: program.map(|known| known.comm.clone()).unwrap_or_default(),
        executable: program.and_then(|known| known.path.clone()),
        held: CapabilitySet::from_bits(key.held),
        effective: CapabilitySet::from_bits(key.effective),
        permitted: CapabilitySet::from_bits(key.permitted),
        inheritable: CapabilitySet::from_bits(key.inheritable),
        ambient: CapabilitySet::from_bits(key.ambient),
        as_root: program.is_some_and(|known| known.as_root),
        count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_skipped_before_a_recording_are_none_of_its_losses() {
        assert!(!results_can_be_lost(Some(7), Some(7)));
        assert!(results_can_be_lost(Some(7), Some(8)));
        // The state of an earlier version has no number, and a kernel may give none.
        assert!(results_can_be_lost(None, Some(1)));
        assert!(!results_can_be_lost(None, Some(0)));
        assert!(results_can_be_lost(Some(7), None));
    }
}
