//! Audit rules of the host that suppress records.

use super::audit::{self, AuditSocket};
use super::audit_rules::Effect;
use super::recorded_processes::RecordedProcesses;
use capprof_profile::observation::{BlindSpot, RecorderName};

/// Returns the audit rules that may suppress some of the records, as blind spots.
///
/// # Errors
/// [`audit::Error::Excluded`] if a rule suppresses all of them; any other [`audit::Error`] if that is not known.
pub(super) fn exclusions(
    audit: &AuditSocket,
    target: &RecordedProcesses,
) -> Result<Vec<BlindSpot>, audit::Error> {
    let mut spots = Vec::new();
    for rule in audit.rules()? {
        match rule.effect(target) {
            Effect::None => {}
            Effect::Some => spots.push(BlindSpot {
                capability: None,
                recorder: RecorderName::Selinux,
                reason: format!(
                    "audit rule {rule} keeps records of some processes from being made"
                ),
            }),
            Effect::All => return Err(audit::Error::Excluded(rule.to_string())),
        }
    }
    Ok(spots)
}
