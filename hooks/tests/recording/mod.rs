//! A recording's description, for tests in which hooks read one.

use serde_json::{Value, json};
use std::path::Path;

/// The shim's description of a container that eBPF may profile, with this bundle. A test changes what it needs.
pub(crate) fn recording(id: &str, bundle: &Path) -> Value {
    let sets = json!({ "bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": [] });
    json!({
        "schema": capprof_profile::recording::SCHEMA,
        "id": id,
        "container_id": id,
        "name": null,
        "workload": {},
        "created": "2026-01-01T00:00:00Z",
        "bundle": bundle,
        "configuration": bundle.join("config.json"),
        "runtime": { "name": "runc", "path": "/", "state": "/" },
        "shim": { "pid": 1, "start_time": 1 },
        "uid": 0,
        "args": [],
        "user_namespace": false,
        "no_new_privileges": false,
        "root_filesystem": null,
        "original": sets,
        "granted": sets,
        "relaxed": [],
        "recorders": "ebpf",
        "label": null,
        "store": "/",
        "retention": 0,
        "fail_on_error": false,
        "preference": "default",
        "mode": "profile",
        "profile": null,
    })
}
