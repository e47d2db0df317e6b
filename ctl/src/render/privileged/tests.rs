//! Tests of the section and of the replacement.

use super::super::form_kind::FormKind;
use super::value::set_to;
use super::*;
use capprof_profile::Capability;
use capprof_profile::CapabilitySet;
use capprof_profile::observation::DeviceKind;
use capprof_profile::privileges::{Device, PingSocket, Privileges, Sysctl};
use capprof_profile::privileges::{DeviceNumber, EngineGrants, GatedCall};
use snapbox::assert_data_eq;
use std::collections::BTreeSet;

fn device(kind: DeviceKind, major: u32, minor: u32, node: Option<&str>, access: &str) -> Device {
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

fn call(name: &str) -> GatedCall {
    GatedCall {
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
        ping_sockets: Vec::new(),
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
device node of c 200:1, made and never opened, by qemu: needs only CAP_MKNOD
sysctl net.ipv4.conf.tun0.forwarding=1 written, of this container's namespaces, by sysctl
sysctl net.ipv4.ip_forward=1 written, by sysctl
sysctl net.ipv4.tcp_rmem=4096 87380 6291456 written, by sysctl
sysctl vm.overcommit_memory=1 written of the host, for which no container has an option of its own, by sysctl
mounts: mount, pivot_root, by sh
namespaces: unshare, by sh
system calls that seccomp filters keep back: bpf, by sh
of these, docker's default seccomp filter refuses even with the capabilities above: pivot_root
given, but capprof cannot see if they are needed: the host's namespaces pid
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
    let replacement = Replacement::of(FormKind::Docker, &ordinary, set());
    assert!(replacement.options().is_empty() && replacement.caveats.is_empty());
    // It was opened although it was not given by name: a rule for many devices, for example, allows that.
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
    assert_eq!(section(&idle, set())[0], "nothing that capprof looks at");
}

#[test]
fn a_ping_socket_made_under_docker_takes_the_sysctl_everywhere_else() {
    let pinged = |groups: &[Option<u32>]| Privileges {
        engine_grants: EngineGrants::default(),
        devices: Vec::new(),
        sysctls: Vec::new(),
        syscalls: Vec::new(),
        ping_sockets: groups
            .iter()
            .map(|group| PingSocket {
                group: *group,
                programs: BTreeSet::from(["ping".to_owned()]),
            })
            .collect(),
        not_observed: BTreeSet::new(),
    };
    let of = |engine, groups: &[Option<u32>]| Replacement::of(engine, &pinged(groups), set());
    let user = [Some(1000)];
    assert!(of(FormKind::Docker, &user).sysctls.is_empty());
    assert_eq!(
        of(FormKind::Podman, &user).options(),
        ["--sysctl='net.ipv4.ping_group_range=1000 1000'"]
    );
    assert!(
        of(FormKind::Kubernetes, &user).caveats[0].contains("net.ipv4.ping_group_range=1000 1000")
    );
    assert!(of(FormKind::Ctr, &user).caveats[0].contains("net.ipv4.ping_group_range=1000 1000"));
    // podman's own default has the group 0, and Kubernetes none.
    assert!(of(FormKind::Podman, &[Some(0)]).sysctls.is_empty());
    assert_eq!(of(FormKind::Kubernetes, &[Some(0)]).sysctls[0].1, "0 0");
    assert_eq!(
        of(FormKind::Podman, &[Some(5), Some(0)]).sysctls[0].1,
        "0 5"
    );
    assert_eq!(
        of(FormKind::Podman, &[None, Some(5)]).sysctls[0].1,
        "0 2147483647"
    );
    let itself = Privileges {
        engine_grants: everything().engine_grants,
        sysctls: vec![Sysctl {
            name: "net.ipv4.ping_group_range".to_owned(),
            values: BTreeSet::from(["0 7".to_owned()]),
            programs: BTreeSet::from(["sysctl".to_owned()]),
        }],
        ..pinged(&user)
    };
    assert_eq!(
        Replacement::of(FormKind::Podman, &itself, set())
            .sysctls
            .len(),
        1
    );
    // The host's network has the host's sysctl.
    let shared = Privileges {
        engine_grants: EngineGrants {
            host_namespaces: BTreeSet::from(["network".to_owned()]),
            ..EngineGrants::default()
        },
        ..pinged(&user)
    };
    let podman = Replacement::of(FormKind::Podman, &shared, set());
    assert!(podman.sysctls.is_empty());
}

#[test]
fn each_engine_has_its_words() {
    let of = |engine| Replacement::of(engine, &everything(), set());
    assert_data_eq!(
        of(FormKind::Docker).options().join("\n"),
        snapbox::str![[r#"
--device=/dev/loop7:/dev/loop7:rw
--device=/dev/net/tun:/dev/net/tun:rw
--device=/dev/kvm:/dev/kvm:r
--sysctl=net.ipv4.ip_forward=1
--sysctl='net.ipv4.tcp_rmem=4096 87380 6291456'
"#]]
    );
    assert_data_eq!(
        of(FormKind::Compose).compose().join("\n"),
        snapbox::str![[r#"
devices: ["/dev/loop7:/dev/loop7:rw", "/dev/net/tun:/dev/net/tun:rw", "/dev/kvm:/dev/kvm:r"]
sysctls: ["net.ipv4.ip_forward=1", "net.ipv4.tcp_rmem=4096 87380 6291456"]
"#]]
    );
    assert_data_eq!(
        of(FormKind::Quadlet).quadlet().join("\n"),
        snapbox::str![[r#"
AddDevice=/dev/loop7:/dev/loop7:rw
AddDevice=/dev/net/tun:/dev/net/tun:rw
AddDevice=/dev/kvm:/dev/kvm:r
Sysctl=net.ipv4.ip_forward=1
Sysctl="net.ipv4.tcp_rmem=4096 87380 6291456"
"#]]
    );
    assert_data_eq!(
        of(FormKind::Systemd).systemd().join("\n"),
        snapbox::str![[r#"
DeviceAllow=/dev/loop7 rw
DeviceAllow=/dev/net/tun rw
DeviceAllow=/dev/kvm r
"#]]
    );
}

#[test]
fn each_engine_has_its_caveats() {
    let of = |engine| Replacement::of(engine, &everything(), set());
    let caveats = FormKind::ALL
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
docker: the program writes to /proc/sys itself: if it fails where that is read-only, it needs --security-opt systempaths=unconfined
docker: the default seccomp filter refuses pivot_root: allow that in a copy of it, --security-opt seccomp=FILE
docker: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: --security-opt apparmor=unconfined
docker-options: the program writes to /proc/sys itself: if it fails where that is read-only, it needs --security-opt systempaths=unconfined
docker-options: the default seccomp filter refuses pivot_root: allow that in a copy of it, --security-opt seccomp=FILE
docker-options: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: --security-opt apparmor=unconfined
podman: the program writes to /proc/sys itself: if it fails where that is read-only, it needs --security-opt unmask=/proc/sys
podman: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: --security-opt apparmor=unconfined
kubernetes: Kubernetes gives a container no devices by itself: /dev/loop7, /dev/net/tun, /dev/kvm must come from a device plugin (resources.limits); a hostPath volume alone is not enough, because the container may not open it
kubernetes: set net.ipv4.ip_forward=1, net.ipv4.tcp_rmem=4096 87380 6291456 for the pod (spec.securityContext.sysctls)
kubernetes: the program writes to /proc/sys itself: if it fails where that is read-only, it needs procMount: Unmasked, with hostUsers: false
kustomize: Kubernetes gives a container no devices by itself: /dev/loop7, /dev/net/tun, /dev/kvm must come from a device plugin (resources.limits); a hostPath volume alone is not enough, because the container may not open it
kustomize: set net.ipv4.ip_forward=1, net.ipv4.tcp_rmem=4096 87380 6291456 for the pod (spec.securityContext.sysctls)
kustomize: the program writes to /proc/sys itself: if it fails where that is read-only, it needs procMount: Unmasked, with hostUsers: false
helm: Kubernetes gives a container no devices by itself: /dev/loop7, /dev/net/tun, /dev/kvm must come from a device plugin (resources.limits); a hostPath volume alone is not enough, because the container may not open it
helm: set net.ipv4.ip_forward=1, net.ipv4.tcp_rmem=4096 87380 6291456 for the pod (spec.securityContext.sysctls)
helm: the program writes to /proc/sys itself: if it fails where that is read-only, it needs procMount: Unmasked, with hostUsers: false
scc: Kubernetes gives a container no devices by itself: /dev/loop7, /dev/net/tun, /dev/kvm must come from a device plugin (resources.limits); a hostPath volume alone is not enough, because the container may not open it
scc: set net.ipv4.ip_forward=1, net.ipv4.tcp_rmem=4096 87380 6291456 for the pod (spec.securityContext.sysctls)
scc: the program writes to /proc/sys itself: if it fails where that is read-only, it needs procMount: Unmasked, with hostUsers: false
compose: the program writes to /proc/sys itself: if it fails where that is read-only, it needs security_opt: ["systempaths=unconfined"]
compose: the default seccomp filter refuses pivot_root: allow that in a copy of it, security_opt: ["seccomp=FILE"]
compose: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: security_opt: ["apparmor=unconfined"]
quadlet: the program writes to /proc/sys itself: if it fails where that is read-only, it needs Unmask=/proc/sys
quadlet: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: PodmanArgs=--security-opt=apparmor=unconfined
ecs: the program writes to /proc/sys itself: if it fails where that is read-only, it needs what this has no option for
ecs: the default seccomp filter refuses pivot_root: allow that in a copy of it, what ECS cannot do
ecs: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: dockerSecurityOptions: ["apparmor:unconfined"]
nomad: the program writes to /proc/sys itself: if it fails where that is read-only, it needs security_opt = ["systempaths=unconfined"]
nomad: the default seccomp filter refuses pivot_root: allow that in a copy of it, security_opt = ["seccomp=FILE"]
nomad: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: security_opt = ["apparmor=unconfined"]
nixos: the program writes to /proc/sys itself: if it fails where that is read-only, it needs --security-opt unmask=/proc/sys
nixos: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: --security-opt apparmor=unconfined
ctr: there is no option for sysctls: net.ipv4.ip_forward=1, net.ipv4.tcp_rmem=4096 87380 6291456
ctr: the program writes to /proc/sys itself: if it fails where that is read-only, it needs what this has no option for
containers-conf: the program writes to /proc/sys itself: if it fails where that is read-only, it needs --security-opt unmask=/proc/sys
containers-conf: where AppArmor is enabled, the default profile still refuses mounts and writes to /proc/sys: --security-opt apparmor=unconfined
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
