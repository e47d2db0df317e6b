//! Source files, and their code for tests.

use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};
use syn::{Attribute, Meta};

/// A source file, parsed.
#[derive(Debug)]
pub struct File {
    /// Its path, from the top of the repository.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Its items.
    pub syntax: syn::File,
}

impl File {
    /// Reads and parses a file; `path` is from the top of the repository.
    ///
    /// # Errors
    /// It cannot be read, or is not Rust.
    pub fn read(top: &Path, path: &Path) -> anyhow::Result<Self> {
        let context = || format!("read {}", path.display());
        let text = fs::read_to_string(top.join(path)).with_context(context)?;
        let syntax = syn::parse_file(&text).with_context(context)?;
        Ok(Self {
            path: path.to_owned(),
            text,
            syntax,
        })
    }
}

/// All files with this extension below these folders, without build outputs, sorted.
///
/// # Errors
/// A folder cannot be listed.
pub fn files(top: &Path, folders: &[&str], extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = left.pop() {
        let context = || format!("list {}", folder.display());
        for entry in fs::read_dir(top.join(&folder)).with_context(context)? {
            let entry = entry.with_context(context)?;
            let path = folder.join(entry.file_name());
            if entry.file_type().with_context(context)?.is_dir() {
                if entry.file_name() != "target" {
                    left.push(path);
                }
            } else if path.extension().is_some_and(|its| its == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The number of lines with code: lines that are neither empty nor only a comment.
pub fn code_lines(text: &str) -> usize {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

/// Returns true if an item is for tests only: `#[test]`, `#[cfg(test)]`, or the feature with examples for tests.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("any (test")
        }
        _ => false,
    })
}
