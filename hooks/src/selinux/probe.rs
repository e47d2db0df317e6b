//! Finds out what the SELinux recorder can do on this host.

use super::audit::{self, AuditSocket};
use super::blind_spots;
use super::booleans::{DOMAIN, ENTRANCE, PREFIX, gives_capabilities};
use super::exclusions::exclusions;
use super::log::{self, Position};
use super::policy;
use super::recorded_processes::RecordedProcesses;
use super::selinuxfs::Selinuxfs;
use crate::lease::{LeaseKind, Leases, Switch};
use capprof_profile::CapabilitySet;
use capprof_profile::settings::Scope;
use capprof_store::selinux_contexts;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Returns the abilities of each scope on this host, for `capprofctl doctor`.
///
/// ```json
/// {"selinux": "enforcing", "domain_of_this_process": "…", "module": {"loaded": true, "booleans": {…}},
///  "audit": {"usable": true, "state": "on", "daemon": "auditd", "log": "/var/log/audit/audit.log", "lost": 0, "backlog_limit": 8192, "problems": []},
///  "scopes": {"domain": {"possible": true, "problems": [], "blind_spots": {"capability": ["…"]}, "switched_off_while_recording": [],
///   "perhaps_blind_then": []}, "host": {…}}}
/// ```
///
/// If a boolean gives capabilities to containers, a recording of scope `host` switches it off. The capabilities that the policy allows without it are
/// known only then, so they are listed under `perhaps_blind_then` and not as blind spots.
pub(super) fn probe(state: &Path) -> serde_json::Value {
    if !policy::is_on() {
        return json!({
            "usable": false,
            "selinux": "off",
            "refused": ["SELinux is off on this host: the SELinux recorder is not available"],
        });
    }
    let selinuxfs = Selinuxfs::new();
    let booleans: BTreeMap<String, bool> = selinuxfs
        .booleans(|name| name.starts_with(PREFIX))
        .unwrap_or_default()
        .into_iter()
        .collect();
    let audit = probe_audit();
    let leases = Leases::new(state, &selinuxfs);
    let domain = probe_scope(
        &format!("system_u:system_r:{DOMAIN}:s0"),
        &[Switch::Boolean(ENTRANCE.to_owned())],
        &selinuxfs,
        Scope::Domain,
    );
    let host = probe_scope(
        &selinux_contexts::container_process()
            .unwrap_or_else(|| "system_u:system_r:container_t:s0".to_owned()),
        &[Switch::Enforcing],
        &selinuxfs,
        Scope::Host,
    );
    let refused: Vec<&serde_json::Value> = [&domain, &host, &audit]
        .into_iter()
        .filter_map(|part| part["problems"].as_array())
        .flatten()
        .collect();
    json!({
        "usable": audit["usable"] == true && (domain["possible"] == true || host["possible"] == true),
        "refused": refused,
        "selinux": if policy::enforcing() { "enforcing" } else { "permissive" },
        "domain_of_this_process": std::fs::read_to_string("/proc/self/attr/current")
            .unwrap_or_default()
            .trim_end_matches(['\0', '\n']),
        "module": {
            "loaded": booleans.contains_key(ENTRANCE),
            "booleans": booleans,
        },
        "leases": {
            "domain": leases.in_use(LeaseKind::Domain).unwrap_or_default(),
            "host": leases.in_use(LeaseKind::Host).unwrap_or_default(),
        },
        "scopes": {"domain": domain, "host": host},
        "audit": audit,
    })
}

fn probe_audit() -> serde_json::Value {
    let audit = match AuditSocket::open() {
        Ok(audit) => audit,
        Err(error) => {
            return json!({"usable": false, "state": "off", "problems": [error.to_string()]});
        }
    };
    let status = match audit.status() {
        Ok(status) => status,
        Err(error) => {
            return json!({"usable": false, "state": "unknown", "problems": [error.to_string()]});
        }
    };
    let log = log::written_by_auditd(&status);
    let mut problems = Vec::new();
    if let Some(path) = &log
        && let Err(error) = Position::end_of(path)
    {
        problems.push(error.to_string());
    }
    if let Err(error) = audit::Listener::join() {
        problems.push(error.to_string());
    }
    let target = RecordedProcesses {
        type_: DOMAIN.to_owned(),
        ..RecordedProcesses::default()
    };
    let exclusions = exclusions(&audit, &target);
    match &exclusions {
        Ok(spots) => problems.extend(spots.iter().map(|spot| spot.reason.clone())),
        Err(error) => problems.push(error.to_string()),
    }
    if status.rate_limit != 0 {
        problems.push(format!(
            "audit lets at most {} records per second through (auditctl -r): more make a profile incomplete",
            status.rate_limit
        ));
    }
    if status.backlog_limit < 1024 {
        problems.push(format!(
            "audit keeps at most {} records waiting (auditctl -b): a burst makes a profile incomplete; 8192 is usual",
            status.backlog_limit
        ));
    }
    json!({
        "usable": exclusions.is_ok(),
        "state": match status.enabled {
            // The kernel makes AVC records nevertheless.
            0 => "disabled",
            _ => "on",
        },
        "daemon": std::fs::read_to_string(format!("/proc/{}/comm", status.daemon))
            .ok()
            .filter(|_| status.daemon != 0)
            .map(|name| name.trim_end().to_owned()),
        "log": log,
        "lost": status.lost,
        "backlog_limit": status.backlog_limit,
        "problems": problems,
    })
}

fn probe_scope(
    context: &str,
    switches: &[Switch],
    selinuxfs: &Selinuxfs,
    scope: Scope,
) -> serde_json::Value {
    let mut problems = Vec::new();
    if let Err(error) = policy::canonical(context) {
        return json!({"possible": false, "context": context, "problems": [error.to_string()]});
    }
    for switch in switches {
        if let Err(error) = selinuxfs.writable(switch) {
            problems.push(error.to_string());
        }
    }
    // A recording of scope host switches these off, so that uses of their capabilities leave records.
    let switched_off = match scope {
        Scope::Host => capability_booleans(selinuxfs).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut perhaps = CapabilitySet::EMPTY;
    let mut blind_spots = BTreeMap::new();
    for user_namespace in [false, true] {
        match policy::decisions(context, user_namespace) {
            Ok(decisions) => {
                if scope != Scope::Host && decisions.iter().any(|(_, answer)| !answer.permissive) {
                    problems.push(format!("{context} is not a permissive domain"));
                }
                blind_spots.insert(
                    if user_namespace {
                        "in_a_user_namespace"
                    } else {
                        "in_the_initial_user_namespace"
                    },
                    match switched_off.is_empty() {
                        true => blind_spots::spots(user_namespace, &decisions),
                        false => {
                            let (spots, unknown) = blind_spots::certain(user_namespace, &decisions);
                            perhaps = perhaps.union(unknown);
                            spots
                        }
                    },
                );
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems.sort();
    problems.dedup();
    json!({
        "possible": problems.is_empty(),
        "context": context,
        "problems": problems,
        "blind_spots": blind_spots,
        "switched_off_while_recording": switched_off,
        "perhaps_blind_then": perhaps,
    })
}

/// The booleans that are on and may give capabilities to containers.
fn capability_booleans(selinuxfs: &Selinuxfs) -> std::io::Result<Vec<String>> {
    let booleans = selinuxfs.booleans(gives_capabilities)?;
    Ok(booleans
        .into_iter()
        .filter_map(|(name, is_on)| is_on.then_some(name))
        .collect())
}
