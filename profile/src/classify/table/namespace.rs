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
    Rule {
        name: "nested-namespace",
        explanation: "asked of a user namespace that the container made for itself, where its maker holds everything",
        decision: Decision::Dismissed,
        applies: |check, _| check.namespace == Namespace::Nested,
    },
];
