//! Members that the program may do without. One recording cannot decide that.

use super::demand::{Demand, Source};
use super::input::Input;
use crate::Capability;
use crate::atlas::paths;
use crate::classify::{self, asked_in, classify};
use crate::observation::{Execution, Observation, RecorderName};
use std::collections::BTreeSet;
use std::path::Path;

/// The reason why the recording does not show if the program goes on without it.
pub(super) fn unclear(
    evidence: &[&Demand<'_>],
    all: &[Demand<'_>],
    input: &Input<'_>,
) -> Option<String> {
    let is_unknown = |check: &Observation| {
        classify(check, &input.context).rule.name == classify::SILENT_UNKNOWN_SITE
    };
    if are_all_checks(evidence, is_unknown) {
        return Some("asked silently at a place that capprof has no rule for".to_owned());
    }
    perhaps_done_without(evidence, all, input.program)
}

pub(super) fn are_all_checks(
    evidence: &[&Demand<'_>],
    holds: impl Fn(&Observation) -> bool,
) -> bool {
    evidence
        .iter()
        .all(|demand| matches!(demand.source, Source::Check(check) if holds(check)))
}

/// Returns the reason why a program may do without a capability, if all its uses are of a kind that programs often do without. Only eBPF's
/// observations decide: SELinux's records are of the same checks and do not tell the kind.
fn perhaps_done_without(
    evidence: &[&Demand<'_>],
    all: &[Demand<'_>],
    program: &str,
) -> Option<String> {
    let why = |demand: &&&Demand<'_>| match demand.source {
        Source::Check(check) => classify::often_done_without(check)
            .or_else(|| environments(check, all))
            .or_else(|| of_helper(check, all, program)),
        Source::List(..) => Some("many programs ask only for what they hold, or ignore a refusal"),
        Source::File(_, execution) => is_helper(execution, program).then_some(HELPER),
        Source::Filter(..) => None,
    };
    let telling = || {
        evidence
            .iter()
            .filter(|demand| demand.source.recorder() == RecorderName::Ebpf)
    };
    // Other uses decide before lists do: a list may contain a capability that the program can do without.
    let used: Vec<_> = telling()
        .filter(|demand| !matches!(demand.source, Source::List(..)))
        .collect();
    let reasons: Option<BTreeSet<&str>> = if used.is_empty() {
        telling().map(|demand| why(&demand)).collect()
    } else {
        used.iter().map(why).collect()
    };
    reasons
        .filter(|reasons| !reasons.is_empty())
        .map(|reasons| reasons.into_iter().collect::<Vec<_>>().join("; "))
}

/// fs/proc/base.c `environ_open()`: /proc/PID/environ belongs to the process's user and has mode 400, so the kernel checks the mode first, and then
/// the access to the process. A check of a mode is taken for one of these if there were no more of them than of the latter, that is, if the
/// mode of no other file kept the program out.
fn environments(check: &Observation, all: &[Demand<'_>]) -> Option<&'static str> {
    let by_mode = [Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH]
        .contains(&check.capability)
        && asked_in(check, paths::FILE_OPEN)
        && asked_in(check, paths::FILE_ACCESS);
    let opened: u64 = all
        .iter()
        .filter_map(|demand| match demand.source {
            Source::Check(other) if other.capability == Capability::SYS_PTRACE => Some(other),
            _ => None,
        })
        .filter(|other| {
            other.program == check.program
                && other.executable == check.executable
                && asked_in(other, paths::PROCESS_ENVIRONMENT)
        })
        .map(|other| other.count)
        .sum();
    (by_mode && check.count <= opened).then_some(
        "programs mostly leave out the environment of other users' processes if they may not read it",
    )
}

const HELPER: &str =
    "a helper with file capabilities that cannot be started is sometimes done without";

/// Returns true if this is not the container's own program.
fn is_helper(execution: &Execution, program: &str) -> bool {
    execution.path.file_name() != Path::new(program).file_name()
}

/// Returns a reason if a helper that cannot be started without the capability made the check: no process asks for it if the helper is not started.
fn of_helper(check: &Observation, all: &[Demand<'_>], program: &str) -> Option<&'static str> {
    let of_file = |demand: &Demand<'_>| {
        demand.asked == check.capability
            && matches!(demand.source, Source::File(_, execution)
                if Some(&execution.path) == check.executable.as_ref() && is_helper(execution, program))
    };
    all.iter().any(of_file).then_some(HELPER)
}
