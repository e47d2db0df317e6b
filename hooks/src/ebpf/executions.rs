//! Programs that were executed, with the file capabilities that each had at that time.

use super::executables::{self, Root, Unreadable};
use super::layout::{self, AttributeKey, Program, ProgramKey, program};
use capprof_profile::CapabilitySet;
use capprof_profile::observation::{Execution, FileCapabilities};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Facts about a recording's executables besides the rows of the map.
pub(super) struct Executions<'a> {
    /// The container's file systems, as they are now.
    pub(super) root: &'a Root<'a>,
    /// File capabilities that the container wrote itself.
    pub(super) written: &'a [(AttributeKey, u64)],
    /// True if the container has a user namespace of its own.
    pub(super) user_namespace: bool,
}

impl Executions<'_> {
    /// Converts rows into executions, one for each path and user.
    pub(super) fn of(&self, programs: &[(ProgramKey, Program)]) -> Vec<Execution> {
        let mut merged: HashMap<(PathBuf, u32, bool), Execution> = HashMap::new();
        for (_, row) in programs {
            let execution = self.execution(row);
            let key = (execution.path.clone(), execution.uid, execution.nested);
            merged
                .entry(key)
                .and_modify(|all| add(all, &execution))
                .or_insert(execution);
        }
        merged.into_values().collect()
    }

    fn execution(&self, row: &Program) -> Execution {
        let has = |flag: u32| row.flags & flag != 0;
        let path = executables::path(row);
        let (file_capabilities, unreadable) = match self.file_capabilities(row, &path) {
            Ok(capabilities) => (capabilities, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Execution {
            path,
            uid: row.uid,
            file_capabilities,
            unreadable,
            gained: CapabilitySet::from_bits(row.gained),
            nested: has(program::NESTED),
            memory_policy: has(program::MEMORY_POLICY),
            count: row.count,
        }
    }

    /// The file capabilities that mattered when the program was executed. For a user other than root, the kernel side saw what the process gained. For
    /// root, which has everything anyway, they are read from the file, if it has not changed since.
    fn file_capabilities(
        &self,
        row: &Program,
        path: &Path,
    ) -> Result<Option<FileCapabilities>, Unreadable> {
        if row.flags & (program::NO_FILE_CAPABILITIES | program::NESTED) != 0 {
            return Ok(None);
        }
        let read = self.root.file_capabilities(row, path, self.user_namespace);
        let gained = CapabilitySet::from_bits(row.gained);
        match read {
            Ok(Some(capabilities)) => Ok(Some(capabilities)),
            _ if row.flags & program::NOT_ROOT != 0 => {
                Ok((!gained.is_empty()).then_some(FileCapabilities {
                    permitted: gained,
                    inheritable: CapabilitySet::EMPTY,
                    effective: row.flags & program::EFFECTIVE != 0,
                }))
            }
            Ok(None) if self.root.hides_changes() => Ok(self.written_to(path)),
            Ok(None) => Ok(None),
            Err(reason) => self.written_to(path).map(Some).ok_or(reason),
        }
    }

    /// The file capabilities that the container itself wrote to a file of this name.
    fn written_to(&self, path: &Path) -> Option<FileCapabilities> {
        self.written
            .iter()
            .filter(|(key, _)| Path::new(&layout::text(&key.path)).file_name() == path.file_name())
            .map(|(key, _)| FileCapabilities {
                permitted: CapabilitySet::from_bits(key.permitted),
                inheritable: CapabilitySet::from_bits(key.inheritable),
                effective: key.effective != 0,
            })
            .reduce(|one, other| FileCapabilities {
                permitted: one.permitted.union(other.permitted),
                inheritable: one.inheritable.union(other.inheritable),
                effective: one.effective || other.effective,
            })
    }
}

/// Adds another row of the same program.
fn add(all: &mut Execution, other: &Execution) {
    all.count += other.count;
    all.gained = all.gained.union(other.gained);
    all.memory_policy |= other.memory_policy;
    all.unreadable = all.unreadable.take().or_else(|| other.unreadable.clone());
    all.file_capabilities = match (all.file_capabilities, other.file_capabilities) {
        (Some(one), Some(other)) if other.effective && !one.effective => Some(other),
        (one, other) => one.or(other),
    };
}
