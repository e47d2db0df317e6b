//! The set in the syntax of each engine.

use super::super::form_kind::FormKind;
use super::super::privileged::Replacement;
use super::input::FormInput;
use super::names::{docker_default, full_names, short_names};
use capprof_profile::CapabilitySet;

pub(super) fn lines(indent: &str, lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

/// Options of `docker run` and `podman run`, each ready for a shell.
pub(super) fn options(workload: &FormInput<'_>, beyond: &Replacement) -> Vec<String> {
    let add = short_names(workload.minimized)
        .into_iter()
        .map(|name| format!("--cap-add={name}"));
    ["--cap-drop=all".to_owned()]
        .into_iter()
        .chain(add)
        .chain(beyond.options())
        .collect()
}

pub(super) fn command(engine: FormKind, workload: &FormInput<'_>, beyond: &Replacement) -> String {
    format!(
        "{engine} run {} {}\n",
        options(workload, beyond).join(" "),
        workload.plain_image()
    )
}

/// `securityContext` of a container, lines each with a newline.
/// With `merged` it is merged into another one, which may make the container privileged.
pub(super) fn kubernetes(workload: &FormInput<'_>, merged: bool) -> String {
    let mut text = String::from("securityContext:\n");
    if merged && workload.is_privileged() {
        text.push_str("  privileged: false\n");
    }
    if workload.no_new_privileges {
        text.push_str("  allowPrivilegeEscalation: false\n");
    }
    text.push_str("  capabilities:\n    drop: [\"ALL\"]\n");
    if !workload.minimized.is_empty() {
        text.push_str(&format!("    add: [{}]\n", quoted(workload.minimized)));
    }
    text
}

pub(super) fn compose(workload: &FormInput<'_>) -> String {
    let service = workload.plain_name().unwrap_or("SERVICE");
    let mut text = format!("services:\n  {service}:\n    cap_drop: [\"ALL\"]\n");
    if !workload.minimized.is_empty() {
        text.push_str(&format!("    cap_add: [{}]\n", quoted(workload.minimized)));
    }
    text
}

/// Quotes names as JSON and YAML do: `"CHOWN", "KILL"`.
pub(super) fn quoted(set: CapabilitySet) -> String {
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

pub(super) fn systemd(workload: &FormInput<'_>) -> String {
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

/// nixpkgs, nixos/modules/virtualisation/oci-containers.nix: `extraOptions` go to `podman run` and `docker run` as they are.
pub(super) fn nixos(workload: &FormInput<'_>, beyond: &Replacement) -> String {
    let mut text = format!(
        "virtualisation.oci-containers.containers.\"{}\" = {{\n  image = \"{}\";\n  extraOptions = [\n",
        workload.plain_name().unwrap_or("NAME"),
        workload.plain_image()
    );
    for option in options(workload, beyond) {
        text.push_str(&format!("    \"{}\"\n", option.replace('\'', "")));
    }
    text.push_str("  ];\n};\n");
    text
}

/// containerd gives the capabilities of [`docker_default`], and ctr has no word for all of them.
pub(super) fn ctr(workload: &FormInput<'_>, beyond: &Replacement) -> String {
    let set = workload.minimized;
    let mut words: Vec<String> = docker_default()
        .difference(set)
        .iter()
        .map(|capability| format!("--cap-drop={capability}"))
        .collect();
    words.extend(
        set.difference(docker_default())
            .iter()
            .map(|capability| format!("--cap-add={capability}")),
    );
    words.extend(
        beyond
            .devices
            .iter()
            .map(|(path, _)| format!("--device={path}")),
    );
    // If no capability differs, there is no option.
    let words: String = words.iter().map(|word| format!("{word} ")).collect();
    format!("ctr run {words}{} ID\n", workload.plain_image())
}

pub(super) fn containers_conf(set: CapabilitySet, beyond: &Replacement) -> String {
    let list = |values: Vec<String>| {
        let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        values.join(", ")
    };
    let mut text = format!(
        "[containers]\ndefault_capabilities = [{}]\n",
        list(short_names(set))
    );
    if !beyond.devices.is_empty() {
        let devices = beyond
            .devices
            .iter()
            .map(|(path, access)| format!("{path}:{path}:{access}"));
        text.push_str(&format!("devices = [{}]\n", list(devices.collect())));
    }
    if !beyond.sysctls.is_empty() {
        let sysctls = beyond
            .sysctls
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        text.push_str(&format!(
            "default_sysctls = [{}]\n",
            list(sysctls.collect())
        ));
    }
    text
}
