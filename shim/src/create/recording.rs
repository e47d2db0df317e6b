//! Begins a recording: makes its directory, describes its container, and rewrites the configuration.

use super::error::Error;
use super::low_level_runtime::LowLevelRuntime;
use super::mode::ModeSettings;
use crate::annotations::{self, Request};
use crate::bundle;
use crate::delivery::{self, CommandLine, is_bind_mount};
use crate::engine::{self, Docker};
use crate::engine_grants;
use crate::family::Family;
use crate::privilege::held;
use crate::rewrite::{self, Changes, Hooks, Plan, ProcessGrant};
use crate::runtime;
use crate::state;
use crate::sweep;
use capprof_profile::privileges::EngineGrants;
use capprof_profile::recording::{
    self, BindMount, Container, ContainerProcess, Delivery, FileIdentity, Process, ProcessSets,
    Recording, ResultSettings, Runtime, SCHEMA, Workload,
};
use capprof_profile::settings::{Recorders, Settings};
use capprof_store::file::{self, Attributes};
use capprof_store::process;
use capprof_store::recording::{Directory, container_key};
use capprof_store::time;
use serde_json::{Map, Value};
use std::io;
use std::path::{Path, PathBuf};

/// The facts about a recording before its configuration is rewritten.
pub(super) struct NewRecording<'a> {
    pub(super) settings: &'a Settings,
    pub(super) request: Request,
    /// docker's facts about the container, if it is one of docker's.
    pub(super) docker: Option<Docker>,
    /// The container's id.
    pub(super) id: &'a str,
    /// The directory of the container in the runtime's state.
    pub(super) state: PathBuf,
    pub(super) target: &'a LowLevelRuntime<'a>,
}

impl NewRecording<'_> {
    /// Makes the recording's directory, describes the recording, and hands the rewritten configuration to the runtime.
    ///
    /// # Errors
    /// Any [`Error`]; then the directory is gone.
    pub(super) fn start(
        self,
        source: &bundle::Configuration,
        line: &mut CommandLine<'_>,
    ) -> Result<Directory, Error> {
        let process = &source.document.value["process"];
        let mode = ModeSettings::of(&self.request, self.settings, process)?;
        let now = jiff::Timestamp::now();
        let id = recording_id(now).map_err(Error::Random)?;
        // The path is needed before the directory exists: a configuration that cannot be rewritten must leave no directory.
        let key = container_key(self.id.as_ref());
        let expected = Directory::path_of(&self.settings.state, &key, &id);
        let mut document = source.document.clone();
        let changes = self.rewrite(&mut document.value, &mode, &expected, source)?;
        let mut recording = self.describe(source, mode, changes)?;
        recording.id.clone_from(&id);
        recording.created = time::rfc3339(now);

        let directory = Directory::create(&self.settings.state, &key, &id)?;
        let mut written = || -> Result<(), Error> {
            belongs_to_us(&self.settings.state)?;
            file::write_unsynced(
                &directory.original_configuration(),
                source.content.as_bytes(),
                Attributes::Mode(0o600),
            )?;
            let family = self.target.family;
            recording.container.delivery =
                delivery::deliver(&document, source, &directory, family, line)?;
            Ok(directory.save(&recording)?)
        };
        match written() {
            Ok(()) => Ok(directory),
            Err(error) => {
                let _ = directory.remove();
                Err(error)
            }
        }
    }

    fn rewrite(
        &self,
        value: &mut Value,
        mode: &ModeSettings,
        directory: &Path,
        source: &bundle::Configuration,
    ) -> Result<Changes, Error> {
        let hook = sweep::hook().ok_or(Error::Hook)?;
        let plan = Plan {
            grant: ProcessGrant {
                sets: mode.sets,
                relax_apparmor: mode.relax_apparmor,
                label: mode.label.as_ref().map(|label| label.context.as_str()),
            },
            relax_seccomp: mode.relax_seccomp,
            hooks: mode.hooks,
            hook: unicode("capprof-hook", &hook)?,
            directory: unicode("state directory", directory)?,
            timeout: self.settings.hook_timeout,
        };
        rewrite::rewrite(value, &plan).map_err(|error| Error::Rewrite {
            path: source.path.clone(),
            source: error,
        })
    }

    /// Describes the recording, except for the id, the time and the delivery.
    fn describe(
        &self,
        source: &bundle::Configuration,
        mode: ModeSettings,
        changes: Changes,
    ) -> Result<Recording, Error> {
        let configuration = &source.document.value;
        let process = &configuration["process"];
        let original = process
            .as_object()
            .map_or(Ok(changes.original), |process| self.given(process, source))?;
        // A container that is not recorded needs no description of its workload.
        let (workload, engine_grants) = match mode.hooks {
            Hooks::Remove => (Workload::default(), None),
            Hooks::Record => (
                engine::complete(
                    annotations::workload(configuration),
                    self.docker.as_ref(),
                    self.id,
                    &source.bundle,
                ),
                Some(EngineGrants {
                    filter_refuses: changes.filter_refuses,
                    ..engine_grants::of(source, &original, held().map_err(Error::Capabilities)?)
                }),
            ),
        };
        let uid = process.as_object().map_or(Ok(0), rewrite::uid);
        let uid = uid.map_err(|error| Error::Rewrite {
            path: source.path.clone(),
            source: error,
        })?;
        let (output, output_identity) = match &self.request.output {
            Some(path) => {
                let (path, identity) = output_directory(path, &self.settings.output_directories)?;
                (Some(path), Some(identity))
            }
            None => (None, None),
        };
        Ok(Recording {
            schema: SCHEMA.to_owned(),
            id: String::new(),
            mode: mode.mode,
            profile: mode.profile,
            judge: self.request.judge,
            attached: None,
            unit: None,
            created: String::new(),
            container: self.container(source, workload)?,
            shim: own_process(),
            process: ContainerProcess {
                args: texts(process.get("args")),
                uid,
                user_namespace: has_user_namespace(configuration),
                no_new_privileges: process.get("noNewPrivileges") == Some(&Value::Bool(true)),
            },
            grant: recording::Grant {
                original,
                granted: changes.granted,
                relaxed: changes.relaxed,
                engine_grants,
                label: mode.label,
            },
            recorders: match mode.mode {
                // SELinux would need a domain of its own.
                recording::Mode::Observe => Recorders::Ebpf,
                _ => self.settings.recorders,
            },
            results: ResultSettings {
                output,
                output_identity,
                store: self.settings.store.clone(),
                retention: self.settings.retention,
                fail_on_error: self.settings.fail_on_error,
                preference: self.settings.prefer,
            },
        })
    }

    /// Returns the sets that the runtime gives a process with an unchanged configuration.
    ///
    /// crun accepts names in lower case. runc gives a process without `capabilities` none; from 1.3 on it gives all that it holds itself.
    fn given(
        &self,
        process: &Map<String, Value>,
        source: &bundle::Configuration,
    ) -> Result<ProcessSets, Error> {
        let target = self.target;
        let is_absent = process.get("capabilities").is_none_or(Value::is_null);
        if is_absent && runtime::gives_all_unasked(target.path, target.family) {
            let held = held().map_err(Error::Capabilities)?;
            return Ok(ProcessSets {
                bounding: held,
                effective: held,
                permitted: held,
                ..ProcessSets::default()
            });
        }
        rewrite::sets_as_read(process, target.family == Family::Crun).map_err(|error| {
            Error::Rewrite {
                path: source.path.clone(),
                source: error,
            }
        })
    }

    fn container(
        &self,
        source: &bundle::Configuration,
        workload: Workload,
    ) -> Result<Container, Error> {
        let configuration = &source.document.value;
        Ok(Container {
            id: self.id.to_owned(),
            name: self.request.name.clone(),
            workload,
            bundle: source.bundle.clone(),
            bundle_identity: Some(file::directory_identity(&source.bundle)?),
            configuration: source.path.clone(),
            delivery: Delivery::default(),
            root_filesystem: configuration
                .pointer("/root/path")
                .and_then(Value::as_str)
                .map(|path| runtime::absolute(&source.bundle.join(path))),
            bind_mounts: bind_mounts(configuration, &source.bundle),
            runtime: Runtime {
                name: self.target.family.name().to_owned(),
                path: self.target.path.to_owned(),
                state: self.state.clone(),
            },
        })
    }
}

/// The directory for the result, links resolved, with its identity: before the end, the container or a user may replace it by another.
fn output_directory(path: &Path, allowed: &[PathBuf]) -> Result<(PathBuf, FileIdentity), Error> {
    let failed = |source: io::Error| Error::Output {
        path: path.to_owned(),
        source,
    };
    let resolved = path.canonicalize().map_err(failed)?;
    // The administrator may have named a symbolic link.
    let is_allowed = |directory: &PathBuf| {
        directory
            .canonicalize()
            .is_ok_and(|directory| resolved.starts_with(directory))
    };
    if !allowed.iter().any(is_allowed) {
        return Err(Error::OutputNotAllowed { path: resolved });
    }
    let identity = file::directory_identity(&resolved).map_err(|error| failed(error.source))?;
    Ok((resolved, identity))
}

/// Makes an id: `20261123T150102Z-1a2b3c4d`. 16 bits of the second's fraction, then 16 random bits follow the time, so that ids sort by time within
/// a second too.
///
/// # Errors
/// The kernel gives no random numbers.
pub fn recording_id(now: jiff::Timestamp) -> std::io::Result<String> {
    let nanoseconds = u64::from(now.subsec_nanosecond().unsigned_abs());
    let fraction = (nanoseconds << 16) / 1_000_000_000;
    let random = capprof_store::random::number()? >> 48;
    let second = time::compact(now);
    Ok(format!("{second}-{fraction:04x}{random:04x}"))
}

/// This process. In the shim, it later becomes the runtime.
pub fn own_process() -> Process {
    let pid = nix::unistd::getpid().as_raw();
    process::find(pid).unwrap_or(Process { pid, start_time: 0 })
}

fn unicode<'a>(what: &'static str, path: &'a Path) -> Result<&'a str, Error> {
    path.to_str().ok_or_else(|| Error::NotUnicode {
        what,
        path: path.to_owned(),
    })
}

/// Makes sure that no other user can write to the state directory, because its files decide what hooks do as root.
fn belongs_to_us(state: &Path) -> Result<(), Error> {
    if state::is_own(state) && state::is_own(&state.join("recordings")) {
        Ok(())
    } else {
        Err(Error::Unsafe {
            path: state.to_owned(),
        })
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn has_user_namespace(configuration: &Value) -> bool {
    configuration
        .pointer("/linux/namespaces")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|namespace| namespace.get("type").and_then(Value::as_str) == Some("user"))
}

/// The bind mounts of a configuration. A malformed one is left out: the runtime will refuse it.
pub fn bind_mounts(config: &Value, bundle: &Path) -> Vec<BindMount> {
    let mounts = config.pointer("/mounts").and_then(Value::as_array);
    mounts
        .into_iter()
        .flatten()
        .filter(|mount| is_bind_mount(mount))
        .filter_map(|mount| {
            Some(BindMount {
                destination: Path::new("/").join(mount.get("destination")?.as_str()?),
                // Relative to the bundle (runtime-spec).
                source: runtime::absolute(&bundle.join(mount.get("source")?.as_str()?)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_directory_lies_where_the_configuration_allows() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["allowed/inner", "allowed-not"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::os::unix::fs::symlink(path("allowed-not"), path("allowed/link")).unwrap();
        std::os::unix::fs::symlink(path("allowed"), path("named")).unwrap();
        let is_allowed = |name: &str, allowed: &[PathBuf]| {
            !matches!(
                output_directory(&path(name), allowed),
                Err(Error::OutputNotAllowed { .. })
            )
        };
        let allowed = [path("named"), path("absent")];
        assert!(is_allowed("allowed", &allowed));
        assert!(is_allowed("allowed/inner", &allowed));
        assert!(!is_allowed("allowed-not", &allowed));
        assert!(!is_allowed("allowed/link", &allowed));
        assert!(!is_allowed("allowed/inner/../../allowed-not", &allowed));
        assert!(!is_allowed("allowed", &[]));
        assert!(is_allowed("allowed", &[PathBuf::from("/")]));
    }

    #[test]
    fn recording_ids_sort_by_time() {
        let start: jiff::Timestamp = "2026-11-23T15:01:02Z".parse().unwrap();
        let ids: Vec<String> = [0, 20_000, 1_000_000, 999_999_999, 1_000_000_000]
            .into_iter()
            .map(|nanoseconds| {
                let duration = jiff::SignedDuration::from_nanos(nanoseconds);
                recording_id(start.checked_add(duration).unwrap()).unwrap()
            })
            .collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids[0].starts_with("20261123T150102Z-0000"), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 25), "{ids:?}");
    }
}
