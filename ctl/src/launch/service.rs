//! Makes a command line of compose that runs the service through capprof.

use super::command_line::Launch;
use super::compose::{Compose, OverrideFile, PrivilegedReplacement};
use super::prepare::By;
use super::prepared::{Id, LaunchedContainer, Prepared};
use capprof_profile::CapabilitySet;
use std::io::IsTerminal;
use std::path::Path;

/// The label by which a container is found.
const FOUND_BY: &str = "capprofctl.run";

impl Launch {
    /// Returns the command line that runs the service in this way; its container has a label with this file's name.
    ///
    /// # Errors
    /// There is no compose file, `up` would replace a container, or the override file cannot be written.
    pub(super) fn prepare_service(
        &self,
        compose: &Compose,
        by: By<'_>,
        id_file: &Path,
    ) -> anyhow::Result<Prepared> {
        compose.refuse_unknown_service(&self.words)?;
        compose.refuse_to_replace(&self.words)?;
        let label = id_file.display().to_string();
        let override_file = self.override_file(compose, by, &label);
        let mut messages = Vec::new();
        if let By::Recording { name, .. } = by {
            messages.push(format!(
                "added to service {} by the last file: runtime: {name}, restart: \"no\", and labels",
                compose.service
            ));
        }
        let sets = match &override_file.instead {
            Some(instead) => instead.set.is_some(),
            None => false,
        };
        if sets && !compose.replaces(&self.words) {
            messages.push(
                "compose before 2.24.4 cannot take cap_add out of a service, so the seccomp filter is made with it"
                    .to_owned(),
            );
        }
        let mut words = self.words[..compose.verb].to_vec();
        words.extend(compose.with_file(&self.words, &override_file)?);
        words.push(self.words[compose.verb].clone());
        if compose.is_up && !self.detached {
            words.push("--detach".into());
        }
        // Version 1 gives the program a terminal by default, and fails if there is none.
        let has_terminal = std::io::stdin().is_terminal() && matches!(by, By::Recording { .. });
        let given = |name: &str| self.options.given.iter().any(|given| given.name == name);
        if !compose.is_up && compose.called == 1 && !has_terminal && !given("no-TTY") {
            words.push("-T".into());
        }
        let dropped = match by {
            By::Recording { .. } => Vec::new(),
            _ => self.dropped(sets, &mut messages)?,
        };
        for (position, word) in self.words.iter().enumerate().skip(compose.verb + 1) {
            if !dropped.contains(&position) {
                words.push(word.clone());
            }
        }
        Ok(Prepared {
            words,
            called: None,
            environment: Vec::new(),
            messages,
            container: LaunchedContainer {
                engine: self.engine,
                prefix: compose.docker.clone(),
                called: None,
                id: Id::Label(format!("{FOUND_BY}={label}"), compose.leftovers()?),
                detached: compose.is_up || self.detached,
                removes_itself: given("rm"),
            },
        })
    }

    /// Returns the override file's content for the service.
    fn override_file<'a>(
        &'a self,
        compose: &'a Compose,
        by: By<'a>,
        label: &str,
    ) -> OverrideFile<'a> {
        let (runtime, set) = match by {
            By::Capprof { name, .. } => (Some(name), self.also),
            By::Recording { name, .. } => (Some(name), None),
            By::Engine(set) => (None, Some(set)),
        };
        let marks = self.pairs(by).into_iter();
        let instead = match by {
            By::Recording { .. } => None,
            _ => Some(self.instead(set, compose.replaces(&self.words))),
        };
        OverrideFile {
            service: &compose.service,
            runtime,
            marks: marks.map(|(key, _, value)| (key, value)).collect(),
            annotations: compose.annotates(&self.words) && self.annotates(),
            found_by: (FOUND_BY, label.to_owned()),
            instead,
        }
    }

    fn instead(&self, set: Option<CapabilitySet>, replaces: bool) -> PrivilegedReplacement<'_> {
        let parts = self.parts.as_ref();
        PrivilegedReplacement {
            set,
            replaces,
            devices: parts.map_or(&[], |parts| &parts.devices),
            rules: parts.map_or(&[], |parts| &parts.rules),
            sysctls: parts.map_or(&[], |parts| &parts.sysctls),
        }
    }
}
