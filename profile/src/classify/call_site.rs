//! What a check's call site and system call say about it.
//!
//! Some kernel functions are inlined or are tail calls and never show on the stack, so each question here names every function on the
//! way that answers it. Function names are those of Linux 6.1 to 7.2.

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

/// Returns true if the kernel asked with NOAUDIT, as the recorder or the wrapper on the stack tells.
pub(crate) fn silent(check: &Observation) -> bool {
    match check.audit {
        Audit::Silent => true,
        Audit::Audited => false,
        Audit::Unknown => asked_in(
            check,
            &[
                "ns_capable_noaudit",
                "has_capability_noaudit",
                "has_ns_capability_noaudit",
            ],
        ),
    }
}

pub(super) fn silent_or_unknown(check: &Observation) -> bool {
    check.audit != Audit::Audited
}

pub(super) fn in_overlayfs(check: &Observation) -> bool {
    check.call_site.iter().any(|frame| {
        let frame = function(frame);
        frame.starts_with("ovl_") || frame.starts_with("backing_file_")
    })
}

/// System calls that only say what would be allowed.
pub(super) const ACCESS: &[&str] = &["access", "faccessat", "faccessat2"];
