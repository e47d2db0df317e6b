//! From map rows to evidence.

use super::argument::Arguments;
use super::beside;
use super::executables::{self, Root};
use super::layout::{
    self, CapsetKey, Check, CheckKey, Container, DeviceKey, LOSSES, Program, ProgramKey, Sysctl,
    SysctlKey, Task, check,
};
use super::pins::Set;
use super::symbols::{Symbols, audit};
use super::{Armed, Error};
use capprof_profile::observation::{
    Audit, BlindSpot, Capset, Evidence, Execution, Exit, Namespace, Observation, Recorder, Results,
    Syscall, Verdict,
};
use capprof_profile::recording::Recording;
use capprof_profile::verification::RESULTS_UNSEEN;
use capprof_profile::{Capability, CapabilitySet};
use libbpf_rs::{MapCore, MapFlags};
use std::collections::HashMap;
use std::path::PathBuf;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A program of the container, by its key in the map.
pub(super) struct Known {
    pub(super) comm: String,
    path: Option<PathBuf>,
}

pub(super) fn gather(recording: &Recording, armed: &Armed) -> Evidence {
    let mut evidence = Evidence::default();
    let set = match Set::open() {
        Ok(Some(set)) => set,
        Ok(None) => {
            let line = "the eBPF programs were unloaded while the container ran".to_owned();
            evidence.losses.push(line);
            return evidence;
        }
        Err(error) => {
            evidence.losses.push(error.to_string());
            return evidence;
        }
    };
    let container = container(&set, armed.slot, &mut evidence);
    let programs: Vec<(ProgramKey, Program)> =
        select(&set, "programs", &mut evidence, |key: &ProgramKey| {
            key.slot == armed.slot
        });
    let checks: Vec<(CheckKey, Check)> = select(&set, "checks", &mut evidence, |key: &CheckKey| {
        key.slot == armed.slot
    });
    let capsets: Vec<(CapsetKey, u64)> =
        select(&set, "capsets", &mut evidence, |key: &CapsetKey| {
            key.slot == armed.slot
        });
    let devices: Vec<(DeviceKey, u64)> =
        select(&set, "devices", &mut evidence, |key: &DeviceKey| {
            key.slot == armed.slot
        });
    let sysctls: Vec<(SysctlKey, Sysctl)> =
        select(&set, "sysctls", &mut evidence, |key: &SysctlKey| {
            key.slot == armed.slot
        });
    if let Some(container) = container {
        account(&container, armed, &set, checks.len(), &mut evidence);
        if container.exited != 0 {
            evidence.exit = Some(Exit::from_wait_status(container.exit_status));
        }
    }
    if let Some(Err(reason)) = &armed.results {
        evidence.blind_spots.push(BlindSpot {
            capability: None,
            recorder: Recorder::Ebpf,
            reason: format!("{RESULTS_UNSEEN} could not be recorded: {reason}"),
        });
    }
    let known: HashMap<u64, Known> = programs
        .iter()
        .map(|(key, row)| {
            let reachable =
                row.flags & (layout::program::OUTSIDE | layout::program::TRUNCATED) == 0;
            let known = Known {
                comm: layout::text(&row.comm),
                path: reachable.then(|| executables::path(row)),
            };
            (key.program, known)
        })
        .collect();
    evidence.observations = observations(&set, armed, &checks, &known, &mut evidence.losses);
    evidence.executions = executions(recording, &programs);
    evidence.capsets = capsets
        .iter()
        .map(|(key, count)| {
            let program = known.get(&key.program);
            Capset {
                program: program.map(|known| known.comm.clone()).unwrap_or_default(),
                executable: program.and_then(|known| known.path.clone()),
                held: CapabilitySet::from_bits(key.held),
                effective: CapabilitySet::from_bits(key.effective),
                permitted: CapabilitySet::from_bits(key.permitted),
                inheritable: CapabilitySet::from_bits(key.inheritable),
                count: *count,
            }
        })
        .collect();
    evidence.blind_spots.extend(blind_spots(&armed.method));
    evidence.devices = beside::devices(&devices, &known);
    evidence.sysctls = beside::sysctls(&sysctls, &known);
    evidence.unseen = beside::unseen(&set, container.as_ref());
    evidence.looks_beyond = true;
    // The order of rows in a map is chance.
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
    evidence
}

fn container(set: &Set, slot: u64, evidence: &mut Evidence) -> Option<Container> {
    let value = set.map("containers").and_then(|map| {
        map.lookup(slot.as_bytes(), MapFlags::ANY)
            .map_err(|error| Error::update("containers", &error))
    });
    match value {
        Ok(Some(value)) => match Container::read_from_bytes(&value) {
            Ok(container) => return Some(container),
            Err(_) => evidence
                .losses
                .push("the eBPF programs were exchanged while the container ran".to_owned()),
        },
        Ok(None) => evidence.losses.push(
            "the eBPF state of this recording was removed while the container ran".to_owned(),
        ),
        Err(error) => evidence.losses.push(error.to_string()),
    }
    None
}

/// Rows of a map; what cannot be read is a loss.
fn select<K, V>(
    set: &Set,
    name: &str,
    evidence: &mut Evidence,
    wanted: impl Fn(&K) -> bool,
) -> Vec<(K, V)>
where
    K: FromBytes + IntoBytes + KnownLayout + Immutable,
    V: FromBytes + KnownLayout + Immutable,
{
    set.select(name, wanted).unwrap_or_else(|error| {
        evidence.losses.push(error.to_string());
        Vec::new()
    })
}

/// What the kernel side says about itself.
fn account(
    container: &Container,
    armed: &Armed,
    set: &Set,
    checks: usize,
    evidence: &mut Evidence,
) {
    if container.executed_ns == 0 {
        let line = "the container's program was never executed: nothing was recorded".to_owned();
        evidence.losses.push(line);
    } else if container.unjoinable.contains(&container.mount_namespace) {
        evidence.blind_spots.push(BlindSpot {
            capability: None,
            recorder: Recorder::Ebpf,
            reason: "the container shares a mount namespace with the host: processes that `exec` adds cannot be told from the host's"
                .to_owned(),
        });
    }
    for (count, what) in container.losses.iter().zip(LOSSES) {
        if *count > 0 {
            evidence.losses.push(format!("{count} {what}"));
        }
    }
    // A row is counted when it is in the map: fewer read than counted means that reading went wrong.
    let counted = usize::try_from(container.rows).unwrap_or(usize::MAX);
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

/// What makes two rows one observation.
type Kind<'row> = (&'row CheckKey, Vec<String>);

fn observations(
    set: &Set,
    armed: &Armed,
    checks: &[(CheckKey, Check)],
    known: &HashMap<u64, Known>,
    losses: &mut Vec<String>,
) -> Vec<Observation> {
    let stack = |row: &Check| -> Vec<u64> {
        let length = usize::try_from(row.frames)
            .unwrap_or(0)
            .min(row.stack.len());
        row.stack.get(..length).unwrap_or_default().to_vec()
    };
    let stacks: Vec<Vec<u64>> = checks.iter().map(|(_, row)| stack(row)).collect();
    let (symbols, problem) = Symbols::resolve(set, stacks.iter().map(Vec::as_slice));
    losses.extend(problem);

    let milliseconds = |nanoseconds: u64| nanoseconds.saturating_sub(armed.armed_ns) / 1_000_000;
    let arguments = Arguments::default();
    let mut merged: HashMap<_, Observation> = HashMap::new();
    for ((key, row), stack) in checks.iter().zip(&stacks) {
        let Some(capability) = u8::try_from(key.capability)
            .ok()
            .and_then(Capability::from_number)
        else {
            losses.push(format!("a check of unknown capability {}", key.capability));
            continue;
        };
        let call_site = symbols.call_site(stack);
        let kind: Kind<'_> = (key, call_site);
        let program = known.get(&key.program);
        let syscall = syscall(key.syscall, key.flags & check::COMPAT != 0);
        let observation = Observation {
            recorder: Recorder::Ebpf,
            capability,
            verdict: match key.denied {
                0 => Verdict::Granted,
                _ => Verdict::Denied,
            },
            namespace: match key.flags >> check::NAMESPACE {
                1 => Namespace::Own,
                2 => Namespace::Initial,
                3 => Namespace::Nested,
                4 => Namespace::Foreign,
                5 => Namespace::NestedOfOther,
                _ => Namespace::Unknown,
            },
            audit: match key.flags & (check::SILENT | check::AUDITED) {
                check::SILENT => Audit::Silent,
                check::AUDITED => Audit::Audited,
                _ => audit(&kind.1),
            },
            overridden: key.flags & check::OVERRIDDEN != 0,
            own_mount: key.flags & check::MOUNTER != 0,
            by_owner: key.flags & check::BY_OWNER != 0,
            pre_exec: key.flags & check::PRE_EXEC != 0,
            joined: key.flags & check::JOINED != 0,
            without_effect: key.flags & check::WITHOUT_EFFECT != 0
                || sysctl_without_effect(key.flags, &kind.1),
            program: program.map_or_else(|| layout::text(&row.comm), |known| known.comm.clone()),
            executable: program.and_then(|known| known.path.clone()),
            pid: row.tgid,
            argument: arguments.decode(&syscall, key.argument),
            syscall: Some(syscall),
            call_site: kind.1.clone(),
            path: None,
            count: row.count,
            first_ms: milliseconds(row.first_ns),
            last_ms: milliseconds(row.last_ns),
            results: (key.denied != 0 && armed.results == Some(Ok(()))).then(|| results(row)),
        };
        let identity = (
            key.program,
            key.syscall,
            key.flags,
            key.capability,
            key.denied,
            key.argument,
            kind.1,
        );
        merged
            .entry(identity)
            .and_modify(|all| {
                all.count += observation.count;
                all.last_ms = all.last_ms.max(observation.last_ms);
                if let (Some(all), Some(results)) = (&mut all.results, &observation.results) {
                    all.add(results);
                }
                if observation.first_ms < all.first_ms {
                    all.first_ms = observation.first_ms;
                    all.pid = observation.pid;
                }
            })
            .or_insert(observation);
    }
    merged.into_values().collect()
}

/// What the system calls of a refused check came to.
fn results(row: &Check) -> Results {
    let [success, eperm, eacces, other_error] = row.results;
    Results {
        success,
        eperm,
        eacces,
        other_error,
        unseen: row
            .count
            .saturating_sub(row.results.iter().fold(0, |sum, n| sum.saturating_add(*n))),
    }
}

/// Entries of /proc/sys whose permissions ask for a capability of whoever looks at them, before it is known what for
/// (`ctl_table_root.permissions`; fs/proc/proc_sysctl.c, `sysctl_perm()`). Whoever reads gets the same without, for these files
/// are readable for everyone. Whoever writes as the host's root gets it as their owner, save for those of System V IPC.
fn sysctl_without_effect(flags: u32, call_site: &[String]) -> bool {
    const ASKING: [&str; 4] = [
        "net_ctl_permissions",
        "pid_table_root_permissions",
        "ipc_permissions",
        "set_permissions",
    ];
    const WRITING: [&str; 5] = [
        "vfs_write",
        "vfs_iter_write",
        "vfs_writev",
        "iter_file_splice_write",
        "io_write",
    ];
    const ASKED: [&str; 3] = ["do_faccessat", "__do_sys_faccessat", "__x64_sys_access"];
    let has = |names: &[&str]| call_site.iter().any(|name| names.contains(&name.as_str()));
    if !has(&ASKING) {
        return false;
    }
    if flags & check::ROOT != 0 && has(&["net_ctl_permissions", "pid_table_root_permissions"]) {
        return true;
    }
    // access(2) says what would be allowed, and may have been asked about writing.
    flags & check::OPEN_WRITE == 0 && !has(&WRITING) && !has(&ASKED)
}

fn syscall(number: i32, compat: bool) -> Syscall {
    let name = match (usize::try_from(number), compat) {
        (Ok(number), false) => syscalls::Sysno::new(number)
            .map_or_else(|| number.to_string(), |known| known.name().to_owned()),
        #[cfg(target_arch = "x86_64")]
        (Ok(number), true) => syscalls::x86::Sysno::new(number)
            .map_or_else(|| number.to_string(), |known| known.name().to_owned()),
        #[cfg(not(target_arch = "x86_64"))]
        (Ok(number), true) => syscalls::arm::Sysno::new(number)
            .map_or_else(|| number.to_string(), |known| known.name().to_owned()),
        (Err(_), _) => number.to_string(),
    };
    Syscall {
        number: i64::from(number),
        name,
    }
}

fn executions(recording: &Recording, programs: &[(ProgramKey, Program)]) -> Vec<Execution> {
    let root = Root::open(recording.root_filesystem.as_deref(), &recording.bind_mounts);
    let mut merged: HashMap<(PathBuf, u32), Execution> = HashMap::new();
    for (_, row) in programs {
        let path = executables::path(row);
        let gained = CapabilitySet::from_bits(row.gained);
        merged
            .entry((path.clone(), row.uid))
            .and_modify(|execution| {
                execution.count += row.count;
                execution.gained = execution.gained.union(gained);
            })
            .or_insert_with(|| {
                let (file_capabilities, unreadable) =
                    match root.file_capabilities(row, &path, recording.user_namespace) {
                        Ok(capabilities) => (capabilities, None),
                        Err(reason) => (None, Some(reason)),
                    };
                Execution {
                    path,
                    uid: row.uid,
                    file_capabilities,
                    unreadable,
                    gained,
                    count: row.count,
                }
            });
    }
    merged.into_values().collect()
}

/// What a way to attach cannot see.
fn blind_spots(method: &str) -> Vec<BlindSpot> {
    let spot = |capability, reason: &str| BlindSpot {
        capability: Some(capability),
        recorder: Recorder::Ebpf,
        reason: reason.to_owned(),
    };
    let mut spots = Vec::new();
    if method.starts_with("tp_btf") {
        return spots;
    }
    if !method.contains("cap_task_prctl") {
        spots.push(spot(
            Capability::SETPCAP,
            "capset(2) and prctl(PR_SET_SECUREBITS) ask in a place that this kernel does not let be seen, and what capset(2) was asked for is not known",
        ));
    }
    spots.push(spot(
        Capability::SYS_RAWIO,
        "mmap(2) of addresses below vm.mmap_min_addr asks in a place that this kernel does not let be seen",
    ));
    spots
}

/// Removes all rows of a slot.
pub(super) fn forget(set: &Set, slot: u64) -> Result<(), Error> {
    // First of all what makes the kernel side count.
    set.delete("containers", [slot])?;
    let tasks = set.rows::<u32, Task>("tasks")?;
    set.delete(
        "tasks",
        tasks
            .iter()
            .filter(|(_, task)| task.slot == slot)
            .map(|(tgid, _)| *tgid),
    )?;
    let joins = set.rows::<u32, u64>("joins")?;
    set.delete(
        "joins",
        joins
            .iter()
            .filter(|(_, joined)| *joined == slot)
            .map(|(mounts, _)| *mounts),
    )?;
    let checks = set.keys("checks", |key: &CheckKey| key.slot == slot)?;
    set.delete("checks", checks)?;
    let programs = set.keys("programs", |key: &ProgramKey| key.slot == slot)?;
    set.delete("programs", programs)?;
    let capsets = set.keys("capsets", |key: &CapsetKey| key.slot == slot)?;
    set.delete("capsets", capsets)?;
    let devices = set.keys("devices", |key: &DeviceKey| key.slot == slot)?;
    set.delete("devices", devices)?;
    let sysctls = set.keys("sysctls", |key: &SysctlKey| key.slot == slot)?;
    set.delete("sysctls", sysctls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Vec<String> {
        text.split(" < ").map(ToOwned::to_owned).collect()
    }

    #[test]
    fn whoever_reads_a_sysctl_needs_nothing() {
        let open = site(
            "security_capable < ns_capable_noaudit < net_ctl_permissions < sysctl_perm < proc_sys_permission < inode_permission \
             < may_open < path_openat < do_filp_open < do_sys_openat2 < __x64_sys_openat",
        );
        assert!(sysctl_without_effect(0, &open));
        assert!(!sysctl_without_effect(check::OPEN_WRITE, &open));
        assert!(sysctl_without_effect(
            check::OPEN_WRITE | check::ROOT,
            &open
        ));
        let read = site(
            "security_capable < ns_capable_noaudit < net_ctl_permissions < sysctl_perm < proc_sys_call_handler < vfs_read",
        );
        assert!(sysctl_without_effect(0, &read));
    }

    #[test]
    fn whoever_writes_a_sysctl_does() {
        let write =
            "sysctl_perm < proc_sys_call_handler < vfs_write < ksys_write < __x64_sys_write";
        assert!(!sysctl_without_effect(
            0,
            &site(&format!(
                "ns_capable_noaudit < net_ctl_permissions < {write}"
            ))
        ));
        assert!(!sysctl_without_effect(
            check::ROOT,
            &site(&format!("ns_capable_noaudit < ipc_permissions < {write}"))
        ));
        let access = "sysctl_perm < proc_sys_permission < inode_permission < do_faccessat < __x64_sys_faccessat";
        assert!(!sysctl_without_effect(
            0,
            &site(&format!("ns_capable_noaudit < ipc_permissions < {access}"))
        ));
    }

    #[test]
    fn no_other_site_is_taken_for_a_sysctl() {
        assert!(!sysctl_without_effect(
            check::ROOT,
            &site("security_capable < ns_capable < path_mount < __x64_sys_mount")
        ));
    }

    #[test]
    fn system_calls_have_names_by_table() {
        assert_eq!(syscall(-1, false).name, "-1");
        assert_eq!(syscall(999_999, false).name, "999999");
        #[cfg(target_arch = "x86_64")]
        {
            assert_eq!(syscall(165, false).name, "mount");
            assert_eq!(syscall(21, true).name, "mount");
        }
    }
}
