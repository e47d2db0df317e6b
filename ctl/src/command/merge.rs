//! `capprofctl merge`

use crate::cli::{Format, MergeOptions};
use crate::exit::Exit;
use crate::merge::Merge;
use crate::output;
use crate::render;
use anyhow::{Context, bail};
use capprof_store::profiles::Store;
use capprof_store::{file, profiles};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Merges profiles and prints the result.
///
/// # Errors
/// One of them cannot be read, or is of another workload; nothing is printed then.
pub(crate) fn run(store: &Store, options: &MergeOptions) -> anyhow::Result<Exit> {
    let mut merge = Merge::default();
    for path in &options.profiles {
        if path == Path::new("-") {
            add_stream(&mut merge)?;
        } else if path.is_dir() {
            let mut found = Vec::new();
            find(path, &mut found)?;
            if found.is_empty() {
                bail!("merge {}: no {} in it", path.display(), profiles::PROFILE);
            }
            for path in found {
                add(&mut merge, &path)?;
            }
        } else if path.exists() || path.is_absolute() {
            add(&mut merge, path)?;
        } else {
            add_stored(&mut merge, store, &path.to_string_lossy())?;
        }
    }
    let merged = merge.finish(options.mixed).map_err(|error| match error {
        crate::merge::Error::Different { .. } => {
            anyhow::anyhow!("{error}; --mixed merges them all the same")
        }
        other => other.into(),
    })?;
    match options.format {
        Format::Form(kind) => output::form(&render::form(kind, &merged)?)?,
        Format::Json => output::print_json(&merged)?,
        Format::Markdown | Format::Html => {
            bail!("merge: this format is for a single profile: capprofctl report")
        }
        Format::Text => output::print(&render::merged(
            &merged,
            options.all_forms,
            &output::styles(),
        ))?,
    }
    Ok(match options.strict && !merged.complete {
        true => Exit::Incomplete,
        false => Exit::Success,
    })
}

/// All profiles in the store that go by a name.
fn add_stored(merge: &mut Merge, store: &Store, name: &str) -> anyhow::Result<()> {
    let (summaries, errors) = store.select(None, None, |summary| summary.answers_to(name))?;
    // What cannot be read may be one of them.
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    if summaries.is_empty() {
        // A recording's id, the beginning of one, or nothing that is there.
        return add(merge, &store.find_recording(name)?.path);
    }
    for summary in summaries {
        add(merge, &store.find_recording(&summary.recording_id)?.path)?;
    }
    Ok(())
}

fn add(merge: &mut Merge, path: &Path) -> anyhow::Result<()> {
    merge
        .add(&file::read_regular(path, profiles::LARGEST)?)
        .with_context(|| format!("read {}", path.display()))
}

/// JSON documents one after the other, as `cat` of files and `journalctl --output=cat` give them.
fn add_stream(merge: &mut Merge) -> anyhow::Result<()> {
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(profiles::LARGEST + 1)
        .read_to_end(&mut input)
        .context("read standard input")?;
    if u64::try_from(input.len()).is_ok_and(|length| length > profiles::LARGEST) {
        bail!(
            "read standard input: it has more than {} bytes",
            profiles::LARGEST
        );
    }
    let documents = serde_json::Deserializer::from_slice(&input).into_iter::<Document<'_>>();
    for (number, document) in (1..).zip(documents) {
        let context = || format!("read document {number} of standard input");
        merge
            .add(document.with_context(context)?.0.get().as_bytes())
            .with_context(context)?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Document<'a>(#[serde(borrow)] &'a RawValue);

/// The profiles below a directory, as the store lays them out or otherwise. Links are not followed.
fn find(directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("list {}", directory.display());
    for entry in fs::read_dir(directory).with_context(context)? {
        let entry = entry.with_context(context)?;
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            // The store's unfinished results.
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                find(&entry.path(), found)?;
            }
        } else if kind.is_file() && entry.file_name() == profiles::PROFILE {
            found.push(entry.path());
        }
    }
    Ok(())
}
