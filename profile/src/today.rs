//! Sorts needs into the parts of the answer ([`crate::part`]), and applies the result of a run with today's capabilities.

use crate::need::{Need, Reason};
use crate::part::{Part, Today};
use crate::profile::Profile;
use crate::recording::ProcessSets;
use crate::{Capability, CapabilitySet};

/// Puts each need into its part, as far as one recording tells.
pub fn divide(needed: &mut [Need], minimized: &ProcessSets, original: &ProcessSets) {
    for need in needed {
        need.part = part(need, minimized, original);
    }
}

/// A capability that a process of another user than root holds by itself must be ambient today; one that it gains by executing a file must be in
/// the bounding set.
///
/// Ambient capabilities are granted only with `grant_non_root = "ambient"`, which is for a workload that fails today as this user. So a need
/// that is carried and not given is beyond what the workload has.
fn part(need: &Need, minimized: &ProcessSets, original: &ProcessSets) -> Part {
    let capability = need.capability;
    let is_carried = minimized.ambient.contains(capability);
    let is_given = match is_carried {
        true => original.ambient.contains(capability),
        false => original.bounding.contains(capability),
    };
    match need.reason {
        _ if is_given => Part::Held,
        _ if is_carried => Part::Beyond,
        // The kernel does not execute the file without (execve(2), EPERM).
        Reason::FileCapability | Reason::PreExec => Part::Beyond,
        Reason::Used
        | Reason::EnforcingSilent
        | Reason::CapsetCompatibility
        | Reason::SeccompFilter => Part::Asked,
    }
}

impl Profile {
    /// The needed capabilities of one part.
    pub fn part(&self, part: Part) -> CapabilitySet {
        self.findings
            .needed
            .iter()
            .filter(|need| need.part == part)
            .map(|need| need.capability)
            .collect()
    }

    /// Returns the part of the answer that a capability belongs to; `None` if it is not needed.
    pub fn part_of(&self, capability: Capability) -> Option<Part> {
        self.findings
            .needed
            .iter()
            .find(|need| need.capability == capability)
            .map(|need| need.part)
    }

    /// Returns the capabilities that a workload has today and uses.
    pub fn todays_set(&self) -> CapabilitySet {
        let parts = [Part::Beyond, Part::Asked].map(|part| self.part(part));
        parts
            .into_iter()
            .fold(self.findings.minimized, CapabilitySet::difference)
    }

    /// Members of [`Profile::answer`] without which the workload may work, as it may do today. Forms name them in a
    /// comment.
    pub fn unsettled(&self) -> CapabilitySet {
        match self.shrunk {
            // Each member was seen to be needed.
            Some(_) => CapabilitySet::EMPTY,
            None => self.answer().0.intersection(self.part(Part::Asked)),
        }
    }

    /// Adds the result of a run with the capabilities that the workload has today. If that run failed, those that it does not have count as needed:
    /// it is not known which of them is missing.
    pub fn settle(&mut self, today: Today) {
        let part = match today.passed {
            true => Part::Asked,
            false => Part::Beyond,
        };
        for need in &mut self.findings.needed {
            if need.part != Part::Held {
                need.part = part;
            }
        }
        self.today = Some(today);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{check, host, recording, reports};
    use crate::observation::{Evidence, Execution, FileCapabilities, RecorderName};
    use crate::part::TriedBy;
    use crate::recorded_profile::profile;
    use crate::recorded_profile::tests::is_valid;
    use crate::recording::Recording;

    fn set(list: &[Capability]) -> CapabilitySet {
        list.iter().copied().collect()
    }

    /// A container that is given CHOWN and SETUID, uses CHOWN and MKNOD, and executes ping.
    fn profiled(change: impl Fn(&mut Recording)) -> Profile {
        let mut recording = recording("web-1", "20261123T150102Z-1a2b3c4d");
        let given = set(&[Capability::CHOWN, Capability::SETUID]);
        recording.grant.original = ProcessSets::of_list(given, 0, &ProcessSets::default());
        change(&mut recording);
        let used = |capability| check(capability, "syscall", &["ns_capable", "somewhere"]);
        let evidence = Evidence {
            observations: vec![used(Capability::CHOWN), used(Capability::SYS_TIME)],
            executions: vec![Execution {
                path: "/usr/bin/ping".into(),
                file_capabilities: Some(FileCapabilities {
                    permitted: set(&[Capability::NET_RAW]),
                    inheritable: CapabilitySet::EMPTY,
                    effective: true,
                }),
                uid: 0,
                unreadable: None,
                gained: set(&[Capability::NET_RAW]),
                nested: false,
                memory_policy: false,
                count: 1,
            }],
            ..Evidence::default()
        };
        profile(
            &recording,
            reports(),
            vec![(RecorderName::Ebpf, evidence)],
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        )
    }

    fn parts(profile: &Profile) -> [CapabilitySet; 3] {
        [Part::Held, Part::Beyond, Part::Asked].map(|part| profile.part(part))
    }

    fn today(passed: bool) -> Today {
        Today {
            passed,
            by: TriedBy::Verified,
            set: set(&[Capability::CHOWN]),
            run: "20261123T150302Z-1a2b3c4d".to_owned(),
            date: "2026-11-23T15:04:00Z".to_owned(),
            failures: match passed {
                true => vec![],
                false => vec!["the program: exit status 1".to_owned()],
            },
        }
    }

    #[test]
    fn the_answer_has_three_parts() {
        let profile = profiled(|_| {});
        let [held, beyond, asked] = [
            set(&[Capability::CHOWN]),
            set(&[Capability::NET_RAW]),
            set(&[Capability::SYS_TIME]),
        ];
        assert_eq!(parts(&profile), [held, beyond, asked]);
        assert_eq!(profile.todays_set(), held);
        assert_eq!(profile.unsettled(), asked);
        assert_eq!(profile.answer().0, held.union(beyond).union(asked));
        is_valid(&profile);
    }

    #[test]
    fn what_a_privileged_container_uses_it_has() {
        let profile = profiled(|recording| recording.grant.original = recording.grant.granted);
        let all = profile.findings.minimized;
        assert_eq!(
            parts(&profile),
            [all, CapabilitySet::EMPTY, CapabilitySet::EMPTY]
        );
        assert_eq!(profile.unsettled(), CapabilitySet::EMPTY);
    }

    #[test]
    fn a_run_with_what_it_has_today_settles_the_rest() {
        let mut passed = profiled(|_| {});
        passed.settle(today(true));
        assert_eq!(passed.answer().0, set(&[Capability::CHOWN]));
        assert_eq!(passed.answer().1.bounding, passed.answer().0);
        assert_eq!(passed.unsettled(), CapabilitySet::EMPTY);
        is_valid(&passed);

        let mut failed = profiled(|_| {});
        failed.settle(today(false));
        assert_eq!(failed.answer().0, failed.findings.minimized);
        assert_eq!(failed.unsettled(), CapabilitySet::EMPTY);
        assert_eq!(
            failed.part(Part::Beyond),
            set(&[Capability::NET_RAW, Capability::SYS_TIME])
        );
        is_valid(&failed);
    }

    #[test]
    fn another_user_has_what_is_ambient() {
        let given = set(&[Capability::CHOWN, Capability::SYS_TIME, Capability::NET_RAW]);
        let as_user = |ambient: CapabilitySet| {
            profiled(|recording| {
                recording.process.uid = 1000;
                recording.grant.granted.ambient = recording.grant.granted.bounding;
                recording.grant.original.bounding = given;
                recording.grant.original.ambient = ambient;
            })
        };
        // What ping gains comes from the bounding set.
        assert_eq!(
            as_user(CapabilitySet::EMPTY).part(Part::Held),
            set(&[Capability::NET_RAW])
        );
        assert_eq!(as_user(given).part(Part::Held), given);
    }
}
