//! The input of minimizing, and the questions that many of its steps ask.

use crate::classify::{Context, Decision, Rule, classify};
use crate::observation::{Evidence, Observation, RecorderName};
use crate::profile::RecorderReport;
use crate::recording::{Mode, ProcessSets};
use crate::settings::Preference;
use std::collections::BTreeSet;

/// All that the result depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The container.
    pub context: Context,
    /// The container's program: the first word of its command.
    pub program: &'a str,
    /// The sets in the engine's configuration.
    pub original: &'a ProcessSets,
    /// The container's sets while it was profiled.
    pub granted: &'a ProcessSets,
    /// The choice where several capabilities would do.
    pub preference: Preference,
    /// A report for each recorder.
    pub reports: &'a [RecorderReport],
    /// The evidence of each recorder that recorded.
    pub evidence: &'a [(RecorderName, Evidence)],
    /// The mode of the container.
    pub mode: Mode,
    /// See [`crate::privileges::EngineGrants::unprivileged_port_start`].
    pub unprivileged_port_start: Option<u16>,
    /// See [`crate::privileges::EngineGrants::filter_refuses`].
    pub filter_refuses: &'a BTreeSet<String>,
    /// True if that filter was relaxed, so the system calls were made.
    pub filter_relaxed: bool,
}

/// An observation with its classification.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classified<'a> {
    pub(super) check: &'a Observation,
    pub(super) decision: Decision,
    pub(super) rule: &'static Rule,
}

impl<'a> Classified<'a> {
    pub(super) fn new(check: &'a Observation, context: &Context) -> Self {
        let class = classify(check, context);
        Self {
            check,
            decision: class.decision,
            rule: class.rule,
        }
    }
}

/// The observations of all recorders, classified.
pub(super) fn classified<'a>(input: &Input<'a>) -> Vec<Classified<'a>> {
    input
        .evidence
        .iter()
        .flat_map(|(_, evidence)| &evidence.observations)
        .map(|check| Classified::new(check, &input.context))
        .collect()
}

pub(super) fn evidence_of<'a>(input: &Input<'a>, recorder: RecorderName) -> Option<&'a Evidence> {
    input
        .evidence
        .iter()
        .find(|(of, _)| *of == recorder)
        .map(|(_, evidence)| evidence)
}

pub(super) fn recorded_completely(input: &Input<'_>, recorder: RecorderName) -> bool {
    evidence_of(input, recorder).is_some_and(|evidence| evidence.losses.is_empty())
}
