//! An engine's command line that runs a container, understood as far as it must be to run it through capprof.
//!
//! New options go right after `run`, so that nothing behind it need be understood for them. What is behind it is read to find what contradicts
//! them, and refused rather than guessed at where that cannot be done.

#[cfg(test)]
mod fuzz;
mod options;

use crate::render;
use anyhow::{Context, bail};
use capprof::argv;
use capprof::family::Family;
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use options::{Given, Scan, Table};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first version of docker whose `run` has `--annotation`.
const DOCKER_WITH_ANNOTATIONS: u32 = 24;

/// Who runs containers from a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Docker,
    Podman,
    Nerdctl,
    Ctr,
    Runc,
    Crun,
}

impl Engine {
    const ALL: [Self; 6] = [
        Self::Docker,
        Self::Podman,
        Self::Nerdctl,
        Self::Ctr,
        Self::Runc,
        Self::Crun,
    ];

    /// The name of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
            Self::Ctr => "ctr",
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// Which low-level runtime's command line it has, if it is one.
    fn family(self) -> Option<Family> {
        match self {
            Self::Runc => Some(Family::Runc),
            Self::Crun => Some(Family::Crun),
            _ => None,
        }
    }

    /// Its global options, and those of `run`.
    fn tables(self) -> Option<(&'static Table, &'static Table)> {
        match self {
            Self::Docker => Some((&options::DOCKER, &options::RUN)),
            Self::Podman => Some((&options::PODMAN, &options::RUN)),
            Self::Nerdctl => Some((&options::NERDCTL, &options::RUN)),
            Self::Ctr => Some((&options::CTR, &options::CTR_RUN)),
            Self::Runc | Self::Crun => None,
        }
    }

    /// What `--privileged` gives beside capabilities, and how each is had by itself.
    fn privileged(self) -> &'static str {
        match self {
            Self::Podman => {
                "all devices of the host (--device), no seccomp filter (--security-opt seccomp=unconfined), no AppArmor profile (--security-opt \
                 apparmor=unconfined), no SELinux separation (--security-opt label=disable), /proc and /sys unmasked (--security-opt unmask=ALL)"
            }
            Self::Ctr => {
                "all devices of the host (--device), no seccomp filter (leave out --seccomp), no AppArmor profile, /proc and /sys unmasked \
                 and writable (--mount)"
            }
            _ => {
                "all devices of the host (--device), no seccomp filter (--security-opt seccomp=unconfined), no AppArmor profile (--security-opt \
                 apparmor=unconfined), no SELinux separation (--security-opt label=disable), /proc and /sys unmasked and writable \
                 (--security-opt systempaths=unconfined)"
            }
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What the container is to be run for: `io.capprof.mode` and the annotations that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// `enforce`, for example.
    pub(crate) mode: &'static str,
    /// The recording whose profile says what it gets.
    pub(crate) profile: Option<String>,
    /// What of that it gets; or, without a profile, all that it gets.
    pub(crate) capabilities: Option<CapabilitySet>,
}

impl Wish {
    /// Annotations, and the environment variables that mean the same to a runtime that is called without an engine.
    fn pairs(&self) -> Vec<(&'static str, &'static str, String)> {
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
        pairs
    }
}

/// How a container is given its capabilities.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// By capprof as its runtime.
    Capprof {
        /// What capprof is to do.
        wish: &'a Wish,
        /// The binary.
        binary: &'a Path,
        /// The name under which docker knows it.
        name: &'a str,
    },
    /// By the engine's own options, without capprof.
    Engine(CapabilitySet),
}

/// A command line that runs a container.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    engine: Engine,
    words: Vec<OsString>,
    /// Where the global options end.
    command: usize,
    /// Where `run` stands: there, or behind `container`.
    run: usize,
    options: Scan,
    /// The container's id, where the command line says it.
    id: Option<String>,
    detached: bool,
    /// What the engine's own options say beside what capprof is told; `None`: what the command line says.
    also: Option<CapabilitySet>,
    /// Options that give what the form gives besides capabilities.
    form: Vec<String>,
}

/// A command to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The words, the program first.
    pub(crate) words: Vec<OsString>,
    /// The name under which the program is called, if not its own.
    pub(crate) called: Option<&'static str>,
    /// Environment variables to add.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// What a person should know of the changes, a line each.
    pub(crate) messages: Vec<String>,
    /// The container that it will run.
    pub(crate) container: Container,
}

/// The container that a command line runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    engine: Engine,
    /// The engine's program with its global options.
    prefix: Vec<OsString>,
    called: Option<&'static str>,
    /// Its id, or the file that the engine writes it into.
    id: Result<String, PathBuf>,
    /// Whether the command line returns while the container runs.
    pub(crate) detached: bool,
}

impl Launch {
    /// Understands a command line: the engine by the name of its program, then global options, then `run`.
    ///
    /// # Errors
    /// Another program, another command, an option that is not known, one that contradicts what is to be added.
    pub(crate) fn parse(command: &[OsString]) -> anyhow::Result<Self> {
        let program = command.first().context("no command after --")?;
        let name = Path::new(program).file_name().unwrap_or(program);
        let Some(engine) = Engine::ALL.into_iter().find(|engine| name == engine.name()) else {
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
        engine: Engine,
        words: Vec<OsString>,
        globals: &Table,
        table: &Table,
    ) -> anyhow::Result<Self> {
        let before = options::scan(&words, 1, globals);
        if let Some(unknown) = before.unknown {
            bail!(
                "{engine} {unknown}: an option that capprofctl does not know; write its value behind an ="
            );
        }
        let is = |position: usize, name: &str| words.get(position).is_some_and(|word| word == name);
        let mut run = before.end;
        if engine != Engine::Ctr && is(run, "container") {
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
        if engine == Engine::Podman
            && before
                .given
                .iter()
                .any(|given| given.name == "remote" && given.is_on())
        {
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
            detached: options
                .given
                .iter()
                .any(|given| given.name == "detach" && given.is_on()),
            options,
            words,
            also: None,
            form: Vec::new(),
        };
        launch.refuse_contradictions(&before)?;
        if engine == Engine::Ctr {
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

    /// What cannot go with what capprofctl adds. Behind an unknown option, whatever looks like it.
    fn refuse_contradictions(&self, before: &Scan) -> anyhow::Result<()> {
        let engine = self.engine;
        const OURS: [&str; 3] = ["runtime", "runc-binary", "cidfile"];
        let given = || before.given.iter().chain(&self.options.given);
        for Given { name, value, .. } in given() {
            let value = value.as_deref().unwrap_or_default().to_string_lossy();
            // The shim that containerd uses for runc is the one that runs capprof.
            if OURS.contains(name) && !(engine == Engine::Ctr && value == "io.containerd.runc.v2") {
                bail!("{engine} --{name}: leave it out; capprofctl gives its own");
            }
            if *name == "annotation" && value.starts_with("io.capprof.") {
                bail!("{engine} --annotation {value}: leave it out; capprofctl gives its own");
            }
            if *name == "restart" && value != "no" {
                bail!(
                    "{engine} --restart {value}: leave it out; a container that comes back cannot be judged"
                );
            }
        }
        let Some(unknown) = &self.options.unknown else {
            return Ok(());
        };
        if engine == Engine::Ctr {
            bail!(
                "ctr run {unknown}: an option that capprofctl does not know; write its value behind an ="
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
                 program; write the value of {unknown} behind an =, or put it last",
                word.to_string_lossy()
            );
        }
        Ok(())
    }

    fn of_runtime(engine: Engine, words: Vec<OsString>, family: Family) -> anyhow::Result<Self> {
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
        })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// Has the engine's own options ask for this set, too, as its user will: a seccomp filter, for example, is made from what they say.
    pub(crate) fn with_options(mut self, set: CapabilitySet) -> Self {
        self.also = Some(set).filter(|_| self.engine.family().is_none());
        self
    }

    /// The set that this engine's form has for a workload: docker alone lets every process of a container bind ports below 1024.
    pub(crate) fn set_of(&self, profile: &Profile, set: CapabilitySet) -> CapabilitySet {
        let mut set = set;
        let binds = !profile.findings.unprivileged_ports.is_empty();
        if binds && !matches!(self.engine, Engine::Docker | Engine::Nerdctl) {
            set.insert(Capability::NET_BIND_SERVICE);
        }
        set
    }

    /// Has the container get what the form gives besides capabilities: devices and sysctls.
    pub(crate) fn with_form(mut self, profile: &Profile, set: CapabilitySet) -> Self {
        let form = match self.engine {
            Engine::Docker | Engine::Nerdctl => render::Engine::Docker,
            Engine::Podman => render::Engine::Podman,
            Engine::Ctr | Engine::Runc | Engine::Crun => return self,
        };
        if let Some(privileges) = &profile.privileges {
            self.form = render::beyond_capabilities(form, privileges, set);
        }
        self
    }

    /// Sees that two containers can run from the command line at the same time.
    ///
    /// # Errors
    /// They would have the same name, address or port of the host.
    pub(crate) fn refuse_to_run_twice(&self) -> anyhow::Result<()> {
        let engine = self.engine;
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

    /// Asks the engine whether it can do what will be asked of it.
    ///
    /// # Errors
    /// It cannot, or it does not answer.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.engine != Engine::Docker {
            return Ok(());
        }
        let output = Command::new(&self.words[0])
            .args(&self.words[1..self.command])
            .args([
                "version",
                "--format",
                "{{.Client.Version}} {{.Server.Version}}",
            ])
            .output()
            .with_context(|| format!("run {}", self.words[0].to_string_lossy()))?;
        if !output.status.success() {
            bail!(
                "docker version: {}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        docker_has_annotations(&String::from_utf8_lossy(&output.stdout))
    }

    /// The command line that runs the container so, with its id in `id_file` where the engine chooses it.
    ///
    /// # Errors
    /// The engine has no options for it.
    pub(crate) fn prepare(&self, by: By<'_>, id_file: &Path) -> anyhow::Result<Prepared> {
        let mut messages = Vec::new();
        let mut words = self.words[..self.command].to_vec();
        let mut called = None;
        let mut environment = Vec::new();
        let mut added: Vec<OsString> = Vec::new();
        match by {
            By::Capprof { wish, binary, name } => {
                let annotations = || {
                    wish.pairs().into_iter().flat_map(|(key, _, value)| {
                        [
                            OsString::from("--annotation"),
                            format!("{key}={value}").into(),
                        ]
                    })
                };
                match self.engine {
                    Engine::Docker => {
                        added.push(format!("--runtime={name}").into());
                        added.extend(annotations());
                    }
                    // A global option.
                    Engine::Podman => {
                        words.splice(1..1, [OsString::from("--runtime"), binary.into()]);
                        added.extend(annotations());
                    }
                    Engine::Nerdctl => {
                        added.extend([OsString::from("--runtime"), binary.into()]);
                        added.extend(annotations());
                    }
                    Engine::Ctr => {
                        added.extend([OsString::from("--runc-binary"), binary.into()]);
                        added.extend(annotations());
                    }
                    Engine::Runc | Engine::Crun => {
                        words[0] = binary.into();
                        called = Some(match self.engine {
                            Engine::Crun => "capprof-crun",
                            _ => "capprof-runc",
                        });
                        environment
                            .extend(wish.pairs().into_iter().map(|(_, key, value)| (key, value)));
                    }
                }
            }
            By::Engine(set) => added.extend(self.capability_options(set)?),
        }
        let prefix = words.clone();
        words.extend_from_slice(&self.words[self.command..=self.run]);
        let chooses_id = matches!(
            self.engine,
            Engine::Docker | Engine::Podman | Engine::Nerdctl
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
        let dropped = self.dropped(own_sets, &mut messages)?;
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
            container: Container {
                engine: self.engine,
                prefix,
                called,
                id: match &self.id {
                    Some(id) => Ok(id.clone()),
                    None => Err(id_file.to_owned()),
                },
                detached: self.detached,
            },
        })
    }

    /// The words that are left out: what is replaced by what is added.
    fn dropped(&self, own_sets: bool, messages: &mut Vec<String>) -> anyhow::Result<Vec<usize>> {
        let engine = self.engine;
        let mut dropped = Vec::new();
        for given in &self.options.given {
            match given.name {
                "privileged" | "privileged-without-host-devices" if given.is_on() => {
                    if given.name == "privileged" {
                        messages.push(format!(
                            "--privileged is left out, for the profile takes its place; it also gave {}: give by itself what the program needs of these",
                            engine.privileged()
                        ));
                    }
                }
                "cap-add" | "cap-drop" if own_sets => messages.push(format!(
                    "--{} {} is left out, for the profile takes its place",
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
            Engine::Docker | Engine::Podman | Engine::Nerdctl => {
                let add = set.iter().map(|name| ("--cap-add", name.short_name()));
                std::iter::once(("--cap-drop", "all".to_owned()))
                    .chain(add)
                    .collect()
            }
            // It knows no word for all.
            Engine::Ctr => {
                let add = set.iter().map(|name| ("--cap-add", name.to_string()));
                let all: CapabilitySet = Capability::all().collect();
                let others = all.difference(set);
                let drop: Vec<_> = others
                    .iter()
                    .map(|name| ("--cap-drop", name.to_string()))
                    .collect();
                drop.into_iter().chain(add).collect()
            }
            Engine::Runc | Engine::Crun => bail!(
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

impl Container {
    /// Its id, once the engine has said it.
    pub(crate) fn id(&self) -> Option<String> {
        match &self.id {
            Ok(id) => Some(id.clone()),
            Err(file) => {
                let text = fs::read_to_string(file).ok()?;
                let id = text.trim();
                (!id.is_empty()).then(|| id.to_owned())
            }
        }
    }

    /// What stops it, whatever it is doing, and removes it; to be run one after the other, whatever becomes of each.
    pub(crate) fn remove(&self, id: &str) -> Vec<Command> {
        let lines: &[&[&str]] = match self.engine {
            Engine::Docker | Engine::Nerdctl => &[&["rm", "--force", "--volumes"]],
            Engine::Podman => &[&["rm", "--force", "--volumes", "--time", "0"]],
            Engine::Ctr => &[
                &["tasks", "kill", "--signal", "SIGKILL"],
                &["tasks", "delete", "--force"],
                &["containers", "delete"],
            ],
            Engine::Runc | Engine::Crun => &[&["delete", "--force"]],
        };
        lines.iter().map(|line| self.command(line, id)).collect()
    }

    /// What waits for its end and prints its exit status; for one that was started in the background.
    pub(crate) fn wait(&self, id: &str) -> Command {
        self.command(&["wait"], id)
    }

    fn command(&self, words: &[&str], id: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.prefix[0]);
        if let Some(called) = self.called {
            command.arg0(called);
        }
        command.args(&self.prefix[1..]).args(words).arg(id);
        command
    }
}

impl Prepared {
    /// The command.
    pub(crate) fn command(&self) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.words[0]);
        if let Some(called) = self.called {
            command.arg0(called);
        }
        command
            .args(&self.words[1..])
            .envs(self.environment.iter().map(|(key, value)| (*key, value)));
        command
    }
}

/// A configuration that says for itself what capprof is to do with it goes before the environment.
fn refuse_annotations(configuration: &Path) -> anyhow::Result<()> {
    let context = || format!("read {}", configuration.display());
    let content = fs::read(configuration).with_context(context)?;
    let value: serde_json::Value = serde_json::from_slice(&content).with_context(context)?;
    for key in [
        "io.capprof.mode",
        "io.capprof.profile",
        "io.capprof.capabilities",
    ] {
        if value
            .get("annotations")
            .and_then(|annotations| annotations.get(key))
            .is_some()
        {
            bail!(
                "{}: take the annotation {key} out; capprofctl gives its own",
                configuration.display()
            );
        }
    }
    Ok(())
}

/// Whether both ends of docker know `--annotation`, by the versions of client and server.
fn docker_has_annotations(versions: &str) -> anyhow::Result<()> {
    for version in versions.split_whitespace() {
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < DOCKER_WITH_ANNOTATIONS) {
            bail!(
                "docker {version} has no --annotation, by which capprof is told what to do (docker {DOCKER_WITH_ANNOTATIONS} has): upgrade docker, \
                 use podman, nerdctl or ctr, or docker's own options (shrink --engine-options)"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn shown(words: &[OsString]) -> String {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    fn wish() -> Wish {
        Wish {
            mode: "enforce",
            profile: Some("20260101T000000Z-00000001".to_owned()),
            capabilities: Some([Capability::CHOWN, Capability::KILL].into_iter().collect()),
        }
    }

    fn prepare(line: &str) -> anyhow::Result<Prepared> {
        let wish = wish();
        let by = By::Capprof {
            wish: &wish,
            binary: Path::new("/usr/bin/capprof"),
            name: "capprof",
        };
        Launch::parse(&words(line))?.prepare(by, Path::new("/tmp/id"))
    }

    const ANNOTATIONS: &str = "--annotation io.capprof.mode=enforce --annotation io.capprof.profile=20260101T000000Z-00000001 \
                               --annotation io.capprof.capabilities=CAP_CHOWN,CAP_KILL";

    /// The profile of a privileged container that used the device of FUSE and bound port 53.
    fn of_fuse() -> Profile {
        use capprof_profile::observation::{DeviceKind, PortUse};
        use capprof_profile::privileges::{Device, DeviceNumber, EngineGrants, Privileges};
        let mut profile = capprof_profile::assemble::profile(
            &capprof_profile::fixtures::recording("web-1", "20260101T000000Z-00000001"),
            capprof_profile::fixtures::reports(),
            Vec::new(),
            String::new(),
            capprof_profile::fixtures::host(),
        );
        profile.privileges = Some(Privileges {
            engine_grants: EngineGrants {
                all_devices: true,
                ..EngineGrants::default()
            },
            devices: vec![Device {
                number: DeviceNumber {
                    kind: DeviceKind::Char,
                    major: 10,
                    minor: 229,
                },
                node: Some("fuse".to_owned()),
                access: "rw".to_owned(),
                access_only: String::new(),
                programs: ["bindfs".to_owned()].into(),
            }],
            sysctls: Vec::new(),
            syscalls: Vec::new(),
            not_observed: std::collections::BTreeSet::new(),
        });
        profile.findings.unprivileged_ports = vec![PortUse {
            port: 53,
            program: "dnsmasq".to_owned(),
            count: 1,
        }];
        profile
    }

    #[test]
    fn the_whole_form_takes_the_place_of_privileged() {
        let wish = wish();
        let profile = of_fuse();
        let prepared = |line: &str| {
            let launch = Launch::parse(&words(line)).unwrap();
            let set = launch.set_of(&profile, CapabilitySet::EMPTY);
            let by = By::Capprof {
                wish: &wish,
                binary: Path::new("/usr/bin/capprof"),
                name: "capprof",
            };
            launch
                .with_form(&profile, set)
                .with_options(set)
                .prepare(by, Path::new("/tmp/id"))
                .map(|prepared| shown(&prepared.words).replace(ANNOTATIONS, "ANNOTATIONS"))
                .unwrap()
        };
        let device = "--device=/dev/fuse:/dev/fuse:rw";
        assert_eq!(
            prepared("docker run --privileged alpine"),
            format!(
                "docker run --runtime=capprof ANNOTATIONS --cidfile /tmp/id --cap-drop all {device} alpine"
            )
        );
        assert_eq!(
            prepared(&format!("docker run {device} alpine")),
            format!(
                "docker run --runtime=capprof ANNOTATIONS --cidfile /tmp/id --cap-drop all {device} alpine"
            )
        );
        assert_eq!(
            prepared("podman run alpine"),
            format!(
                "podman --runtime /usr/bin/capprof run ANNOTATIONS --cidfile /tmp/id --cap-drop all --cap-add NET_BIND_SERVICE {device} alpine"
            )
        );
    }

    #[test]
    fn two_containers_are_not_in_each_others_way() {
        let refused = |line: &str| {
            let launch = Launch::parse(&words(line)).unwrap();
            launch
                .refuse_to_run_twice()
                .map_err(|error| error.to_string())
                .err()
        };
        for line in [
            "docker run --name web nginx",
            "docker run -p 8080:80 nginx",
            "podman run --publish=8080:80 nginx",
            "docker run --network host nginx",
        ] {
            assert!(
                refused(line).is_some_and(|error| error.contains("at the same time")),
                "{line}"
            );
        }
        for line in [
            "docker run nginx",
            "docker run -p 80 --network bridge nginx",
            "podman run -v data:/data nginx --name web",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
        assert!(refused("ctr run nginx web").is_some());
    }

    #[test]
    fn each_engine_is_told_in_its_own_way() {
        for (line, expected) in [
            (
                "docker run -d --name web nginx -g daemon",
                "docker run --runtime=capprof ANNOTATIONS --cidfile /tmp/id -d --name web nginx -g daemon",
            ),
            (
                "/usr/bin/docker --context far -H tcp://h container run nginx",
                "/usr/bin/docker --context far -H tcp://h container run --runtime=capprof ANNOTATIONS --cidfile /tmp/id nginx",
            ),
            (
                "podman --root /r run -it nginx",
                "podman --runtime /usr/bin/capprof --root /r run ANNOTATIONS --cidfile /tmp/id -it nginx",
            ),
            (
                "nerdctl -n k8s.io run nginx",
                "nerdctl -n k8s.io run --runtime /usr/bin/capprof ANNOTATIONS --cidfile /tmp/id nginx",
            ),
            (
                "ctr -n x run --rm --env A=B docker.io/library/nginx:1 web nginx -d",
                "ctr -n x run --runc-binary /usr/bin/capprof ANNOTATIONS --rm --env A=B docker.io/library/nginx:1 web nginx -d",
            ),
        ] {
            let prepared = prepare(line).unwrap();
            assert_eq!(
                shown(&prepared.words),
                expected.replace("ANNOTATIONS", ANNOTATIONS),
                "{line}"
            );
            assert!(prepared.environment.is_empty() && prepared.messages.is_empty());
        }
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().display().to_string();
        fs::write(directory.path().join("config.json"), "{}").unwrap();
        for (engine, called) in [("runc", "capprof-runc"), ("crun", "capprof-crun")] {
            let line = format!("{engine} --root /r run --bundle {bundle} web");
            let prepared = prepare(&line).unwrap();
            assert_eq!(
                shown(&prepared.words),
                format!("/usr/bin/capprof --root /r run --bundle {bundle} web")
            );
            assert_eq!(prepared.called, Some(called));
            assert_eq!(
                prepared.environment,
                [
                    ("CAPPROF_MODE", "enforce".to_owned()),
                    ("CAPPROF_PROFILE", "20260101T000000Z-00000001".to_owned()),
                    ("CAPPROF_CAPABILITIES", "CAP_CHOWN,CAP_KILL".to_owned()),
                ]
            );
            assert_eq!(prepared.container.id().as_deref(), Some("web"));
        }
        let annotated = r#"{"annotations": {"io.capprof.mode": "off"}}"#;
        fs::write(directory.path().join("config.json"), annotated).unwrap();
        let error = prepare(&format!("runc run --bundle {bundle} web")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("take the annotation io.capprof.mode out"),
            "{error}"
        );
    }

    #[test]
    fn privileged_gives_way_to_the_profile_and_what_else_it_gave_is_named() {
        let prepared = prepare("docker run -it --privileged --rm nginx --privileged").unwrap();
        assert!(
            shown(&prepared.words).ends_with("--cidfile /tmp/id -it --rm nginx --privileged"),
            "{prepared:?}"
        );
        assert_eq!(prepared.messages.len(), 1);
        for part in [
            "devices",
            "seccomp",
            "AppArmor",
            "SELinux",
            "/proc and /sys",
        ] {
            assert!(prepared.messages[0].contains(part), "{prepared:?}");
        }
        let prepared = prepare("podman run --privileged=true nginx").unwrap();
        assert!(shown(&prepared.words).ends_with("/tmp/id nginx"));
        assert!(prepared.messages[0].contains("unmask=ALL"), "{prepared:?}");
        let prepared = prepare("docker run --privileged=false nginx").unwrap();
        assert!(shown(&prepared.words).ends_with("--privileged=false nginx"));
        let prepared = prepare("ctr run --privileged --net-host img id").unwrap();
        assert!(shown(&prepared.words).ends_with("--net-host img id"));
    }

    #[test]
    fn an_engines_own_options_give_a_set() {
        let set: CapabilitySet = [Capability::NET_RAW].into_iter().collect();
        let of = |line: &str| {
            let launch = Launch::parse(&words(line)).unwrap();
            launch.prepare(By::Engine(set), Path::new("/tmp/id"))
        };
        let docker = of("docker run --cap-add SYS_ADMIN --cap-drop=KILL -d nginx").unwrap();
        assert_eq!(
            shown(&docker.words),
            "docker run --cap-drop all --cap-add NET_RAW --cidfile /tmp/id -d nginx"
        );
        assert_eq!(docker.messages.len(), 2);
        let ctr = shown(&of("ctr run img id").unwrap().words);
        assert!(
            ctr.contains("--cap-drop CAP_CHOWN ") && ctr.ends_with("--cap-add CAP_NET_RAW img id"),
            "{ctr}"
        );
        assert!(!ctr.contains("--cap-drop CAP_NET_RAW"), "{ctr}");
    }

    #[test]
    fn what_cannot_be_followed_is_refused_and_says_what_to_do() {
        for (line, expected) in [
            ("", "no command after --"),
            ("sudo docker run x", "sudo: expected docker, podman"),
            ("docker ps", "docker ps: expected docker run"),
            ("docker", "expected docker run"),
            (
                "docker --new x run y",
                "docker --new: an option that capprofctl does not know",
            ),
            (
                "docker run --runtime runc x",
                "docker --runtime: leave it out",
            ),
            (
                "podman --runtime crun run x",
                "podman --runtime: leave it out",
            ),
            (
                "docker run --cidfile=/f x",
                "docker --cidfile: leave it out",
            ),
            (
                "docker run --annotation io.capprof.mode=off x",
                "docker --annotation io.capprof.mode=off: leave it out",
            ),
            (
                "docker run --restart always x",
                "docker --restart always: leave it out",
            ),
            (
                "docker run --new y --privileged x",
                "cannot tell whether --privileged is for docker or for the program",
            ),
            (
                "podman --remote run x",
                "podman --remote: capprof must be the runtime",
            ),
            ("ctr run img", "expected ctr run IMAGE ID"),
            (
                "ctr run --new img id",
                "ctr run --new: an option that capprofctl does not know",
            ),
            ("ctr run -d img id", "leave it out"),
            ("runc list", "expected runc run"),
            ("runc run", "expected runc run [OPTION…] ID"),
            ("runc run -d id", "leave it out"),
            ("crun run -d id", "leave it out"),
            ("runc run --new id", "unknown option --new"),
        ] {
            let error = format!("{:#}", Launch::parse(&words(line)).unwrap_err());
            assert!(error.contains(expected), "{line}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        // An unknown option that contradicts nothing does not matter.
        assert!(prepare("docker run --new y --rm nginx").is_ok());
        assert!(prepare("docker run --annotation other=x --restart=no nginx").is_ok());
    }

    #[test]
    fn a_container_is_removed_by_its_engine() {
        let of = |line: &str| -> Vec<String> {
            let container = prepare(line).unwrap().container;
            container
                .remove("ID")
                .iter()
                .map(|command| format!("{command:?}").replace('"', ""))
                .collect()
        };
        assert_eq!(
            of("docker -H h container run nginx"),
            ["docker -H h rm --force --volumes ID"]
        );
        assert_eq!(
            of("podman run nginx"),
            ["podman --runtime /usr/bin/capprof rm --force --volumes --time 0 ID"]
        );
        assert_eq!(
            of("ctr -n x run img ID"),
            [
                "ctr -n x tasks kill --signal SIGKILL ID",
                "ctr -n x tasks delete --force ID",
                "ctr -n x containers delete ID"
            ]
        );
        assert!(prepare("docker run -itd nginx").unwrap().container.detached);
        assert!(!prepare("docker run nginx -d").unwrap().container.detached);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id");
        let launch = Launch::parse(&words("docker run nginx")).unwrap();
        let container = launch
            .prepare(By::Engine(CapabilitySet::EMPTY), &file)
            .unwrap()
            .container;
        assert_eq!(container.id(), None);
        fs::write(&file, "abc\n").unwrap();
        assert_eq!(container.id().as_deref(), Some("abc"));
    }

    #[test]
    fn docker_before_24_is_told() {
        assert!(docker_has_annotations("27.3.1 24.0.7\n").is_ok());
        assert!(docker_has_annotations("28.0.0-rc.1 ").is_ok());
        for versions in ["20.10.24+dfsg1 20.10.24+dfsg1", "27.0.1 23.0.6"] {
            let error = docker_has_annotations(versions).unwrap_err().to_string();
            assert!(error.contains("has no --annotation"), "{error}");
        }
    }
}
