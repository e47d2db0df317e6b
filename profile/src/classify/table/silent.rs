//! Checks that the kernel makes without an audit record (NOAUDIT).

use crate::atlas::PlaceClass;
use crate::classify::call_site::{asked_at, silent, silent_or_unknown};
use crate::classify::rule::{Decision, Rule};
use crate::profile::Reason;

/// The rule that counts a silent check no other rule knows.
pub(crate) const SILENT_UNKNOWN_SITE: &str = "silent-unknown-site";

pub(super) static RULES: &[Rule] = &[
    // The atlas has the places (filters, Landlock domains, a tracer's access, namespaces of others) and says which ask silently. An early check
    // counts if no rule above could tell from its arguments that it did not matter.
    Rule {
        name: "enforced-silently",
        explanation: "the kernel asks without an audit record, and refuses the system call without",
        decision: Decision::Needed(Reason::EnforcingSilent),
        applies: |check, _| {
            silent_or_unknown(check) && {
                let places = asked_at(check);
                !places.is_empty()
                    && places.iter().all(|place| {
                        place.silent
                            && matches!(place.class, PlaceClass::Refuses | PlaceClass::Early)
                    })
            }
        },
    },
    Rule {
        name: SILENT_UNKNOWN_SITE,
        explanation: "the kernel asked without an audit record, at a place that capprof has no rule for: counted to be safe",
        decision: Decision::Needed(Reason::EnforcingSilent),
        applies: |check, _| silent(check),
    },
];
