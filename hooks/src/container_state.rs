//! The container's state, which a runtime writes to the standard input of its hooks (Runtime Specification, "POSIX-platform Hooks").

use anyhow::{Context, bail};
use capprof_profile::recording::{Delivery, Recording};
use capprof_store::recording::Directory;
use oci_spec::runtime::State;
use std::path::Path;

/// Parses the state and makes sure that it is that of the recording's container. If a configuration with a recording's hooks is copied, the runtime
/// calls them for another container, which must neither be recorded as this one nor end its recording.
///
/// # Errors
/// It is not a state, or it is another container's.
pub(crate) fn parse(
    text: &[u8],
    directory: &Directory,
    recording: &Recording,
) -> anyhow::Result<State> {
    let state: State =
        serde_json::from_slice(text).context("read the container's state from standard input")?;
    if state.id() != &recording.container.id {
        bail!(
            "the container's state is of {}, the recording {} of {}: config.json was copied from that of a profiled container",
            state.id(),
            recording.id,
            recording.container.id
        );
    }
    let bundle = match recording.container.delivery {
        Delivery::Mount => Some(recording.container.bundle.clone()),
        Delivery::Bundle => Some(directory.bundle()),
        // The rewritten configuration is in no bundle, so it cannot be copied from one. crun 1.8 names `/` for a container with a user namespace.
        Delivery::Option => None,
    };
    if let Some(bundle) = bundle.filter(|bundle| !is_same(state.bundle(), bundle)) {
        bail!(
            "the container's state names the bundle {}, the recording {} {}: config.json was copied from that of a profiled container",
            state.bundle().display(),
            recording.id,
            bundle.display()
        );
    }
    // For a container that has ended, a runtime names no pid, or 0.
    let pid = state.pid().filter(|pid| *pid != 0);
    if let Some(pid) = pid
        && let Some(armed) = directory.armed()?
        && armed.init.pid != pid
    {
        bail!(
            "the container's state names process {pid}, the recording {} process {}: config.json was copied from that of a profiled container",
            recording.id,
            armed.init.pid
        );
    }
    Ok(state)
}

/// Returns true if two paths lead to the same directory. Paths that no longer exist are compared as text.
fn is_same(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one == other || resolved(one) == resolved(other)
}
