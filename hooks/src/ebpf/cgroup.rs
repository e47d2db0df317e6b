//! Uses that are not capability checks: devices, entries of /proc/sys, ports, and ping sockets.

use super::executables::Executable;
use super::layout::{
    self, Container, DeviceKey, NO_GROUP, PING, PortKey, Sysctl, SysctlKey, device,
};
use super::limits::{self, Table};
use super::program_set::ProgramSet;
use super::programs::CGROUP_PROGRAMS;
use capprof_profile::observation::{DeviceKind, DeviceUse, PingSocketUse, PortUse, SysctlUse};
use std::collections::HashMap;
use std::fs;

fn program(known: &HashMap<u64, Executable>, key: u64) -> String {
    known
        .get(&key)
        .map(|program| program.comm.clone())
        .unwrap_or_default()
}

/// Converts rows of the map into uses of devices, sorted.
pub(super) fn devices(
    rows: &[(DeviceKey, u64)],
    known: &HashMap<u64, Executable>,
) -> Vec<DeviceUse> {
    let mut devices: Vec<DeviceUse> = rows
        .iter()
        .map(|(key, count)| {
            let kind = match key.kind {
                device::BLOCK => DeviceKind::Block,
                _ => DeviceKind::Char,
            };
            DeviceUse {
                kind,
                major: key.major,
                minor: key.minor,
                node: node(kind, key.major, key.minor),
                access: access(key.access),
                access_only: key.asked != 0,
                program: program(known, key.program),
                count: *count,
            }
        })
        .collect();
    devices.sort();
    devices
}

/// The access in the form of device rules (config-linux.md, "Allowed Device list").
fn access(bits: u32) -> String {
    [
        (device::READ, 'r'),
        (device::WRITE, 'w'),
        (device::MKNOD, 'm'),
    ]
    .into_iter()
    .filter(|(bit, _)| bits & bit != 0)
    .map(|(_, letter)| letter)
    .collect()
}

/// The kernel's name for a device, which devtmpfs and udev use (drivers/base/core.c, `dev_uevent()`); `None` if the device is gone.
fn node(kind: DeviceKind, major: u32, minor: u32) -> Option<String> {
    let class = match kind {
        DeviceKind::Block => "block",
        DeviceKind::Char => "char",
    };
    let event = fs::read_to_string(format!("/sys/dev/{class}/{major}:{minor}/uevent")).ok()?;
    event
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))
        .map(str::to_owned)
}

/// Converts rows of the map into uses of sysctls, sorted.
pub(super) fn sysctls(
    rows: &[(SysctlKey, Sysctl)],
    known: &HashMap<u64, Executable>,
) -> Vec<SysctlUse> {
    let mut sysctls: Vec<SysctlUse> = rows
        .iter()
        .map(|(key, row)| SysctlUse {
            name: name(&layout::text(&key.name)),
            value: value(row),
            program: program(known, key.program),
            count: row.count,
        })
        .collect();
    sysctls.sort();
    sysctls
}

/// A path below /proc/sys in the form of sysctl(8), where a dot in the name of an interface is a slash.
fn name(path: &str) -> String {
    path.chars()
        .map(|letter| match letter {
            '/' => '.',
            '.' => '/',
            other => other,
        })
        .collect()
}

fn value(row: &Sysctl) -> Option<String> {
    let length = usize::try_from(row.length).ok()?;
    let text = std::str::from_utf8(row.value.get(..length)?).ok()?;
    let text = text.trim_end_matches(['\n', '\0']);
    let text = text.replace('\t', " ");
    (!text.chars().any(char::is_control)).then_some(text)
}

/// Converts rows of the map into uses of ports, sorted; `None` if the kernel refused the programs for them.
pub(super) fn ports(
    set: &ProgramSet,
    rows: &[(PortKey, u64)],
    known: &HashMap<u64, Executable>,
) -> Option<Vec<PortUse>> {
    if ["port_bound4", "port_bound6"]
        .iter()
        .any(|program| set.lacking(program).is_some())
    {
        return None;
    }
    let mut ports: Vec<PortUse> = rows
        .iter()
        .filter(|(key, _)| key.kind != PING)
        .filter_map(|(key, count)| {
            Some(PortUse {
                port: u16::try_from(key.number).ok()?,
                program: program(known, key.program),
                count: *count,
            })
        })
        .collect();
    ports.sort();
    Some(ports)
}

/// Converts rows of the map into uses of ping sockets, sorted.
pub(super) fn ping_sockets(
    rows: &[(PortKey, u64)],
    known: &HashMap<u64, Executable>,
) -> Vec<PingSocketUse> {
    let mut sockets: Vec<PingSocketUse> = rows
        .iter()
        .filter(|(key, _)| key.kind == PING)
        .map(|(key, count)| PingSocketUse {
            group: (key.number != NO_GROUP).then_some(key.number),
            program: program(known, key.program),
            count: *count,
        })
        .collect();
    sockets.sort();
    sockets
}

/// The uses that are not seen because the kernel refused their program, a line each. `lacking` has the reason for each program.
pub(super) fn not_observed<'a>(lacking: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    CGROUP_PROGRAMS
        .iter()
        .zip([
            "devices opened",
            "writes to /proc/sys",
            "ports bound (IPv4)",
            "ports bound (IPv6)",
            "ping sockets",
        ])
        .filter_map(|(program, what)| Some(format!("{what}: {}", lacking(program)?)))
        .collect()
}

/// The reasons why some of these uses were not seen, a line each.
pub(super) fn unseen(set: &ProgramSet, container: Option<&Container>) -> Vec<String> {
    let mut lines = not_observed(|program| set.lacking(program));
    if let Some(container) = container
        && container.unlisted > 0
    {
        lines.push(format!(
            "devices opened, writes to /proc/sys, ports bound and ping sockets: {} uses did not fit into the maps: {}",
            container.unlisted,
            limits::reached(set, container, &[Table::Devices, Table::Sysctls, Table::Ports])
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_written_as_in_device_rules() {
        assert_eq!(access(device::READ), "r");
        assert_eq!(access(device::READ | device::WRITE), "rw");
        assert_eq!(access(7), "rwm");
    }

    #[test]
    fn the_kernel_names_devices() {
        assert_eq!(node(DeviceKind::Char, 1, 3).as_deref(), Some("null"));
        assert_eq!(node(DeviceKind::Block, 4095, 1), None);
    }

    #[test]
    fn entries_of_proc_sys_have_the_names_of_sysctl() {
        assert_eq!(name("net/ipv4/ip_forward"), "net.ipv4.ip_forward");
        assert_eq!(
            name("net/ipv4/conf/eth0.100/forwarding"),
            "net.ipv4.conf.eth0/100.forwarding"
        );
    }

    #[test]
    fn values_lose_their_newline() {
        let row = |text: &str, length: i32| {
            let mut row = Sysctl {
                count: 1,
                length,
                unused: 0,
                value: [0; 64],
            };
            for (to, from) in row.value.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            row
        };
        assert_eq!(value(&row("1\n", 2)).as_deref(), Some("1"));
        assert_eq!(
            value(&row("4096\t87380\t6291456\n", 20)).as_deref(),
            Some("4096 87380 6291456")
        );
        // -E2BIG means that the value did not fit.
        assert_eq!(value(&row("1", -7)), None);
        assert_eq!(value(&row("a\nb", 3)), None);
    }
}
