use super::Case;
use crate::fixtures::{check, record};
use crate::minimize::demand::demands;
use crate::minimize::dismissed::dismiss_what_ebpf_saw_through;
use crate::minimize::input::classified;
use crate::observation::{Observation, RecorderName};
use crate::{Capability, CapabilitySet};
use proptest::prelude::*;

fn any_check() -> impl Strategy<Value = Observation> {
    let sites = prop_oneof![
        Just(vec!["ns_capable", "path_mount"]),
        Just(vec!["capable_wrt_inode_uidgid", "generic_permission"]),
        Just(vec!["security_vm_enough_memory_mm"]),
        Just(vec!["ns_capable_noaudit", "do_seccomp"]),
        Just(vec!["capable", "ioprio_check_cap"]),
        Just(vec!["sockopt_ns_capable", "sk_setsockopt"]),
        Just(vec!["bpf_token_capable", "bpf_prog_load"]),
        Just(vec!["may_linkat"]),
        Just(vec![]),
    ];
    (
        0u8..45,
        sites,
        prop_oneof![Just("mmap"), Just("openat"), Just("clone"), Just("")],
        any::<[bool; 5]>(),
        1u64..1000,
        prop_oneof![Just("a"), Just("b")],
    )
        .prop_map(|(number, site, syscall, flags, count, program)| {
            let capability = Capability::from_number(number).unwrap();
            let [selinux, denied, overridden, by_owner, pre_exec] = flags;
            let base = if selinux {
                record(capability)
            } else {
                check(capability, syscall, &site)
            };
            Observation {
                verdict: if denied {
                    crate::observation::CheckAnswer::Denied
                } else {
                    crate::observation::CheckAnswer::Granted
                },
                overridden,
                by_owner,
                pre_exec,
                program: program.into(),
                count,
                ..base
            }
        })
}

proptest! {
    #[test]
    fn the_order_of_observations_does_not_matter(
        (checks, shuffled) in prop::collection::vec(any_check(), 0..30)
            .prop_flat_map(|checks| (Just(checks.clone()), Just(checks).prop_shuffle()))
    ) {
        let mut one = Case::seen(checks);
        let mut other = Case::seen(shuffled);
        one.evidence(RecorderName::Ebpf);
        other.evidence(RecorderName::Ebpf);
        prop_assert_eq!(one.minimize(), other.minimize());
    }

    /// All demands of the smaller evidence are satisfied by the set of the larger, seen by one recorder.
    #[test]
    fn more_evidence_never_takes_a_satisfied_demand_away(
        checks in prop::collection::vec(any_check(), 1..30),
        keep in 0usize..30,
    ) {
        let checks: Vec<_> = checks
            .into_iter()
            .filter(|check| check.recorder == RecorderName::Ebpf)
            .collect();
        let fewer = Case::seen(checks.iter().take(keep).cloned().collect()).minimize();
        let more = Case::seen(checks).minimize();
        for need in &fewer.findings.needed {
            let satisfied = more.findings.minimized.contains(need.capability)
                || need.alternatives.iter().any(|other| more.findings.minimized.contains(*other));
            prop_assert!(satisfied, "{} was lost", need.capability);
        }
    }

    /// Each member is there for a demand, each demand has a member, and the lists agree with the set.
    #[test]
    fn the_set_satisfies_all_demands_and_no_member_is_superfluous(
        checks in prop::collection::vec(any_check(), 0..30)
    ) {
        let case = Case::seen(checks);
        let input = case.input();
        let result = case.minimize();
        let classified = classified(&input);
        let mut own = classified.clone();
        dismiss_what_ebpf_saw_through(&input, &mut own);
        let demands = demands(&input, &own, &mut Vec::new());
        for demand in &demands {
            prop_assert!(!demand.options.intersection(result.findings.minimized).is_empty());
        }
        for capability in result.findings.minimized.iter() {
            let mut without = result.findings.minimized;
            without.remove(capability);
            prop_assert!(demands.iter().any(|demand| demand.options.intersection(without).is_empty()));
        }
        let needed: CapabilitySet = result.findings.needed.iter().map(|need| need.capability).collect();
        prop_assert_eq!(needed, result.findings.minimized);
        let total: u64 = result.findings.dismissed.iter().chain(&result.findings.denied).map(|entry| entry.count).sum();
        prop_assert!(total <= classified.iter().map(|entry| entry.check.count).sum());
    }
}
