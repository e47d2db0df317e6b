//! Control groups of systemd services: what systemd executes in one belongs to a recording.

use super::armed::EbpfState;
use super::attach;
use super::error::Error;
use super::layout::Container;
use super::program_set::ProgramSet;
use capprof_store::{file, process};
use libbpf_rs::{MapCore, MapFlags};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zerocopy::IntoBytes;

/// Where control groups of version 2 are: by themselves, or beside those of version 1 (cgroups(7)).
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// How often processes are looked for that were started meanwhile by one that was not known yet.
const ROUNDS: usize = 32;

/// Has all processes of a control group join a slot, and what will be executed in it.
///
/// # Errors
/// [`Error::Update`], [`Error::Pin`], [`Error::ControlGroup`].
pub(super) fn join(
    set: &ProgramSet,
    slot: u64,
    group: &Path,
    container: &Container,
) -> Result<(), Error> {
    if !group.exists() {
        // What ran in it has ended meanwhile.
        return Ok(());
    }
    enter(set, slot, group)?;
    for _ in 0..ROUNDS {
        let mut joined = false;
        for pid in processes(group) {
            if let Some(process) = process::find(pid) {
                joined |= attach::join_process(set, slot, process, container)?;
            }
        }
        if !joined {
            break;
        }
    }
    Ok(())
}

/// Has what will be executed in this process's own control group join the recording. For the command that systemd executes before the service's.
///
/// # Errors
/// [`Error::Update`], [`Error::Pin`], [`Error::ControlGroup`].
pub fn enter_own(armed: &EbpfState) -> Result<(), Error> {
    let lines = fs::read_to_string("/proc/self/cgroup").map_err(failed("/proc/self/cgroup"))?;
    let name = lines.lines().find_map(|line| line.strip_prefix("0::/"));
    let name = Path::new(name.unwrap_or_default());
    // Where the service has control groups of its own, systemd executes what is not its main program in one below.
    let name = match name.file_name() {
        Some(last) if last == ".control" => name.parent().unwrap_or(name),
        _ => name,
    };
    let group = MOUNTS
        .iter()
        .map(|mount| Path::new(mount).join(name))
        .find(|group| group.join("cgroup.procs").exists());
    let (Some(group), false) = (group, name.as_os_str().is_empty()) else {
        let source = io::Error::other("this process is in no control group of version 2");
        return Err(failed("/proc/self/cgroup")(source));
    };
    let set = ProgramSet::open()?;
    set.map_or(Ok(()), |set| enter(&set, armed.slot, &group))
}

/// The kernel knows a control group by the number of its directory (kernfs).
fn enter(set: &ProgramSet, slot: u64, group: &Path) -> Result<(), Error> {
    let directory = fs::metadata(group).map_err(failed(group))?;
    set.map("groups")?
        .update(directory.ino().as_bytes(), slot.as_bytes(), MapFlags::ANY)
        .map_err(|error| Error::update("groups", &error))
}

fn failed(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
    let path = path.as_ref().to_owned();
    |source| Error::ControlGroup { path, source }
}

/// The processes of a control group and of those below it.
fn processes(group: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    let mut groups = vec![group.to_owned()];
    while let Some(group) = groups.pop() {
        let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        groups.extend(file::subdirectories(&group));
    }
    found
}
