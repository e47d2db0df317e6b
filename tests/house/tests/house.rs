//! Checks the source against the rules.

// A test that cannot read the source fails.
#![allow(clippy::unwrap_used)]

use capprof_house::{Crate, File, code_lines, files, functions, shared_types};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest number of lines of code in a file.
const FILE: usize = 600;

/// The largest number of lines of a function.
const FUNCTION: usize = 80;

/// The largest number of parameters of a function that is not for tests, without `self`.
const PARAMETERS: usize = 5;

/// The folders with Rust code.
const FOLDERS: [&str; 7] = [
    "profile",
    "store",
    "shim",
    "hooks",
    "ctl",
    "tests/src",
    "tests/house",
];

/// The folders with C code.
const C_FOLDERS: [&str; 3] = ["hooks", "profile", "tests"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `exceptions.toml`: the sizes of those that do not keep to a rule yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    files: BTreeMap<String, usize>,
    functions: BTreeMap<String, usize>,
    parameters: BTreeMap<String, usize>,
    circles: BTreeMap<String, Vec<String>>,
}

fn exceptions() -> Exceptions {
    toml::from_str(include_str!("../exceptions.toml")).unwrap()
}

/// Compares sizes with their limit: anything larger must be an exception of exactly that size, and each exception must be needed.
#[track_caller]
fn hold(limit: usize, sizes: BTreeMap<String, usize>, known: &BTreeMap<String, usize>) {
    let mut problems = Vec::new();
    for (name, size) in &sizes {
        match known.get(name) {
            None if *size > limit => problems.push(format!("{name}: {size}, at most {limit}")),
            Some(known) if size > known => {
                problems.push(format!(
                    "{name}: {size}, it was {known}: exceptions only shrink"
                ));
            }
            Some(_) if *size <= limit => {
                problems.push(format!("{name}: {size}, no longer an exception: remove it"));
            }
            _ => {}
        }
    }
    problems.extend(
        known
            .keys()
            .filter(|name| !sizes.contains_key(*name))
            .map(|name| format!("{name}: there is no such thing any more: remove it")),
    );
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

fn is_test_file(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.starts_with("tests/") || text.contains("/tests/") || text.ends_with("/tests.rs")
}

fn all() -> Vec<File> {
    let paths = files(&top(), &FOLDERS, "rs").unwrap();
    assert!(paths.len() > 100, "{}", paths.len());
    paths
        .iter()
        .map(|path| File::read(&top(), path).unwrap())
        .collect()
}

#[test]
fn files_are_short() {
    let mut sizes: BTreeMap<String, usize> = all()
        .iter()
        .map(|file| (file.path.display().to_string(), code_lines(&file.text)))
        .collect();
    for extension in ["c", "h"] {
        let paths = files(&top(), &C_FOLDERS, extension).unwrap();
        assert!(paths.len() > 4, "{}", paths.len());
        for path in paths {
            let text = std::fs::read_to_string(top().join(&path)).unwrap();
            sizes.insert(path.display().to_string(), code_lines(&text));
        }
    }
    hold(FILE, sizes, &exceptions().files);
}

#[test]
fn functions_are_short() {
    let mut sizes = BTreeMap::new();
    for file in all() {
        for function in functions(&file, is_test_file(&file.path)) {
            let size = sizes
                .entry(format!("{} {}", file.path.display(), function.name))
                .or_default();
            *size = function.lines.max(*size);
        }
    }
    hold(FUNCTION, sizes, &exceptions().functions);
}

#[test]
fn functions_have_few_parameters() {
    let mut sizes = BTreeMap::new();
    for file in all() {
        for function in functions(&file, is_test_file(&file.path)) {
            if !function.test {
                let size = sizes
                    .entry(format!("{} {}", file.path.display(), function.name))
                    .or_default();
                *size = function.parameters.max(*size);
            }
        }
    }
    hold(PARAMETERS, sizes, &exceptions().parameters);
}

/// CONTRIBUTING.md, "English": a function "returns true if" a condition holds, and a field is "true if" it does.
#[test]
fn documentation_says_when_something_is_true() {
    let mut problems = Vec::new();
    for file in all() {
        for (number, line) in (1..).zip(file.text.lines()) {
            let line = line.trim_start();
            if ["///", "//!"].iter().any(|mark| {
                line.strip_prefix(mark)
                    .is_some_and(|text| text.starts_with(" Whether "))
            }) {
                problems.push(format!("{}:{number}: {line}", file.path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// `order.toml`: of each crate its root file, and its modules in order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    root: PathBuf,
    modules: Vec<String>,
}

fn order() -> BTreeMap<String, Order> {
    toml::from_str(include_str!("../order.toml")).unwrap()
}

#[test]
fn no_files_use_each_other() {
    let exceptions = exceptions().circles;
    let mut problems = Vec::new();
    for (name, order) in order() {
        let source = Crate::read(&top(), &order.root).unwrap();
        let circles: Vec<Vec<String>> = source
            .circles()
            .iter()
            .map(|circle| {
                circle
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect()
            })
            .collect();
        let known = exceptions.get(&name).cloned().unwrap_or_default();
        let mut found: Vec<String> = circles.into_iter().flatten().collect();
        found.sort();
        if found != known {
            problems.push(format!("{name}: {found:#?}, known are {known:#?}"));
        }
    }
    assert!(
        problems.is_empty(),
        "files that use each other: {}",
        problems.join("\n")
    );
}

#[test]
fn modules_use_only_those_before_them() {
    let mut problems = Vec::new();
    for (name, order) in order() {
        let source = Crate::read(&top(), &order.root).unwrap();
        let listed = order.modules.iter().cloned().collect();
        let there = source.top_modules();
        if there != listed {
            problems.push(format!(
                "{name}: the modules are {there:?}, order.toml has {listed:?}"
            ));
            continue;
        }
        let place = |module: &str| order.modules.iter().position(|one| one == module);
        for one in source.uses() {
            // The root of a library re-exports names of modules; circles through it are found above.
            let (Some(from), Some(to)) = (
                source.top_module_of(&one.from),
                source.top_module_of(&one.to),
            ) else {
                continue;
            };
            if to != from && place(to) >= place(from) {
                problems.push(format!("{} uses {}", one.from.display(), one.to.display()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The libraries that all other crates use.
const LIBRARIES: [&str; 2] = ["profile", "store"];

/// A type's name is enough to know the type: no other type of the crate, or of the libraries below it, has the same name. A module's `Error` is the
/// exception, because its users name the module with it.
#[test]
fn types_have_names_of_their_own() {
    let mut places: BTreeMap<(String, String), Vec<PathBuf>> = BTreeMap::new();
    for file in all() {
        if is_test_file(&file.path) {
            continue;
        }
        let own = file.path.iter().next().unwrap().to_string_lossy();
        let scopes = match LIBRARIES.contains(&&*own) {
            true => vec!["profile", "store", "shim", "hooks", "ctl"],
            false => vec![&*own],
        };
        for name in shared_types(&file) {
            for scope in &scopes {
                let places = places.entry((name.clone(), (*scope).to_owned()));
                places.or_default().push(file.path.clone());
            }
        }
    }
    let doubled: Vec<String> = places
        .iter()
        .filter(|((name, _), files)| name != "Error" && files.len() > 1)
        .map(|((name, scope), files)| format!("{name} in {scope}: {files:?}"))
        .collect();
    assert!(places.len() > 500, "{}", places.len());
    assert!(doubled.is_empty(), "\n{}", doubled.join("\n"));
}
