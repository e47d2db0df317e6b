//! The blind spots of a recording through SELinux. The policy is asked for them before the container runs.

use super::policy::{AccessDecision, CapabilityClass};
use capprof_profile::observation::{BlindSpot, RecorderName};
use capprof_profile::{Capability, CapabilitySet};

/// A place where the kernel asks for a capability silently (`CAP_OPT_NOAUDIT`).
///
/// In a permissive domain to which the policy does not allow the capability, such a check grants it in the access vector cache without a record
/// (security/selinux/avc.c, `avc_denied()`), and no later use leaves one.
struct SilentQuestion {
    capability: Capability,
    /// True if the kernel also checks it against a user namespace other than the initial one.
    user_namespace: bool,
    /// The time of the check.
    when: &'static str,
}

/// All such places in Linux 6.1 to 6.18: `grep -rn 'noaudit' --include=*.c`.
const SILENT_QUESTIONS: &[SilentQuestion] = &[
    SilentQuestion {
        capability: Capability::SYS_PTRACE,
        user_namespace: true,
        when: "when /proc/PID/stat of another process is read",
    },
    SilentQuestion {
        capability: Capability::SYS_RESOURCE,
        user_namespace: true,
        when: "when oom_score_adj is written or a limit per user is reached",
    },
    SilentQuestion {
        capability: Capability::NET_ADMIN,
        user_namespace: true,
        when: "when /proc/sys/net is read",
    },
    SilentQuestion {
        capability: Capability::IPC_LOCK,
        user_namespace: false,
        when: "when an io_uring is made",
    },
    SilentQuestion {
        capability: Capability::FOWNER,
        user_namespace: false,
        when: "when owner or mode of a file on XFS is changed",
    },
    SilentQuestion {
        capability: Capability::SETUID,
        user_namespace: false,
        when: "where an IMA policy has rules about users",
    },
    SilentQuestion {
        capability: Capability::SETGID,
        user_namespace: false,
        when: "where an IMA policy has rules about groups",
    },
    SilentQuestion {
        capability: Capability::SYSLOG,
        user_namespace: false,
        when: "when kernel addresses are shown in /proc",
    },
    SilentQuestion {
        capability: Capability::CHECKPOINT_RESTORE,
        user_namespace: true,
        when: "when a sysctl of an ipc namespace is looked at",
    },
    SilentQuestion {
        capability: Capability::MAC_ADMIN,
        user_namespace: false,
        when: "when the attribute security.selinux is read",
    },
];

/// The capabilities whose use would leave no record, from the policy's answers in the two classes of the container's user namespace.
pub(crate) fn spots(
    user_namespace: bool,
    decisions: &[(CapabilityClass, AccessDecision)],
) -> Vec<BlindSpot> {
    let spot = |capability, reason: String| BlindSpot {
        capability: Some(capability),
        recorder: RecorderName::Selinux,
        reason,
    };
    let mut spots = Vec::new();
    for (class, decision) in decisions {
        let hidden = decision.hidden();
        for capability in hidden.iter() {
            let reason = if decision.unknown.contains(capability) {
                format!(
                    "the loaded policy does not know it in class {}",
                    class.name()
                )
            } else if decision.allowed.contains(capability) {
                format!(
                    "the policy allows it to the container's domain in class {} without a record",
                    class.name()
                )
            } else {
                format!(
                    "the policy has a dontaudit rule for it in class {}",
                    class.name()
                )
            };
            spots.push(spot(capability, reason));
        }
        let recorded_when_denied = decision.recorded_when_denied();
        if *class == CapabilityClass::Capability
            && recorded_when_denied.contains(Capability::SYS_ADMIN)
        {
            spots.push(spot(
                Capability::SYS_ADMIN,
                "in permissive mode SELinux never records it: the kernel asks for it silently at every memory mapping, and takes that for the first use"
                    .to_owned(),
            ));
        }
        for question in SILENT_QUESTIONS {
            if recorded_when_denied.contains(question.capability)
                && class.covers(question.capability)
                && (question.user_namespace || !user_namespace)
            {
                spots.push(spot(
                    question.capability,
                    format!(
                        "its use leaves no record once the kernel has asked for it silently, {}",
                        question.when
                    ),
                ));
            }
        }
    }
    spots.sort();
    spots.dedup();
    spots
}

/// Returns the spots that stay when booleans which give capabilities are switched off, and the capabilities for which that is not known in advance:
/// those that the policy allows now.
pub(crate) fn certain(
    user_namespace: bool,
    decisions: &[(CapabilityClass, AccessDecision)],
) -> (Vec<BlindSpot>, CapabilitySet) {
    let allowed = decisions
        .iter()
        .map(|(class, decision)| {
            let allowed = decision.allowed.difference(decision.audit_allowed);
            allowed.iter().filter(|one| class.covers(*one)).collect()
        })
        .reduce(CapabilitySet::union)
        .unwrap_or_default();
    let mut spots = spots(user_namespace, decisions);
    spots.retain(|spot| {
        !spot
            .capability
            .is_some_and(|capability| allowed.contains(capability))
    });
    (spots, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spotted(spots: &[BlindSpot]) -> Vec<Capability> {
        spots.iter().filter_map(|spot| spot.capability).collect()
    }

    fn all() -> CapabilitySet {
        Capability::all().collect()
    }

    #[test]
    fn a_domain_that_records_everything_has_no_blind_spot() {
        // capprof_t: silently checked capabilities are allowed and auditallowed; the rest is denied and audited.
        let loud: CapabilitySet = SILENT_QUESTIONS
            .iter()
            .map(|question| question.capability)
            .chain([Capability::SYS_ADMIN])
            .collect();
        let decision = AccessDecision {
            allowed: loud,
            audit_allowed: loud,
            audit_denied: all(),
            unknown: CapabilitySet::EMPTY,
            permissive: true,
        };
        for class in [CapabilityClass::Capability, CapabilityClass::Capability2] {
            assert_eq!(spots(false, &[(class, decision)]), []);
        }
    }

    #[test]
    fn container_t_of_debian_13_in_permissive_mode() {
        let allowed = [Capability::NET_BIND_SERVICE, Capability::AUDIT_WRITE]
            .into_iter()
            .collect();
        let decision = AccessDecision {
            allowed,
            audit_allowed: CapabilitySet::EMPTY,
            audit_denied: all().difference([Capability::FSETID].into_iter().collect()),
            unknown: CapabilitySet::EMPTY,
            permissive: false,
        };
        let found = spotted(&spots(false, &[(CapabilityClass::Capability, decision)]));
        for capability in [
            Capability::NET_BIND_SERVICE,
            Capability::AUDIT_WRITE,
            Capability::FSETID,
            Capability::SYS_ADMIN,
            Capability::SYS_PTRACE,
        ] {
            assert!(found.contains(&capability), "{capability}");
        }
        assert!(!found.contains(&Capability::CHOWN));
        // This capability belongs to the other class.
        assert!(!found.contains(&Capability::SYSLOG));
    }

    #[test]
    fn what_a_boolean_may_give_is_no_certain_blind_spot() {
        // Fedora with virt_sandbox_use_all_caps on: container_t has every capability, and a recording switches the boolean off.
        let with_boolean = AccessDecision {
            allowed: all(),
            audit_denied: all().difference([Capability::FSETID].into_iter().collect()),
            ..AccessDecision::default()
        };
        let classes = [CapabilityClass::Capability, CapabilityClass::Capability2];
        let (spots_now, unknown) = certain(false, &classes.map(|class| (class, with_boolean)));
        assert_eq!(spots_now, []);
        assert_eq!(unknown, all());
        // Without the boolean, the same policy allows 14, silences one, and some others are checked silently.
        let kept: CapabilitySet = [Capability::CHOWN, Capability::KILL].into_iter().collect();
        let without = AccessDecision {
            allowed: kept,
            ..with_boolean
        };
        let (spots_then, unknown) = certain(false, &[(CapabilityClass::Capability, without)]);
        assert_eq!(unknown, kept);
        let found = spotted(&spots_then);
        assert!(found.contains(&Capability::FSETID) && found.contains(&Capability::SYS_ADMIN));
        assert!(!found.contains(&Capability::CHOWN));
    }

    #[test]
    fn in_a_user_namespace_the_memory_mappings_of_the_kernel_do_not_hide_sys_admin() {
        let decision = AccessDecision {
            audit_denied: all(),
            ..AccessDecision::default()
        };
        let found = spotted(&spots(true, &[(CapabilityClass::CapUserns, decision)]));
        assert!(!found.contains(&Capability::SYS_ADMIN));
        assert!(found.contains(&Capability::NET_ADMIN));
        assert!(!found.contains(&Capability::SETUID));
    }
}
