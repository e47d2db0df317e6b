//! What a privileged container uses besides capabilities: devices, entries of /proc/sys, system calls that seccomp filters keep back.
//!
//! `--privileged` gives all of them at once. The uses that were recorded show what can take its place.

use crate::atlas::paths;
use crate::default_filter::filtered;
use crate::observation::{CheckAnswer, DeviceKind, Evidence, Observation, RecorderName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The privileges besides capabilities in the engine's configuration (runtime-spec, config-linux.md).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineGrants {
    /// True if the engine gives every capability that capprof could give.
    pub all_capabilities: bool,
    /// True if the rules allow every device (`linux.resources.devices`).
    pub all_devices: bool,
    /// True if there is no `linux.seccomp`.
    pub no_seccomp: bool,
    /// System calls that the seccomp filter refuses and would let pass if the container were given a capability ([`filtered`]).
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub filter_refuses: BTreeSet<String>,
    /// True if there is no `linux.maskedPaths`.
    pub no_masked_paths: bool,
    /// True if there is no `linux.readonlyPaths`.
    pub no_readonly_paths: bool,
    /// Namespaces that are the host's, by their names in `linux.namespaces`; not `user`, which is the host's by default.
    pub host_namespaces: BTreeSet<String>,
    /// Devices that the rules allow one by one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub devices: BTreeSet<DeviceNumber>,
    /// The lowest port that every process may bind, if `linux.sysctl` sets it (`net.ipv4.ip_unprivileged_port_start`; kernel,
    /// Documentation/networking/ip-sysctl.rst). docker sets 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unprivileged_port_start: Option<u16>,
    /// Those of `process.rlimits` within which the kernel makes no capability check, by their names for `--ulimit`: `memlock`, `nice` and
    /// `rtprio` (runtime-spec, config.md, "POSIX process").
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub limits: BTreeMap<String, ResourceLimit>,
}

/// A limit of a process (getrlimit(2)). The largest number means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// The limit that the kernel enforces.
    pub soft: u64,
    /// The limit up to which the process may raise the soft limit.
    pub hard: u64,
}

impl ResourceLimit {
    /// No limit.
    pub const NONE: Self = Self {
        soft: u64::MAX,
        hard: u64::MAX,
    };
}

impl EngineGrants {
    /// Returns true if engines grant this for `--privileged`. Only that option grants all devices. The capabilities are no sign: an engine grants
    /// those that it knows, which may lack the kernel's newest.
    pub fn is_privileged(&self) -> bool {
        self.all_devices
    }

    /// The privileges that either gives.
    #[must_use]
    fn union(self, other: Self) -> Self {
        Self {
            all_capabilities: self.all_capabilities || other.all_capabilities,
            all_devices: self.all_devices || other.all_devices,
            no_seccomp: self.no_seccomp || other.no_seccomp,
            filter_refuses: &self.filter_refuses | &other.filter_refuses,
            no_masked_paths: self.no_masked_paths || other.no_masked_paths,
            no_readonly_paths: self.no_readonly_paths || other.no_readonly_paths,
            host_namespaces: &self.host_namespaces | &other.host_namespaces,
            devices: &self.devices | &other.devices,
            unprivileged_port_start: [self.unprivileged_port_start, other.unprivileged_port_start]
                .into_iter()
                .flatten()
                .min(),
            limits: larger(self.limits, other.limits),
        }
    }
}

/// All limits of both, each with the larger numbers.
fn larger(
    mut one: BTreeMap<String, ResourceLimit>,
    other: BTreeMap<String, ResourceLimit>,
) -> BTreeMap<String, ResourceLimit> {
    for (name, limit) in other {
        let known = one.entry(name).or_insert(limit);
        known.soft = known.soft.max(limit.soft);
        known.hard = known.hard.max(limit.hard);
    }
    one
}

/// A device as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// Block or character device.
    pub kind: DeviceKind,
    /// Its driver's number.
    pub major: u32,
    /// Its own.
    pub minor: u32,
}

impl DeviceNumber {
    /// Returns true if every container has it (runtime-spec, config-linux.md, "Default Devices"; runc, libcontainer/specconv,
    /// `AllowedDevices`): null, zero, full, random, urandom, tty, console, ptmx and the terminals of devpts.
    pub fn is_in_every_container(self) -> bool {
        /// `UNIX98_PTY_SLAVE_MAJOR` and the seven after it (include/uapi/linux/major.h).
        const TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;
        self.kind == DeviceKind::Char
            && match self.major {
                1 => matches!(self.minor, 3 | 5 | 7 | 8 | 9),
                5 => matches!(self.minor, 0..=2),
                major => TERMINALS.contains(&major),
            }
    }
}

impl std::fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        write!(formatter, "{kind} {}:{}", self.major, self.minor)
    }
}

/// A device that was used, beyond those that every container has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    /// The device's number.
    #[serde(flatten)]
    pub number: DeviceNumber,
    /// The host's name for it below /dev: `kvm`, `net/tun`; none where the kernel knew none when the container had ended.
    pub node: Option<String>,
    /// How it was used: `r` and `w` opened for reading and writing, `m` made with mknod(2).
    pub access: String,
    /// The accesses that only access(2) asked for.
    #[serde(skip_serializing_if = "String::is_empty", default, alias = "asked")]
    pub access_only: String,
    /// Names of the programs.
    pub programs: BTreeSet<String>,
}

impl Device {
    /// Returns true if it was opened: what a device rule is needed for, since every container may make device nodes.
    pub fn is_opened(&self) -> bool {
        self.access.contains(['r', 'w'])
    }

    /// Its name, or its numbers.
    pub fn name(&self) -> String {
        match &self.node {
            Some(node) => format!("/dev/{node}"),
            None => self.number.to_string(),
        }
    }
}

/// An entry of /proc/sys that was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sysctl {
    /// As sysctl(8) names it.
    pub name: String,
    /// The values that were written; empty if they are not known.
    pub values: BTreeSet<String>,
    /// Names of the programs.
    pub programs: BTreeSet<String>,
}

impl Sysctl {
    /// Returns true if engines can set it for a container alone (`--sysctl`), with namespaces of its own: docker and podman take these
    /// (opts/opts.go, `ValidateSysctl()`, in docker/cli; libpod's pkg/util does the same).
    pub fn is_namespaced(&self, granted: &EngineGrants) -> bool {
        const IPC: [&str; 8] = [
            "kernel.msgmax",
            "kernel.msgmnb",
            "kernel.msgmni",
            "kernel.sem",
            "kernel.shmall",
            "kernel.shmmax",
            "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ];
        let own = |namespace: &str| !granted.host_namespaces.contains(namespace);
        if self.name.starts_with("net.") {
            own("network")
        } else {
            (IPC.contains(&self.name.as_str()) || self.name.starts_with("fs.mqueue.")) && own("ipc")
        }
    }
}

/// A system call that was made and that engines' seccomp filters keep back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GatedCall {
    /// Its name.
    pub name: String,
    /// Names of the programs.
    pub programs: BTreeSet<String>,
}

/// A group whose processes made ping sockets (`SOCK_DGRAM` with ICMP). The kernel checks no capability for them, but the sysctl
/// `net.ipv4.ping_group_range` must include a group of the process. docker sets it to include every group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PingSocket {
    /// Its number in the container; `None` if the container has no number for it.
    pub group: Option<u32>,
    /// Names of the programs.
    pub programs: BTreeSet<String>,
}

/// A container's privileges besides capabilities, and its use of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// The privileges that the engine grants.
    #[serde(alias = "given")]
    pub engine_grants: EngineGrants,
    /// Devices used, beyond those that every container has.
    pub devices: Vec<Device>,
    /// Entries of /proc/sys written.
    pub sysctls: Vec<Sysctl>,
    /// System calls made that seccomp filters keep back, as far as the kernel asked for a capability in them.
    pub syscalls: Vec<GatedCall>,
    /// Ping sockets made.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ping_sockets: Vec<PingSocket>,
    /// The uses that no recorder looked at, a line each.
    pub not_observed: BTreeSet<String>,
}

impl Privileges {
    /// Returns the privileges of a container with these grants, and their use according to the evidence.
    pub fn of(engine_grants: &EngineGrants, evidence: &[(RecorderName, Evidence)]) -> Self {
        let mut gathered = Gathered {
            engine_grants: engine_grants.clone(),
            ..Gathered::default()
        };
        let evidence = || evidence.iter().map(|(_, evidence)| evidence);
        for one in evidence().flat_map(|evidence| &evidence.devices) {
            let number = DeviceNumber {
                kind: one.kind,
                major: one.major,
                minor: one.minor,
            };
            // access(2) of an executable asks for neither.
            if number.is_in_every_container() || one.access.is_empty() {
                continue;
            }
            let (access, access_only) = match one.access_only {
                true => (String::new(), one.access.clone()),
                false => (one.access.clone(), String::new()),
            };
            gathered.device(Device {
                number,
                node: one.node.clone(),
                access,
                access_only,
                programs: BTreeSet::from([one.program.clone()]),
            });
        }
        for one in evidence().flat_map(|evidence| &evidence.sysctls) {
            gathered.sysctl(Sysctl {
                name: one.name.clone(),
                values: one.value.iter().cloned().collect(),
                programs: BTreeSet::from([one.program.clone()]),
            });
        }
        for one in evidence().flat_map(|evidence| &evidence.ping_sockets) {
            gathered.ping_socket(PingSocket {
                group: one.group,
                programs: BTreeSet::from([one.program.clone()]),
            });
        }
        for check in evidence().flat_map(|evidence| &evidence.observations) {
            if let Some(name) = gated(check) {
                gathered.call(GatedCall {
                    name: name.to_owned(),
                    programs: BTreeSet::from([check.program.clone()]),
                });
            }
        }
        for evidence in evidence() {
            gathered.not_observed.extend(evidence.unseen.clone());
        }
        if !evidence().any(|evidence| evidence.looks_beyond) {
            gathered
                .not_observed
                .insert("devices opened and writes to /proc/sys: eBPF did not record".to_owned());
        }
        gathered.finish()
    }

    /// Returns the privileges and uses of both. The operation is commutative, associative and idempotent.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let mut gathered = Gathered {
            engine_grants: self.engine_grants.union(other.engine_grants),
            not_observed: &self.not_observed | &other.not_observed,
            ..Gathered::default()
        };
        for device in self.devices.into_iter().chain(other.devices) {
            gathered.device(device);
        }
        for sysctl in self.sysctls.into_iter().chain(other.sysctls) {
            gathered.sysctl(sysctl);
        }
        for call in self.syscalls.into_iter().chain(other.syscalls) {
            gathered.call(call);
        }
        for socket in self.ping_sockets.into_iter().chain(other.ping_sockets) {
            gathered.ping_socket(socket);
        }
        gathered.finish()
    }

    /// Returns true if a report should mention this: the container was privileged, or used a device that it was not given by name.
    pub fn is_beyond(&self) -> bool {
        self.engine_grants.is_privileged()
            || self.devices.iter().any(|device| {
                device.is_opened() && !self.engine_grants.devices.contains(&device.number)
            })
    }
}

#[derive(Default)]
struct Gathered {
    engine_grants: EngineGrants,
    devices: BTreeMap<(DeviceNumber, Option<String>), Device>,
    sysctls: BTreeMap<String, Sysctl>,
    calls: BTreeMap<String, BTreeSet<String>>,
    ping_sockets: BTreeMap<Option<u32>, BTreeSet<String>>,
    not_observed: BTreeSet<String>,
}

impl Gathered {
    fn device(&mut self, device: Device) {
        let key = (device.number, device.node.clone());
        match self.devices.get_mut(&key) {
            None => {
                self.devices.insert(key, device);
            }
            Some(known) => {
                known.access = both(&known.access, &device.access);
                known.access_only = both(&known.access_only, &device.access_only);
                known.programs.extend(device.programs);
            }
        }
    }

    fn sysctl(&mut self, sysctl: Sysctl) {
        match self.sysctls.get_mut(&sysctl.name) {
            None => {
                self.sysctls.insert(sysctl.name.clone(), sysctl);
            }
            Some(known) => {
                known.values.extend(sysctl.values);
                known.programs.extend(sysctl.programs);
            }
        }
    }

    fn call(&mut self, call: GatedCall) {
        self.calls
            .entry(call.name)
            .or_default()
            .extend(call.programs);
    }

    fn ping_socket(&mut self, socket: PingSocket) {
        self.ping_sockets
            .entry(socket.group)
            .or_default()
            .extend(socket.programs);
    }

    fn finish(self) -> Privileges {
        Privileges {
            engine_grants: self.engine_grants,
            devices: self.devices.into_values().collect(),
            sysctls: self.sysctls.into_values().collect(),
            syscalls: self
                .calls
                .into_iter()
                .map(|(name, programs)| GatedCall { name, programs })
                .collect(),
            ping_sockets: self
                .ping_sockets
                .into_iter()
                .map(|(group, programs)| PingSocket { group, programs })
                .collect(),
            not_observed: self.not_observed,
        }
    }
}

fn both(one: &str, other: &str) -> String {
    "rwm"
        .chars()
        .filter(|letter| one.contains(*letter) || other.contains(*letter))
        .collect()
}

/// Returns the system call of a check, if filters keep it back. The call itself matters here, even if the check does not count.
pub(crate) fn gated(check: &Observation) -> Option<&str> {
    let name = check.syscall.as_ref()?.name.as_str();
    filtered(name)?;
    let went_on = check.results.is_some_and(|results| results.success > 0);
    if check.verdict == CheckAnswer::Denied && !went_on || check.pre_exec {
        return None;
    }
    // Every new process asks for memory; filters keep back only what makes namespaces.
    if name.starts_with("clone") && !makes_namespaces(check) {
        return None;
    }
    Some(name)
}

fn makes_namespaces(check: &Observation) -> bool {
    let mut frames = check.call_site.iter();
    frames.any(|frame| paths::NAMESPACES_MADE.contains(&frame.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capability;
    use crate::fixtures::check;
    use crate::observation::{DeviceUse, SysctlUse};

    fn privileged() -> EngineGrants {
        EngineGrants {
            all_capabilities: true,
            all_devices: true,
            ..EngineGrants::default()
        }
    }

    fn opened(major: u32, minor: u32, node: &str, access: &str, program: &str) -> DeviceUse {
        DeviceUse {
            kind: DeviceKind::Char,
            major,
            minor,
            node: Some(node.to_owned()),
            access: access.to_owned(),
            access_only: false,
            program: program.to_owned(),
            count: 1,
        }
    }

    fn of(evidence: Evidence) -> Privileges {
        Privileges::of(&privileged(), &[(RecorderName::Ebpf, evidence)])
    }

    #[test]
    fn devices_are_summed_up_without_those_of_every_container() {
        let found = of(Evidence {
            devices: vec![
                opened(1, 3, "null", "rw", "sh"),
                opened(136, 0, "pts/0", "rw", "sh"),
                opened(10, 232, "kvm", "r", "qemu"),
                opened(10, 232, "kvm", "w", "helper"),
                DeviceUse {
                    access_only: true,
                    ..opened(10, 229, "fuse", "rw", "sh")
                },
            ],
            looks_beyond: true,
            ..Evidence::default()
        });
        let devices: Vec<_> = found
            .devices
            .iter()
            .map(|device| {
                (
                    device.name(),
                    device.access.as_str(),
                    device.access_only.as_str(),
                    device.programs.len(),
                )
            })
            .collect();
        assert_eq!(
            devices,
            [
                ("/dev/fuse".to_owned(), "", "rw", 1),
                ("/dev/kvm".to_owned(), "rw", "", 2)
            ]
        );
        assert!(found.not_observed.is_empty());
    }

    #[test]
    fn memory_and_kernel_log_are_not_in_every_container() {
        let number = |major, minor| DeviceNumber {
            kind: DeviceKind::Char,
            major,
            minor,
        };
        assert!(!number(1, 1).is_in_every_container());
        assert!(!number(1, 11).is_in_every_container());
        assert!(!number(4, 0).is_in_every_container());
        assert!(number(5, 2).is_in_every_container());
        let block = DeviceNumber {
            kind: DeviceKind::Block,
            ..number(1, 3)
        };
        assert!(!block.is_in_every_container());
    }

    #[test]
    fn a_new_process_is_no_new_namespace() {
        let found = of(Evidence {
            observations: vec![
                check(
                    Capability::SYS_ADMIN,
                    "clone",
                    &["security_vm_enough_memory_mm", "dup_mmap"],
                ),
                check(
                    Capability::SYS_ADMIN,
                    "clone3",
                    &["ns_capable", "copy_namespaces"],
                ),
                check(
                    Capability::SYS_ADMIN,
                    "mount",
                    &["ns_capable", "path_mount"],
                ),
                check(Capability::CHOWN, "fchownat", &["chown_ok"]),
            ],
            looks_beyond: true,
            ..Evidence::default()
        });
        let names: Vec<&str> = found
            .syscalls
            .iter()
            .map(|call| call.name.as_str())
            .collect();
        assert_eq!(names, ["clone3", "mount"]);
    }

    #[test]
    fn who_did_not_look_says_so() {
        let found = Privileges::of(
            &privileged(),
            &[(RecorderName::Selinux, Evidence::default())],
        );
        assert_eq!(found.not_observed.len(), 1);
    }

    #[test]
    fn a_union_does_not_depend_on_order_or_repetition() {
        let one = of(Evidence {
            devices: vec![opened(10, 232, "kvm", "r", "qemu")],
            sysctls: vec![SysctlUse {
                name: "net.ipv4.ip_forward".to_owned(),
                value: Some("1".to_owned()),
                program: "sysctl".to_owned(),
                count: 2,
            }],
            ..Evidence::default()
        });
        let other = of(Evidence {
            devices: vec![
                opened(10, 232, "kvm", "w", "qemu"),
                opened(10, 200, "net/tun", "rw", "qemu"),
            ],
            looks_beyond: true,
            ..Evidence::default()
        });
        let united = one.clone().union(other.clone());
        assert_eq!(united, other.clone().union(one.clone()));
        assert_eq!(united, united.clone().union(one).union(other));
        assert_eq!(united.devices.len(), 2);
        assert_eq!(united.devices[1].access, "rw");
        assert_eq!(united.sysctls.len(), 1);
    }

    #[test]
    fn a_sysctl_of_the_host_is_no_container_s() {
        let sysctl = |name: &str| Sysctl {
            name: name.to_owned(),
            values: BTreeSet::new(),
            programs: BTreeSet::new(),
        };
        let own = EngineGrants::default();
        assert!(sysctl("net.ipv4.ip_forward").is_namespaced(&own));
        assert!(sysctl("kernel.shmmax").is_namespaced(&own));
        assert!(!sysctl("vm.overcommit_memory").is_namespaced(&own));
        let shared = EngineGrants {
            host_namespaces: BTreeSet::from(["network".to_owned()]),
            ..own
        };
        assert!(!sysctl("net.ipv4.ip_forward").is_namespaced(&shared));
    }
}
