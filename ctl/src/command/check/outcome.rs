//! The result of a check: the needs of a profile beyond the allowed capabilities.

use super::allowed::Allowed;
use crate::command::diff::because;
use capprof_profile::Capability;
use capprof_profile::profile::Profile;

/// A need of a profile that the limit does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The capability, if it is one.
    pub(super) capability: Option<Capability>,
    /// The fault, in one line.
    pub(super) message: String,
}

/// The outcome of a check.
pub(super) struct CheckOutcome<'a> {
    pub(super) profile: &'a Profile,
    pub(super) limit: &'a Allowed,
    pub(super) findings: Vec<Finding>,
}

/// Returns all needs that the limit does not allow, and the gaps of the profile.
pub(super) fn findings(profile: &Profile, limit: &Allowed) -> Vec<Finding> {
    let mut findings: Vec<Finding> = profile
        .answer()
        .0
        .difference(limit.allowed)
        .iter()
        .map(|capability| {
            let because = because(profile, capability);
            Finding {
                capability: Some(capability),
                message: format!("{} does not allow {capability}: {because}", limit.name)
                    .trim_end_matches([':', ' '])
                    .to_owned(),
            }
        })
        .collect();
    let others = limit.level.map(|level| level.obstacles(profile));
    findings.extend(others.into_iter().flatten().map(|what| Finding {
        capability: None,
        message: format!("{} does not allow this: it {what}", limit.name),
    }));
    if !profile.complete {
        findings.push(Finding {
            capability: None,
            message: format!(
                "the profile is incomplete: {}",
                profile.incomplete_because.join("; ")
            ),
        });
    }
    findings
}
