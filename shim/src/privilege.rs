//! The privileges of capprof itself.

use capprof_profile::{Capability, CapabilitySet};
use capprof_store::process;
use nix::unistd::getpid;
use std::io;
use std::sync::OnceLock;

/// The capabilities that capprof itself holds, as far as it knows their names. It cannot give more, and runtimes fail if asked to.
///
/// # Errors
/// The kernel does not report them.
pub(crate) fn held() -> io::Result<CapabilitySet> {
    static HELD: OnceLock<CapabilitySet> = OnceLock::new();
    // Callers ask several times, and the answer does not change.
    if let Some(held) = HELD.get() {
        return Ok(*held);
    }
    let sets = process::capabilities(getpid().as_raw())?;
    let named: CapabilitySet = Capability::all().collect();
    // The kernel's sets contain only capabilities that it knows (cap_last_cap).
    let held = sets
        .permitted
        .intersection(sets.bounding)
        .intersection(named);
    Ok(*HELD.get_or_init(|| held))
}

/// Returns true if this process is root of the host, and not only of a user namespace: bpf(2) and SELinux check capabilities against the initial one.
pub(crate) fn is_root_of_host() -> bool {
    static IS_ROOT_OF_HOST: OnceLock<bool> = OnceLock::new();
    *IS_ROOT_OF_HOST
        .get_or_init(|| maps_every_user() == Some(true) && nix::unistd::geteuid().is_root())
}

/// Returns false if this process is not [root of the host](is_root_of_host): where /proc does not tell, it may be.
pub(crate) fn may_be_root_of_host() -> bool {
    maps_every_user() != Some(false) && nix::unistd::geteuid().is_root()
}

/// Returns true if this process's user namespace maps every user to itself in one line, as the initial one does; `None` if /proc does not tell.
pub(crate) fn maps_every_user() -> Option<bool> {
    static MAPS_EVERY_USER: OnceLock<Option<bool>> = OnceLock::new();
    *MAPS_EVERY_USER.get_or_init(|| {
        let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
        Some(map.split_whitespace().eq(["0", "0", "4294967295"]))
    })
}
