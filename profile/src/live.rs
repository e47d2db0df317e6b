//! The interim result of a container that still runs.

use crate::Capability;
use crate::classify::{Context, Decision, classify};
use crate::observation::{CheckAnswer, Evidence, RecorderName};
use crate::profile::Profile;
use crate::verify::UNGRANTED;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of checks of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowClass {
    /// Granted, and the answer mattered.
    Used,
    /// Refused because the capability is missing.
    Refused,
    /// It did not matter.
    Dismissed,
}

/// Checks of one capability by one program in one system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The capability that the kernel checked.
    pub capability: Capability,
    /// The program's name.
    pub program: String,
    /// The system call's name; empty outside of any.
    pub syscall: String,
    /// The result of these checks.
    pub class: RowClass,
    /// The number of times.
    pub count: u64,
    /// The number of refused ones that made their system call fail.
    pub failed: u64,
    /// The time of the last one, in milliseconds since the recording was armed.
    pub last_ms: u64,
}

/// The answer so far of one recording, with its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The time since the recording began, in milliseconds.
    pub elapsed_ms: u64,
    /// The checks, a row for each kind.
    pub rows: Vec<Row>,
    /// The profile as it would be if the container ended now.
    pub profile: Profile,
}

/// Sums up the recorders' observations by capability, program, system call and class.
pub fn rows(evidence: &[(RecorderName, Evidence)], context: &Context) -> Vec<Row> {
    let mut rows: BTreeMap<_, Row> = BTreeMap::new();
    for check in evidence
        .iter()
        .flat_map(|(_, evidence)| &evidence.observations)
    {
        let classification = classify(check, context);
        let class = match classification.decision {
            Decision::Needed(_) => RowClass::Used,
            // A check that would not count if granted does not count if refused.
            Decision::Denied if UNGRANTED.contains(&classification.rule.name) => RowClass::Refused,
            Decision::Denied | Decision::Dismissed | Decision::Optional => RowClass::Dismissed,
        };
        let syscall = check
            .syscall
            .as_ref()
            .filter(|syscall| syscall.number >= 0)
            .map_or_else(String::new, |syscall| syscall.name.clone());
        let failed = match check.verdict {
            CheckAnswer::Denied => check.results.map_or(0, |results| results.failed()),
            CheckAnswer::Granted => 0,
        };
        let row = rows
            .entry((
                check.capability,
                check.program.clone(),
                syscall.clone(),
                class,
            ))
            .or_insert(Row {
                capability: check.capability,
                program: check.program.clone(),
                syscall,
                class,
                count: 0,
                failed: 0,
                last_ms: 0,
            });
        row.count += check.count;
        row.failed += failed;
        row.last_ms = row.last_ms.max(check.last_ms);
    }
    rows.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{check, recording};
    use crate::observation::{Observation, Results};

    #[test]
    fn checks_of_one_kind_are_one_row() {
        let used = check(Capability::CHOWN, "chown", &["chown_common"]);
        let refused = Observation {
            verdict: CheckAnswer::Denied,
            count: 3,
            last_ms: 9,
            results: Some(Results {
                eperm: 2,
                ..Results::default()
            }),
            ..check(Capability::NET_ADMIN, "ioctl", &["dev_ioctl"])
        };
        let evidence = Evidence {
            observations: vec![used.clone(), used, refused],
            ..Evidence::default()
        };
        let recording = recording("a", "b");
        let rows = rows(
            &[(RecorderName::Ebpf, evidence)],
            &Context::from(&recording),
        );
        let short: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.capability,
                    row.class,
                    row.count,
                    row.failed,
                    row.last_ms,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                (Capability::CHOWN, RowClass::Used, 2, 0, 5),
                (Capability::NET_ADMIN, RowClass::Refused, 3, 2, 9),
            ]
        );
    }
}
