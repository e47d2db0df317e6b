//! Privileges besides capabilities that the engine's configuration grants a container (runtime-spec, config-linux.md).

use crate::bundle;
use capprof_profile::CapabilitySet;
use capprof_profile::observation::DeviceKind;
use capprof_profile::privileges::{DeviceNumber, EngineGrants, ResourceLimit};
use capprof_profile::recording::ProcessSets;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Returns the privileges of a configuration. `original` has its capability sets, `held` has those of capprof itself.
///
/// A member that violates the runtime-spec counts as absent: the runtime will refuse it.
pub fn of(
    source: &bundle::Configuration,
    original: &ProcessSets,
    held: CapabilitySet,
) -> EngineGrants {
    let document = &source.document;
    let mut configuration = json!({"linux": {
        "namespaces": document.value.pointer("/linux/namespaces"),
        // Only its presence: a filter is long.
        "seccomp": document.value.pointer("/linux/seccomp").is_some_and(|filter| !filter.is_null()).then_some(true),
    }});
    for key in ["resources", "maskedPaths", "readonlyPaths", "sysctl"] {
        configuration["linux"][key] = document.look(&source.content, "/linux", key);
    }
    configuration["process"]["rlimits"] = document.look(&source.content, "/process", "rlimits");
    of_whole(&configuration, original, held)
}

fn of_whole(configuration: &Value, original: &ProcessSets, held: CapabilitySet) -> EngineGrants {
    let empty = |pointer: &str| {
        configuration
            .pointer(pointer)
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    };
    let rules = configuration
        .pointer("/linux/resources/devices")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    EngineGrants {
        all_capabilities: !held.is_empty() && held.difference(original.bounding).is_empty(),
        all_devices: allows_all(rules),
        no_seccomp: configuration
            .pointer("/linux/seccomp")
            .is_none_or(Value::is_null),
        filter_refuses: BTreeSet::new(),
        no_masked_paths: empty("/linux/maskedPaths"),
        no_readonly_paths: empty("/linux/readonlyPaths"),
        host_namespaces: host_namespaces(configuration),
        devices: rules.iter().filter_map(listed).collect(),
        unprivileged_port_start: configuration
            .pointer("/linux/sysctl/net.ipv4.ip_unprivileged_port_start")
            .and_then(Value::as_str)
            .and_then(|value| value.trim().parse().ok()),
        limits: limits(configuration),
    }
}

/// The limits within which the kernel makes no check for CAP_IPC_LOCK and CAP_SYS_NICE.
fn limits(configuration: &Value) -> BTreeMap<String, ResourceLimit> {
    let all = configuration.pointer("/process/rlimits");
    all.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = match entry.get("type")?.as_str()? {
                "RLIMIT_MEMLOCK" => "memlock",
                "RLIMIT_NICE" => "nice",
                "RLIMIT_RTPRIO" => "rtprio",
                _ => return None,
            };
            let limit = ResourceLimit {
                soft: entry.get("soft")?.as_u64()?,
                hard: entry.get("hard")?.as_u64()?,
            };
            Some((name.to_owned(), limit))
        })
        .collect()
}

/// A rule's number; `None` and -1 mean any.
fn number(rule: &Value, name: &str) -> Option<u32> {
    u32::try_from(rule.get(name)?.as_i64()?).ok()
}

/// Returns true if a rule is about every device.
fn is_about_all(rule: &Value) -> bool {
    matches!(
        rule.get("type").and_then(Value::as_str),
        None | Some("a" | "")
    ) && number(rule, "major").is_none()
        && number(rule, "minor").is_none()
}

/// Returns true if the last rule about every device allows reading and writing. Later rules about single devices affect only those.
fn allows_all(rules: &[Value]) -> bool {
    rules
        .iter()
        .rfind(|rule| is_about_all(rule))
        .is_some_and(|rule| {
            let access = rule.get("access").and_then(Value::as_str);
            rule.get("allow") == Some(&Value::Bool(true))
                // An absent `access` means every access (runtime-spec).
                && access.is_none_or(|access| access.contains('r') && access.contains('w'))
        })
}

/// The device that a rule allows by its numbers.
fn listed(rule: &Value) -> Option<DeviceNumber> {
    if rule.get("allow") != Some(&Value::Bool(true)) {
        return None;
    }
    let kind = match rule.get("type")?.as_str()? {
        "b" => DeviceKind::Block,
        "c" | "u" => DeviceKind::Char,
        _ => return None,
    };
    Some(DeviceNumber {
        kind,
        major: number(rule, "major")?,
        minor: number(rule, "minor")?,
    })
}

/// Namespaces that the container shares with this process: those that the configuration does not list, or whose path leads to this process's own.
fn host_namespaces(configuration: &Value) -> BTreeSet<String> {
    /// Names in the runtime-spec and in /proc/PID/ns. Not `user` and `time`, which are the host's by default.
    const NAMESPACES: [(&str, &str); 6] = [
        ("cgroup", "cgroup"),
        ("ipc", "ipc"),
        ("mount", "mnt"),
        ("network", "net"),
        ("pid", "pid"),
        ("uts", "uts"),
    ];
    let listed: Vec<&Value> = configuration
        .pointer("/linux/namespaces")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    NAMESPACES
        .into_iter()
        .filter(|(name, link)| {
            let entry = listed
                .iter()
                .find(|entry| entry.get("type").and_then(Value::as_str) == Some(name));
            match entry {
                None => true,
                Some(entry) => entry
                    .get("path")
                    .and_then(Value::as_str)
                    .is_some_and(|path| !path.is_empty() && is_own(path, link)),
            }
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn is_own(path: &str, link: &str) -> bool {
    let identity = |path: PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let own = identity(PathBuf::from(format!("/proc/self/ns/{link}")));
    own.is_some() && own == identity(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;

    fn sets(bounding: CapabilitySet) -> ProcessSets {
        ProcessSets {
            bounding,
            ..ProcessSets::default()
        }
    }

    #[test]
    fn what_docker_gives_for_privileged() {
        let all: CapabilitySet = Capability::all().collect();
        let given = of_whole(
            &json!({"linux": {
                "resources": {"devices": [{"allow": true, "access": "rwm"}]},
                "namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}, {"type": "cgroup"}],
            }}),
            &sets(all),
            all,
        );
        assert_eq!(
            given,
            EngineGrants {
                all_capabilities: true,
                all_devices: true,
                no_seccomp: true,
                no_masked_paths: true,
                no_readonly_paths: true,
                ..EngineGrants::default()
            }
        );
        assert!(given.is_privileged());
    }

    #[test]
    fn what_an_ordinary_container_has() {
        let all: CapabilitySet = Capability::all().collect();
        let given = of_whole(
            &json!({"process": {"rlimits": [
                    {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096},
                    {"type": "RLIMIT_MEMLOCK", "soft": u64::MAX, "hard": u64::MAX},
                    {"type": "RLIMIT_RTPRIO", "soft": 10, "hard": "20"},
                ]}, "linux": {
                "resources": {"devices": [
                    {"allow": false, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 136, "access": "rwm"},
                    {"allow": false, "type": "b", "major": 8, "minor": 0, "access": "rwm"},
                ]},
                "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"},
                "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"},
                "maskedPaths": ["/proc/kcore"],
                "readonlyPaths": ["/proc/sys"],
                "namespaces": [{"type": "mount"}, {"type": "uts", "path": ""}, {"type": "pid"}, {"type": "ipc"}, {"type": "cgroup"},
                    {"type": "network", "path": "/proc/self/ns/net"}],
            }}),
            &sets(CapabilitySet::EMPTY),
            all,
        );
        let fuse = DeviceNumber {
            kind: DeviceKind::Char,
            major: 10,
            minor: 229,
        };
        assert!(given.devices.contains(&fuse) && given.devices.len() == 2);
        assert_eq!(
            given,
            EngineGrants {
                host_namespaces: BTreeSet::from(["network".to_owned()]),
                devices: given.devices.clone(),
                unprivileged_port_start: Some(0),
                limits: BTreeMap::from([("memlock".to_owned(), ResourceLimit::NONE)]),
                ..EngineGrants::default()
            }
        );
    }

    #[test]
    fn the_last_rule_about_all_devices_counts() {
        let allow = json!({"allow": true, "type": "a", "major": -1, "minor": -1, "access": "rwm"});
        let deny = json!({"allow": false, "access": "rwm"});
        let nodes = json!({"allow": true, "access": "m"});
        assert!(allows_all(&[deny.clone(), allow.clone()]));
        assert!(!allows_all(&[allow, deny.clone()]));
        assert!(!allows_all(&[deny, nodes]));
        assert!(!allows_all(&[]));
    }
}
