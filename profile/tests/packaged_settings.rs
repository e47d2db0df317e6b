//! The configuration file that packages install documents every key, and its defaults are those of the code.

use capprof_profile::settings::Settings;

const PACKAGED: &str = include_str!("../../packaging/config.toml");

/// The file with every key set: `#key = value` without its mark.
fn uncommented() -> String {
    PACKAGED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn as_installed_it_sets_nothing() {
    assert!(PACKAGED.parse::<toml::Table>().unwrap().is_empty());
}

#[test]
fn it_lists_exactly_the_keys_there_are_with_their_defaults() {
    let defaults = toml::Table::try_from(Settings::default()).unwrap();
    let listed: toml::Table = uncommented().parse().unwrap();
    assert_eq!(listed, defaults);
}

#[test]
fn every_key_has_its_meaning_before_it() {
    let mut meaning = false;
    for line in PACKAGED.lines() {
        if line.starts_with("# ") {
            meaning = true;
        } else if line.is_empty() {
            meaning = false;
        } else {
            assert!(meaning, "{line}: no meaning before it");
        }
    }
}
