//! Checks against a user namespace that the container made.

use crate::classify::rule::{Decision, Rule};
use crate::observation::Namespace;

pub(super) static RULES: &[Rule] = &[
    // security/commoncap.c cap_capable_helper(): the owner of a namespace has all capabilities in it.
    Rule {
        name: "namespace-owner",
        explanation: "granted because the process made the user namespace that was asked about, whatever it holds",
        decision: Decision::Dismissed,
        applies: |check, _| check.by_owner,
    },
    // The same: a process in a nested namespace holds there what its maker gave it. A process outside that is not the owner is asked for what
    // it holds in the container's own namespace, and that counts. SELinux cannot tell which of the two it was; minimize makes a blind spot of it.
    Rule {
        name: "nested-namespace",
        explanation: "asked of a user namespace that the container made for itself, by a process that lives in it and holds everything there",
        decision: Decision::Dismissed,
        applies: |check, _| {
            matches!(
                check.namespace,
                Namespace::Nested | Namespace::NestedUnclear
            )
        },
    },
];
