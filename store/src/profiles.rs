//! Where profiles are kept when bundles are gone.
//!
//! ```text
//! /var/lib/capprof/profiles/<container id>/<recording id>/     root-only
//!     capprof.json              the profile
//!     config.minimized.json     the engine's configuration with the minimized sets
//!     verification.json         the latest run with these sets, in the form of a profile
//! ```

use crate::file::{self, Attributes, OpenDirectory};
use crate::index::{self, Listed};
use crate::process;
use crate::trust;
use capprof_profile::CapabilitySet;
use capprof_profile::observation::Exit;
use capprof_profile::part::Today;
use capprof_profile::printable;
use capprof_profile::profile::{Profile, SCHEMA, Shrunk};
use capprof_profile::recording::Workload;
use capprof_profile::unite::unite;
use capprof_profile::verification::{Verdict, Verification};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The profile's file name, in the store and beside a bundle's config.json.
pub const PROFILE: &str = "capprof.json";

/// The file name of the configuration with minimized capability sets.
pub const CONFIGURATION: &str = "config.minimized.json";

/// The file name of the latest run that verified the profile.
pub const RUN: &str = "verification.json";

/// The largest profile that is read, in bytes. One of ten thousand programs has some 20 MB.
pub const LARGEST: u64 = 64 << 20;

/// How long to wait for somebody else who writes to a profile.
const PATIENCE: Duration = Duration::from_secs(5);

/// A store operation that failed, with its object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An id that cannot be a directory's name.
    #[error("store profile: id \"{0}\" cannot name a directory")]
    Id(String),
    /// A profile could not be written as JSON.
    #[error("encode profile of {recording}: {source}")]
    Encode {
        /// The recording's id.
        recording: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A file or directory could not be read, written or locked.
    #[error(transparent)]
    File(#[from] file::Error),
    /// Somebody else than root could have written the profile that is to be enforced.
    #[error(transparent)]
    Untrusted(#[from] trust::Untrusted),
    /// A profile of another version.
    #[error("read profile {}: schema \"{schema}\", expected \"{SCHEMA}\"", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        schema: String,
    },
    /// The store holds nothing.
    #[error("no profile in {}: run a container with capprof as its runtime first", path.display())]
    Empty {
        /// The store.
        path: PathBuf,
    },
    /// Nothing goes by that name.
    #[error("no profile \"{wanted}\" in {}: `capprofctl list` shows what there is", path.display())]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The store.
        path: PathBuf,
    },
    /// Something was lost in each recording that goes by that name.
    #[error("profile \"{wanted}\" is incomplete ({recording}: {reason}): record it again")]
    Incomplete {
        /// What was asked for.
        wanted: String,
        /// The newest recording.
        recording: String,
        /// What it lost.
        reason: String,
    },
    /// Profiles of several programs go by that name.
    #[error("\"{wanted}\" names profiles of different programs: {}: give one of these", found.join(", "))]
    AmbiguousName {
        /// What was asked for.
        wanted: String,
        /// The newest recording of each.
        found: Vec<String>,
    },
    /// Several go by that beginning.
    #[error("\"{wanted}\" is the beginning of several ids: {}", found.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// A few of them.
        found: Vec<String>,
    },
}

/// A profile as JSON.
type Document = serde_json::Map<String, serde_json::Value>;

/// A way to write a file into a directory.
type WriteInto = fn(&OpenDirectory, &OsStr, &[u8], Attributes<'_>) -> Result<(), file::Error>;

/// The two files of a result, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    profile: Vec<u8>,
    configuration: Vec<u8>,
}

impl Files {
    /// Encodes a profile; `configuration` is the text of the minimized configuration.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn new(profile: &Profile, configuration: Vec<u8>) -> Result<Self, Error> {
        let encoded = serde_json::to_string_pretty(profile).map_err(|source| Error::Encode {
            recording: profile.origin.recording_id.clone(),
            source,
        })?;
        let line = |mut bytes: Vec<u8>| {
            bytes.push(b'\n');
            bytes
        };
        Ok(Self {
            // People look at it with cat(1).
            profile: line(printable::json(&encoded).into_bytes()),
            configuration: line(configuration),
        })
    }

    /// Writes both into a directory, each whole or not at all, readable by their owner alone. What killed processes left of doing the same is
    /// removed.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn write_to(&self, directory: &OpenDirectory) -> Result<(), file::Error> {
        self.write_by(OpenDirectory::write, directory)
    }

    /// As [`write_to()`](Self::write_to), for a place that is not the only one: it does not wait for the disk.
    ///
    /// # Errors
    /// [`file::Error`].
    pub fn copy_to(&self, directory: &OpenDirectory) -> Result<(), file::Error> {
        self.write_by(OpenDirectory::write_unsynced, directory)
    }

    fn write_by(&self, write: WriteInto, directory: &OpenDirectory) -> Result<(), file::Error> {
        for (name, content) in self.named() {
            let name = OsStr::new(name);
            directory.remove_temporaries(name)?;
            write(directory, name, content, Attributes::Mode(0o600))?;
        }
        Ok(())
    }

    fn named(&self) -> [(&'static str, &[u8]); 2] {
        // The profile last: where it is, all is.
        [
            (CONFIGURATION, &self.configuration),
            (PROFILE, &self.profile),
        ]
    }
}

/// What `list` shows of a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// See `Profile::schema`.
    pub schema: String,
    /// See `Profile::recording_id`.
    pub recording_id: String,
    /// See `Profile::container_id`.
    pub container_id: String,
    /// See `Profile::name`.
    pub name: Option<String>,
    /// See `Profile::workload`.
    pub workload: Workload,
    /// See `Profile::finished`.
    pub finished: String,
    /// See `Profile::complete`.
    pub complete: bool,
    /// See `Profile::minimized`.
    pub minimized: CapabilitySet,
    /// See [`Profile::answer`].
    #[serde(default)]
    pub answer: CapabilitySet,
    /// See `Profile::exit`.
    #[serde(default)]
    pub exit: Option<Exit>,
    /// See `Profile::verification`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Standing>,
}

/// What a summary tells of a [`capprof_profile::verification::Verification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The verdict.
    pub verdict: Verdict,
    /// When.
    pub date: String,
}

impl From<Profile> for Summary {
    fn from(profile: Profile) -> Self {
        let answer = profile.answer().0;
        Self {
            schema: profile.schema,
            recording_id: profile.origin.recording_id,
            container_id: profile.origin.container_id,
            name: profile.origin.name,
            workload: profile.origin.workload,
            finished: profile.origin.finished,
            complete: profile.complete,
            minimized: profile.findings.minimized,
            answer,
            exit: profile.exit,
            // A verdict on another set says nothing of this one.
            verification: profile
                .verification
                .filter(|verification| verification.sets.bounding == answer)
                .map(|verification| Standing {
                    verdict: verification.verdict,
                    date: verification.date,
                }),
        }
    }
}

impl Summary {
    /// Whether the workload goes by this name: the annotation's, the container's in its pod, the pod's, the image's, or the compose service's.
    fn is_called(&self, wanted: &str) -> bool {
        [
            &self.name,
            &self.workload.container,
            &self.workload.pod,
            &self.workload.image,
            &self.workload.service,
        ]
        .into_iter()
        .any(|name| name.as_deref() == Some(wanted))
    }

    /// Whether it is worth reading the whole profile to see if it is of the same workload ([`Profile::is_of_workload`]).
    fn may_be_of_workload(&self, profile: &Profile) -> bool {
        let origin = &profile.origin;
        match self.workload.image {
            Some(_) => self.workload.is_of_image(&origin.workload),
            None => {
                self.container_id == origin.container_id
                    || (self.name.is_some() && self.name == origin.name)
            }
        }
    }

    /// Whether somebody who asks for this may mean the workload: its container's id, one of its names, or its image, which may be named
    /// without what registries and engines add, `nginx` for `docker.io/library/nginx:latest`.
    pub fn answers_to(&self, wanted: &str) -> bool {
        self.container_id == wanted
            || self.is_called(wanted)
            || self
                .workload
                .image
                .as_deref()
                .is_some_and(|image| is_image(image, wanted))
    }
}

/// Whether a file is asked for; an image's name has slashes too.
fn is_path(wanted: &str) -> bool {
    ["/", "./", "../"]
        .iter()
        .any(|start| wanted.starts_with(start))
        || wanted.ends_with(".json")
        || (wanted.contains('/') && Path::new(wanted).exists())
}

/// Whether an image is meant by a name that may lack the default registry and the tag. A tag that is named must be the image's.
fn is_image(image: &str, wanted: &str) -> bool {
    let (image, wanted) = (familiar(image), familiar(wanted));
    match image.strip_prefix(wanted) {
        // A port is followed by the path, a tag by nothing.
        Some(rest) => rest.is_empty() || (rest.starts_with([':', '@']) && !rest.contains('/')),
        // What has no tag is `latest`.
        None => wanted.strip_suffix(":latest") == Some(image),
    }
}

/// A reference without the registry and the name space that docker takes for granted (distribution's `reference.FamiliarString`).
fn familiar(reference: &str) -> &str {
    let path = reference.strip_prefix("docker.io/").unwrap_or(reference);
    path.strip_prefix("library/").unwrap_or(path)
}

/// A stored result that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The profile's file.
    pub path: PathBuf,
    /// The profile.
    pub profile: Profile,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store(PathBuf);

impl Store {
    /// The store in this directory, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Adds a result, and removes the oldest ones of the same container beyond `retention` (0 keeps all).
    ///
    /// The result appears whole: its directory is written under another name, synced, and renamed. Adding a recording again replaces it, unless
    /// that would put an incomplete profile in the place of a complete one: then the stored one stays.
    ///
    /// # Errors
    /// Any but those of reading. With an error of the operations `list` and `remove` the result has been added.
    pub fn add(&self, profile: &Profile, files: &Files, retention: u32) -> Result<(), Error> {
        let container = self
            .profiles()
            .join(directory_name(&profile.origin.container_id)?);
        let recording = directory_name(&profile.origin.recording_id)?;
        for directory in [&self.0, &self.profiles(), &container] {
            create_directory(directory)?;
        }
        let place = container.join(&recording);
        if file::exists(&place)? {
            let is_worse = !profile.complete
                && load(place.join(PROFILE)).is_ok_and(|stored| stored.profile.complete);
            if !is_worse {
                files.write_to(&OpenDirectory::open(&place)?)?;
            }
        } else {
            let unfinished = container.join(format!(".{recording}.{}", std::process::id()));
            let result = write_directory(&unfinished, files).and_then(|()| {
                fs::rename(&unfinished, &place)
                    .and_then(|()| File::open(&container)?.sync_all())
                    .map_err(file::error("write", &place))
                    .map_err(Error::from)
            });
            if let Err(error) = result {
                let _ = fs::remove_dir_all(&unfinished);
                return Err(error);
            }
        }
        retain(&container, &recording, retention)
    }

    /// All profiles, newest first, without those that cannot be read, whose errors come along.
    ///
    /// # Errors
    /// [`Error::File`]. A store that does not exist holds nothing.
    pub fn list(&self) -> Result<(Vec<Summary>, Vec<Error>), Error> {
        let mut summaries = Vec::new();
        let mut errors = Vec::new();
        for listed in index::all(&self.0, &self.profiles())? {
            match listed.summary {
                Ok(summary) => summaries.push(summary),
                Err(error) => errors.push(error),
            }
        }
        Ok((summaries, errors))
    }

    /// Finds the answer for a workload: as [`find_recording()`](Self::find_recording), united with the other recordings of the same workload
    /// ([`unite`]), unless a file or a recording's own id is asked for.
    ///
    /// # Errors
    /// Any of reading.
    pub fn find(&self, wanted: &str) -> Result<Found, Error> {
        let found = self.find_recording(wanted)?;
        let is_one = is_path(wanted) || found.profile.origin.recording_id.starts_with(wanted);
        match is_one {
            true => Ok(found),
            false => {
                let others = self.others_listed(&found)?;
                Ok(Self::united(found, others))
            }
        }
    }

    /// The other recordings that may be of a recording's workload, by the index: recording's id and file, newest first.
    fn others_listed(&self, found: &Found) -> Result<Vec<(String, PathBuf)>, Error> {
        let is_other = |listed: &Listed| {
            let summary = listed.summary.as_ref();
            summary.is_ok_and(|summary| summary.may_be_of_workload(&found.profile))
        };
        Ok(index::all(&self.0, &self.profiles())?
            .into_iter()
            .filter(is_other)
            .map(|listed| (listed.recording.clone(), self.path_of_listed(&listed)))
            .collect())
    }

    /// The same for what is to be enforced: by the profiles themselves, as far as nobody but root could have written them.
    fn others_trusted(&self, found: &Found) -> Result<Vec<(String, PathBuf)>, Error> {
        let is_other = |path: &Path| {
            self.is_trusted(path)
                && read::<Summary>(path).is_ok_and(|summary| {
                    summary.schema == SCHEMA && summary.may_be_of_workload(&found.profile)
                })
        };
        Ok(self
            .newest_first()?
            .into_iter()
            .filter(|(_, _, path)| *path == found.path || is_other(path))
            .map(|(recording, _, path)| (recording, path))
            .collect())
    }

    /// A recording with the others of its workload, as far as they can be read.
    fn united(found: Found, others: Vec<(String, PathBuf)>) -> Found {
        let mut paths = BTreeMap::new();
        let mut recordings = Vec::new();
        for (recording, path) in others {
            let profile = match path == found.path {
                true => found.profile.clone(),
                false => match load(path.clone()) {
                    Ok(other) if other.profile.is_of_workload(&found.profile) => other.profile,
                    _ => continue,
                },
            };
            paths.insert(recording, path);
            recordings.push(profile);
        }
        let Some(profile) = unite(recordings) else {
            return found;
        };
        let path = paths.remove(&profile.origin.recording_id);
        Found {
            path: path.unwrap_or(found.path),
            profile,
        }
    }

    /// Finds one recording's profile: `latest` or `last`; a path of a file, or of a directory with a `capprof.json` in it; a recording's id;
    /// a container's id or a name (annotation, container, pod, image), of several recordings the newest; or the unique beginning of an id.
    ///
    /// # Errors
    /// Any of reading.
    pub fn find_recording(&self, wanted: &str) -> Result<Found, Error> {
        let path = Path::new(wanted);
        if is_path(wanted) {
            return load(if path.is_dir() {
                path.join(PROFILE)
            } else {
                path.to_owned()
            });
        }
        let all = index::all(&self.0, &self.profiles())?;
        let load_listed = |listed: &Listed| load(self.path_of_listed(listed));
        if ["latest", "last"].contains(&wanted) {
            return match all.first() {
                Some(newest) => load_listed(newest),
                None => Err(Error::Empty {
                    path: self.0.clone(),
                }),
            };
        }
        let by_id = all.iter().find(|listed| listed.recording == wanted);
        let answers = |listed: &&Listed| {
            let summary = listed.summary.as_ref();
            summary.is_ok_and(|summary| summary.answers_to(wanted))
        };
        if let Some(listed) = by_id.or_else(|| all.iter().find(answers)) {
            return load_listed(listed);
        }
        let not_found = || Error::NotFound {
            wanted: wanted.to_owned(),
            path: self.0.clone(),
        };
        if wanted.is_empty() {
            return Err(not_found());
        }
        let mut containers: Vec<&String> = all
            .iter()
            .map(|listed| &listed.container)
            .filter(|container| container.starts_with(wanted))
            .collect();
        containers.sort();
        containers.dedup();
        let recordings: Vec<&Listed> = all
            .iter()
            .filter(|listed| listed.recording.starts_with(wanted))
            .collect();
        match (containers.as_slice(), recordings.as_slice()) {
            ([], []) => Err(not_found()),
            ([one], []) => all
                .iter()
                .find(|listed| listed.container == **one)
                .map_or_else(|| Err(not_found()), load_listed),
            ([], [one]) => load_listed(one),
            _ => Err(Error::Ambiguous {
                wanted: wanted.to_owned(),
                found: containers
                    .into_iter()
                    .chain(recordings.into_iter().map(|listed| &listed.recording))
                    .take(5)
                    .cloned()
                    .collect(),
            }),
        }
    }

    /// Returns true if nobody but root could have written this profile.
    fn is_trusted(&self, path: &Path) -> bool {
        trust::check(path, &self.0).is_ok()
    }

    /// Finds the complete profile of a recording's id; or that of the workload that goes by a container's id, the name that an annotation gave, or a name that an engine
    /// gave (container, pod, image), in this order, and in full, united with the workload's other recordings: what is enforced must not depend
    /// on what other workloads are in the store. Nothing is taken for a path, since whoever writes a pod may have written it.
    ///
    /// # Errors
    /// Any of reading; [`Error::Incomplete`]; [`Error::Untrusted`]; [`Error::AmbiguousName`] where an engine's name stands for several
    /// programs.
    pub fn find_complete(&self, wanted: &str) -> Result<Found, Error> {
        let all = self.newest_first()?;
        let directory = directory_name(wanted).ok();
        let by_id = |of: &dyn Fn(&(String, String, PathBuf)) -> bool| -> Vec<PathBuf> {
            let found = all.iter().filter(|entry| of(entry));
            found.map(|(_, _, path)| path.clone()).collect()
        };
        let mut candidates = by_id(&|(recording, _, _)| recording == wanted);
        if candidates.is_empty() {
            candidates = by_id(&|(_, container, _)| Some(container) == directory.as_ref());
        }
        let mut is_engines_name = false;
        if candidates.is_empty() {
            let called = |of: &dyn Fn(&Summary) -> bool| -> Vec<PathBuf> {
                all.iter()
                    .filter(|(_, _, path)| read::<Summary>(path).is_ok_and(|summary| of(&summary)))
                    .map(|(_, _, path)| path.clone())
                    .collect()
            };
            candidates = called(&|summary| summary.name.as_deref() == Some(wanted));
            if candidates.is_empty() {
                candidates = called(&|summary| summary.is_called(wanted));
                is_engines_name = true;
            }
        }
        let mut complete: Vec<Found> = Vec::new();
        let mut incomplete: Option<Profile> = None;
        for path in candidates {
            trust::check(&path, &self.0)?;
            let found = load(path)?;
            if !found.profile.complete {
                incomplete.get_or_insert(found.profile);
                continue;
            }
            if !is_engines_name {
                return match found.profile.origin.recording_id == wanted {
                    true => Ok(found),
                    false => {
                        let others = self.others_trusted(&found)?;
                        Ok(Self::united(found, others))
                    }
                };
            }
            if complete
                .iter()
                .all(|known| known.profile.origin.process != found.profile.origin.process)
            {
                complete.push(found);
            }
        }
        match (complete.len(), incomplete) {
            (1, _) => {
                let found = complete.remove(0);
                let others = self.others_trusted(&found)?;
                Ok(Self::united(found, others))
            }
            (0, Some(profile)) => Err(Error::Incomplete {
                wanted: wanted.to_owned(),
                recording: profile.origin.recording_id,
                reason: profile.incomplete_because.join("; "),
            }),
            (0, None) => Err(Error::NotFound {
                wanted: wanted.to_owned(),
                path: self.0.clone(),
            }),
            _ => Err(Error::AmbiguousName {
                wanted: wanted.to_owned(),
                found: complete
                    .into_iter()
                    .map(|found| found.profile.origin.recording_id)
                    .collect(),
            }),
        }
    }

    /// Puts the record of a run that verified a profile beside that profile, in the place of any earlier one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Encode`], [`Error::File`].
    pub fn add_run(&self, recording_id: &str, run: &Profile) -> Result<(), Error> {
        let path = self.path_of(recording_id)?.with_file_name(RUN);
        let mut content = serde_json::to_vec_pretty(run).map_err(|source| Error::Encode {
            recording: run.origin.recording_id.clone(),
            source,
        })?;
        content.push(b'\n');
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }

    /// The latest run that verified a profile; `None` if there was none.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading.
    pub fn run_of(&self, recording_id: &str) -> Result<Option<Profile>, Error> {
        let path = self.path_of(recording_id)?.with_file_name(RUN);
        match file::exists(&path)? {
            true => Ok(Some(load(path)?.profile)),
            false => Ok(None),
        }
    }

    fn path_of(&self, recording_id: &str) -> Result<PathBuf, Error> {
        self.newest_first()?
            .into_iter()
            .find(|(recording, _, _)| recording == recording_id)
            .map(|(_, _, path)| path)
            .ok_or_else(|| Error::NotFound {
                wanted: recording_id.to_owned(),
                path: self.0.clone(),
            })
    }

    /// Writes the outcome of a verification into a profile of this store, or takes it out, and touches nothing else of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading and writing; then the profile is as it was.
    pub fn set_verification(
        &self,
        recording_id: &str,
        verification: Option<&Verification>,
    ) -> Result<(), Error> {
        self.change(recording_id, |profile| {
            match verification {
                Some(verification) => {
                    let value = serde_json::to_value(verification)?;
                    profile.insert("verification".to_owned(), value);
                }
                None => {
                    profile.remove("verification");
                }
            }
            Ok(())
        })
    }

    /// Writes what `capprofctl shrink` found into a profile of this store.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading and writing; then the profile is as it was.
    pub fn set_shrunk(&self, recording_id: &str, shrunk: &Shrunk) -> Result<(), Error> {
        self.change(recording_id, |profile| {
            profile.insert("shrunk".to_owned(), serde_json::to_value(shrunk)?);
            Ok(())
        })
    }

    /// Takes what came of a run with what the workload has today into a profile of this store ([`Profile::settle`]).
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of reading and writing; then the profile is as it was.
    pub fn settle(&self, recording_id: &str, today: &Today) -> Result<(), Error> {
        self.change(recording_id, |document| {
            let mut profile: Profile =
                serde_json::from_value(serde_json::Value::Object(document.clone()))?;
            profile.settle(today.clone());
            document.insert(
                "needed".to_owned(),
                serde_json::to_value(&profile.findings.needed)?,
            );
            document.insert("today".to_owned(), serde_json::to_value(&profile.today)?);
            Ok(())
        })
    }

    /// Changes fields of a profile; what another version has written beside what this one knows stays.
    fn change(
        &self,
        recording_id: &str,
        change: impl FnOnce(&mut Document) -> serde_json::Result<()>,
    ) -> Result<(), Error> {
        let path = self.path_of(recording_id)?;
        let directory = path.parent().unwrap_or(&self.0);
        let _lock =
            file::lock_directory(directory, PATIENCE).map_err(file::error("lock", directory))?;
        let mut document: Document = read(&path)?;
        let encode = |source| Error::Encode {
            recording: recording_id.to_owned(),
            source,
        };
        change(&mut document).map_err(encode)?;
        let mut content = serde_json::to_vec_pretty(&document).map_err(encode)?;
        content.push(b'\n');
        Ok(file::write(&path, &content, Attributes::Mode(0o600))?)
    }

    fn path_of_listed(&self, listed: &Listed) -> PathBuf {
        self.profiles()
            .join(&listed.container)
            .join(&listed.recording)
            .join(PROFILE)
    }

    fn profiles(&self) -> PathBuf {
        self.0.join("profiles")
    }

    /// (recording id, container id, the profile's file) of all, by recording id, which begins with the time.
    pub(crate) fn newest_first(&self) -> Result<Vec<(String, String, PathBuf)>, Error> {
        let mut all = Vec::new();
        for (container, path) in directories(&self.profiles())? {
            for (recording, path) in directories(&path)? {
                all.push((recording, container.clone(), path.join(PROFILE)));
            }
        }
        all.sort_by(|one, other| other.cmp(one));
        Ok(all)
    }
}

/// Reads a profile.
///
/// # Errors
/// [`Error::File`], [`Error::Schema`].
pub fn load(path: PathBuf) -> Result<Found, Error> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    let content = file::read_regular(&path, LARGEST)?;
    let malformed = || file::error("read profile", &path);
    let head: Head = serde_json::from_slice(&content).map_err(malformed())?;
    let schema = head.schema.unwrap_or_default();
    if schema != SCHEMA {
        return Err(Error::Schema { path, schema });
    }
    let profile = serde_json::from_slice(&content).map_err(malformed())?;
    Ok(Found { path, profile })
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Error> {
    serde_json::from_slice(&file::read_regular(path, LARGEST)?)
        .map_err(file::error("read profile", path))
        .map_err(Error::from)
}

/// The name of an id's directory. runc accepts `[\w+-.]+` and so `..` too, crun anything without a slash; a leading dot, which marks
/// unfinished directories here, is escaped.
fn directory_name(id: &str) -> Result<String, Error> {
    if id.is_empty() || [".", ".."].contains(&id) || id.len() > 250 || id.contains(['/', '\0']) {
        return Err(Error::Id(id.to_owned()));
    }
    Ok(match id.strip_prefix('.') {
        Some(rest) => format!("%2e{rest}"),
        None => id.to_owned(),
    })
}

/// Creates a directory of the store where there is none.
fn create_directory(path: &Path) -> Result<(), Error> {
    match file::create_directory(path) {
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
            // Only the store's own parents can be missing here; they are the distribution's and keep its modes.
            let parent = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(parent).map_err(file::error("create directory", path))?;
            Ok(file::create_directory(path)?)
        }
        result => Ok(result?),
    }
}

fn write_directory(directory: &Path, files: &Files) -> Result<(), Error> {
    // A directory of that name can only be left by a killed process with our pid.
    let _ = fs::remove_dir_all(directory);
    file::create_directory(directory)?;
    for (name, content) in files.named() {
        let path = directory.join(name);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            })
            .map_err(file::error("write", &path))?;
    }
    Ok(())
}

fn retain(container: &Path, just_added: &str, retention: u32) -> Result<(), Error> {
    let entries = fs::read_dir(container).map_err(file::error("list", container))?;
    let mut finished = Vec::new();
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            // `.RECORDING.PID`, which that process writes, or wrote.
            let writer = name.rsplit_once('.').and_then(|(_, pid)| pid.parse().ok());
            if writer.is_none_or(|pid| process::find(pid).is_none()) {
                file::remove_directory(&entry.path())?;
            }
        } else if name != just_added {
            finished.push((name, entry.path()));
        }
    }
    if retention == 0 {
        return Ok(());
    }
    finished.sort_by(|one, other| other.cmp(one));
    let others = usize::try_from(retention).unwrap_or(usize::MAX) - 1;
    let old = finished.split_off(others.min(finished.len()));
    if old.is_empty() {
        return Ok(());
    }
    let added = container.join(just_added);
    let kept = finished.iter().map(|(_, path)| path.as_path());
    let mut covered: Vec<Profile> = kept
        .chain([added.as_path()])
        .filter_map(|path| load(path.join(PROFILE)).ok())
        .map(|found| found.profile)
        .collect();
    for (_, path) in old {
        let Ok(found) = load(path.join(PROFILE)) else {
            file::remove_directory(&path)?;
            continue;
        };
        let profile = found.profile;
        let known = covered
            .iter()
            .filter(|other| other.is_of_workload(&profile))
            .map(|other| other.findings.minimized)
            .fold(CapabilitySet::EMPTY, CapabilitySet::union);
        // The only recording that needed something is what the answer rests on. It is kept only while its workload is recorded.
        let is_only = covered.iter().any(|other| other.is_of_workload(&profile))
            && !profile.findings.minimized.is_subset(known);
        match is_only {
            true => covered.push(profile),
            false => file::remove_directory(&path)?,
        }
    }
    Ok(())
}

pub(crate) fn directories(path: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(file::error("list", path))?,
    };
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use capprof_profile::fixtures::{full_evidence, host, recording, reports};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn profile(container_id: &str, id: &str) -> Profile {
        capprof_profile::assemble::profile(
            &recording(container_id, id),
            reports(),
            full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            host(),
        )
    }

    fn add(store: &Store, container_id: &str, id: &str, retention: u32) -> Result<(), Error> {
        let profile = profile(container_id, id);
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, retention)
    }

    fn ids(store: &Store) -> Vec<String> {
        let (summaries, errors) = store.select(None, None, |_| true).unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        summaries
            .into_iter()
            .map(|summary| summary.recording_id)
            .collect()
    }

    #[test]
    fn a_result_lies_in_root_only_directories() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("lib/capprof");
        let store = Store::at(&base);
        assert!(ids(&store).is_empty());
        add(&store, "web.1+a_b-c", "20260101T000000Z-00000001", 20).unwrap();
        let place = base.join("profiles/web.1+a_b-c/20260101T000000Z-00000001");
        for path in [&base, &base.join("profiles"), &place] {
            assert_eq!(
                fs::metadata(path).unwrap().mode() & 0o777,
                0o700,
                "{}",
                path.display()
            );
        }
        for name in [PROFILE, CONFIGURATION] {
            assert_eq!(
                fs::metadata(place.join(name)).unwrap().mode() & 0o777,
                0o600
            );
        }
        assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1);
        // Once more, as after a crash between writing and forgetting.
        add(&store, "web.1+a_b-c", "20260101T000000Z-00000001", 20).unwrap();
        assert_eq!(ids(&store), ["20260101T000000Z-00000001"]);
    }

    #[test]
    fn ids_cannot_lead_out_of_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().join("store"));
        for id in ["..", ".", "", "a/b", "../../etc"] {
            let error = add(&store, id, "20260101T000000Z-00000001", 20).unwrap_err();
            assert!(matches!(error, Error::Id(_)), "{id}: {error}");
        }
        assert!(add(&store, "a", "../b", 20).is_err());
        assert!(!directory.path().join("store").exists());
        add(&store, "..b", "20260101T000000Z-00000001", 20).unwrap();
        assert_eq!(
            store.select(None, None, |_| true).unwrap().0[0].container_id,
            "..b"
        );
        assert_eq!(
            store.find("..b").unwrap().profile.origin.container_id,
            "..b"
        );
    }

    #[test]
    fn the_oldest_of_a_container_go_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add(&store, "b", "20200101T000000Z-00000009", 2).unwrap();
        for day in 1..=4 {
            add(
                &store,
                "a",
                &format!("2026010{day}T000000Z-0000000{day}"),
                2,
            )
            .unwrap();
        }
        assert_eq!(
            ids(&store),
            [
                "20260104T000000Z-00000004",
                "20260103T000000Z-00000003",
                "20200101T000000Z-00000009"
            ]
        );
        // The one just added stays even if a clock was set back.
        add(&store, "a", "20250101T000000Z-00000005", 1).unwrap();
        assert_eq!(
            ids(&store),
            ["20250101T000000Z-00000005", "20200101T000000Z-00000009"]
        );
        add(&store, "a", "20260101T000000Z-00000001", 0).unwrap();
        assert_eq!(ids(&store).len(), 3);
    }

    #[test]
    fn what_a_killed_process_left_is_neither_shown_nor_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let unfinished = |pid: u32| {
            let left = directory
                .path()
                .join(format!("profiles/a/.20260101T000000Z-00000001.{pid}"));
            fs::create_dir_all(&left).unwrap();
            fs::write(left.join(PROFILE), "{").unwrap();
            left
        };
        let of_killed = unfinished(child.id());
        let at_work = unfinished(std::process::id());
        add(&store, "a", "20260102T000000Z-00000002", 20).unwrap();
        assert!(!of_killed.exists());
        assert!(at_work.exists());
        assert_eq!(ids(&store).len(), 1);
    }

    #[test]
    fn a_complete_profile_is_not_replaced_by_an_incomplete_one() {
        const ID: &str = "20260101T000000Z-00000001";
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let put = |complete: bool, note: &str| {
            let mut profile = profile("a", ID);
            profile.complete = complete;
            profile.findings.notes = vec![note.to_owned()];
            let files = Files::new(&profile, b"{}".to_vec()).unwrap();
            store.add(&profile, &files, 20).unwrap();
            store.find(ID).unwrap().profile.findings.notes
        };
        assert_eq!(put(false, "first"), ["first"]);
        assert_eq!(put(false, "second"), ["second"]);
        assert_eq!(put(true, "complete"), ["complete"]);
        assert_eq!(put(false, "its evidence was gone"), ["complete"]);
        assert_eq!(put(true, "again"), ["again"]);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = add(&Store::at(&file), "a", "20260101T000000Z-00000001", 20).unwrap_err();
        assert!(error.to_string().contains("file/profiles"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"");
    }

    #[test]
    fn a_profile_is_found_by_all_its_names() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        assert!(matches!(
            store.find("latest").unwrap_err(),
            Error::Empty { .. }
        ));
        add(&store, "aabb01", "20260102T000000Z-00000001", 20).unwrap();
        add(&store, "aabb01", "20260103T000000Z-00000002", 20).unwrap();
        add(&store, "aacc02", "20260101T000000Z-00000003", 20).unwrap();
        let found = |wanted: &str| {
            store
                .find_recording(wanted)
                .map(|found| found.profile.origin.recording_id)
        };
        for (wanted, expected) in [
            ("latest", "20260103T000000Z-00000002"),
            ("last", "20260103T000000Z-00000002"),
            ("20260102T000000Z-00000001", "20260102T000000Z-00000001"),
            ("20260102", "20260102T000000Z-00000001"),
            ("aabb01", "20260103T000000Z-00000002"),
            ("aac", "20260101T000000Z-00000003"),
            ("web", "20260103T000000Z-00000002"),
            ("docker.io/library/nginx:1.27", "20260103T000000Z-00000002"),
            ("nginx:1.27", "20260103T000000Z-00000002"),
            ("nginx", "20260103T000000Z-00000002"),
        ] {
            assert_eq!(found(wanted).unwrap(), expected, "{wanted}");
        }
        let error = found("aa").unwrap_err().to_string();
        assert_eq!(
            error,
            "\"aa\" is the beginning of several ids: aabb01, aacc02"
        );
        assert!(matches!(
            found("nothing").unwrap_err(),
            Error::NotFound { .. }
        ));
        assert!(matches!(found("").unwrap_err(), Error::NotFound { .. }));
        let place = directory
            .path()
            .join("profiles/aacc02/20260101T000000Z-00000003");
        for path in [&place, &place.join(PROFILE)] {
            assert_eq!(
                found(path.to_str().unwrap()).unwrap(),
                "20260101T000000Z-00000003"
            );
        }
    }

    /// A complete recording that needed one capability.
    fn needing(store: &Store, container_id: &str, id: &str, capability: Capability, keep: u32) {
        let mut profile = profile(container_id, id);
        profile.complete = true;
        profile.incomplete_because.clear();
        profile.findings.needed.truncate(1);
        profile.findings.needed[0].capability = capability;
        profile.findings.needed[0].alternatives.clear();
        profile.findings.minimized = [capability].into_iter().collect();
        let files = Files::new(&profile, b"{}".to_vec()).unwrap();
        store.add(&profile, &files, keep).unwrap();
    }

    #[test]
    fn the_recordings_of_a_workload_are_united() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let (first, restart) = ("20260101T000000Z-00000001", "20260102T000000Z-00000002");
        needing(&store, "aa01", first, Capability::CHOWN, 0);
        needing(&store, "bb02", restart, Capability::SETUID, 0);
        let both = "CAP_CHOWN, CAP_SETUID";
        for (wanted, expected) in [
            ("last", both),
            ("web", both),
            ("nginx", both),
            ("aa01", both),
            (first, "CAP_CHOWN"),
            ("20260102", "CAP_SETUID"),
        ] {
            let found = store.find(wanted).unwrap();
            assert_eq!(found.profile.answer().0.to_string(), expected, "{wanted}");
        }
        let enforced = |wanted: &str| {
            let found = store.find_complete(wanted).unwrap();
            found.profile.answer().0.to_string()
        };
        assert_eq!(enforced("web"), both);
        assert_eq!(enforced("aa01"), both);
        assert_eq!(enforced(first), "CAP_CHOWN");
        assert_eq!(
            store.find("web").unwrap().path,
            directory
                .path()
                .join("profiles/bb02")
                .join(restart)
                .join(PROFILE)
        );
    }

    #[test]
    fn the_only_recording_that_needed_something_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let id = |day: u32| format!("2026010{day}T000000Z-0000000{day}");
        needing(&store, "a", &id(1), Capability::CHOWN, 1);
        for day in 2..=4 {
            needing(&store, "a", &id(day), Capability::SETUID, 1);
        }
        assert_eq!(ids(&store), [id(4), id(1)]);
        // What a later one needs too is not kept for it.
        needing(&store, "a", &id(5), Capability::CHOWN, 1);
        assert_eq!(ids(&store), [id(5), id(4)]);
    }

    #[test]
    fn a_run_with_what_the_workload_has_today_settles_a_profile() {
        const ID: &str = "20260101T000000Z-00000001";
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add(&store, "a", ID, 20).unwrap();
        let before = store.find(ID).unwrap().profile;
        let today = Today {
            passed: true,
            by: capprof_profile::part::Trial::Verified,
            set: before.todays_set(),
            run: "20260102T000000Z-00000002".to_owned(),
            date: "2026-01-02T00:00:00Z".to_owned(),
            failures: Vec::new(),
        };
        store.settle(ID, &today).unwrap();
        let mut expected = before;
        expected.settle(today.clone());
        assert_eq!(store.find(ID).unwrap().profile, expected);
        assert!(store.settle("20260109T000000Z-00000009", &today).is_err());
    }

    #[test]
    fn an_image_may_be_named_in_short() {
        for (image, wanted, meant) in [
            ("docker.io/library/nginx:latest", "nginx", true),
            ("docker.io/library/nginx:latest", "nginx:latest", true),
            ("docker.io/library/nginx:latest", "library/nginx", true),
            ("docker.io/library/nginx:latest", "nginx:1.27", false),
            ("docker.io/library/nginx:latest", "ngin", false),
            ("nginx", "nginx:latest", true),
            ("nginx", "docker.io/library/nginx:latest", true),
            ("nginx", "nginx:1.27", false),
            ("docker.io/bitnami/nginx:1", "nginx", false),
            ("docker.io/bitnami/nginx:1", "bitnami/nginx", true),
            ("quay.io/x/y@sha256:0", "quay.io/x/y", true),
            ("quay.io/x/y@sha256:0", "x/y", false),
            ("quay.io:443/x/y", "quay.io", false),
        ] {
            assert_eq!(is_image(image, wanted), meant, "{image} {wanted}");
        }
    }

    #[test]
    fn of_all_that_go_by_a_name_the_newest_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        // A container whose id is the name of a later one, as with `ctr run IMAGE web`.
        add(&store, "web", "20260101T000000Z-00000001", 20).unwrap();
        add(&store, "aabb01", "20260102T000000Z-00000002", 20).unwrap();
        let found = store.find("web").unwrap();
        assert_eq!(
            found.profile.origin.recording_id,
            "20260102T000000Z-00000002"
        );
    }

    #[test]
    fn what_is_enforced_is_found_by_whole_names_and_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let keep = |container: &str, id: &str, edit: &dyn Fn(&mut Profile)| {
            let mut profile = profile(container, id);
            profile.complete = true;
            profile.incomplete_because.clear();
            edit(&mut profile);
            let files = Files::new(&profile, b"{}".to_vec()).unwrap();
            store.add(&profile, &files, 0).unwrap();
        };
        let lose = |profile: &mut Profile| {
            profile.complete = false;
            profile.incomplete_because = vec!["2 checks lost: map full".to_owned()];
        };
        keep("aabb01", "20260101T000000Z-00000001", &|_| {});
        keep("aabb01", "20260102T000000Z-00000002", &|_| {});
        keep("aabb01", "20260103T000000Z-00000003", &lose);
        keep("aacc02", "20260104T000000Z-00000004", &|profile| {
            profile.origin.name = None;
            profile.origin.process.args = vec!["other".to_owned()];
        });
        keep("dd", "20260105T000000Z-00000005", &|profile| {
            profile.origin.name = Some("lost".to_owned());
            profile.origin.workload.image = Some("other:1".to_owned());
            lose(profile);
        });
        let found = |wanted: &str| {
            store
                .find_complete(wanted)
                .map(|found| found.profile.origin.recording_id)
                .map_err(|error| error.to_string())
        };
        let second = Ok("20260102T000000Z-00000002".to_owned());
        // The newest of these is incomplete.
        assert_eq!(found("web"), second);
        assert_eq!(found("aabb01"), second);
        assert_eq!(
            found("20260101T000000Z-00000001").unwrap(),
            "20260101T000000Z-00000001"
        );
        for wanted in ["lost", "dd", "20260105T000000Z-00000005", "other:1"] {
            let error = found(wanted).unwrap_err();
            assert!(error.contains("2 checks lost: map full"), "{error}");
        }
        assert_eq!(
            found("docker.io/library/nginx:1.27").unwrap_err(),
            "\"docker.io/library/nginx:1.27\" names profiles of different programs: 20260104T000000Z-00000004, \
             20260102T000000Z-00000002: give one of these"
        );
        let place = directory.path().join("profiles/aacc02");
        for wanted in ["", "last", "aab", "20260101", place.to_str().unwrap(), ".."] {
            let error = found(wanted).unwrap_err();
            assert!(error.starts_with("no profile"), "{error}");
        }
    }

    #[test]
    fn a_damaged_profile_is_told_and_hides_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add(&store, "a", "20260101T000000Z-00000001", 20).unwrap();
        for (name, content) in [
            ("20260102T000000Z-00000002", "{\"schema\":\"capprof.pro"),
            (
                "20260103T000000Z-00000003",
                "{\"schema\":\"capprof.profile/v9\"}",
            ),
        ] {
            let place = directory.path().join("profiles/a").join(name);
            fs::create_dir(&place).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
            fs::write(place.join(PROFILE), content).unwrap();
        }
        let (summaries, errors) = store.select(None, None, |_| true).unwrap();
        assert_eq!(summaries.len(), 1);
        assert_eq!(errors.len(), 2);
        let error = store.find("20260103").unwrap_err().to_string();
        assert!(
            error.contains("schema \"capprof.profile/v9\", expected \"capprof.profile/v1\""),
            "{error}"
        );
    }
}
