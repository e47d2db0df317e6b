//! The replacement for `--privileged` in the syntax of each engine.

use super::super::form_kind::FormKind;
use super::filter::refused;
use super::value::{is_plain, set_to};
use capprof_profile::CapabilitySet;
use capprof_profile::default_filter::mounts;
use capprof_profile::privileges::{Device, Privileges};

/// The options of `docker run` and `podman run` that replace `--privileged`, besides those for capabilities, as words of a command line.
pub(crate) fn options(
    engine: FormKind,
    privileges: &Privileges,
    set: CapabilitySet,
) -> Vec<String> {
    Replacement::of(engine, privileges, set)
        .words()
        .into_iter()
        .map(|(option, value)| format!("{option}={value}"))
        .collect()
}

/// An engine's replacement for `--privileged`.
#[derive(Debug, Default)]
pub(crate) struct Replacement {
    /// Devices: the path and the access, `/dev/kvm` and `rw`.
    pub(crate) devices: Vec<(String, String)>,
    /// Device rules: `c 10:237 rw`.
    pub(crate) rules: Vec<String>,
    /// Sysctls: name and value.
    pub(crate) sysctls: Vec<(String, String)>,
    /// Facts that no option expresses, for comments.
    pub(crate) caveats: Vec<String>,
}

impl Replacement {
    /// The replacement for one engine and these capabilities of the container.
    pub(crate) fn of(engine: FormKind, privileges: &Privileges, set: CapabilitySet) -> Self {
        let mut it = Self::default();
        let is_beyond = privileges.is_beyond();
        if is_beyond {
            it.used(privileges);
        }
        it.ping_sockets(engine, privileges);
        if engine != FormKind::Systemd {
            it.caveats = it.without_option(engine);
            if is_beyond {
                it.caveats.extend(kept_back(engine, privileges, set));
            }
        }
        it
    }

    /// Adds the devices and sysctls that the container used.
    fn used(&mut self, privileges: &Privileges) {
        for device in privileges.devices.iter().filter(|one| one.is_opened()) {
            self.device(device);
        }
        for sysctl in &privileges.sysctls {
            if sysctl.is_namespaced(&privileges.engine_grants)
                && let Some(value) = set_to(sysctl)
            {
                self.sysctls.push((sysctl.name.clone(), value.to_owned()));
            }
        }
    }

    /// Adds the sysctl for ping sockets if the engine does not set it and the program did not set it itself.
    fn ping_sockets(&mut self, engine: FormKind, privileges: &Privileges) {
        let Some(range) = ping_groups(privileges) else {
            return;
        };
        // In the host's network namespace, or as a service of the host, a process has the host's sysctl.
        let is_hosts = engine == FormKind::Systemd
            || privileges.engine_grants.host_namespaces.contains("network");
        let is_default = engine.is_dockers()
            || engine.runs_by() == FormKind::Podman && range == PODMAN_PING_GROUPS;
        let is_set = self.sysctls.iter().any(|(name, _)| name == PING_GROUPS);
        if !is_hosts && !is_default && !is_set {
            self.sysctls.push((PING_GROUPS.to_owned(), range));
        }
    }

    fn device(&mut self, device: &Device) {
        let access: String = device.access.replace('m', "");
        // A program that makes a node itself first looks if it exists.
        let node = device.node.as_ref().filter(|node| is_plain(node, "._-/"));
        match node {
            Some(node) => self.devices.push((format!("/dev/{node}"), access)),
            None => self.rules.push(format!("{} {access}", device.number)),
        }
    }

    /// Uses for which the engine has no option.
    fn without_option(&self, engine: FormKind) -> Vec<String> {
        let mut lines = Vec::new();
        if engine.runs_by() == FormKind::Kubernetes {
            let devices: Vec<&str> = self
                .devices
                .iter()
                .map(|(path, _)| path.as_str())
                .chain(self.rules.iter().map(String::as_str))
                .collect();
            if !devices.is_empty() {
                lines.push(format!(
                    "Kubernetes gives a container no devices by itself: {} must come from a device plugin (resources.limits); a hostPath volume alone is not enough, because the container may not open it",
                    devices.join(", ")
                ));
            }
            if !self.sysctls.is_empty() {
                lines.push(format!(
                    "set {} for the pod (spec.securityContext.sysctls)",
                    self.assignments()
                ));
            }
        }
        let no_rules = [
            FormKind::Ecs,
            FormKind::Nomad,
            FormKind::Ctr,
            FormKind::ContainersConf,
        ];
        if no_rules.contains(&engine) && !self.rules.is_empty() {
            lines.push(format!(
                "there is no option for devices without a name: {}",
                self.rules.join(", ")
            ));
        }
        if engine == FormKind::Ctr && !self.sysctls.is_empty() {
            lines.push(format!(
                "there is no option for sysctls: {}",
                self.assignments()
            ));
        }
        lines
    }

    /// The sysctls with their values.
    fn assignments(&self) -> String {
        let all: Vec<String> = self
            .sysctls
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.join(", ")
    }

    /// Options of `docker run` and `podman run`, each ready for a shell.
    pub(crate) fn options(&self) -> Vec<String> {
        self.words()
            .into_iter()
            .map(|(option, value)| match value.contains(' ') {
                true => format!("{option}='{value}'"),
                false => format!("{option}={value}"),
            })
            .collect()
    }

    /// The same as pairs of option and value.
    fn words(&self) -> Vec<(&'static str, String)> {
        let devices = self
            .devices
            .iter()
            .map(|(path, access)| ("--device", format!("{path}:{path}:{access}")));
        let rules = self
            .rules
            .iter()
            .map(|rule| ("--device-cgroup-rule", rule.clone()));
        let sysctls = self
            .sysctls
            .iter()
            .map(|(name, value)| ("--sysctl", format!("{name}={value}")));
        devices.chain(rules).chain(sysctls).collect()
    }

    /// Lines of a service in a compose file, not indented.
    pub(crate) fn compose(&self) -> Vec<String> {
        let list = |values: Vec<String>| {
            let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
            values.join(", ")
        };
        let mut lines = Vec::new();
        if !self.devices.is_empty() {
            let devices = self
                .devices
                .iter()
                .map(|(path, access)| format!("{path}:{path}:{access}"));
            lines.push(format!("devices: [{}]", list(devices.collect())));
        }
        if !self.rules.is_empty() {
            lines.push(format!(
                "device_cgroup_rules: [{}]",
                list(self.rules.clone())
            ));
        }
        if !self.sysctls.is_empty() {
            let sysctls = self
                .sysctls
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            lines.push(format!("sysctls: [{}]", list(sysctls.collect())));
        }
        lines
    }

    /// Lines of a `.container` unit.
    pub(crate) fn quadlet(&self) -> Vec<String> {
        let devices = self
            .devices
            .iter()
            .map(|(path, access)| format!("AddDevice={path}:{path}:{access}"));
        let rules = self
            .rules
            .iter()
            .map(|rule| format!("PodmanArgs=\"--device-cgroup-rule={rule}\""));
        let sysctls = self
            .sysctls
            .iter()
            .map(|(name, value)| match value.contains(' ') {
                true => format!("Sysctl=\"{name}={value}\""),
                false => format!("Sysctl={name}={value}"),
            });
        devices.chain(rules).chain(sysctls).collect()
    }

    /// Lines of a `.service` unit.
    pub(crate) fn systemd(&self) -> Vec<String> {
        let named = self
            .devices
            .iter()
            .map(|(path, access)| format!("DeviceAllow={path} {access}"));
        // systemd finds a device by its number below /dev/char and /dev/block.
        let numbered = self.rules.iter().filter_map(|rule| {
            let mut words = rule.split(' ');
            let kind = match words.next()? {
                "b" => "block",
                _ => "char",
            };
            let (number, access) = (words.next()?, words.next()?);
            Some(format!("DeviceAllow=/dev/{kind}/{number} {access}"))
        });
        named.chain(numbered).collect()
    }
}

/// The sysctl with the first and the last group that may make ping sockets.
pub(crate) const PING_GROUPS: &str = "net.ipv4.ping_group_range";

/// All groups, which docker allows by default (moby, daemon/oci_linux.go).
pub(crate) const ALL_GROUPS: &str = "0 2147483647";

/// podman's defaults (containers/common, pkg/config/default.go).
const PODMAN_PING_GROUPS: &str = "0 0";

/// The groups that made ping sockets, as a value of [`PING_GROUPS`]. The range contains no other groups, so that it is valid in a user namespace with
/// few groups. `None` if no group made one.
fn ping_groups(privileges: &Privileges) -> Option<String> {
    let groups = || privileges.ping_sockets.iter().map(|socket| socket.group);
    if groups().any(|group| group.is_none()) {
        return Some(ALL_GROUPS.to_owned());
    }
    Some(format!("{} {}", groups().min()??, groups().max()??))
}

/// The uses that the engine's default filter and profile keep back.
fn kept_back(engine: FormKind, privileges: &Privileges, set: CapabilitySet) -> Vec<String> {
    let mut caveats = Vec::new();
    if !privileges.sysctls.is_empty() {
        caveats.push(format!(
            "the program writes to /proc/sys itself: if it fails where that is read-only, it needs {}",
            writable_sysctls(engine)
        ));
    }
    // ctr sets no seccomp filter and no AppArmor profile by itself.
    if engine.runs_by() == FormKind::Kubernetes || engine == FormKind::Ctr {
        return caveats;
    }
    let option = |what: &str| match engine {
        FormKind::Compose => format!("security_opt: [\"{what}\"]"),
        FormKind::Nomad => format!("security_opt = [\"{what}\"]"),
        // ECS has no option for a filter.
        FormKind::Ecs if what.starts_with("seccomp=") => "what ECS cannot do".to_owned(),
        FormKind::Ecs => format!("dockerSecurityOptions: [\"{}\"]", what.replace('=', ":")),
        FormKind::Quadlet => match what.strip_prefix("seccomp=") {
            Some(file) => format!("SeccompProfile={file}"),
            None => format!("PodmanArgs=--security-opt={what}"),
        },
        _ => format!("--security-opt {what}"),
    };
    let refused = refused(engine, privileges, set);
    if !refused.is_empty() {
        caveats.push(format!(
            "the default seccomp filter refuses {}: allow that in a copy of it, {}",
            refused.join(", "),
            option("seccomp=FILE")
        ));
    }
    if !privileges.sysctls.is_empty() || privileges.syscalls.iter().any(|call| mounts(&call.name)) {
        caveats.push(format!(
            "where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: {}",
            option("apparmor=unconfined")
        ));
    }
    caveats
}

/// The engine's setting for a writable /proc/sys.
fn writable_sysctls(engine: FormKind) -> &'static str {
    match engine {
        FormKind::Docker | FormKind::DockerOptions => "--security-opt systempaths=unconfined",
        FormKind::Nomad => "security_opt = [\"systempaths=unconfined\"]",
        FormKind::Compose => "security_opt: [\"systempaths=unconfined\"]",
        FormKind::Podman | FormKind::Nixos | FormKind::ContainersConf => {
            "--security-opt unmask=/proc/sys"
        }
        FormKind::Quadlet => "Unmask=/proc/sys",
        FormKind::Kubernetes | FormKind::Kustomize | FormKind::Helm | FormKind::Scc => {
            "procMount: Unmasked, with hostUsers: false"
        }
        FormKind::Ecs | FormKind::Ctr | FormKind::Systemd => "what this has no option for",
    }
}
