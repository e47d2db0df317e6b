//! Classifies an observation: decides if the answer to the check mattered, and names the rule that decided.
//!
//! Pure: an [`Observation`] and a few facts about the container go in, a [`Classification`] comes out.
//! One rule is one entry of the table that [`rules`] lists; the first that applies decides. Only a rule that says why can dismiss a check;
//! a check that no rule knows counts. `docs/classification.md` describes each rule for users, and a test compares it with this table.
//!
//! Where things are: `rule` has the types, `call_site` the tests that rules apply to an observation, and `table` the rules by subject, in
//! the order in which they are tried.

mod call_site;
mod often_done_without;
mod rule;
mod table;
#[cfg(test)]
mod tests;

use crate::observation::{CheckAnswer, Namespace, Observation};
use table::{INITIAL_NAMESPACE, USED};

pub use call_site::asked_at;
use call_site::rule_in_atlas;
pub(crate) use call_site::{asked_in, function, is_of_overlayfs, silent};
pub(crate) use often_done_without::often_done_without;
pub use rule::{Classification, Context, Decision, Rule};
pub use table::{HARD_LINK, SYSCTL};
pub(crate) use table::{REFUSED, SHARED_MEMORY_LOCK, SILENT_UNKNOWN_SITE};

/// Classifies an observation. Every observation gets a class.
pub fn classify(observation: &Observation, context: &Context) -> Classification {
    let listed = rule_in_atlas(observation);
    let rule = table::tried()
        .find(|rule| listed == Some(rule.name) || (rule.applies)(observation, context))
        .unwrap_or(&USED);
    if observation.verdict == CheckAnswer::Granted {
        return Classification {
            decision: rule.decision,
            rule,
        };
    }
    let rule = match rule.decision {
        // A refused probe is still a probe.
        Decision::Dismissed | Decision::Optional => rule,
        _ if observation.namespace == Namespace::Initial => &INITIAL_NAMESPACE,
        _ => &REFUSED,
    };
    Classification {
        decision: Decision::Denied,
        rule,
    }
}

/// All rules, in the order in which they are tried, and after them those for a check that none of them knows or that was refused.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    table::tried().chain([&USED, &REFUSED, &INITIAL_NAMESPACE])
}
