//! The table of rules, in the order in which the classification tries them.

mod argument;
mod credentials;
mod details;
mod memory;
mod namespace;
mod silent;
mod start;
mod sysctl;

use super::rule::{Decision, Rule};
use crate::profile::Reason;

pub(crate) use argument::SHARED_MEMORY_LOCK;
pub(crate) use silent::SILENT_UNKNOWN_SITE;
pub use start::HARD_LINK;
pub use sysctl::SYSCTL;

/// The sections of the table, in the order in which they are tried.
static SECTIONS: &[&[Rule]] = &[
    memory::RULES,
    namespace::RULES,
    sysctl::RULES,
    credentials::RULES,
    argument::RULES,
    details::RULES,
    start::RULES,
    silent::RULES,
];

/// The rules that look at the observation, in the order in which they are tried.
pub(super) fn tried() -> impl Iterator<Item = &'static Rule> {
    SECTIONS.iter().flat_map(|section| section.iter())
}

/// The check was granted, and nothing says that it did not matter.
pub(super) static USED: Rule = Rule {
    name: "used",
    explanation: "the kernel asked and granted, and acts on the answer",
    decision: Decision::Needed(Reason::Used),
    applies: |_, _| true,
};

/// Refused because the capability is missing.
pub(crate) static REFUSED: Rule = Rule {
    name: "refused",
    explanation: "the process did not hold the capability at that moment",
    decision: Decision::Denied,
    applies: |_, _| false,
};

/// Refused, whatever the container holds.
pub(super) static INITIAL_NAMESPACE: Rule = Rule {
    name: "initial-namespace",
    explanation: "asked of the initial user namespace, and the container is in another: no capability set can grant it",
    decision: Decision::Denied,
    applies: |_, _| false,
};
