//! `capprofctl prune`

use crate::cli::{Point, PruneOptions};
use crate::exit::Exit;
use crate::output;
use anyhow::Context;
use capprof_profile::settings::Settings;
use capprof_store::profiles::Store;
use capprof_store::prune::Prune;
use capprof_store::time;
use jiff::{SignedDuration, Timestamp};

/// Removes profiles that are old, or that have enough newer ones of their workload, by the options, else by the configuration.
///
/// # Errors
/// The store cannot be read, or a profile cannot be removed.
pub(crate) fn run(settings: &Settings, options: &PruneOptions) -> anyhow::Result<Exit> {
    let rules = match (&options.older_than, options.keep) {
        (None, None) => configured(settings)?,
        (before, keep) => vec![Prune {
            before: before.as_ref().map(Point::compact),
            keep,
        }],
    };
    if rules.is_empty() {
        output::message(
            "nothing to remove: retention_workload and retention_days are 0 in the configuration (--older-than TIME and --keep NUMBER stand for them)",
        );
        return Ok(Exit::Success);
    }
    let pruned = Store::at(&settings.store).prune(&rules, options.dry_run)?;
    if options.dry_run {
        let mut ids = pruned.removed.join("\n");
        ids.push_str(if ids.is_empty() { "" } else { "\n" });
        output::print(&ids)?;
    }
    let mut message = format!(
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
    );
    if pruned.needed > 0 {
        message.push_str(&format!(
            ", {} of them because the answer for a workload rests on them",
            pruned.needed
        ));
    }
    output::message(&message);
    Ok(Exit::Success)
}

/// The rules of the configuration: the number of profiles of a workload, and their age in days.
fn configured(settings: &Settings) -> anyhow::Result<Vec<Prune>> {
    let mut rules = Vec::new();
    if settings.retention_workload > 0 {
        rules.push(Prune {
            keep: Some(usize::try_from(settings.retention_workload)?),
            before: None,
        });
    }
    if settings.retention_days > 0 {
        let span = SignedDuration::from_hours(i64::from(settings.retention_days) * 24);
        let before = Timestamp::now()
            .checked_sub(span)
            .with_context(|| format!("prune: retention_days = {}", settings.retention_days))?;
        rules.push(Prune {
            before: Some(time::compact(before)),
            keep: None,
        });
    }
    Ok(rules)
}
