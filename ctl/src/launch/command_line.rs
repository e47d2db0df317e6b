//! Parses a command line that runs a container.

use super::compose::Compose;
use super::launcher::Launcher;
use super::options::{self, Given, Scan, Table};
use super::sudo;
use super::tables;
use crate::render;
use anyhow::{Context, bail};
use capprof::argv;
use capprof::family::Family;
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The annotations that capprofctl gives itself.
const OUR_ANNOTATIONS: [&str; 5] = [
    "io.capprof.mode",
    "io.capprof.profile",
    "io.capprof.capabilities",
    "io.capprof.output",
    "io.capprof.judge",
];

/// The first version of docker whose `run` has `--annotation`.
const DOCKER_WITH_ANNOTATIONS: u32 = 24;

/// A command line that runs a container.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(super) engine: Launcher,
    pub(super) words: Vec<OsString>,
    /// The end of the global options.
    pub(super) command: usize,
    /// The position of `run`: there, or after `container`.
    pub(super) run: usize,
    pub(super) options: Scan,
    /// The container's id, if the command line has it.
    pub(super) id: Option<String>,
    pub(super) detached: bool,
    /// The set for the engine's own options, in addition to capprof's annotations; `None`: the command line keeps its own options.
    pub(super) also: Option<CapabilitySet>,
    /// Options for the privileges besides capabilities that the form gives.
    pub(super) form: Vec<String>,
    /// compose's command line, if it is one.
    pub(super) compose: Option<Compose>,
    /// The same as `form` for a file of compose.
    pub(super) parts: Option<render::Parts>,
    /// True if docker has annotations; empty until docker was asked.
    annotates: OnceLock<bool>,
}

impl Launch {
    /// Parses a command line: the engine by the name of its program, then global options, then `run`.
    ///
    /// # Errors
    /// It has another program or command, an unknown option, or an option that contradicts those that capprofctl adds.
    pub(crate) fn parse(command: &[OsString]) -> anyhow::Result<Self> {
        let command = without_sudo(command)?;
        let program = command.first().context("no command after --")?;
        if let Some((compose, options)) = Compose::of(command, &tables::DOCKER)? {
            return Ok(Self::of_compose(command.to_vec(), compose, options));
        }
        let Some(engine) = Launcher::of(program) else {
            bail!(
                "{}: expected docker, podman, nerdctl, ctr, runc or crun after --",
                program.to_string_lossy()
            );
        };
        let words = command.to_vec();
        match (engine.tables(), engine.family()) {
            (Some((globals, run)), _) => Self::of_engine(engine, words, globals, run),
            (None, family) => Self::of_runtime(engine, words, family.unwrap_or(Family::Runc)),
        }
    }

    fn of_engine(
        engine: Launcher,
        words: Vec<OsString>,
        globals: &Table,
        table: &Table,
    ) -> anyhow::Result<Self> {
        let before = options::scan(&words, 1, globals);
        if let Some(unknown) = before.unknown {
            bail!(
                "{engine} {unknown}: an option that capprofctl does not know; write its value after an ="
            );
        }
        let is = |position: usize, name: &str| words.get(position).is_some_and(|word| word == name);
        let mut run = before.end;
        if engine != Launcher::Ctr && is(run, "container") {
            run += 1;
        }
        if !is(run, "run") {
            bail!(
                "{engine} {}: expected {engine} run",
                words
                    .get(run)
                    .map_or_else(String::new, |word| word.to_string_lossy().into_owned())
            );
        }
        if engine == Launcher::Podman && before.is_on("remote") {
            bail!(
                "podman --remote: capprof must be the runtime where the container runs; call podman there"
            );
        }
        let options = options::scan(&words, run + 1, table);
        let mut launch = Self {
            engine,
            command: before.end,
            run,
            id: None,
            detached: options.is_on("detach"),
            options,
            words,
            also: None,
            form: Vec::new(),
            compose: None,
            parts: None,
            annotates: OnceLock::new(),
        };
        launch.refuse_contradictions(&before)?;
        if engine == Launcher::Ctr {
            launch.id = launch
                .words
                .get(launch.options.end + 1)
                .and_then(|id| id.to_str())
                .map(str::to_owned);
            if launch.id.is_none() {
                bail!("ctr run: expected ctr run IMAGE ID");
            }
            if launch.detached {
                bail!("ctr run --detach: leave it out; capprofctl waits for the container itself");
            }
        }
        Ok(launch)
    }

    /// Refuses options that contradict what capprofctl adds; after an unknown option, every word that looks like one of them.
    fn refuse_contradictions(&self, before: &Scan) -> anyhow::Result<()> {
        let engine = self.engine;
        const OURS: [&str; 3] = ["runtime", "runc-binary", "cidfile"];
        let given = || before.given.iter().chain(&self.options.given);
        for Given { name, value, .. } in given() {
            let value = value.as_deref().unwrap_or_default().to_string_lossy();
            // containerd's shim for runc also runs capprof.
            if OURS.contains(name) && !(engine == Launcher::Ctr && value == "io.containerd.runc.v2")
            {
                bail!("{engine} --{name}: leave it out; capprofctl gives its own");
            }
            let marks = ["annotation", "label"].contains(name);
            if marks && OUR_ANNOTATIONS.iter().any(|key| is_set(&value, key)) {
                bail!("{engine} --{name} {value}: leave it out; capprofctl gives its own");
            }
            if *name == "restart" && value != "no" {
                bail!(
                    "{engine} --restart {value}: leave it out; a container that is restarted cannot be judged"
                );
            }
        }
        let Some(unknown) = &self.options.unknown else {
            return Ok(());
        };
        if engine == Launcher::Ctr {
            bail!(
                "ctr run {unknown}: an option that capprofctl does not know; write its value after an ="
            );
        }
        let doubtful = [
            "privileged",
            "runtime",
            "cidfile",
            "cap-add",
            "cap-drop",
            "annotation",
            "restart",
            "detach",
            "d",
        ];
        let doubt = self.words[self.options.end + 1..]
            .iter()
            .find(|word| options::looks_like(word, &doubtful));
        if let Some(word) = doubt {
            bail!(
                "{engine} run {unknown}: an option that capprofctl does not know, so it cannot tell whether {} is for {engine} or for the \
                 program; write the value of {unknown} after an =, or put it last",
                word.to_string_lossy()
            );
        }
        Ok(())
    }

    fn of_compose(words: Vec<OsString>, compose: Compose, options: Scan) -> Self {
        Self {
            engine: Launcher::Docker,
            words,
            command: compose.verb,
            run: compose.verb,
            id: None,
            detached: options.is_on("detach"),
            options,
            also: None,
            form: Vec::new(),
            compose: Some(compose),
            parts: None,
            annotates: OnceLock::new(),
        }
    }

    fn of_runtime(engine: Launcher, words: Vec<OsString>, family: Family) -> anyhow::Result<Self> {
        let globals = argv::globals(&words, family);
        let run = match globals.subcommand {
            Some(position) if words[position] == "run" => position,
            _ => bail!("{engine}: expected {engine} run"),
        };
        if let Some(problem) = &globals.problem {
            bail!("{engine}: {problem}");
        }
        let arguments = &words[run + 1..];
        let command = argv::command_of_one_reading(OsStr::new("run"), arguments, family)
            .with_context(|| format!("{engine} run"))?;
        let id = match command.id.as_ref().and_then(|id| id.to_str()) {
            Some(id) if command.positional == 1 && !command.help => id.to_owned(),
            _ => bail!("{engine} run: expected {engine} run [OPTION…] ID"),
        };
        if command.detach {
            bail!("{engine} run --detach: leave it out; capprofctl waits for the container itself");
        }
        let text = |value: argv::Value| value.text;
        let bundle = command.bundle.map_or_else(|| OsString::from("."), text);
        let configuration = command.configuration.map(text);
        let configuration =
            configuration.map_or_else(|| Path::new(&bundle).join("config.json"), PathBuf::from);
        refuse_annotations(&configuration)?;
        Ok(Self {
            engine,
            words,
            command: run,
            run,
            options: Scan::default(),
            id: Some(id),
            detached: false,
            also: None,
            form: Vec::new(),
            compose: None,
            parts: None,
            annotates: OnceLock::new(),
        })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Launcher {
        self.engine
    }

    /// Makes the engine's own options ask for this set too, as its user will: the engine makes a seccomp filter, for example, from its options.
    pub(crate) fn with_options(mut self, set: CapabilitySet) -> Self {
        self.also = Some(set).filter(|_| self.engine.family().is_none());
        self
    }

    /// The set that this engine's form has for a workload: only docker lets every process of a container bind ports below 1024.
    pub(crate) fn set_of(&self, profile: &Profile, set: CapabilitySet) -> CapabilitySet {
        let mut set = set;
        let binds = !profile.findings.unprivileged_ports.is_empty();
        if binds && !matches!(self.engine, Launcher::Docker | Launcher::Nerdctl) {
            set.insert(Capability::NET_BIND_SERVICE);
        }
        set
    }

    /// Gives the container the devices and sysctls that the form gives besides capabilities.
    pub(crate) fn with_form(mut self, profile: &Profile, set: CapabilitySet) -> Self {
        let form = match self.engine {
            Launcher::Docker | Launcher::Nerdctl => render::FormKind::Docker,
            Launcher::Podman => render::FormKind::Podman,
            Launcher::Ctr | Launcher::Runc | Launcher::Crun => return self,
        };
        if self.compose.is_some() {
            self.parts = render::Parts::of(render::FormKind::Compose, profile).ok();
            return self;
        }
        if let Some(privileges) = &profile.privileges {
            self.form = render::beyond_capabilities(form, privileges, set);
        }
        self
    }

    /// Makes sure that two containers can run from the command line at the same time.
    ///
    /// # Errors
    /// They would have the same name, address or port of the host.
    pub(crate) fn refuse_to_run_twice(&self) -> anyhow::Result<()> {
        let engine = self.engine;
        if self.compose.is_some() {
            bail!(
                "--jobs: compose gives each container of a service the same names and volumes, so only one can run at a time"
            );
        }
        if self.id.is_some() {
            bail!("--jobs: {engine} run names the container, so only one can run at a time");
        }
        const ONLY_ONE: [&str; 6] = ["name", "publish", "ip", "ip6", "mac-address", "pod"];
        for Given { name, value, .. } in &self.options.given {
            let value = value.as_deref().unwrap_or_default().to_string_lossy();
            let host = matches!(*name, "network" | "net") && value == "host";
            // `-p 80` lets the engine choose the port of the host.
            let chosen = *name == "publish" && !value.contains(':');
            if (ONLY_ONE.contains(name) && !chosen) || host {
                bail!(
                    "--jobs: two containers cannot have --{name} {value} at the same time; leave it out, and let the check find the container \
                     by CAPPROF_CONTAINER_ID"
                );
            }
        }
        Ok(())
    }

    /// Makes sure that docker's daemon answers.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.engine {
            Launcher::Docker => self.docker_versions().map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Returns true if the engine has annotations. An older docker has only labels.
    pub(super) fn annotates(&self) -> bool {
        self.engine != Launcher::Docker
            || *self.annotates.get_or_init(|| {
                let versions = self.docker_versions();
                versions.map_or(true, |versions| docker_has_annotations(&versions))
            })
    }

    /// The versions of client and server.
    fn docker_versions(&self) -> anyhow::Result<String> {
        let docker = match &self.compose {
            Some(compose) => &compose.docker,
            None => &self.words[..self.command],
        };
        let output = Command::new(&docker[0])
            .args(&docker[1..])
            .args([
                "version",
                "--format",
                "{{.Client.Version}} {{.Server.Version}}",
            ])
            .output()
            .with_context(|| format!("run {}", docker[0].to_string_lossy()))?;
        if !output.status.success() {
            bail!(
                "docker version: {}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Returns the command line after `sudo`, or the whole if there is none.
///
/// # Errors
/// This process is not root, or `sudo` has an option that matters.
pub(crate) fn without_sudo(command: &[OsString]) -> anyhow::Result<&[OsString]> {
    sudo::strip(command, nix::unistd::geteuid().is_root())
}

/// Returns true if an option's value, `KEY=VALUE`, sets this key.
fn is_set(value: &str, key: &str) -> bool {
    value
        .strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Refuses a configuration with annotations of its own for capprof: they would override the environment variables.
fn refuse_annotations(configuration: &Path) -> anyhow::Result<()> {
    let context = || format!("read {}", configuration.display());
    let content = fs::read(configuration).with_context(context)?;
    let value: serde_json::Value = serde_json::from_slice(&content).with_context(context)?;
    for key in OUR_ANNOTATIONS {
        if value
            .get("annotations")
            .and_then(|annotations| annotations.get(key))
            .is_some()
        {
            bail!(
                "{}: remove the annotation {key}; capprofctl gives its own",
                configuration.display()
            );
        }
    }
    Ok(())
}

/// Returns true if both ends of docker know `--annotation`, by the versions of client and server.
pub(super) fn docker_has_annotations(versions: &str) -> bool {
    versions.split_whitespace().all(|version| {
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        major.is_none_or(|major: u32| major >= DOCKER_WITH_ANNOTATIONS)
    })
}
