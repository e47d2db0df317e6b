//! What can be recorded on this host, and why not what cannot.

use crate::{ebpf, selinux};
use capprof_profile::recording::Directory;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Prints one JSON object: `{"recorders": {"ebpf": …, "selinux": …}, "recordings": N}`.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn run(state: &Path) -> anyhow::Result<()> {
    let recordings = Directory::list(state, None).map_or(0, |list| list.len());
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "recorders": {
            "ebpf": ebpf::probe(),
            "selinux": selinux::probe(state),
        },
        "recordings": recordings,
    });
    let mut output = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, &report)?;
    writeln!(output)?;
    Ok(())
}
