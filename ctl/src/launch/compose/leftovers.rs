//! Containers and networks that compose makes because of the override file. capprofctl finds them by that file and removes them in the end.
//! Those that existed before stay.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The label of the project, which compose puts on everything that it makes.
const PROJECT: &str = "com.docker.compose.project";

/// The label with the files of the project.
const FILES: &str = "com.docker.compose.project.config_files";

/// The time between two questions to docker for a container that does not exist yet.
const INTERVAL: Duration = Duration::from_millis(150);

/// The leftovers of one project.
#[derive(Debug)]
pub(crate) struct Leftovers {
    /// docker's program with its global options.
    docker: Vec<OsString>,
    /// The directory of the override file.
    directory: TempDir,
    /// Networks that existed before.
    networks: BTreeSet<String>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    project: Option<String>,
    asked: Option<Instant>,
}

impl Leftovers {
    /// Begins with no leftovers.
    ///
    /// # Errors
    /// The directory for the override file cannot be made.
    pub(super) fn new(docker: &[OsString]) -> std::io::Result<Self> {
        Ok(Self {
            docker: docker.to_vec(),
            directory: tempfile::Builder::new().prefix("capprofctl-").tempdir()?,
            networks: networks(docker, PROJECT),
            known: Mutex::default(),
        })
    }

    /// The directory of the override file.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The id of the container with this label, once it exists. docker is not asked more often than each [`INTERVAL`].
    pub(crate) fn container(&self, label: &str) -> Option<String> {
        let mut known = self.known.lock().ok()?;
        if known.asked.is_some_and(|asked| asked.elapsed() < INTERVAL) {
            return None;
        }
        known.asked = Some(Instant::now());
        let format = format!("{{{{.ID}}}} {{{{.Label \"{PROJECT}\"}}}}");
        let label = format!("label={label}");
        let words = ["ps", "--all", "--no-trunc", "--filter", &label, "--format"];
        let said = said(&self.docker, words.into_iter().chain([format.as_str()]));
        let (id, project) = said.lines().next()?.split_once(' ')?;
        known.project = Some(project.to_owned());
        Some(id.to_owned())
    }

    /// The containers that were made for services on which this one depends, each with its project.
    fn others(&self) -> Vec<(String, String)> {
        let filter = format!("label={PROJECT}");
        let format = format!("{{{{.ID}}}} {{{{.Label \"{PROJECT}\"}}}} {{{{.Label \"{FILES}\"}}}}");
        let words = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format"];
        let directory = self.directory().display().to_string();
        said(&self.docker, words.into_iter().chain([format.as_str()]))
            .lines()
            .filter_map(|line| {
                let mut fields = line.splitn(3, ' ');
                Some((fields.next()?, fields.next()?, fields.next()?))
            })
            .filter(|(_, _, files)| files.contains(&directory))
            .map(|(id, project, _)| (id.to_owned(), project.to_owned()))
            .collect()
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let others = self.others();
        if !others.is_empty() {
            let ids = || others.iter().map(|(id, _)| id.as_str());
            // They are stopped first so that a database, for example, leaves its files in a consistent state.
            said(&self.docker, ["stop"].into_iter().chain(ids()));
            let remove = ["rm", "--force", "--volumes"];
            said(&self.docker, remove.into_iter().chain(ids()));
        }
        let known = self.known.get_mut().ok();
        let project = known.and_then(|known| known.project.take());
        let other = others.into_iter().next().map(|(_, project)| project);
        if let Some(project) = project.or(other) {
            let now = networks(&self.docker, &format!("{PROJECT}={project}"));
            // docker does not remove a network that is in use.
            for network in now.difference(&self.networks) {
                said(&self.docker, ["network", "rm", network]);
            }
        }
    }
}

fn networks(docker: &[OsString], label: &str) -> BTreeSet<String> {
    let filter = format!("label={label}");
    let words = [
        "network",
        "ls",
        "--quiet",
        "--no-trunc",
        "--filter",
        &filter,
    ];
    said(docker, words).lines().map(str::to_owned).collect()
}

/// Returns docker's output; nothing if it fails. Only this program gets Ctrl-C, and then tidies up.
fn said<'a>(docker: &[OsString], words: impl IntoIterator<Item = &'a str>) -> String {
    let Some((program, globals)) = docker.split_first() else {
        return String::new();
    };
    let output = Command::new(program)
        .args(globals)
        .args(words)
        .process_group(0)
        .stdin(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
