//! Converts audit records into evidence.

use super::armed::SelinuxState;
use super::audit::AuditSocket;
use super::booleans;
use super::events::{EventCollector, RecordSummary};
use super::exclusions::exclusions;
use super::fence::{Backoff, FENCE_TIMEOUT, milliseconds_since_boot, nonce};
use super::log::{Position, Reader};
use super::recorded_processes::RecordedProcesses;
use super::selinuxfs::Selinuxfs;
use super::{blind_spots, listener, policy};
use crate::lease::{LeaseKind, Leases};
use capprof_profile::observation::{BlindSpot, CheckAnswer, Evidence, Observation, RecorderName};
use capprof_profile::recording::{Process, Recording};
use capprof_profile::settings::Scope;
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::process;
use capprof_store::recording::Directory;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Sends a fence after the container's last record, reads until the fence arrives, and returns the evidence of the records.
///
/// It never fails as a whole: each error is a loss.
pub(super) fn collect(recording: &Recording, armed: &SelinuxState) -> Evidence {
    let mut evidence = Evidence {
        blind_spots: armed.blind_spots.clone(),
        ..Evidence::default()
    };
    if let Some(reason) = armed.refused() {
        evidence.blind_spots = vec![BlindSpot {
            capability: None,
            recorder: RecorderName::Selinux,
            reason: reason.to_owned(),
        }];
        return evidence;
    }
    let seen = read(armed, &mut evidence);
    judge(recording, armed, &seen, &mut evidence);
    // Records carry the time of a clock that the container may have set.
    let elapsed = milliseconds_since_boot().saturating_sub(armed.booted);
    evidence.observations = seen
        .observations
        .into_iter()
        .map(|observation| Observation {
            first_ms: observation.first_ms.min(elapsed),
            last_ms: observation.last_ms.min(elapsed),
            ..observation
        })
        .collect();
    evidence.losses.sort();
    evidence.losses.dedup();
    evidence.blind_spots.sort();
    evidence.blind_spots.dedup();
    evidence
}

/// Reads the log and the listener's sums up to a fence. Losses of one count only if the other lost something too.
fn read(armed: &SelinuxState, evidence: &mut Evidence) -> RecordSummary {
    let losses = &mut evidence.losses;
    let audit = match AuditSocket::open() {
        Ok(audit) => audit,
        Err(error) => {
            losses.push(error.to_string());
            return RecordSummary::default();
        }
    };
    let nonce = nonce();
    if let Err(error) = audit.user_avc(&format!("{}{nonce}", armed.target.fence)) {
        losses.push(format!("send the fence: {error}"));
    }
    let mut backoff = Backoff::default();
    let mut ways: Vec<(RecordSummary, Vec<String>)> = Vec::new();
    let directory = Directory::at(armed.directory.clone());
    if let Some(listener) = armed.listener {
        ways.push(read_listener(&directory, listener, &nonce, &mut backoff));
    }
    if let Some(position) = &armed.position {
        ways.push(read_log(position, &armed.target, &nonce, &mut backoff));
    }
    // The fence has arrived. A rule that hid records before it is still loaded, or its removal has left a record.
    match exclusions(&audit, &armed.target) {
        Ok(spots) => evidence.blind_spots.extend(spots),
        Err(error) => losses.push(error.to_string()),
    }
    let status = audit.status();
    match &status {
        Ok(status) => {
            if armed.position.is_some()
                && status.daemon != armed.daemon
                && let Some((_, lost)) = ways.last_mut()
            {
                lost.push("auditd was stopped or started while recording".to_owned());
            }
        }
        Err(error) => losses.push(format!(
            "{error}, so it is not known whether records were lost"
        )),
    }
    if !ways.iter().any(|(_, lost)| lost.is_empty()) {
        losses.extend(ways.iter().flat_map(|(_, lost)| lost.iter().cloned()));
    }
    let seen = ways
        .into_iter()
        .map(|(seen, _)| seen)
        .reduce(join)
        .unwrap_or_default();
    if let Ok(status) = status
        && let Some(loss) = lost(armed.lost, status.lost, seen.lost_before_reset)
    {
        losses.push(format!(
            "{loss} (backlog limit {}, rate limit {}, see auditctl -s)",
            status.backlog_limit, status.rate_limit
        ));
    }
    if seen.exclusion_removed {
        losses.push(
            "a rule of audit's exclude list was removed while recording: records may be missing"
                .to_owned(),
        );
    }
    seen
}

/// Returns the number of lost records, from the kernel's counter at the start, at the end, and before a reset in between.
fn lost(start: u32, end: u32, before_reset: Option<u32>) -> Option<String> {
    let count = match before_reset {
        Some(before_reset) => before_reset.saturating_sub(start).saturating_add(end),
        None if end < start => {
            return Some(
                "the kernel's counter of lost audit records was reset while recording".to_owned(),
            );
        }
        None => end - start,
    };
    (count > 0).then(|| format!("the kernel lost {count} audit records while recording"))
}

fn read_log(
    position: &Position,
    target: &RecordedProcesses,
    nonce: &str,
    backoff: &mut Backoff,
) -> (RecordSummary, Vec<String>) {
    let mut collector = EventCollector::new(target.clone());
    let mut losses = Vec::new();
    match Reader::resume(position) {
        Ok(mut reader) => {
            loop {
                if let Err(error) = reader.read(|line| collector.line(line)) {
                    losses.push(error.to_string());
                    break;
                }
                if collector.fence() == Some(nonce) {
                    break;
                }
                if !backoff.wait() {
                    losses.push(format!(
                        "the fence did not come through the audit log within {} s: auditd is stopped, suspended, or does not log user messages",
                        FENCE_TIMEOUT.as_secs()
                    ));
                    break;
                }
            }
            losses.extend(reader.losses().iter().cloned());
        }
        Err(error) => losses.push(error.to_string()),
    }
    let seen = collector.seen();
    losses.extend(seen.losses.iter().cloned());
    if seen.daemon_restarted {
        losses.push("auditd was stopped or started while recording".to_owned());
    }
    if seen.doubtful > 0 {
        losses.push(format!(
            "the audit log has {} damaged lines that may have been records of this container (of {} damaged lines)",
            seen.doubtful, seen.malformed
        ));
    }
    (seen, losses)
}

fn read_listener(
    directory: &Directory,
    listener: Process,
    nonce: &str,
    backoff: &mut Backoff,
) -> (RecordSummary, Vec<String>) {
    loop {
        // This comes first: the listener may write its sums and end between the two steps.
        let ended = !process::exists(listener);
        let seen = directory.load_json::<RecordSummary>(listener::SUMMARY).ok();
        // The listener sends a fence of its own when no process of the container is left, and ends when that arrives.
        let passed = seen
            .as_ref()
            .is_some_and(|seen| seen.over || seen.fence.as_deref() == Some(nonce));
        if passed || ended || !backoff.wait() {
            let seen = seen.unwrap_or_default();
            let mut losses = seen.losses.clone();
            if !passed {
                losses.push(if ended {
                    "the audit listener ended before the container did".to_owned()
                } else {
                    format!(
                        "the fence did not come through audit's multicast group within {} s",
                        FENCE_TIMEOUT.as_secs()
                    )
                });
            }
            if seen.malformed > 0 {
                losses.push(format!(
                    "audit's multicast group sent {} records that cannot be read",
                    seen.malformed
                ));
            }
            return (seen, losses);
        }
    }
}

/// Joins two accounts of the same records: each kind gets the higher of its two counts.
fn join(mut one: RecordSummary, other: RecordSummary) -> RecordSummary {
    type Kind = (
        Capability,
        CheckAnswer,
        String,
        Option<PathBuf>,
        Option<String>,
        Option<PathBuf>,
        String,
    );
    let kind = |observation: &Observation| -> Kind {
        (
            observation.capability,
            observation.verdict,
            observation.program.clone(),
            observation.executable.clone(),
            observation.syscall.as_ref().map(|call| call.name.clone()),
            observation.path.clone(),
            format!("{:?}", observation.namespace),
        )
    };
    let mut joined: BTreeMap<Kind, Observation> = one
        .observations
        .drain(..)
        .map(|observation| (kind(&observation), observation))
        .collect();
    for observation in other.observations {
        joined
            .entry(kind(&observation))
            .and_modify(|known| known.count = known.count.max(observation.count))
            .or_insert(observation);
    }
    one.observations = joined.into_values().collect();
    one.refused = one.refused.max(other.refused);
    one.enforced |= other.enforced;
    one.policy_loaded |= other.policy_loaded;
    one.exclusion_removed |= other.exclusion_removed;
    one.lost_before_reset = one.lost_before_reset.max(other.lost_before_reset);
    one.switched.extend(other.switched);
    one
}

/// Checks other signs that records are missing.
fn judge(
    recording: &Recording,
    armed: &SelinuxState,
    seen: &RecordSummary,
    evidence: &mut Evidence,
) {
    let found: CapabilitySet = seen
        .observations
        .iter()
        .map(|observation| observation.capability)
        .collect();
    if seen.refused > 0 {
        evidence.losses.push(format!(
            "SELinux refused {} uses of capabilities: the container was not in a permissive domain all the time",
            seen.refused
        ));
    }
    for (name, value) in &seen.switched {
        if let Some(capability) = booleans::audited_capability(name)
            && armed.scope != Scope::Host
            && !value
            && !found.contains(capability)
        {
            evidence.losses.push(format!(
                "auditing of {capability} was switched off while recording ({name}): another container flooded the audit log, or an administrator switched it off"
            ));
        }
        if armed.scope == Scope::Host && armed.booleans.contains(name) && *value {
            evidence
                .losses
                .push(format!("boolean {name} was switched on while recording"));
        }
    }
    if armed.scope == Scope::Host {
        if seen.enforced {
            evidence
                .losses
                .push("enforcing mode was switched on while recording".to_owned());
        }
        let selinuxfs = Selinuxfs::new();
        let directory = Directory::at(armed.directory.clone());
        match Leases::new(directory.state(), &selinuxfs).changes(LeaseKind::Host) {
            Ok(changes) => evidence.losses.extend(changes),
            Err(error) => evidence.losses.push(error.to_string()),
        }
    }
    if seen.policy_loaded {
        match policy::decisions(&armed.context, recording.process.user_namespace) {
            Ok(decisions) => {
                evidence.blind_spots.extend(blind_spots::spots(
                    recording.process.user_namespace,
                    &decisions,
                ));
            }
            Err(error) => evidence
                .losses
                .push(format!("a policy was loaded while recording: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_records_are_counted_across_a_reset() {
        assert_eq!(lost(5, 5, None), None);
        assert!(lost(5, 7, None).unwrap().contains(" lost 2 "));
        assert_eq!(lost(5, 0, Some(5)), None);
        assert!(lost(5, 1, Some(8)).unwrap().contains(" lost 4 "));
        // The record of the reset was excluded, or was lost itself.
        assert!(lost(5, 0, None).unwrap().contains("reset"));
    }
}
