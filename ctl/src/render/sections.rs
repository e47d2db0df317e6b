//! Sections that the report of one run and that of many have in common.

use super::engine::Engine;
use super::form::{Workload, form};
use super::page::Page;
use super::privileged;
use capprof_profile::CapabilitySet;
use capprof_profile::observation::BlindSpot;
use capprof_profile::privileges::Privileges;

impl Page<'_> {
    /// What else of `--privileged` was used.
    pub(super) fn beyond(&mut self, privileges: Option<&Privileges>, set: CapabilitySet) {
        let lines =
            privileges.map_or_else(Vec::new, |privileges| privileged::section(privileges, set));
        if lines.is_empty() {
            return;
        }
        self.heading("beyond capabilities: what else of --privileged was used");
        for line in lines {
            self.line(&format!("  {line}"));
        }
    }

    pub(super) fn blind_spots<'b>(&mut self, spots: impl ExactSizeIterator<Item = &'b BlindSpot>) {
        if spots.len() == 0 {
            return;
        }
        self.heading("what could not be seen");
        let mut grouped: Vec<(&str, Vec<String>)> = Vec::new();
        for spot in spots {
            let name = spot
                .capability
                .map_or_else(|| "any".to_owned(), |capability| capability.to_string());
            match grouped
                .iter_mut()
                .find(|(reason, _)| *reason == spot.reason)
            {
                Some((_, names)) => names.push(name),
                None => grouped.push((&spot.reason, vec![name])),
            }
        }
        for (reason, mut names) in grouped {
            names.dedup();
            self.line(&format!("  {}: {reason}", names.join(", ")));
        }
    }

    /// The answer in the syntax of each engine.
    pub(super) fn forms<'b>(&mut self, workload: impl Into<Workload<'b>>) {
        let workload = workload.into();
        for engine in Engine::ALL {
            let heading = match engine {
                Engine::Kubernetes => "Kubernetes".to_owned(),
                Engine::Quadlet => "Quadlet".to_owned(),
                other => other.to_string(),
            };
            self.heading(&heading);
            match form(engine, workload.clone()) {
                Ok(form) => {
                    for line in form.lines() {
                        self.line(&format!("  {line}"));
                    }
                }
                Err(unable) => self.line(&format!("  # {}", unable.reason)),
            }
        }
    }
}
