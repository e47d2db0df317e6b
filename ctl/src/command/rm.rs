//! `capprofctl rm`

use crate::exit::Exit;
use crate::output;
use anyhow::Context;
use capprof_store::profiles::Store;
use std::collections::{BTreeSet, HashSet};

/// Removes profiles from the store, and prints their recordings' ids.
///
/// # Errors
/// One of them is not in the store; then nothing is removed.
pub(crate) fn run(store: &Store, wanted: &[String], all: bool) -> anyhow::Result<Exit> {
    let mut recordings = BTreeSet::new();
    for name in wanted {
        let found = match all {
            true => store
                .select(None, None, |summary| summary.answers_to(name))?
                .0
                .into_iter()
                .map(|summary| summary.recording_id)
                .collect(),
            false => Vec::new(),
        };
        if found.is_empty() {
            let found = store.find_recording(name)?;
            let id = found.profile.origin.recording_id;
            // This command does not remove a file outside the store.
            let stored = store.find_recording(&id).context("remove profile")?;
            if stored.path != found.path {
                anyhow::bail!(
                    "remove profile {}: not in the store; remove the file itself",
                    found.path.display()
                );
            }
            recordings.insert(id);
        }
        recordings.extend(found);
    }
    let recordings: HashSet<String> = recordings.into_iter().collect();
    store.remove(&recordings)?;
    let mut lines: Vec<String> = recordings.into_iter().collect();
    lines.sort();
    output::print(&(lines.join("\n") + "\n"))?;
    Ok(Exit::Success)
}
