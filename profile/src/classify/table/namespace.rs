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
    // The same function: the capabilities that a process holds in a nested namespace come from the maker of that namespace. For a process outside
    // it that is not the owner, those count that it holds in the container's own namespace. SELinux's record is the same for both; minimize turns
    // it into a blind spot.
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
