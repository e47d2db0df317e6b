#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The crate oci-spec 0.10.0 refuses a valid config.json if the scheduler of its process has one of two flags. It expects other names than those of the
# runtime-spec (config.md, "Linux Process", `scheduler`, `flags`): `SCHED_RESET_ON_FORK` for SCHED_FLAG_RESET_ON_FORK, and `SCHED_FLAG_D_L_OVERRUN`
# for SCHED_FLAG_DL_OVERRUN. It reads the five other flags.
#
# Seen on 2026-11-27: refused SCHED_FLAG_RESET_ON_FORK SCHED_FLAG_DL_OVERRUN; and as written by the crate itself: SCHED_RESET_ON_FORK.
source "$(dirname "$0")/common.bash"

with_oci_spec <<'RUST'
use oci_spec::runtime::{LinuxSchedulerFlag, Process};
fn main() {
    let flags = ["RESET_ON_FORK", "RECLAIM", "DL_OVERRUN", "KEEP_POLICY", "KEEP_PARAMS", "UTIL_CLAMP_MIN", "UTIL_CLAMP_MAX"];
    for flag in flags.map(|flag| format!("SCHED_FLAG_{flag}")) {
        let scheduler = serde_json::json!({"policy": "SCHED_FIFO", "priority": 10, "flags": [flag]});
        let process = serde_json::json!({"cwd": "/", "args": ["true"], "user": {"uid": 0, "gid": 0}, "scheduler": scheduler});
        if serde_json::from_value::<Process>(process).is_err() {
            println!("refused {flag}");
        }
    }
    println!("writes {}", serde_json::to_string(&LinuxSchedulerFlag::SchedResetOnFork).unwrap());
}
RUST
expect 'oci-spec 0.10.0' $'refused SCHED_FLAG_RESET_ON_FORK\nrefused SCHED_FLAG_DL_OVERRUN\nwrites "SCHED_RESET_ON_FORK"' "$seen"
