//! What a privileged container used beside capabilities, and what takes the place of `--privileged`.
//!
//! - `--device`, `--device-cgroup-rule`, `--sysctl`: docker-run(1), podman-run(1), podman-systemd.unit(5), the compose specification,
//!   systemd.resource-control(5). Kubernetes gives devices through device plugins alone.
//! - Every container may make device nodes; to open them takes a rule (runc, libcontainer/specconv, `AllowedDevices`).
//! - docker's and podman's default AppArmor profiles refuse mount(2) and writes to most of /proc/sys (moby, profiles/apparmor/template.go; containers/common,
//!   pkg/apparmor/apparmor_linux_template.go).

use super::engine::Engine;
use super::printable::printable;
use capprof_profile::CapabilitySet;
use capprof_profile::privileges::{
    Device, Privileges, Sysctl, enters_namespaces, filtered, mounts,
};
use std::collections::BTreeSet;

/// What `--privileged` gives and no recorder looks at (docs/privileged.md).
const NOT_OBSERVED: [&str; 3] = [
    "system calls that ask for no capability and that the default seccomp filters keep back: add_key, io_uring_setup, keyctl, \
     personality, request_key, userfaultfd",
    "files below masked and read-only paths, other than those of /proc/sys that were written",
    "what AppArmor and SELinux would have refused",
];

/// The section of a report, a line each; empty where there is nothing to say. `set` are the capabilities that the container is to get.
pub(super) fn section(privileges: &Privileges, set: CapabilitySet) -> Vec<String> {
    if !privileges.is_beyond() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for device in &privileges.devices {
        let by = by(&device.programs);
        let name = device.name();
        let numbers = device
            .node
            .as_ref()
            .map_or_else(String::new, |_| format!(" ({})", device.number));
        if device.is_opened() {
            let made = match device.access.contains('m') {
                true => ", which it makes itself",
                false => "",
            };
            let access: String = device.access.replace('m', "");
            lines.push(format!("device {name}{numbers} {access}{made}{by}"));
        } else if device.access.contains('m') {
            lines.push(format!(
                "device node of {name}{numbers}, made and never opened{by}: takes CAP_MKNOD alone"
            ));
        } else {
            lines.push(format!(
                "device {name}{numbers}: asked about with access(2), never opened{by}"
            ));
        }
    }
    for sysctl in &privileges.sysctls {
        let what = match (
            set_to(sysctl),
            sysctl.is_namespaced(&privileges.engine_grants),
        ) {
            (_, false) => " of the host, for which no container has an option of its own",
            (None, true) => ", of this container's namespaces",
            (Some(_), true) => "",
        };
        let values = sysctl.values.iter().cloned().collect::<Vec<_>>();
        let value = match values.is_empty() {
            true => String::new(),
            false => format!("={}", values.join("|")),
        };
        lines.push(format!(
            "sysctl {}{value} written{what}{}",
            sysctl.name,
            by(&sysctl.programs)
        ));
    }
    for (title, group) in [
        ("mounts", Group::Mounts),
        ("namespaces", Group::Namespaces),
        ("system calls that seccomp filters keep back", Group::Others),
    ] {
        let calls: Vec<_> = privileges
            .syscalls
            .iter()
            .filter(|call| Group::of(&call.name) == group)
            .collect();
        if calls.is_empty() {
            continue;
        }
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        let programs: BTreeSet<String> = calls
            .iter()
            .flat_map(|call| call.programs.iter().cloned())
            .collect();
        lines.push(format!("{title}: {}{}", names.join(", "), by(&programs)));
    }
    for (engine, refused) in [
        ("docker", refused(Engine::Docker, privileges, set)),
        ("podman", refused(Engine::Podman, privileges, set)),
    ] {
        if !refused.is_empty() {
            lines.push(format!(
                "of these, {engine}'s default seccomp filter refuses even with the capabilities above: {}",
                refused.join(", ")
            ));
        }
    }
    if lines.is_empty() {
        lines.push("nothing that was looked at".to_owned());
    }
    if !privileges.engine_grants.host_namespaces.is_empty() {
        let names: Vec<String> = privileges
            .engine_grants
            .host_namespaces
            .iter()
            .cloned()
            .collect();
        lines.push(format!(
            "given, and whether it is needed cannot be seen: the host's namespaces {}",
            names.join(", ")
        ));
    }
    let unseen = privileges.not_observed.iter().map(String::as_str);
    for reason in unseen.chain(NOT_OBSERVED) {
        lines.push(format!("not observed: {reason}"));
    }
    lines
}

/// What a system call is about.
#[derive(PartialEq, Eq)]
enum Group {
    Mounts,
    Namespaces,
    Others,
}

impl Group {
    fn of(call: &str) -> Self {
        if mounts(call) {
            Self::Mounts
        } else if enters_namespaces(call) {
            Self::Namespaces
        } else {
            Self::Others
        }
    }
}

fn by(programs: &BTreeSet<String>) -> String {
    let names: Vec<String> = programs
        .iter()
        .filter(|name| !name.is_empty())
        .take(3)
        .cloned()
        .collect();
    match (names.is_empty(), programs.len().saturating_sub(3)) {
        (true, _) => String::new(),
        (false, 0) => format!(", by {}", names.join(", ")),
        (false, more) => format!(", by {}, +{more}", names.join(", ")),
    }
}

/// The system calls that were made and that an engine's default filter refuses to a container with these capabilities.
fn refused(engine: Engine, privileges: &Privileges, set: CapabilitySet) -> Vec<&str> {
    privileges
        .syscalls
        .iter()
        .filter(|call| {
            filtered(&call.name).is_some_and(|(docker, podman)| {
                match engine {
                    Engine::Podman | Engine::Quadlet => podman,
                    _ => docker,
                }
                .refuses(set)
            })
        })
        .map(|call| call.name.as_str())
        .collect()
}

/// What an engine takes in the place of `--privileged`.
#[derive(Debug, Default)]
pub(super) struct Replacement {
    /// `/dev/kvm`, and how it is opened: `rw`.
    devices: Vec<(String, String)>,
    /// `c 10:237 rw`
    rules: Vec<String>,
    /// Name and value.
    sysctls: Vec<(String, String)>,
    /// What no option says, for comments.
    pub(super) caveats: Vec<String>,
}

impl Replacement {
    /// For one engine and the capabilities that the container is to get.
    pub(super) fn of(engine: Engine, privileges: &Privileges, set: CapabilitySet) -> Self {
        let mut it = Self::default();
        if !privileges.is_beyond() {
            return it;
        }
        for device in privileges.devices.iter().filter(|one| one.is_opened()) {
            it.device(device);
        }
        for sysctl in &privileges.sysctls {
            if sysctl.is_namespaced(&privileges.engine_grants)
                && let Some(value) = set_to(sysctl)
            {
                it.sysctls.push((sysctl.name.clone(), value.to_owned()));
            }
        }
        it.caveats = it.caveats(engine, privileges, set);
        it
    }

    fn device(&mut self, device: &Device) {
        let access: String = device.access.replace('m', "");
        // Programs that make a node themselves look first whether it is there.
        let node = device.node.as_ref().filter(|node| is_plain(node, "._-/"));
        match node {
            Some(node) => self.devices.push((format!("/dev/{node}"), access)),
            None => self.rules.push(format!("{} {access}", device.number)),
        }
    }

    fn caveats(&self, engine: Engine, privileges: &Privileges, set: CapabilitySet) -> Vec<String> {
        let mut caveats = Vec::new();
        if engine == Engine::Systemd {
            return caveats;
        }
        if engine == Engine::Kubernetes {
            let devices: Vec<&str> = self
                .devices
                .iter()
                .map(|(path, _)| path.as_str())
                .chain(self.rules.iter().map(String::as_str))
                .collect();
            if !devices.is_empty() {
                caveats.push(format!(
                    "Kubernetes gives a container no devices by itself: {} must come from a device plugin (resources.limits); a hostPath \
                     volume alone is not enough, for the container may not open it",
                    devices.join(", ")
                ));
            }
            if !self.sysctls.is_empty() {
                let names: Vec<&str> = self.sysctls.iter().map(|(name, _)| name.as_str()).collect();
                caveats.push(format!(
                    "set {} for the pod (spec.securityContext.sysctls)",
                    names.join(", ")
                ));
            }
        }
        if !privileges.sysctls.is_empty() {
            let how = match engine {
                Engine::Docker => "--security-opt systempaths=unconfined",
                Engine::Compose => "security_opt: [\"systempaths=unconfined\"]",
                Engine::Podman => "--security-opt unmask=/proc/sys",
                Engine::Quadlet => "Unmask=/proc/sys",
                Engine::Kubernetes | Engine::Systemd => {
                    "procMount: Unmasked, with hostUsers: false"
                }
            };
            caveats.push(format!(
                "the program writes to /proc/sys itself: if it does not go on where that is read-only, it takes {how}"
            ));
        }
        if engine == Engine::Kubernetes {
            return caveats;
        }
        let option = |what: &str| match engine {
            Engine::Compose => format!("security_opt: [\"{what}\"]"),
            Engine::Quadlet => match what.strip_prefix("seccomp=") {
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
        if !privileges.sysctls.is_empty()
            || privileges.syscalls.iter().any(|call| mounts(&call.name))
        {
            caveats.push(format!(
                "where AppArmor is enabled, the default profile refuses mounts and writes to /proc/sys all the same: {}",
                option("apparmor=unconfined")
            ));
        }
        caveats
    }

    /// Options of `docker run` and `podman run`, each ready for a shell.
    pub(super) fn options(&self) -> Vec<String> {
        let devices = self
            .devices
            .iter()
            .map(|(path, access)| format!("--device={path}:{path}:{access}"));
        let rules = self
            .rules
            .iter()
            .map(|rule| format!("--device-cgroup-rule='{rule}'"));
        let sysctls = self
            .sysctls
            .iter()
            .map(|(name, value)| match value.contains(' ') {
                true => format!("--sysctl='{name}={value}'"),
                false => format!("--sysctl={name}={value}"),
            });
        devices.chain(rules).chain(sysctls).collect()
    }

    /// Lines of a service in a compose file, not indented.
    pub(super) fn compose(&self) -> Vec<String> {
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
    pub(super) fn quadlet(&self) -> Vec<String> {
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
    pub(super) fn systemd(&self) -> Vec<String> {
        let named = self
            .devices
            .iter()
            .map(|(path, access)| format!("DeviceAllow={path} {access}"));
        // By number: systemd looks for it below /dev/char and /dev/block.
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

/// What a sysctl is to be set to before the container starts; `None` where that is not known, or cannot be: what belongs to one
/// network interface is not there yet.
fn set_to(sysctl: &Sysctl) -> Option<&str> {
    let mut values = sysctl.values.iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let parts: Vec<&str> = sysctl.name.split('.').collect();
    let of_interface = matches!(
        parts.as_slice(),
        ["net", _, "conf" | "neigh", interface, ..] if !["all", "default", "lo"].contains(interface)
    );
    let plain = !value.is_empty() && is_plain(value, "._-/: ,") && is_plain(&sysctl.name, "._-");
    (plain && !of_interface && printable(value) == *value).then_some(value)
}

fn is_plain(text: &str, marks: &str) -> bool {
    text.chars()
        .all(|letter| letter.is_ascii_alphanumeric() || marks.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use capprof_profile::observation::DeviceKind;
    use capprof_profile::privileges::{Call, DeviceNumber, EngineGrants};
    use snapbox::assert_data_eq;

    fn device(
        kind: DeviceKind,
        major: u32,
        minor: u32,
        node: Option<&str>,
        access: &str,
    ) -> Device {
        Device {
            number: DeviceNumber { kind, major, minor },
            node: node.map(str::to_owned),
            access: access.to_owned(),
            access_only: String::new(),
            programs: BTreeSet::from(["qemu".to_owned()]),
        }
    }

    fn sysctl(name: &str, values: &[&str]) -> Sysctl {
        Sysctl {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            programs: BTreeSet::from(["sysctl".to_owned()]),
        }
    }

    fn call(name: &str) -> Call {
        Call {
            name: name.to_owned(),
            programs: BTreeSet::from(["sh".to_owned()]),
        }
    }

    pub(crate) fn everything() -> Privileges {
        Privileges {
            engine_grants: EngineGrants {
                all_capabilities: true,
                all_devices: true,
                no_seccomp: true,
                host_namespaces: BTreeSet::from(["pid".to_owned()]),
                ..EngineGrants::default()
            },
            devices: vec![
                device(DeviceKind::Block, 7, 7, Some("loop7"), "rwm"),
                device(DeviceKind::Char, 10, 200, Some("net/tun"), "rw"),
                device(DeviceKind::Char, 10, 229, Some("fuse"), ""),
                device(DeviceKind::Char, 10, 232, Some("kvm"), "r"),
                device(DeviceKind::Char, 200, 1, None, "m"),
            ],
            sysctls: vec![
                sysctl("net.ipv4.conf.tun0.forwarding", &["1"]),
                sysctl("net.ipv4.ip_forward", &["1"]),
                sysctl("net.ipv4.tcp_rmem", &["4096 87380 6291456"]),
                sysctl("vm.overcommit_memory", &["1"]),
            ],
            syscalls: vec![
                call("bpf"),
                call("mount"),
                call("pivot_root"),
                call("unshare"),
            ],
            not_observed: BTreeSet::new(),
        }
    }

    fn set() -> CapabilitySet {
        CapabilitySet::from_iter([Capability::SYS_ADMIN])
    }

    #[test]
    fn the_section() {
        assert_data_eq!(
            section(&everything(), set()).join("\n"),
            snapbox::str![[r#"
device /dev/loop7 (b 7:7) rw, which it makes itself, by qemu
device /dev/net/tun (c 10:200) rw, by qemu
device /dev/fuse (c 10:229): asked about with access(2), never opened, by qemu
device /dev/kvm (c 10:232) r, by qemu
device node of c 200:1, made and never opened, by qemu: takes CAP_MKNOD alone
sysctl net.ipv4.conf.tun0.forwarding=1 written, of this container's namespaces, by sysctl
sysctl net.ipv4.ip_forward=1 written, by sysctl
sysctl net.ipv4.tcp_rmem=4096 87380 6291456 written, by sysctl
sysctl vm.overcommit_memory=1 written of the host, for which no container has an option of its own, by sysctl
mounts: mount, pivot_root, by sh
namespaces: unshare, by sh
system calls that seccomp filters keep back: bpf, by sh
of these, docker's default seccomp filter refuses even with the capabilities above: pivot_root
given, and whether it is needed cannot be seen: the host's namespaces pid
not observed: system calls that ask for no capability and that the default seccomp filters keep back: add_key, io_uring_setup, keyctl, personality, request_key, userfaultfd
not observed: files below masked and read-only paths, other than those of /proc/sys that were written
not observed: what AppArmor and SELinux would have refused
"#]]
        );
    }

    #[test]
    fn nothing_is_said_of_an_ordinary_container() {
        let mut ordinary = everything();
        ordinary.engine_grants = EngineGrants {
            devices: ordinary
                .devices
                .iter()
                .map(|device| device.number)
                .collect(),
            ..EngineGrants::default()
        };
        assert_eq!(section(&ordinary, set()), Vec::<String>::new());
        let replacement = Replacement::of(Engine::Docker, &ordinary, set());
        assert!(replacement.options().is_empty() && replacement.caveats.is_empty());
        // Opened without having been given: by a rule of many devices, for example.
        ordinary.engine_grants.devices.clear();
        assert!(!section(&ordinary, set()).is_empty());
    }

    #[test]
    fn a_privileged_container_that_used_nothing_says_so() {
        let idle = Privileges {
            devices: Vec::new(),
            sysctls: Vec::new(),
            syscalls: Vec::new(),
            ..everything()
        };
        assert_eq!(section(&idle, set())[0], "nothing that was looked at");
    }

    #[test]
    fn each_engine_has_its_words() {
        let of = |engine| Replacement::of(engine, &everything(), set());
        assert_data_eq!(
            of(Engine::Docker).options().join("\n"),
            snapbox::str![[r#"
--device=/dev/loop7:/dev/loop7:rw
--device=/dev/net/tun:/dev/net/tun:rw
--device=/dev/kvm:/dev/kvm:r
--sysctl=net.ipv4.ip_forward=1
--sysctl='net.ipv4.tcp_rmem=4096 87380 6291456'
"#]]
        );
        assert_data_eq!(
            of(Engine::Compose).compose().join("\n"),
            snapbox::str![[r#"
devices: ["/dev/loop7:/dev/loop7:rw", "/dev/net/tun:/dev/net/tun:rw", "/dev/kvm:/dev/kvm:r"]
sysctls: ["net.ipv4.ip_forward=1", "net.ipv4.tcp_rmem=4096 87380 6291456"]
"#]]
        );
        assert_data_eq!(
            of(Engine::Quadlet).quadlet().join("\n"),
            snapbox::str![[r#"
AddDevice=/dev/loop7:/dev/loop7:rw
AddDevice=/dev/net/tun:/dev/net/tun:rw
AddDevice=/dev/kvm:/dev/kvm:r
Sysctl=net.ipv4.ip_forward=1
Sysctl="net.ipv4.tcp_rmem=4096 87380 6291456"
"#]]
        );
        assert_data_eq!(
            of(Engine::Systemd).systemd().join("\n"),
            snapbox::str![[r#"
DeviceAllow=/dev/loop7 rw
DeviceAllow=/dev/net/tun rw
DeviceAllow=/dev/kvm r
"#]]
        );
        let caveats = Engine::ALL
            .iter()
            .flat_map(|engine| {
                of(*engine)
                    .caveats
                    .into_iter()
                    .map(move |caveat| format!("{engine}: {caveat}"))
            })
            .collect::<Vec<_>>();
        assert_data_eq!(
            caveats.join("\n"),
            snapbox::str![[r#"
docker: the program writes to /proc/sys itself: if it does not go on where that is read-only, it takes --security-opt systempaths=unconfined
docker: the default seccomp filter refuses pivot_root: allow that in a copy of it, --security-opt seccomp=FILE
docker: where AppArmor is enabled, the default profile refuses mounts and writes to /proc/sys all the same: --security-opt apparmor=unconfined
podman: the program writes to /proc/sys itself: if it does not go on where that is read-only, it takes --security-opt unmask=/proc/sys
podman: where AppArmor is enabled, the default profile refuses mounts and writes to /proc/sys all the same: --security-opt apparmor=unconfined
kubernetes: Kubernetes gives a container no devices by itself: /dev/loop7, /dev/net/tun, /dev/kvm must come from a device plugin (resources.limits); a hostPath volume alone is not enough, for the container may not open it
kubernetes: set net.ipv4.ip_forward, net.ipv4.tcp_rmem for the pod (spec.securityContext.sysctls)
kubernetes: the program writes to /proc/sys itself: if it does not go on where that is read-only, it takes procMount: Unmasked, with hostUsers: false
compose: the program writes to /proc/sys itself: if it does not go on where that is read-only, it takes security_opt: ["systempaths=unconfined"]
compose: the default seccomp filter refuses pivot_root: allow that in a copy of it, security_opt: ["seccomp=FILE"]
compose: where AppArmor is enabled, the default profile refuses mounts and writes to /proc/sys all the same: security_opt: ["apparmor=unconfined"]
quadlet: the program writes to /proc/sys itself: if it does not go on where that is read-only, it takes Unmask=/proc/sys
quadlet: where AppArmor is enabled, the default profile refuses mounts and writes to /proc/sys all the same: PodmanArgs=--security-opt=apparmor=unconfined
"#]]
        );
    }

    #[test]
    fn values_that_would_break_a_command_line_stay_out_of_it() {
        for value in ["$(reboot)", "a'b", "1;2", ""] {
            assert_eq!(set_to(&sysctl("net.core.somaxconn", &[value])), None);
        }
        assert_eq!(set_to(&sysctl("net.core.somaxconn", &["1", "2"])), None);
        assert_eq!(set_to(&sysctl("net.core.somaxconn", &["1"])), Some("1"));
    }
}
