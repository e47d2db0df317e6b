//! Converts the rows of capability checks into observations.

use super::argument::Arguments;
use super::armed::{EbpfState, Refusals};
use super::call_object;
use super::executables::Executable;
use super::layout::{self, Check, CheckKey, CheckKind, check};
use super::program_set::ProgramSet;
use super::symbols::{Symbols, audit};
use capprof_profile::Capability;
use capprof_profile::atlas::{self, paths};
use capprof_profile::classify::SYSCTL;
use capprof_profile::observation::{
    Audit, CheckAnswer, Namespace, Observation, RecorderName, Results, Syscall,
};
use std::collections::HashMap;

/// Merges rows that differ only in the number of their call path, and names the kernel functions. Gaps are added to `losses`.
pub(super) fn observations(
    set: &ProgramSet,
    armed: &EbpfState,
    checks: &[(CheckKey, Check)],
    known: &HashMap<u64, Executable>,
    losses: &mut Vec<String>,
) -> Vec<Observation> {
    let stacks: Vec<Vec<u64>> = checks.iter().map(|(_, row)| stack(row)).collect();
    let (symbols, problem) = Symbols::resolve(set, stacks.iter().map(Vec::as_slice));
    losses.extend(problem);
    let arguments = Arguments::default();
    let mut merged: HashMap<_, Observation> = HashMap::new();
    for ((_, row), stack) in checks.iter().zip(&stacks) {
        let key = &row.kind;
        let Some(capability) = u8::try_from(key.capability)
            .ok()
            .and_then(Capability::from_number)
        else {
            losses.push(format!("a check of unknown capability {}", key.capability));
            continue;
        };
        let program = known.get(&key.program);
        let name = program.map_or_else(|| layout::text(&row.comm), |known| known.comm.clone());
        let observation = Observation {
            object: call_object::object(&name, &syscall(key), &row.object),
            program: name,
            executable: program.and_then(|known| known.path.clone()),
            as_root: program.is_some_and(|known| known.as_root),
            ..observation(armed, &arguments, capability, row, symbols.call_site(stack))
        };
        let identity = (
            key.program,
            key.syscall,
            key.flags,
            key.capability,
            key.denied,
            key.argument,
            observation.call_site.clone(),
        );
        merged
            .entry(identity)
            .and_modify(|all| add(all, &observation))
            .or_insert(observation);
    }
    merged.into_values().collect()
}

fn stack(row: &Check) -> Vec<u64> {
    let length = usize::try_from(row.frames)
        .unwrap_or(0)
        .min(row.stack.len());
    row.stack.get(..length).unwrap_or_default().to_vec()
}

/// A row as an observation, without its program.
fn observation(
    armed: &EbpfState,
    arguments: &Arguments,
    capability: Capability,
    row: &Check,
    call_site: Vec<String>,
) -> Observation {
    let key = &row.kind;
    let milliseconds = |nanoseconds: u64| nanoseconds.saturating_sub(armed.armed_ns) / 1_000_000;
    let has = |flag: u32| key.flags & flag != 0;
    let syscall = syscall(key);
    Observation {
        recorder: RecorderName::Ebpf,
        capability,
        verdict: match key.denied {
            0 => CheckAnswer::Granted,
            _ => CheckAnswer::Denied,
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
            _ => audit(&call_site),
        },
        overridden: has(check::OVERRIDDEN),
        own_mount: has(check::MOUNTER),
        by_owner: has(check::BY_OWNER),
        pre_exec: has(check::PRE_EXEC),
        joined: has(check::JOINED),
        as_root: false,
        without_effect: has(check::WITHOUT_EFFECT) || sysctl_without_effect(key.flags, &call_site),
        program: String::new(),
        executable: None,
        pid: row.tgid,
        argument: arguments.decode(&syscall, key.argument),
        syscall: Some(syscall),
        call_site,
        path: None,
        object: None,
        count: row.count,
        first_ms: milliseconds(row.first_ns),
        last_ms: milliseconds(row.last_ns),
        results: (key.denied != 0 && armed.results == Some(Refusals::Followed))
            .then(|| results(row)),
    }
}

/// Adds another row's checks to an observation.
fn add(all: &mut Observation, observation: &Observation) {
    all.count += observation.count;
    all.last_ms = all.last_ms.max(observation.last_ms);
    if let (Some(all), Some(results)) = (&mut all.results, &observation.results) {
        all.add(results);
    }
    let is_earlier = observation.first_ms < all.first_ms;
    if observation.object.is_some() && (is_earlier || all.object.is_none()) {
        all.object.clone_from(&observation.object);
    }
    if is_earlier {
        all.first_ms = observation.first_ms;
        all.pid = observation.pid;
    }
}

/// The results of the system calls in which a check was refused.
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

/// Returns true if a check for a sysctl had no effect. The permissions of some entries of /proc/sys ask for a capability at every access, before the
/// kind of access is known (`ctl_table_root.permissions`; fs/proc/proc_sysctl.c, `sysctl_perm()`). Reading does not need it, because every process
/// may read these files. The host's root may write as their owner, except for those of System V IPC.
fn sysctl_without_effect(flags: u32, call_site: &[String]) -> bool {
    let has = |names: &[&str]| call_site.iter().any(|name| names.contains(&name.as_str()));
    let of_sysctl =
        |name: &String| atlas::of_function(name).any(|place| place.rule == Some(SYSCTL));
    if !call_site.iter().any(of_sysctl) {
        return false;
    }
    if flags & check::ROOT != 0 && has(paths::SYSCTL_OF_ROOT) {
        return true;
    }
    // access(2) only asks for permission, maybe for that to write.
    flags & check::OPEN_WRITE == 0 && !has(paths::FILE_WRITE) && !has(paths::ACCESS_CALL)
}

fn syscall(kind: &CheckKind) -> Syscall {
    named(kind.syscall, kind.flags & check::COMPAT != 0)
}

fn named(number: i32, compat: bool) -> Syscall {
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

#[cfg(test)]
mod tests;
