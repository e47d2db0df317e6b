//! The capabilities that a container needed and lacked while it was not granted everything.

use super::choice::choose;
use super::demand::{Demand, Source, demands};
use super::input::{Classified, Input};
use super::need::need;
use crate::alternative::alternatives;
use crate::observation::{CheckAnswer, Namespace, Observation};
use crate::profile::Need;

/// Returns the needs that the container's sets do not satisfy: those of checks that were refused, that made their system call fail, and that
/// would have counted if granted.
///
/// For a recording that follows refusals ([`crate::recording::Recording::follows_refusals`]). A capability that the process was given and dropped
/// by itself is not lacking.
pub fn denied_needs(input: &Input<'_>) -> Vec<Need> {
    let refused: Vec<Observation> = input
        .evidence
        .iter()
        .flat_map(|(_, evidence)| &evidence.observations)
        .filter(|check| {
            check.verdict == CheckAnswer::Denied && check.namespace != Namespace::Initial
        })
        .filter_map(|check| {
            let failed = check.results.map(|results| results.failed())?;
            (failed > 0).then(|| Observation {
                verdict: CheckAnswer::Granted,
                count: failed,
                ..check.clone()
            })
        })
        .collect();
    let classified: Vec<Classified<'_>> = refused
        .iter()
        // After a refusal the kernel asks for the alternative. It would not have asked if the first had been granted.
        .filter(|check| !refused.iter().any(|first| was_asked_instead(check, first)))
        .map(|check| Classified::new(check, &input.context))
        .collect();
    // A program that is executed as root, by its set-user-ID bit, has all capabilities of the bounding set.
    let given = |demand: &Demand<'_>| match &demand.source {
        Source::Check(check) if input.context.uid != 0 && !check.as_root => input.granted.ambient,
        _ => input.granted.bounding,
    };
    let checks = Input {
        evidence: &[],
        ..*input
    };
    let demands: Vec<Demand<'_>> = demands(&checks, &classified, &mut Vec::new())
        .into_iter()
        .filter(|demand| demand.options.intersection(given(demand)).is_empty())
        .collect();
    let set = choose(&demands, input);
    set.iter()
        .map(|capability| need(capability, set, &demands, &checks))
        .collect()
}

fn was_asked_instead(check: &Observation, first: &Observation) -> bool {
    first.capability != check.capability
        && alternatives(first).contains(check.capability)
        && (&first.program, &first.syscall, &first.call_site)
            == (&check.program, &check.syscall, &check.call_site)
        && (first.joined, first.pre_exec) == (check.joined, check.pre_exec)
        && first.count >= check.count
}
