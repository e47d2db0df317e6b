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
            anyhow::anyhow!("{error}; --mixed merges them anyway")
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

/// Adds all profiles in the store that have this name.
fn add_stored(merge: &mut Merge, store: &Store, name: &str) -> anyhow::Result<()> {
    let (summaries, errors) = store.select(None, None, |summary| summary.answers_to(name))?;
    // A profile that cannot be read may be one of them.
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    if summaries.is_empty() {
        // It may be a recording's id, or the beginning of one; else this is the error.
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

/// Adds a stream of JSON documents, as `cat` of files and `journalctl --output=cat` write it. Only the current document is in memory.
fn add_stream(merge: &mut Merge) -> anyhow::Result<()> {
    let mut documents = Documents::default();
    let mut input = std::io::stdin().lock();
    loop {
        let is_end = documents.read_from(&mut input)?;
        documents.add_to(merge, is_end)?;
        if is_end {
            return Ok(());
        }
    }
}

/// The documents of a stream that have been read so far; the last may be incomplete.
#[derive(Default)]
struct Documents {
    bytes: Vec<u8>,
    /// The number of added documents.
    added: usize,
}

impl Documents {
    /// Reads as many bytes again as it already has of the incomplete document. Returns true at the end of the stream.
    fn read_from(&mut self, input: &mut impl Read) -> anyhow::Result<bool> {
        const LEAST: usize = 1 << 20;
        let more = self.bytes.len().max(LEAST);
        let read = input
            .take(u64::try_from(more)?)
            .read_to_end(&mut self.bytes)
            .context("read standard input")?;
        Ok(read == 0)
    }

    /// Adds the complete documents.
    fn add_to(&mut self, merge: &mut Merge, is_end: bool) -> anyhow::Result<()> {
        let mut documents =
            serde_json::Deserializer::from_slice(&self.bytes).into_iter::<Document<'_>>();
        let mut done = 0;
        loop {
            let number = self.added + 1;
            let context = || format!("read document {number} of standard input");
            match documents.next() {
                Some(Err(error)) if error.is_eof() && !is_end => break,
                Some(document) => merge
                    .add(document.with_context(context)?.0.get().as_bytes())
                    .with_context(context)?,
                None => break,
            }
            self.added = number;
            done = documents.byte_offset();
        }
        self.bytes.drain(..done);
        if u64::try_from(self.bytes.len()).is_ok_and(|length| length > profiles::LARGEST) {
            bail!(
                "read document {} of standard input: it has more than {} bytes",
                self.added + 1,
                profiles::LARGEST
            );
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Document<'a>(#[serde(borrow)] &'a RawValue);

/// Finds the profiles below a directory, in the store's layout or any other. Links are not followed.
fn find(directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("list {}", directory.display());
    for entry in fs::read_dir(directory).with_context(context)? {
        let entry = entry.with_context(context)?;
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            // Names with a leading dot are the store's unfinished results.
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                find(&entry.path(), found)?;
            }
        } else if kind.is_file() && entry.file_name() == profiles::PROFILE {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::fixtures;

    fn profile(id: &str) -> Vec<u8> {
        let recording = fixtures::recording("a", id);
        let profile = capprof_profile::recorded_profile::profile(
            &recording,
            fixtures::reports(),
            fixtures::full_evidence(),
            "2026-11-23T15:02:00Z".to_owned(),
            fixtures::host(),
        );
        serde_json::to_vec(&profile).unwrap()
    }

    /// Reads in pieces of this many bytes.
    fn merged(input: &[u8], piece: usize) -> anyhow::Result<usize> {
        let mut merge = Merge::default();
        let mut documents = Documents::default();
        let mut rest = input;
        loop {
            let length = piece.min(rest.len());
            documents.bytes.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            documents.add_to(&mut merge, length == 0)?;
            if length == 0 {
                return Ok(merge.finish(true)?.runs.len());
            }
        }
    }

    #[test]
    fn documents_are_added_wherever_the_stream_is_cut() {
        let one = profile("20260101T000000Z-00000001");
        let other = profile("20260101T000000Z-00000002");
        let input = [one.as_slice(), b"\n  \n", &other, b"\n"].concat();
        for piece in [
            1 + one.len() / 7,
            one.len() - 1,
            one.len(),
            one.len() + 1,
            input.len(),
        ] {
            assert_eq!(merged(&input, piece).unwrap(), 2, "{piece}");
        }
        let cut = &input[..input.len() - 3];
        let error = merged(cut, 1000).unwrap_err();
        assert!(error.to_string().contains("document 2"), "{error}");
    }
}
