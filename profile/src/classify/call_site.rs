//! Properties of a check that follow from its call site and system call.
//!
//! A kernel function that is inlined, or that ends in a tail call, never shows on the stack. So each test here accepts any function on the call
//! path that settles it. The atlas has their names ([`crate::atlas::paths`]).

use crate::atlas::{self, Site, paths};
use crate::observation::{Audit, Observation};

/// A frame's function: without offset, module, and the suffixes that compilers add to copies (`.isra.0`, `.constprop.0`, `.part.0`).
pub(crate) fn function(frame: &str) -> &str {
    let end = frame.find(['.', '+', ' ']).unwrap_or(frame.len());
    frame.get(..end).unwrap_or(frame)
}

pub(crate) fn asked_in(check: &Observation, functions: &[&str]) -> bool {
    check
        .call_site
        .iter()
        .any(|frame| functions.contains(&function(frame)))
}

pub(super) fn in_syscall(check: &Observation, names: &[&str]) -> bool {
    check
        .syscall
        .as_ref()
        .is_some_and(|syscall| names.contains(&syscall.name.as_str()))
}

/// Returns true if the kernel asked with NOAUDIT, according to the recorder or to the wrapper on the stack.
pub(crate) fn silent(check: &Observation) -> bool {
    match check.audit {
        Audit::Silent => true,
        Audit::Audited => false,
        Audit::Unknown => asked_in(check, paths::SILENT_QUESTION),
    }
}

pub(super) fn silent_or_unknown(check: &Observation) -> bool {
    check.audit != Audit::Audited
}

pub(super) fn in_overlayfs(check: &Observation) -> bool {
    check
        .call_site
        .iter()
        .any(|frame| is_of_overlayfs(function(frame)))
}

/// Returns true if a function belongs to overlayfs, judged by the prefix of its name.
pub(crate) fn is_of_overlayfs(function: &str) -> bool {
    function.starts_with("ovl_") || function.starts_with("backing_file_")
}

/// System calls that only say what would be allowed.
pub(super) const ACCESS: &[&str] = &["access", "faccessat", "faccessat2"];

/// The rule that the atlas lists the check's place under.
pub(super) fn rule_in_atlas(check: &Observation) -> Option<&'static str> {
    let places = asked_at(check);
    let rule = places.first()?.rule?;
    places
        .iter()
        .all(|place| place.rule == Some(rule))
        .then_some(rule)
}

/// Returns true if the atlas lists the check's place under a rule.
pub(super) fn listed_as(check: &Observation, rule: &str) -> bool {
    rule_in_atlas(check) == Some(rule)
}

/// Returns the atlas's entries for the place where the kernel asked; empty if the atlas lacks it. A function that asks once silently and once not
/// has two places.
pub fn asked_at(check: &Observation) -> Vec<&'static Site> {
    let functions = check.call_site.iter().map(|frame| function(frame));
    let mut places = atlas::asked(check.capability, functions);
    let silent = silent(check);
    if places.iter().any(|place| place.silent == silent) {
        places.retain(|place| place.silent == silent);
    }
    places
}
