//! What capprof itself may do.

use capprof_profile::{Capability, CapabilitySet};

/// What capprof itself holds, of what it can name: nobody can give more, and runtimes fail when asked to.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn held() -> Result<CapabilitySet, caps::errors::CapsError> {
    let read = |set| -> Result<CapabilitySet, caps::errors::CapsError> {
        Ok(caps::read(None, set)?
            .iter()
            .filter_map(|capability| Capability::from_number(capability.index()))
            .collect())
    };
    let named: CapabilitySet = Capability::all().collect();
    // The kernel's sets hold only what it knows (cap_last_cap).
    Ok(read(caps::CapSet::Permitted)?
        .intersection(read(caps::CapSet::Bounding)?)
        .intersection(named))
}

/// Returns true if this is root, and not only in a user namespace: bpf(2) and SELinux ask for capabilities on the initial one.
pub(crate) fn is_root_of_host() -> bool {
    let every_id = std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    every_id && nix::unistd::geteuid().is_root()
}
