//! Sums over observations.

use crate::atlas::paths;
use crate::classify;
use crate::observation::{Observation, RecorderName, Results};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Program,
    Syscall,
    Site,
}

/// Sums by recorder. Two recorders see the same checks, so the larger sum is the result.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<RecorderName, u64>,
    fields: BTreeMap<(Field, String), BTreeMap<RecorderName, u64>>,
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    pub(super) results: Option<Results>,
}

impl Tally {
    pub(super) fn check(&mut self, check: &Observation) {
        self.program(check.recorder, check.program.clone(), check.count);
        if let Some(results) = &check.results {
            self.results.get_or_insert_default().add(results);
        }
        if let Some(syscall) = &check.syscall {
            self.add(
                check.recorder,
                Field::Syscall,
                syscall.name.clone(),
                check.count,
            );
        }
        let site = site(&check.call_site);
        if !site.is_empty() {
            self.add(check.recorder, Field::Site, site, check.count);
        }
        self.first = Some(
            self.first
                .map_or(check.first_ms, |first| first.min(check.first_ms)),
        );
        self.last = Some(
            self.last
                .map_or(check.last_ms, |last| last.max(check.last_ms)),
        );
    }

    pub(super) fn program(&mut self, recorder: RecorderName, name: String, count: u64) {
        let sum = self.counts.entry(recorder).or_default();
        *sum = sum.saturating_add(count);
        self.add(recorder, Field::Program, name, count);
    }

    pub(super) fn add(&mut self, recorder: RecorderName, field: Field, name: String, count: u64) {
        let sum = self
            .fields
            .entry((field, name))
            .or_default()
            .entry(recorder)
            .or_default();
        *sum = sum.saturating_add(count);
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.values().copied().max().unwrap_or_default()
    }

    pub(super) fn recorders(&self) -> Vec<RecorderName> {
        self.counts.keys().copied().collect()
    }

    /// Most frequent first, equals by name.
    pub(super) fn list(&self, wanted: Field) -> Vec<String> {
        let mut list: Vec<(u64, &String)> = self
            .fields
            .iter()
            .filter(|((field, name), _)| *field == wanted && !name.is_empty())
            .map(|((_, name), counts)| (counts.values().copied().max().unwrap_or_default(), name))
            .collect();
        list.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(other.1)));
        list.into_iter().map(|(_, name)| name.clone()).collect()
    }
}

/// A call site as one line, without the functions that every check passes through.
pub(super) fn site(call_site: &[String]) -> String {
    call_site
        .iter()
        .map(String::as_str)
        .filter(|frame| !paths::EVERY_CHECK.contains(&classify::function(frame)))
        .collect::<Vec<_>>()
        .join(" < ")
}
