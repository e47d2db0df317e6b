//! The limits on a recording's rows in each map. Names the recordings that filled a full map.

use super::layout::{Container, SHARES};
use super::program_set::ProgramSet;
use super::slot::Owner;
use libbpf_rs::MapCore;

/// A map whose rows are counted for each recording, in the order of `enum table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Kinds of checks, and their call paths.
    Checks,
    /// Programs.
    Programs,
    /// Arguments of capset(2).
    Capsets,
    /// Writes of file capabilities.
    Attributes,
    /// Uses of devices.
    Devices,
    /// Entries of `/proc/sys` that were written.
    Sysctls,
    /// Ports.
    Ports,
    /// Processes at the same time.
    Tasks,
}

impl Table {
    /// The map's name.
    pub(super) const fn map(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Programs => "programs",
            Self::Capsets => "capsets",
            Self::Attributes => "attributes",
            Self::Devices => "devices",
            Self::Sysctls => "sysctls",
            Self::Ports => "ports",
            Self::Tasks => "tasks",
        }
    }

    /// The number of rows that a recording has, as the kernel side counts them.
    pub(super) fn rows(self, container: &Container) -> u32 {
        // More processes may have ended than were counted, because some already ran when the recording began.
        match container.rows.get(self as usize) {
            Some(rows) => u32::try_from(rows.cast_signed()).unwrap_or(0),
            None => 0,
        }
    }

    /// The table that a loss concerns, by the loss's number in `enum loss`.
    pub(super) const fn of_loss(loss: usize) -> Option<Self> {
        match loss {
            0 => Some(Self::Checks),
            2 => Some(Self::Tasks),
            3 => Some(Self::Programs),
            5 => Some(Self::Capsets),
            10 => Some(Self::Attributes),
            _ => None,
        }
    }
}

/// Names the limits that a recording reached in these tables, or else the recordings that filled the first table.
pub(super) fn reached(set: &ProgramSet, container: &Container, tables: &[Table]) -> String {
    let limits: Vec<String> = tables
        .iter()
        .filter(|table| container.reached.get(**table as usize) == Some(&1))
        .filter_map(|table| {
            let own = set.map(table.map()).ok()?.max_entries() / SHARES;
            Some(format!("{own} rows in the map {}", table.map()))
        })
        .collect();
    if !limits.is_empty() {
        return format!(
            "this recording has reached its limit of {}",
            limits.join(" and of ")
        );
    }
    let Some(table) = tables.first() else {
        return String::new();
    };
    let mut others: Vec<(u32, String)> = set
        .containers()
        .unwrap_or_default()
        .iter()
        .map(|(_, other)| (table.rows(other), Owner::of(other).recording))
        .filter(|(rows, _)| *rows > 0)
        .collect();
    others.sort_by(|one, other| other.cmp(one));
    let most: Vec<String> = others
        .iter()
        .take(3)
        .map(|(rows, recording)| format!("{recording} ({rows})"))
        .collect();
    format!(
        "the host's recordings had filled it; most rows have {}",
        most.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebpf::layout::LOSSES;
    use zerocopy::FromZeros;

    #[test]
    fn losses_for_want_of_room_name_their_table() {
        for (loss, what) in LOSSES.iter().enumerate() {
            let is_full = what.contains("did not fit");
            assert_eq!(Table::of_loss(loss).is_some(), is_full, "{what}");
        }
    }

    #[test]
    fn processes_that_were_not_counted_may_end() {
        let mut container = Container::new_zeroed();
        for rows in &mut container.rows {
            *rows = u32::MAX;
        }
        assert_eq!(Table::Tasks.rows(&container), 0);
    }
}
