//! The set in the words of each engine.

use super::super::engine::Engine;
use super::super::privileged::Replacement;
use super::names::{full_names, image, is_plain, short_names};
use super::workload::Workload;
use capprof_profile::CapabilitySet;

pub(super) fn lines(indent: &str, lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

pub(super) fn command(engine: Engine, workload: &Workload<'_>, beyond: &Replacement) -> String {
    let mut line = format!("{engine} run --cap-drop=all");
    for name in short_names(workload.minimized) {
        line.push_str(" --cap-add=");
        line.push_str(&name);
    }
    for option in beyond.options() {
        line.push(' ');
        line.push_str(&option);
    }
    format!("{line} {}\n", image(workload))
}

pub(super) fn kubernetes(workload: &Workload<'_>) -> String {
    let mut text = String::from("securityContext:\n");
    if workload.no_new_privileges {
        text.push_str("  allowPrivilegeEscalation: false\n");
    }
    text.push_str("  capabilities:\n    drop: [\"ALL\"]\n");
    if !workload.minimized.is_empty() {
        text.push_str(&format!("    add: [{}]\n", quoted(workload.minimized)));
    }
    text
}

pub(super) fn compose(workload: &Workload<'_>) -> String {
    let service = workload
        .name
        .filter(|name| is_plain(name) && !name.contains(['/', ':', '@']))
        .unwrap_or("SERVICE");
    let mut text = format!("services:\n  {service}:\n    cap_drop: [\"ALL\"]\n");
    if !workload.minimized.is_empty() {
        text.push_str(&format!("    cap_add: [{}]\n", quoted(workload.minimized)));
    }
    text
}

fn quoted(set: CapabilitySet) -> String {
    short_names(set)
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn quadlet(set: CapabilitySet) -> String {
    let mut text = String::from("[Container]\nDropCapability=all\n");
    if !set.is_empty() {
        text.push_str(&format!("AddCapability={}\n", short_names(set).join(" ")));
    }
    text
}

pub(super) fn systemd(workload: &Workload<'_>) -> String {
    let full = |set| full_names(set, " ");
    // An empty assignment means the empty set.
    let mut text = format!(
        "[Service]\nCapabilityBoundingSet={}\n",
        full(workload.minimized)
    );
    let carried = workload.ambient;
    if workload.uid != 0 && !carried.is_empty() {
        text.push_str(&format!("AmbientCapabilities={}\n", full(carried)));
    }
    text
}
