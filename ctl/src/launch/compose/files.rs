//! Finds the files that compose reads by default, so that capprofctl can add another.
//!
//! Sources: compose 1.29, compose/config/config.py; compose-go 2, cli/options.go.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The names in the order in which version 2 prefers them; version 1 looks for the last two first.
const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

const FORMER_NAMES: [&str; 4] = [
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yml",
    "compose.yaml",
];

/// The additional files.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// A variable of the environment, else of the file `.env` in the project's directory.
fn variable(name: &str, directory: &Path) -> Option<OsString> {
    std::env::var_os(name).or_else(|| {
        let text = fs::read_to_string(directory.join(".env")).ok()?;
        text.lines().find_map(|line| {
            let (key, value) = line.trim().split_once('=')?;
            let value = value.trim().trim_matches(['"', '\'']);
            (key.trim() == name).then(|| value.into())
        })
    })
}

/// The files of the project in this directory, or above it; none if there is none.
pub(super) fn found(directory: &Path, is_version_1: bool) -> Vec<PathBuf> {
    let listed = variable("COMPOSE_FILE", directory);
    if let Some(list) = listed.as_ref().and_then(|list| list.to_str()) {
        let separator = variable("COMPOSE_PATH_SEPARATOR", directory);
        let separator = separator.as_ref().and_then(|it| it.to_str());
        return list
            .split(separator.unwrap_or(":"))
            .map(PathBuf::from)
            .collect();
    }
    let names = match is_version_1 {
        true => FORMER_NAMES,
        false => NAMES,
    };
    let first = |directory: &Path, names: [&str; 4]| {
        let mut paths = names.into_iter().map(|name| directory.join(name));
        paths.find(|path| path.exists())
    };
    for directory in directory.ancestors() {
        if let Some(file) = first(directory, names) {
            return [Some(file), first(directory, OVERRIDES)]
                .into_iter()
                .flatten()
                .collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_as_compose_finds_them() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        let put = |name: &str| fs::write(root.path().join(name), "").unwrap();
        let of = |is_version_1| -> Vec<String> {
            let found = found(&below, is_version_1);
            let name = |path: &PathBuf| {
                path.strip_prefix(root.path())
                    .unwrap()
                    .display()
                    .to_string()
            };
            found.iter().map(name).collect()
        };
        assert_eq!(of(false), [""; 0]);
        put("docker-compose.yml");
        assert_eq!(of(false), ["docker-compose.yml"]);
        put("compose.yaml");
        put("compose.override.yaml");
        assert_eq!(of(false), ["compose.yaml", "compose.override.yaml"]);
        assert_eq!(of(true), ["docker-compose.yml", "compose.override.yaml"]);
    }

    #[test]
    fn the_file_with_variables_names_files() {
        let root = tempfile::tempdir().unwrap();
        let text = "# ours\nCOMPOSE_FILE=\"one.yaml:two.yaml\"\n";
        fs::write(root.path().join(".env"), text).unwrap();
        assert_eq!(
            found(root.path(), false),
            [PathBuf::from("one.yaml"), PathBuf::from("two.yaml")]
        );
    }
}
