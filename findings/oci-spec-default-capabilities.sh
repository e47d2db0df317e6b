#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `LinuxCapabilities::default()` of the crate oci-spec 0.10.0 is not empty, and neither is the result of its builder without a call: each of the five
# sets has CAP_AUDIT_WRITE, CAP_KILL and CAP_NET_BIND_SERVICE, even the ambient and the inheritable set. The same structure read from `{}` has none.
#
# Seen on 2026-11-27, ambient set (the others alike):
#     default(): AuditWrite Kill NetBindService     builder: AuditWrite Kill NetBindService     from {}: (none)
source "$(dirname "$0")/common.bash"

with_oci_spec <<'RUST'
use oci_spec::runtime::{LinuxCapabilities, LinuxCapabilitiesBuilder};
fn main() {
    let builder = LinuxCapabilitiesBuilder::default().build().unwrap();
    for (name, sets) in [("default", LinuxCapabilities::default()), ("builder", builder), ("read", serde_json::from_str("{}").unwrap())] {
        let mut list: Vec<_> = sets.ambient().iter().flatten().map(|one| format!("{one:?}")).collect();
        list.sort();
        println!("{name}: {}", list.join(" "));
    }
}
RUST
three='AuditWrite Kill NetBindService'
expect 'oci-spec 0.10.0' "default: $three"$'\n'"builder: $three"$'\nread: ' "$seen"
