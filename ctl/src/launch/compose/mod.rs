//! `docker compose run` and `docker compose up`, parsed as far as necessary to run one service through capprof.
//!
//! The additions to the service are in an override file, which compose reads after the user's own files. These are never changed, and the
//! configuration of other services stays the same, so that compose does not touch those that run.

mod files;
mod leftovers;
mod override_file;
mod tables;

pub(super) use leftovers::Leftovers;
pub(super) use override_file::{OverrideFile, PrivilegedReplacement};

use super::options::{self, Given, Scan, Table};
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

/// The first version in which an override file can remove settings of the other files.
const REPLACES: (u32, u32, u32) = (2, 24, 4);

/// The first version that is sure to know annotations.
const ANNOTATES: (u32, u32, u32) = (2, 21, 0);

/// A command line of compose.
#[derive(Clone, Debug)]
pub(super) struct Compose {
    /// docker's program with its global options.
    pub(super) docker: Vec<OsString>,
    /// The number of words that call compose: `docker compose`, `docker-compose`.
    pub(super) called: usize,
    /// compose's global options.
    globals: Vec<Given>,
    /// The index of `run` or `up`.
    pub(super) verb: usize,
    /// True if it is `up`.
    pub(super) is_up: bool,
    /// The service.
    pub(super) service: String,
    /// The leftovers of compose, from the first run on.
    leftovers: Arc<OnceLock<Leftovers>>,
    version: OnceLock<(u32, u32, u32)>,
}

impl Compose {
    /// Parses a command line, with the options of `run` or `up`; `None` if it is none of compose's.
    ///
    /// # Errors
    /// It has another engine's compose, another command than `run` and `up`, or an option that is unknown or contradicts the additions.
    pub(super) fn of(words: &[OsString], globals: &Table) -> anyhow::Result<Option<(Self, Scan)>> {
        let Some((docker, called)) = called(words, globals)? else {
            return Ok(None);
        };
        let name = match called {
            1 => "docker-compose",
            _ => "docker compose",
        };
        let before = options::scan(words, called, &tables::GLOBALS);
        refuse_unknown(name, &before)?;
        let verb = before.end;
        let is_up = match words.get(verb).and_then(|word| word.to_str()) {
            Some("run") => false,
            Some("up") => true,
            other => bail!(
                "{name} {}: expected {name} run or {name} up",
                other.unwrap_or_default()
            ),
        };
        let table = match is_up {
            true => &tables::UP,
            false => &tables::RUN,
        };
        let scan = options::scan(words, verb + 1, table);
        refuse_unknown(name, &scan)?;
        refuse(name, before.given.iter().chain(&scan.given))?;
        let services = words.get(scan.end..).unwrap_or_default();
        let service = match services {
            [] => bail!("{name}: name the service that is to be profiled"),
            [_, _, ..] if is_up => {
                bail!("{name} up: name one service; those that it depends on are started with it")
            }
            [service, ..] => service.to_str().context("a service's name must be UTF-8")?,
        };
        let compose = Self {
            docker,
            called,
            globals: before.given,
            verb,
            is_up,
            service: service.to_owned(),
            leftovers: Arc::default(),
            version: OnceLock::new(),
        };
        Ok(Some((compose, scan)))
    }

    /// The leftovers of compose because of the override file. They are removed when the last owner drops this value.
    ///
    /// # Errors
    /// The directory for the file cannot be made.
    pub(super) fn leftovers(&self) -> anyhow::Result<Arc<OnceLock<Leftovers>>> {
        if self.leftovers.get().is_none() {
            let leftovers = Leftovers::new(&self.docker).context("create temporary directory")?;
            let _ = self.leftovers.set(leftovers);
        }
        Ok(Arc::clone(&self.leftovers))
    }

    /// Returns true if this compose knows annotations.
    pub(super) fn annotates(&self, words: &[OsString]) -> bool {
        self.version(words) >= ANNOTATES
    }

    /// Returns true if an override file can remove settings of the other files.
    pub(super) fn replaces(&self, words: &[OsString]) -> bool {
        self.version(words) >= REPLACES
    }

    /// The version that compose reports; the oldest if it reports none.
    fn version(&self, words: &[OsString]) -> (u32, u32, u32) {
        *self.version.get_or_init(|| {
            let output = command(&words[..self.called])
                .args(["version", "--short"])
                .output();
            let said = output.map_or_else(
                |_| String::new(),
                |output| String::from_utf8_lossy(&output.stdout).into_owned(),
            );
            version(&said)
        })
    }

    /// Writes the override file, and returns the options that name all files.
    ///
    /// # Errors
    /// It cannot be written, or there is no file of the project.
    pub(super) fn with_file(
        &self,
        words: &[OsString],
        override_file: &OverrideFile<'_>,
    ) -> anyhow::Result<Vec<OsString>> {
        let leftovers = self.leftovers()?;
        let directory = leftovers.get().map(Leftovers::directory);
        let path = directory.unwrap_or(Path::new("")).join("override.yaml");
        fs::write(&path, override_file.text())
            .with_context(|| format!("write {}", path.display()))?;
        let given = |name: &str| self.globals.iter().any(|given| given.name == name);
        let mut files = Vec::new();
        if !given("file") {
            files = self.found(words)?;
        }
        files.push(path);
        let option = |file: PathBuf| [OsString::from("--file"), file.into()];
        Ok(files.into_iter().flat_map(option).collect())
    }

    /// The files that compose would read by default.
    fn found(&self, words: &[OsString]) -> anyhow::Result<Vec<PathBuf>> {
        let here = std::env::current_dir().context("find the working directory")?;
        let directory = self
            .globals
            .iter()
            .find(|given| given.name == "project-directory" || given.name == "workdir")
            .and_then(|given| given.value.as_ref())
            .map_or(here.clone(), |directory| here.join(directory));
        let found = files::found(&directory, self.version(words).0 < 2);
        if found.is_empty() {
            bail!(
                "{}: no compose file in it or above it: name one with --file",
                directory.display()
            );
        }
        Ok(found)
    }

    /// Makes sure that the project has the service: the override file would create one.
    ///
    /// # Errors
    /// The project has no such service, or compose cannot read its files.
    pub(super) fn refuse_unknown_service(&self, words: &[OsString]) -> anyhow::Result<()> {
        // Older versions do not list services that belong to profiles.
        if !self.replaces(words) {
            return Ok(());
        }
        let said = self.said(words, &["--profile", "*", "config", "--services"])?;
        let services: Vec<&str> = said.lines().collect();
        match services.contains(&self.service.as_str()) {
            true => Ok(()),
            false => bail!(
                "service {}: the project has no such service, but {}",
                self.service,
                services.join(", ")
            ),
        }
    }

    /// Returns the output of compose for these arguments, with the same global options.
    fn said(&self, words: &[OsString], further: &[&str]) -> anyhow::Result<String> {
        let output = command(&words[..self.verb])
            .args(further)
            .output()
            .context("run compose")?;
        if !output.status.success() {
            bail!(
                "compose {}: {}",
                further.join(" "),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes sure that `up` does not replace an existing container.
    ///
    /// # Errors
    /// The service has a container.
    pub(super) fn refuse_to_replace(&self, words: &[OsString]) -> anyhow::Result<()> {
        if !self.is_up {
            return Ok(());
        }
        let said = self.said(words, &["ps", "--all", "--quiet", &self.service])?;
        match said.trim().is_empty() {
            true => Ok(()),
            false => bail!(
                "service {}: it has a container, which up would replace: remove it first (compose rm --stop {}), or profile a second one (compose run)",
                self.service,
                self.service
            ),
        }
    }
}

/// docker's program with its global options, and the number of words that call compose.
fn called(words: &[OsString], globals: &Table) -> anyhow::Result<Option<(Vec<OsString>, usize)>> {
    let name = words
        .first()
        .and_then(|first| Path::new(first).file_name()?.to_str());
    let is_next = |position: usize| words.get(position).is_some_and(|word| word == "compose");
    match name {
        Some("docker-compose") => Ok(Some((vec!["docker".into()], 1))),
        Some("docker") => {
            let end = options::scan(words, 1, globals).end;
            Ok(is_next(end).then(|| (words[..end].to_vec(), end + 1)))
        }
        Some("podman-compose") => bail!(
            "podman-compose: only docker compose can profile services; profile the container with podman run"
        ),
        Some(name @ ("podman" | "nerdctl")) if is_next(1) => bail!(
            "{name} compose: only docker compose can profile services; profile the container with {name} run"
        ),
        _ => Ok(None),
    }
}

/// Returns true if a program is compose, or a replacement for it.
pub(super) fn is_program(name: &str) -> bool {
    ["docker-compose", "podman-compose"].contains(&name)
}

fn refuse_unknown(name: &str, scan: &Scan) -> anyhow::Result<()> {
    match &scan.unknown {
        Some(unknown) => bail!(
            "{name} {unknown}: an option that capprofctl does not know; write its value after an ="
        ),
        None => Ok(()),
    }
}

/// Refuses options that do not go together with the additions.
fn refuse<'a>(name: &str, given: impl Iterator<Item = &'a Given>) -> anyhow::Result<()> {
    const CONTRADICT: [(&str, &str); 13] = [
        ("abort-on-container-exit", "capprofctl waits for the end"),
        ("abort-on-container-failure", "capprofctl waits for the end"),
        ("attach", "the service is started in the background"),
        (
            "attach-dependencies",
            "the service is started in the background",
        ),
        ("dry-run", "nothing would run"),
        ("exit-code-from", "capprofctl waits for the end"),
        ("host", "capprof must be the runtime where it is called"),
        ("no-attach", "the service is started in the background"),
        ("no-start", "nothing would run"),
        ("remove-orphans", "it would remove other containers"),
        ("scale", "one container is profiled"),
        ("watch", "the container would be made again"),
        ("menu", "the service is started in the background"),
    ];
    for given in given {
        let value = given.value.as_ref().map(|value| value.to_string_lossy());
        if given.name == "label" && value.is_some_and(|value| value.starts_with("io.capprof.")) {
            bail!("{name} --label io.capprof.…: leave it out; capprofctl gives its own");
        }
        let reason = CONTRADICT.iter().find(|(option, _)| *option == given.name);
        if let Some((option, reason)) = reason
            && (given.value.is_some() || given.is_on())
            && given.value.as_ref().is_none_or(|value| value != "false")
        {
            bail!("{name} --{option}: leave it out; {reason}");
        }
        if given.name == "file" && given.value.as_ref().is_some_and(|file| file == "-") {
            bail!("{name} --file -: give a file; it is read several times");
        }
    }
    Ok(())
}

fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(words.first().cloned().unwrap_or_default());
    command.args(words.get(1..).unwrap_or_default());
    command.stdin(std::process::Stdio::null());
    command
}

/// Parses a version: `2.26.1-4`, `v2.35.0`.
fn version(said: &str) -> (u32, u32, u32) {
    let said = said.trim().trim_start_matches('v');
    let mut numbers = said
        .split(|it: char| !it.is_ascii_digit())
        .map(|number| number.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> anyhow::Result<Option<(Compose, Scan)>> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Compose::of(&words, &super::super::tables::DOCKER)
    }

    #[test]
    fn a_service_is_found_after_all_options() {
        for (line, service, called, is_up) in [
            ("docker compose run web", "web", 2, false),
            (
                "docker --context x compose -f a.yaml --profile p run --rm -e A=b web sh -c x",
                "web",
                4,
                false,
            ),
            ("docker-compose -p x up -d db", "db", 1, true),
            ("/usr/bin/docker-compose run -T --name n db", "db", 1, false),
        ] {
            let (compose, _) = of(line).unwrap().unwrap();
            assert_eq!(compose.service, service, "{line}");
            assert_eq!((compose.called, compose.is_up), (called, is_up), "{line}");
        }
        assert!(of("docker run web").unwrap().is_none());
        assert!(of("podman run compose").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for (line, part) in [
            ("docker compose up", "name the service"),
            ("docker compose up web db", "name one service"),
            ("docker compose exec web sh", "expected docker compose run"),
            ("docker compose run --what web", "does not know"),
            (
                "docker compose up --abort-on-container-exit web",
                "leave it out",
            ),
            ("docker compose up --scale web=2 web", "leave it out"),
            ("docker compose -f - run web", "give a file"),
            ("docker-compose -H tcp://a run web", "leave it out"),
            ("podman-compose run web", "only docker compose"),
            ("podman compose run web", "only docker compose"),
        ] {
            let error = of(line).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(of("docker compose up --watch=false web").is_ok());
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        assert_eq!(version("2.26.1-4\n"), (2, 26, 1));
        assert_eq!(version("v2.9"), (2, 9, 0));
        assert!(version("2.24.10") > REPLACES && version("1.29.2") < ANNOTATES);
        assert_eq!(version(""), (0, 0, 0));
    }
}
