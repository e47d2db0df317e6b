//! Drop-ins for systemd services (systemd.unit(5)) that exist as long as the process that wrote them, and never longer than until a reboot.

use crate::file::{self, Attributes, Error};
use crate::process;
use capprof_profile::recording::Process;
use std::fs;
use std::path::{Path, PathBuf};

/// systemd's directory for drop-ins that do not outlive a reboot.
const DIRECTORY: &str = "/run/systemd/system";

/// The name of the file. It sorts after all others, so its assignments count.
const NAME: &str = "zz-capprofctl.conf";

/// The beginning of its first line. The id and the start time of the process that wrote it follow.
const OWNER: &str = "# capprofctl ";

/// The setting of a drop-in that changes the service's capabilities. A service that was started with it must be restarted without it.
const CAPABILITIES: &str = "CapabilityBoundingSet=";

/// A drop-in whose process is gone.
#[derive(Debug)]
pub struct Abandoned {
    /// The service, as `nginx.service`.
    pub unit: String,
    /// The file.
    pub path: PathBuf,
    /// True if the service runs with other capabilities than it has without the file.
    pub changes: bool,
}

/// Returns the path of a service's drop-in.
pub fn path(unit: &str) -> PathBuf {
    in_directory(Path::new(DIRECTORY), unit)
}

fn in_directory(directory: &Path, unit: &str) -> PathBuf {
    directory.join(format!("{unit}.d")).join(NAME)
}

/// Writes the drop-in of a service.
///
/// # Errors
/// [`Error`].
pub fn write(unit: &str, owner: Process, text: &str) -> Result<(), Error> {
    let path = path(unit);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(file::error("create directory", directory))?;
    }
    let text = format!("{OWNER}{} {}\n{text}", owner.pid, owner.start_time);
    file::write(&path, text.as_bytes(), Attributes::Mode(0o644))
}

/// Returns the process that owns a drop-in for this service now; `None` if there is none.
pub fn owner(unit: &str) -> Option<Process> {
    read(&path(unit)).and_then(|(owner, _)| process::exists(owner).then_some(owner))
}

/// Removes the drop-in of a service, and its directory if that is then empty. It is no error if the drop-in does not exist.
///
/// # Errors
/// [`Error`].
pub fn remove(path: &Path) -> Result<(), Error> {
    file::remove(path)?;
    if let Some(directory) = path.parent() {
        let _ = fs::remove_dir(directory);
    }
    Ok(())
}

/// The drop-ins whose process is gone.
pub fn abandoned() -> Vec<Abandoned> {
    abandoned_in(Path::new(DIRECTORY))
}

fn abandoned_in(directory: &Path) -> Vec<Abandoned> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let units = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_suffix(".d")?.to_owned())
    });
    units
        .filter_map(|unit| {
            let path = in_directory(directory, &unit);
            let (owner, text) = read(&path)?;
            (!process::exists(owner)).then(|| Abandoned {
                unit,
                path,
                changes: text.contains(CAPABILITIES),
            })
        })
        .collect()
}

fn read(path: &Path) -> Option<(Process, String)> {
    let text = fs::read_to_string(path).ok()?;
    let owner = text.lines().next()?.strip_prefix(OWNER)?;
    let (pid, start_time) = owner.split_once(' ')?;
    let owner = Process {
        pid: pid.parse().ok()?,
        start_time: start_time.parse().ok()?,
    };
    Some((owner, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_is_abandoned_when_its_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let own = process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let put = |unit: &str, text: &str| {
            let path = in_directory(directory.path(), unit);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let start = own.start_time;
        put("a.service", &format!("{OWNER}{} {start}\n", own.pid));
        put("b.service", &format!("{OWNER}{} {}\n", own.pid, start + 1));
        put(
            "c.service",
            &format!("{OWNER}0 1\n[Service]\n{CAPABILITIES}\n"),
        );
        put("d.service", "[Service]\n");
        let mut found: Vec<(String, bool)> = abandoned_in(directory.path())
            .into_iter()
            .map(|one| (one.unit, one.changes))
            .collect();
        found.sort();
        let expected = [("b.service", false), ("c.service", true)];
        assert_eq!(
            found,
            expected.map(|(unit, changes)| (unit.to_owned(), changes))
        );
    }
}
