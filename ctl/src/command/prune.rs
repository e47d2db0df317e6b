//! `capprofctl prune`

use crate::cli::{Point, PruneOptions};
use crate::exit::Exit;
use crate::output;
use anyhow::bail;
use capprof_store::profiles::Store;
use capprof_store::prune::Prune;

/// Removes old profiles, and those of which enough newer ones exist.
///
/// # Errors
/// Nothing says which; or the store cannot be read, or a profile cannot be removed.
pub(crate) fn run(store: &Store, options: &PruneOptions) -> anyhow::Result<Exit> {
    if options.older_than.is_none() && options.keep.is_none() {
        bail!("prune: give --older-than TIME, --keep NUMBER, or both");
    }
    let prune = Prune {
        before: options.older_than.as_ref().map(Point::compact),
        keep: options.keep,
    };
    let pruned = store.prune(&prune, options.dry_run)?;
    if options.dry_run {
        let mut ids = pruned.removed.join("\n");
        ids.push_str(if ids.is_empty() { "" } else { "\n" });
        output::print(&ids)?;
    }
    output::message(&format!(
        "{} {}, {} kept",
        match options.dry_run {
            true => "would remove",
            false => "removed",
        },
        match pruned.removed.len() {
            1 => "1 profile".to_owned(),
            number => format!("{number} profiles"),
        },
        pruned.kept
    ));
    Ok(Exit::Success)
}
