//! Control groups of systemd services. Every process that systemd starts in such a group belongs to a recording.

use super::armed::EbpfState;
use super::attach;
use super::error::Error;
use super::layout::Container;
use super::program_set::ProgramSet;
use capprof_store::control_group::{self, PROCESSES, VERSION_2};
use capprof_store::{file, process};
use libbpf_rs::{MapCore, MapFlags};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zerocopy::IntoBytes;

/// The number of searches for processes. A process that is not known yet may start others during a search.
const ROUNDS: usize = 32;

/// The operation that fails if a control group cannot be read, for [`file::Error::operation`].
const READ: &str = "read control group";

/// Makes all processes of a control group join a slot, and all programs that are executed in it later.
///
/// # Errors
/// [`Error::Update`], [`Error::Pin`], [`Error::File`].
pub(super) fn join(
    set: &ProgramSet,
    slot: u64,
    group: &Path,
    container: &Container,
) -> Result<(), Error> {
    if !group.try_exists().map_err(file::error(READ, group))? {
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

/// Makes all programs that are executed in this process's own control group join the recording. For the command that systemd executes before the
/// service's.
///
/// # Errors
/// [`Error::Update`], [`Error::Pin`], [`Error::File`].
pub fn enter_own(armed: &EbpfState) -> Result<(), Error> {
    let name = control_group::of(std::process::id(), VERSION_2).unwrap_or_default();
    // If the service manages control groups below its own, systemd starts its other programs in one of these.
    let name = name.strip_suffix("/.control").unwrap_or(&name);
    let Some(group) = control_group::directory(VERSION_2, name) else {
        let source = io::Error::other("this process is in no control group of version 2");
        return Err(file::error(READ, Path::new("/proc/self/cgroup"))(source).into());
    };
    let set = ProgramSet::open()?;
    set.map_or(Ok(()), |set| enter(&set, armed.slot, &group))
}

/// Enters a control group into the map. The kernel side knows it by the inode number of its directory (kernfs).
fn enter(set: &ProgramSet, slot: u64, group: &Path) -> Result<(), Error> {
    let directory = fs::metadata(group).map_err(file::error(READ, group))?;
    set.map("groups")?
        .update(directory.ino().as_bytes(), slot.as_bytes(), MapFlags::ANY)
        .map_err(|error| Error::update("groups", &error))
}

/// The processes of a control group and of those below it.
fn processes(group: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    let mut groups = vec![group.to_owned()];
    while let Some(group) = groups.pop() {
        let text = fs::read_to_string(group.join(PROCESSES)).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        groups.extend(file::subdirectories(&group));
    }
    found
}
