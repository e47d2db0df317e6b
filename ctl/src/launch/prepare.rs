//! Makes a command line that does the same as the user's, with capprof as the runtime.

use super::command_line::Launch;
use super::launcher::Launcher;
use super::prepared::{Id, LaunchedContainer, Prepared};
use anyhow::bail;
use capprof_profile::{Capability, CapabilitySet};
use std::ffi::OsString;
use std::path::Path;

/// The mode of the run: `io.capprof.mode` and the annotations that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunMode {
    /// `enforce`, for example.
    pub(crate) mode: &'static str,
    /// The recording whose profile has the container's set.
    pub(crate) profile: Option<String>,
    /// The part of that set that it gets; without a profile, its whole set.
    pub(crate) capabilities: Option<CapabilitySet>,
}

/// Annotations; the environment variables with the same meaning for a runtime that is called without an engine; and the value of both.
type Pairs = Vec<(&'static str, &'static str, String)>;

impl RunMode {
    /// Annotations, and the environment variables that mean the same to a runtime that is called without an engine.
    fn pairs(&self) -> Pairs {
        let mut pairs = vec![("io.capprof.mode", "CAPPROF_MODE", self.mode.to_owned())];
        if let Some(profile) = &self.profile {
            pairs.push(("io.capprof.profile", "CAPPROF_PROFILE", profile.clone()));
        }
        if let Some(set) = self.capabilities {
            let names: Vec<String> = set.iter().map(|name| name.to_string()).collect();
            pairs.push((
                "io.capprof.capabilities",
                "CAPPROF_CAPABILITIES",
                names.join(","),
            ));
        }
        // The hook knows neither how the run ended nor whether a check passed.
        if self.mode == "verify" {
            pairs.push(("io.capprof.judge", "CAPPROF_JUDGE", "caller".to_owned()));
        }
        pairs
    }
}

/// How a container is given its capabilities.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// By capprof as its runtime.
    Capprof {
        /// The mode of capprof.
        run_mode: &'a RunMode,
        /// The binary.
        binary: &'a Path,
        /// The name under which docker knows it.
        name: &'a str,
    },
    /// By capprof as its runtime, which grants everything and records: the command line keeps all its options.
    Recording {
        /// The binary.
        binary: &'a Path,
        /// The name under which docker knows it.
        name: &'a str,
        /// A directory for a copy of the result, for an engine that forgets the container's id with the container.
        output: &'a Path,
    },
    /// The engine's own options give them, without capprof.
    Engine(CapabilitySet),
}

impl Launch {
    /// Returns the command line that runs the container in this way. The engine writes the id into `id_file` if it chooses it.
    ///
    /// # Errors
    /// The engine has no options for it.
    pub(crate) fn prepare(&self, by: By<'_>, id_file: &Path) -> anyhow::Result<Prepared> {
        if let Some(compose) = &self.compose {
            return self.prepare_service(compose, by, id_file);
        }
        let mut messages = Vec::new();
        let mut words = self.words[..self.command].to_vec();
        let mut added: Vec<OsString> = Vec::new();
        let (called, environment) = match by {
            By::Capprof { binary, name, .. } | By::Recording { binary, name, .. } => {
                let pairs = self.pairs(by);
                self.through(binary, name, &mut words, &mut added);
                match self.engine {
                    Launcher::Runc => (Some("capprof-runc"), variables(pairs)),
                    Launcher::Crun => (Some("capprof-crun"), variables(pairs)),
                    _ => {
                        added.extend(options(pairs, self.annotates()));
                        (None, Vec::new())
                    }
                }
            }
            By::Engine(set) => {
                added.extend(self.capability_options(set)?);
                (None, Vec::new())
            }
        };
        let prefix = words.clone();
        words.extend_from_slice(&self.words[self.command..=self.run]);
        let chooses_id = matches!(
            self.engine,
            Launcher::Docker | Launcher::Podman | Launcher::Nerdctl
        );
        if chooses_id {
            added.extend([OsString::from("--cidfile"), id_file.into()]);
        }
        if let (By::Capprof { .. }, Some(set)) = (by, self.also) {
            added.extend(self.capability_options(set)?);
        }
        let given = |option: &str| self.words.iter().any(|word| word == option);
        let form: Vec<&String> = self.form.iter().filter(|option| !given(option)).collect();
        if !form.is_empty() {
            let options: Vec<&str> = form.iter().map(|option| option.as_str()).collect();
            messages.push(format!("added, as in the form: {}", options.join(" ")));
        }
        added.extend(form.into_iter().map(OsString::from));
        words.append(&mut added);
        let own_sets = matches!(by, By::Engine(_)) || self.also.is_some();
        let dropped = match by {
            By::Recording { .. } => Vec::new(),
            _ => self.dropped(own_sets, &mut messages)?,
        };
        for (position, word) in self.words.iter().enumerate().skip(self.run + 1) {
            if !dropped.contains(&position) {
                words.push(word.clone());
            }
        }
        Ok(Prepared {
            words,
            called,
            environment,
            messages,
            container: LaunchedContainer {
                engine: self.engine,
                prefix,
                called,
                id: match &self.id {
                    Some(id) => Id::Given(id.clone()),
                    None => Id::File(id_file.to_owned()),
                },
                detached: self.detached,
                removes_itself: self.engine.family().is_some() || self.options.is_on("rm"),
            },
        })
    }

    /// Makes capprof the runtime: in `words`, the engine's program with its global options, or in `added`, the new options of `run`.
    fn through(
        &self,
        binary: &Path,
        name: &str,
        words: &mut Vec<OsString>,
        added: &mut Vec<OsString>,
    ) {
        match self.engine {
            Launcher::Docker => added.push(format!("--runtime={name}").into()),
            // --runtime is a global option of podman.
            Launcher::Podman => {
                words.splice(1..1, [OsString::from("--runtime"), binary.into()]);
            }
            Launcher::Nerdctl => added.extend([OsString::from("--runtime"), binary.into()]),
            Launcher::Ctr => added.extend([OsString::from("--runc-binary"), binary.into()]),
            Launcher::Runc | Launcher::Crun => words[0] = binary.into(),
        }
    }

    /// The annotations that instruct capprof, each with the environment variable that can replace it.
    pub(super) fn pairs(&self, by: By<'_>) -> Pairs {
        match by {
            By::Capprof { run_mode, .. } => run_mode.pairs(),
            // The administrator's configuration, or an environment variable, may choose another mode.
            By::Recording { output, .. } => {
                let mut pairs = vec![("io.capprof.mode", "CAPPROF_MODE", "profile".to_owned())];
                // These engines remove a container with `--rm` before capprofctl can ask for its id.
                if self.compose.is_some()
                    || matches!(self.engine, Launcher::Podman | Launcher::Nerdctl)
                {
                    // There is no variable for it.
                    pairs.push(("io.capprof.output", "", output.display().to_string()));
                }
                pairs
            }
            By::Engine(_) => Vec::new(),
        }
    }

    /// The words to leave out, because new options replace them.
    pub(super) fn dropped(
        &self,
        own_sets: bool,
        messages: &mut Vec<String>,
    ) -> anyhow::Result<Vec<usize>> {
        let engine = self.engine;
        let mut dropped = Vec::new();
        for given in &self.options.given {
            match given.name {
                "privileged" | "privileged-without-host-devices" if given.is_on() => {
                    if given.name == "privileged" {
                        messages.push(format!(
                            "--privileged is left out, because the profile takes its place; it also gave {}: add what the program needs of these",
                            engine.privileged()
                        ));
                    }
                }
                "cap-add" | "cap-drop" if own_sets => messages.push(format!(
                    "--{} {} is left out, because the profile takes its place",
                    given.name,
                    given.value.as_deref().unwrap_or_default().to_string_lossy()
                )),
                _ => continue,
            }
            if given.in_cluster {
                bail!("{engine} run: write --{} by itself", given.name);
            }
            dropped.extend(given.words.clone());
        }
        Ok(dropped)
    }

    /// The engine's own options that give a set and no more.
    fn capability_options(&self, set: CapabilitySet) -> anyhow::Result<Vec<OsString>> {
        let pairs: Vec<(&str, String)> = match self.engine {
            Launcher::Docker | Launcher::Podman | Launcher::Nerdctl => {
                let add = set.iter().map(|name| ("--cap-add", name.short_name()));
                std::iter::once(("--cap-drop", "all".to_owned()))
                    .chain(add)
                    .collect()
            }
            // ctr has no word for all capabilities.
            Launcher::Ctr => {
                let add = set.iter().map(|name| ("--cap-add", name.to_string()));
                let all: CapabilitySet = Capability::all().collect();
                let others = all.difference(set);
                let drop: Vec<_> = others
                    .iter()
                    .map(|name| ("--cap-drop", name.to_string()))
                    .collect();
                drop.into_iter().chain(add).collect()
            }
            Launcher::Runc | Launcher::Crun => bail!(
                "{}: it has no options for capabilities: write them into config.json",
                self.engine
            ),
        };
        Ok(pairs
            .into_iter()
            .flat_map(|(option, name)| [OsString::from(option), name.into()])
            .collect())
    }
}

/// The options of `run` that set annotations, or the labels that stand for them.
fn options(pairs: Pairs, annotates: bool) -> impl Iterator<Item = OsString> {
    let option = match annotates {
        true => "--annotation",
        false => "--label",
    };
    pairs
        .into_iter()
        .flat_map(move |(key, _, value)| [OsString::from(option), format!("{key}={value}").into()])
}

/// Environment variables in the place of annotations.
fn variables(pairs: Pairs) -> Vec<(&'static str, String)> {
    let variable = |(_, key, value)| (key, value);
    pairs.into_iter().map(variable).collect()
}
