#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `LinuxCapabilities::default()` of the crate oci-spec 0.10.0 is not empty, and neither is the result of its builder without a call: each of the five
# sets has CAP_AUDIT_WRITE, CAP_KILL and CAP_NET_BIND_SERVICE, even the ambient and the inheritable set. The same structure read from `{}` has none.
#
# Seen on 2026-11-27, ambient set (the others alike):
#     default(): AuditWrite Kill NetBindService     builder: AuditWrite Kill NetBindService     from {}: (none)
source "$(dirname "$0")/common.bash"

command -v cargo >/dev/null || skip "no Rust toolchain"
mkdir -p "$work/crate/src"
cat >"$work/crate/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
oci-spec = { version = "=0.10.0", default-features = false, features = ["runtime"] }
serde_json = "1"
TOML
cat >"$work/crate/src/main.rs" <<'RUST'
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
seen=$(cargo run --quiet --manifest-path "$work/crate/Cargo.toml" 2>"$work/err") || { cat "$work/err" >&2 && exit 1; }
three='AuditWrite Kill NetBindService'
expect 'oci-spec 0.10.0' "default: $three"$'\n'"builder: $three"$'\nread: ' "$seen"
