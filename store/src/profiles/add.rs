//! Adds results to the store, and removes them.

use super::error::Error;
use super::files::{Files, PROFILE};
use super::kept_recordings::{Contribution, KeptRecordings};
use super::load::load;
use super::store::{Store, directory_name};
use super::summary::{Summary, workload};
use crate::file::{self, OpenDirectory};
use crate::process;
use capprof_profile::profile::Profile;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl Store {
    /// Adds a result, and removes the oldest results of the same container beyond `retention` (0 keeps all), except those on which the answer for
    /// their workload rests.
    ///
    /// The result appears at once: its directory is written under another name, synced, and renamed. Adding a recording again replaces it, except
    /// that an incomplete profile never replaces a complete one.
    ///
    /// # Errors
    /// Any but those of reading. After an error of the operations `list` and `remove` the result has been added.
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
}

/// Creates a directory of the store if there is none.
fn create_directory(path: &Path) -> Result<(), Error> {
    match file::create_directory(path) {
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
            // Only parents of the store can be missing here. They belong to the distribution, so they get the usual mode.
            let parent = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(parent).map_err(file::error("create directory", path))?;
            Ok(file::create_directory(path)?)
        }
        result => Ok(result?),
    }
}

fn write_directory(directory: &Path, files: &Files) -> Result<(), Error> {
    // Only a killed process with our pid can have left a directory of that name.
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
            // `.RECORDING.PID`: process PID writes it, or wrote it before it was killed.
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
    let mut kept: HashMap<String, KeptRecordings> = HashMap::new();
    let added = container.join(just_added);
    for path in finished.iter().map(|(_, path)| path).chain([&added]) {
        if let Some((workload, contribution)) = contribution(path) {
            kept.entry(workload).or_default().add(contribution);
        }
    }
    for (_, path) in old {
        // A recording on which the answer rests stays only while its workload is recorded in this container.
        let known = contribution(&path)
            .and_then(|(workload, contribution)| Some((kept.get_mut(&workload)?, contribution)));
        match known {
            Some((kept, contribution)) if kept.rests_on(contribution) => kept.add(contribution),
            _ => file::remove_directory(&path)?,
        }
    }
    Ok(())
}

/// The workload of a recording, and the recording's contribution to its answer; `None` if the profile cannot be read.
fn contribution(recording: &Path) -> Option<(String, Contribution)> {
    let profile = load(recording.join(PROFILE)).ok()?.profile;
    let workload = workload(&profile);
    Some((workload, Contribution::from(&Summary::from(profile))))
}
