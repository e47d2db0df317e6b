//! Results that come into the store, and those that leave it.

use super::error::Error;
use super::files::{Files, PROFILE};
use super::load::load;
use super::store::{Store, directory_name};
use crate::file::{self, OpenDirectory};
use crate::process;
use capprof_profile::CapabilitySet;
use capprof_profile::profile::Profile;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl Store {
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
