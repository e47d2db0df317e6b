//! `create` and `run`: from the engine's configuration to a recording and a rewritten one.

use crate::annotations::{self, Limit, Mode, Wishes};
use crate::argv::{Command, Family, Globals};
use crate::bundle;
use crate::engine;
use crate::given;
use crate::label;
use crate::limit::{self, Resolved};
use crate::rewrite::{self, Grant, Hooks, Outcome, Plan, Sets};
use crate::runtime::{self, LowLevel};
use crate::sweep;
use capprof_profile::recording::{
    self, BindMount, Container, ContainerProcess, Process, Recording, ResultSettings, Runtime,
    SCHEMA, Workload,
};
use capprof_profile::settings::{RelaxSeccomp, Settings};
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::file::{self, Attributes};
use capprof_store::profiles::Store;
use capprof_store::recording::{Directory, container_key};
use capprof_store::{config_json, process, settings};
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What kept a container from being profiled, and hence from being created.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file of capprof.
    #[error(transparent)]
    Configuration(#[from] settings::Error),
    /// The container's id.
    #[error("container id {0}: it may hold letters, digits and _ + - . only")]
    Id(String),
    /// config.json cannot be read.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// config.json asks capprof for something that means nothing.
    #[error("read {}: {source}", path.display())]
    Annotation {
        /// The file.
        path: PathBuf,
        /// Which.
        source: annotations::Error,
    },
    /// config.json is not what the runtime-spec says.
    #[error("rewrite {}: {source}", path.display())]
    Rewrite {
        /// The file.
        path: PathBuf,
        /// What is not.
        source: rewrite::Error,
    },
    /// There is no hook to run.
    #[error("find capprof-hook: it is neither beside capprof nor in libexec/capprof: install it")]
    Hook,
    /// JSON cannot hold the path.
    #[error("{what} {}: it must be UTF-8, for it goes into config.json", path.display())]
    NotUnicode {
        /// Whose path.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// Neither recorder can be had from inside a user namespace.
    #[error(
        "this user cannot profile containers: eBPF and SELinux record for the host's root alone; run the container once as root, \
         for example with sudo, or with annotation io.capprof.mode=off"
    )]
    Rootless,
    /// Others could write to the state directory.
    #[error("state directory {}: it must belong to the user that runs capprof and be writable by nobody else", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
    },
    /// The own capabilities cannot be read.
    #[error("read own capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// No random number for the recording's id.
    #[error("read random bytes: {0}")]
    Random(std::io::Error),
    /// No SELinux label.
    #[error(transparent)]
    Label(#[from] label::Error),
    /// What is to be enforced is unknown or does not suit.
    #[error("{mode}: {source}")]
    Limit {
        /// The value of `io.capprof.mode`.
        mode: &'static str,
        /// Why.
        source: limit::Error,
    },
    /// A file or directory, of the recording or the bundle, cannot be written.
    #[error(transparent)]
    File(#[from] file::Error),
}

/// A container that the runtime is about to create, with all that has to be undone if it cannot.
#[derive(Debug)]
pub struct Prepared {
    directory: Directory,
    recording: Recording,
}

impl Prepared {
    /// Puts everything back as it was.
    pub fn undo(self) {
        let _ = config_json::put_back(&self.directory, &self.recording);
        let _ = self.directory.remove();
    }
}

/// Rewrites the configuration, and starts a recording if the container is to be profiled; `None` if capprof has no part in it, and the
/// runtime can have it as it is.
///
/// `state` is the state directory.
///
/// # Errors
/// Any [`Error`]; then config.json is as it was and no recording is left.
pub fn prepare(
    globals: &Globals,
    command: &Command,
    id: &OsStr,
    low_level: &LowLevel,
    state_directory: &Path,
) -> Result<Option<Prepared>, Error> {
    let settings = Settings {
        state: state_directory.to_owned(),
        ..settings::load(&settings::path())?
    };
    // Both runtimes refuse other ids too. Here the result's path in the store depends on it.
    let id = id
        .to_str()
        .filter(|id| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
            !id.is_empty() && !matches!(*id, "." | "..") && id.bytes().all(letters)
        })
        .ok_or_else(|| Error::Id(id.to_string_lossy().escape_default().to_string()))?;
    let state = runtime::root(globals.root.as_deref(), low_level.family).join(id);
    sweep::sweep(&settings.state);
    // The runtime will refuse to create it a second time, and the first one needs its files.
    if state.exists() {
        return Ok(None);
    }
    let bundle = match command.bundle.as_deref() {
        // runc takes an empty name for none; to crun it is a directory that does not exist.
        Some(bundle) if !bundle.is_empty() || low_level.family == Family::Crun => bundle,
        _ => OsStr::new("."),
    };
    let mut source = bundle::Configuration::open(bundle, command.configuration.as_deref())?;
    let left_behind = source.undo_rewriting();
    let wishes = annotations::wishes(&source.document.value, &variable).map_err(|error| {
        Error::Annotation {
            path: source.path.clone(),
            source: error,
        }
    })?;
    if wishes.mode == Mode::Off
        || source
            .document
            .value
            .get("process")
            .is_none_or(Value::is_null)
    {
        if left_behind {
            file::write(
                &source.path,
                source.content.as_bytes(),
                Attributes::Like(&source.metadata),
            )?;
        }
        return Ok(None);
    }
    if matches!(wishes.mode, Mode::Profile | Mode::Verify(_)) && !is_root_of_host() {
        return Err(Error::Rootless);
    }
    let draft = Draft {
        settings: &settings,
        wishes,
        id,
        state,
        low_level,
    };
    let (directory, recording, rewritten) = draft.record(&source)?;
    let prepared = Prepared {
        directory,
        recording,
    };
    let written = prepared
        .directory
        .save(&prepared.recording)
        .map_err(Error::from)
        .and_then(|()| {
            Ok(file::write(
                &source.path,
                &rewritten,
                Attributes::Like(&source.metadata),
            )?)
        });
    source.unlock();
    match written {
        Ok(()) => Ok(Some(prepared)),
        Err(error) => {
            prepared.undo();
            Err(error)
        }
    }
}

/// What is known of a recording before its configuration is rewritten.
struct Draft<'a> {
    settings: &'a Settings,
    wishes: Wishes,
    id: &'a str,
    state: PathBuf,
    low_level: &'a LowLevel,
}

impl Draft<'_> {
    /// Makes the recording's directory with the engine's configuration in it, and the rewritten configuration.
    fn record(
        self,
        source: &bundle::Configuration,
    ) -> Result<(Directory, Recording, Vec<u8>), Error> {
        let process = &source.document.value["process"];
        let now = jiff::Timestamp::now();
        let recording_id = recording_id(now).map_err(Error::Random)?;
        // Known before it is made, so that a configuration that cannot be rewritten leaves no directory.
        let key = container_key(&self.state);
        let expected = Directory::path_of(&self.settings.state, &key, &recording_id);
        let failed = |error| Error::Rewrite {
            path: source.path.clone(),
            source: error,
        };
        let treatment = match &self.wishes.mode {
            Mode::Enforce(limit) => self.enforcing("enforce", limit, process)?,
            Mode::Verify(profile) => self.verifying(profile, process)?,
            Mode::Profile | Mode::Off => self.profiling(process)?,
        };
        // Nobody reads of a container that is not recorded what it is made of.
        let records = treatment.hooks == Hooks::Record;
        let hook = sweep::hook().ok_or(Error::Hook)?;
        let plan = Plan {
            grant: Grant {
                sets: treatment.sets,
                relax_apparmor: treatment.relax_apparmor,
                label: treatment.label.as_ref().map(|label| label.context.as_str()),
            },
            relax_seccomp: treatment.relax_seccomp,
            hooks: treatment.hooks,
            hook: unicode("capprof-hook", &hook)?,
            directory: unicode("state directory", &expected)?,
            timeout: self.settings.hook_timeout,
        };
        let mut document = source.document.clone();
        let Outcome {
            original,
            granted,
            relaxed,
        } = rewrite::rewrite(&mut document.value, &plan).map_err(failed)?;
        let recording = Recording {
            schema: SCHEMA.to_owned(),
            id: recording_id.clone(),
            mode: treatment.mode,
            profile: treatment.profile,
            created: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            container: Container {
                id: self.id.to_owned(),
                name: self.wishes.name,
                workload: match records {
                    true => engine::complete(
                        annotations::workload(&source.document.value),
                        self.id,
                        &source.bundle,
                        &source.document.value,
                    ),
                    false => Workload::default(),
                },
                bundle: source.bundle.clone(),
                configuration: source.path.clone(),
                root_filesystem: source
                    .document
                    .value
                    .pointer("/root/path")
                    .and_then(Value::as_str)
                    .map(|path| runtime::absolute(&source.bundle.join(path))),
                bind_mounts: bind_mounts(&source.document.value, &source.bundle),
                runtime: Runtime {
                    name: self.low_level.family.name().to_owned(),
                    path: self.low_level.path.clone(),
                    state: self.state,
                },
            },
            shim: own_process(),
            process: ContainerProcess {
                args: texts(process.get("args")),
                uid: process
                    .as_object()
                    .map_or(Ok(0), rewrite::uid)
                    .map_err(failed)?,
                user_namespace: has_user_namespace(&source.document.value),
                no_new_privileges: process.get("noNewPrivileges") == Some(&Value::Bool(true)),
            },
            grant: recording::Grant {
                engine_grants: match records {
                    true => Some(given::of(source, &original, held()?)),
                    false => None,
                },
                original,
                granted,
                relaxed,
                label: treatment.label,
            },
            recorders: self.settings.recorders,
            results: ResultSettings {
                output: self.wishes.output,
                store: self.settings.store.clone(),
                retention: self.settings.retention,
                fail_on_error: self.settings.fail_on_error,
                preference: self.settings.prefer,
            },
        };
        let directory = Directory::create(&self.settings.state, &key, &recording_id)?;
        let kept = belongs_to_us(&self.settings.state).and_then(|()| {
            let path = directory.original_configuration();
            Ok(file::write(
                &path,
                source.content.as_bytes(),
                Attributes::Mode(0o600),
            )?)
        });
        if let Err(error) = kept {
            let _ = directory.remove();
            return Err(error);
        }
        Ok((directory, recording, document.write(&source.content)))
    }
}

/// What a mode makes of a container.
struct Treatment {
    mode: recording::Mode,
    /// The recording whose profile is enforced.
    profile: Option<String>,
    sets: Sets,
    relax_apparmor: bool,
    relax_seccomp: RelaxSeccomp,
    label: Option<recording::Label>,
    hooks: Hooks,
}

impl Draft<'_> {
    /// Everything is granted, what would hide checks is taken off, and recorders watch.
    fn profiling(&self, process: &Value) -> Result<Treatment, Error> {
        let held = held()?;
        let label = label::choose(
            self.settings,
            self.wishes.scope,
            process
                .get("selinuxLabel")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            &self.settings.state,
        )?;
        Ok(Treatment {
            mode: recording::Mode::Profile,
            profile: None,
            sets: Sets::Everything {
                held,
                non_root: self.settings.grant_non_root,
            },
            relax_apparmor: self.settings.relax_apparmor,
            relax_seccomp: self.settings.relax_seccomp,
            label,
            hooks: Hooks::Record,
        })
    }

    /// Only what is asked for is granted; all else stays as the engine wants it.
    fn enforcing(
        &self,
        mode: &'static str,
        limit: &Limit,
        process: &Value,
    ) -> Result<Treatment, Error> {
        let store = Store::at(&self.settings.store);
        let process = process.as_object().cloned().unwrap_or_default();
        let Resolved { sets, profile } = limit::resolve(limit, &store, &process)
            .map_err(|source| Error::Limit { mode, source })?;
        Ok(Treatment {
            mode: recording::Mode::Enforce,
            profile,
            sets: Sets::Exactly(sets),
            relax_apparmor: false,
            relax_seccomp: RelaxSeccomp::Keep,
            label: None,
            hooks: Hooks::PutBack,
        })
    }

    /// As it will be enforced, and recorders watch.
    fn verifying(&self, profile: &str, process: &Value) -> Result<Treatment, Error> {
        let limit = Limit {
            profile: Some(profile.to_owned()),
            capabilities: None,
        };
        Ok(Treatment {
            mode: recording::Mode::Verify,
            hooks: Hooks::Record,
            ..self.enforcing("verify", &limit, process)?
        })
    }
}

/// An environment variable; one that is not UTF-8 is shown as far as it is, and will mean nothing.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// `20261123T150102Z-1a2b3c4d`: the second, then 16 bits of its fraction and 16 random ones, so that ids sort by time within a second as well.
fn recording_id(now: jiff::Timestamp) -> std::io::Result<String> {
    let nanoseconds = u64::from(now.subsec_nanosecond().unsigned_abs());
    let fraction = (nanoseconds << 16) / 1_000_000_000;
    let random = capprof_store::random::number()? >> 48;
    let second = now.strftime("%Y%m%dT%H%M%SZ");
    Ok(format!("{second}-{fraction:04x}{random:04x}"))
}

/// What capprof itself holds, of what it can name: nobody can give more, and runtimes fail when asked to.
///
/// # Errors
/// The kernel does not tell.
pub fn held() -> Result<CapabilitySet, caps::errors::CapsError> {
    let read = |set| -> Result<CapabilitySet, caps::errors::CapsError> {
        Ok(caps::read(None, set)?
            .iter()
            .filter_map(|capability| Capability::from_number(capability.index()))
            .collect())
    };
    let named: CapabilitySet = Capability::all().collect();
    // The kernel's sets hold only what it knows (cap_last_cap).
    Ok(read(caps::CapSet::Permitted)?
        .intersection(read(caps::CapSet::Bounding)?)
        .intersection(named))
}

/// Whether this is root, and not only in a user namespace: bpf(2) and SELinux ask for capabilities on the initial one.
pub fn is_root_of_host() -> bool {
    let every_id = std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    every_id && nix::unistd::geteuid().is_root()
}

/// The process that becomes the runtime.
fn own_process() -> Process {
    let pid = nix::unistd::getpid().as_raw();
    process::find(pid).unwrap_or(Process { pid, start_time: 0 })
}

fn unicode<'a>(what: &'static str, path: &'a Path) -> Result<&'a str, Error> {
    path.to_str().ok_or_else(|| Error::NotUnicode {
        what,
        path: path.to_owned(),
    })
}

/// The state directory names what hooks do as root.
fn belongs_to_us(state: &Path) -> Result<(), Error> {
    let own = nix::unistd::geteuid().as_raw();
    let safe = [state.to_owned(), state.join("recordings")]
        .iter()
        .all(|path| {
            std::fs::symlink_metadata(path)
                .is_ok_and(|it| it.is_dir() && it.uid() == own && it.mode() & 0o022 == 0)
        });
    if safe {
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

/// The bind mounts of a configuration; one that says nothing readable is the runtime's to refuse.
fn bind_mounts(config: &Value, bundle: &Path) -> Vec<BindMount> {
    let mounts = config.pointer("/mounts").and_then(Value::as_array);
    mounts
        .into_iter()
        .flatten()
        .filter(|mount| {
            let options = mount.get("options").and_then(Value::as_array);
            mount.get("type").and_then(Value::as_str) == Some("bind")
                || options
                    .into_iter()
                    .flatten()
                    .any(|option| matches!(option.as_str(), Some("bind" | "rbind")))
        })
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
