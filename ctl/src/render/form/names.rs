//! Capabilities and images as forms write them.

use capprof_profile::{Capability, CapabilitySet};

pub(super) fn full_names(set: CapabilitySet, separator: &str) -> String {
    set.iter()
        .map(|capability| capability.to_string())
        .collect::<Vec<_>>()
        .join(separator)
}

pub(super) fn short_names(set: CapabilitySet) -> Vec<String> {
    set.iter().map(Capability::short_name).collect()
}

/// Returns true if the text has only letters, digits and marks without a special meaning to a shell or in YAML.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._-/:@".contains(character))
}

/// The default set of docker, containerd and their clients (moby, oci/caps/defaults.go; containerd, pkg/oci/spec.go).
pub(super) fn docker_default() -> CapabilitySet {
    use capprof_profile::Capability as C;
    [
        C::CHOWN,
        C::DAC_OVERRIDE,
        C::FSETID,
        C::FOWNER,
        C::MKNOD,
        C::NET_RAW,
        C::SETGID,
        C::SETUID,
        C::SETFCAP,
        C::SETPCAP,
        C::NET_BIND_SERVICE,
        C::SYS_CHROOT,
        C::KILL,
        C::AUDIT_WRITE,
    ]
    .into_iter()
    .collect()
}
