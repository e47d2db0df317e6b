//! What minimizing starts from, and what is asked of it everywhere.

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
    /// What the container runs, the first word of its command.
    pub program: &'a str,
    /// What the engine had asked for.
    pub original: &'a ProcessSets,
    /// What the container had while it was profiled.
    pub granted: &'a ProcessSets,
    /// What is chosen where several capabilities would do.
    pub preference: Preference,
    /// A report for each recorder.
    pub reports: &'a [RecorderReport],
    /// What they brought home.
    pub evidence: &'a [(RecorderName, Evidence)],
    /// What the container was run for.
    pub mode: Mode,
    /// See [`crate::privileges::EngineGrants::unprivileged_port_start`].
    pub unprivileged_port_start: Option<u16>,
    /// See [`crate::privileges::EngineGrants::filter_refuses`].
    pub filter_refuses: &'a BTreeSet<String>,
    /// True if that filter was relaxed, so the system calls were made.
    pub filter_relaxed: bool,
}

/// An observation with what the rules made of it.
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
