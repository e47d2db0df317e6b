//! A system call as text, in the manner of strace(1).

use super::calls::{self, ArgumentKind};
use super::layout::{Event, PATH, flag, text};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The call with its arguments: `openat("/etc/shadow", O_RDONLY)`.
pub(super) fn call(event: &Event, name: &str) -> String {
    let Some(call) = calls::call(name) else {
        return format!("{name}()");
    };
    let mut paths = [text(&event.path), text(&event.path2)].into_iter();
    let mut arguments = Vec::new();
    for (index, kind) in call.kinds.iter().enumerate() {
        let value = event.arguments.get(index).copied().unwrap_or(0);
        let written = match kind {
            ArgumentKind::Path | ArgumentKind::Text => paths.next().map(|path| quoted(&path)),
            // Next to an address, the directory is the one to which the address's path is relative.
            ArgumentKind::Descriptor if calls::takes_address(name) => {
                Some(low(value).cast_signed().to_string())
            }
            ArgumentKind::Descriptor => Some(descriptor(event, value, index)),
            ArgumentKind::Directory | ArgumentKind::Skip => None,
            ArgumentKind::Address => Some(address(&event.data)),
            // The mode does not matter if no file is made.
            ArgumentKind::Mode
                if name.starts_with("open") && event.arguments[index - 1] & 0o100 == 0 =>
            {
                None
            }
            kind => Some(argument(*kind, value, name)),
        };
        arguments.extend(written);
    }
    if name == "mount" && arguments.len() > 1 {
        // The kernel side reads source and target in the reverse order.
        arguments.swap(0, 1);
    }
    format!("{name}({})", arguments.join(", "))
}

/// A quoted name, with dots after it if it may be longer.
fn quoted(name: &str) -> String {
    match name.len() < PATH - 1 {
        true => format!("{name:?}"),
        false => format!("{name:?}..."),
    }
}

/// A descriptor, with the file that it leads to if the kernel side reported it.
fn descriptor(event: &Event, value: u64, index: usize) -> String {
    let number = low(value).cast_signed();
    let base = base(event);
    match index == 0 && !base.is_empty() {
        true => format!("{number}<{base}>"),
        false => number.to_string(),
    }
}

/// Returns the path of the directory or descriptor, from the process's root directory; empty if the kernel side did not report it, or if it is not a
/// file.
pub(super) fn base(event: &Event) -> String {
    if event.flags & flag::BASE_KNOWN == 0
        || event.flags & (flag::BASE_TRUNCATED | flag::BASE_OUTSIDE) != 0
    {
        return String::new();
    }
    let length = usize::try_from(event.base_length).unwrap_or(0);
    let Some(bytes) = event.base.get(..length) else {
        return String::new();
    };
    let mut path = String::new();
    for name in bytes.split(|byte| *byte == 0).rev() {
        if !name.is_empty() {
            path.push('/');
            path.push_str(&String::from_utf8_lossy(name));
        }
    }
    match path.is_empty() {
        true => "/".to_owned(),
        false => path,
    }
}

#[allow(clippy::cast_possible_truncation)]
fn low(value: u64) -> u32 {
    value as u32
}

fn argument(kind: ArgumentKind, value: u64, call: &str) -> String {
    let number = low(value);
    match kind {
        ArgumentKind::OpenFlags => open_flags(value),
        ArgumentKind::Mode => format!("0{:o}", value & 0o7777),
        ArgumentKind::Id | ArgumentKind::Pid | ArgumentKind::Integer => {
            number.cast_signed().to_string()
        }
        ArgumentKind::Signal => named(&SIGNALS, u64::from(number)),
        ArgumentKind::Option => named(&OPTIONS, u64::from(number)),
        ArgumentKind::Request if call == "ioctl" => named(&IOCTLS, u64::from(number)),
        ArgumentKind::Request => named(&PTRACE, u64::from(number)),
        ArgumentKind::CloneFlags => flags(&CLONE, value & !0xff),
        ArgumentKind::MountFlags => flags(&MOUNT, value),
        ArgumentKind::Family => named(&FAMILIES, u64::from(number)),
        ArgumentKind::SocketType => named(&SOCKET_KINDS, u64::from(number & 0xf)),
        ArgumentKind::Resource => named(&RESOURCES, u64::from(number)),
        ArgumentKind::Protection => flags(&PROTECTION, value),
        ArgumentKind::MapFlags => flags(&MAP, value),
        ArgumentKind::Access => flags(&ACCESS, value),
        ArgumentKind::Device => format!(
            "makedev({}, {})",
            (number >> 8) & 0xfff,
            (number & 0xff) | (number >> 12 & 0xfff00)
        ),
        _ => format!("{value:#x}"),
    }
}

fn named(names: &[(u64, &str)], value: u64) -> String {
    names
        .iter()
        .find(|(number, _)| *number == value)
        .map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).to_owned())
}

fn flags(names: &[(u64, &str)], value: u64) -> String {
    let mut rest = value;
    let mut written: Vec<String> = Vec::new();
    for (bit, name) in names {
        if *bit != 0 && rest & bit == *bit {
            rest &= !bit;
            written.push((*name).to_owned());
        }
    }
    if rest != 0 {
        written.push(format!("{rest:#x}"));
    }
    match written.is_empty() {
        true => "0".to_owned(),
        false => written.join("|"),
    }
}

fn open_flags(value: u64) -> String {
    let mode = match value & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    };
    let others = flags(&OPEN, value & !3 & !0o2_100_000);
    match others == "0" {
        true => mode.to_owned(),
        false => format!("{mode}|{others}"),
    }
}

/// A socket's address (`struct sockaddr`): `127.0.0.1:80`, `[::1]:80`, or a path.
fn address(bytes: &[u8; 128]) -> String {
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match u16::from_ne_bytes([bytes[0], bytes[1]]) {
        1 => match bytes[2] {
            0 => format!("\"@{}\"", text(&bytes[3..])),
            _ => format!("{:?}", text(&bytes[2..])),
        },
        2 => {
            let address = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            format!("{address}:{port}")
        }
        10 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&bytes[8..24]);
            format!("[{}]:{port}", Ipv6Addr::from(octets))
        }
        16 => "AF_NETLINK".to_owned(),
        17 => "AF_PACKET".to_owned(),
        other => format!("family {other}"),
    }
}

/// The path of an `AF_UNIX` socket's address; `None` if it has none.
pub(super) fn socket_path(event: &Event) -> Option<String> {
    let bytes = &event.data;
    let family = u16::from_ne_bytes([bytes[0], bytes[1]]);
    (family == 1 && bytes[2] != 0).then(|| text(&bytes[2..]))
}

const OPEN: [(u64, &str); 11] = [
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o40_000, "O_DIRECT"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];
const SIGNALS: [(u64, &str); 14] = [
    (0, "0"),
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (6, "SIGABRT"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
];
const OPTIONS: [(u64, &str); 10] = [
    (4, "PR_SET_DUMPABLE"),
    (8, "PR_SET_KEEPCAPS"),
    (22, "PR_SET_SECCOMP"),
    (24, "PR_CAPBSET_DROP"),
    (28, "PR_SET_SECUREBITS"),
    (35, "PR_SET_MM"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (47, "PR_CAP_AMBIENT"),
    (57, "PR_SET_IO_FLUSHER"),
    (0x5961_6d61, "PR_SET_PTRACER"),
];
const IOCTLS: [(u64, &str); 14] = [
    (0x5401, "TCGETS"),
    (0x540e, "TIOCSCTTY"),
    (0x5412, "TIOCSTI"),
    (0x5456, "TIOCGSERIAL"),
    (0x8914, "SIOCSIFFLAGS"),
    (0x8916, "SIOCSIFADDR"),
    (0x8922, "SIOCSIFMTU"),
    (0x8b02, "SIOCSIWNWID"),
    (0x4004_54ca, "TUNSETIFF"),
    (0x4008_6602, "FS_IOC_SETFLAGS"),
    (0x401c_5820, "FS_IOC_FSSETXATTR"),
    (0x125d, "BLKROSET"),
    (0x5331, "CDROM_GET_CAPABILITY"),
    (0xc028_660f, "FIDEDUPERANGE"),
];
const PTRACE: [(u64, &str); 4] = [
    (0, "PTRACE_TRACEME"),
    (16, "PTRACE_ATTACH"),
    (0x4206, "PTRACE_SEIZE"),
    (0x420c, "PTRACE_SECCOMP_GET_FILTER"),
];
const CLONE: [(u64, &str); 9] = [
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x0002_0000, "CLONE_NEWNS"),
    (0x0400_0000, "CLONE_NEWUTS"),
    (0x0800_0000, "CLONE_NEWIPC"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x0200_0000, "CLONE_NEWCGROUP"),
    (0x0000_0100, "CLONE_VM"),
    (0x0000_4000, "CLONE_VFORK"),
];
const MOUNT: [(u64, &str); 10] = [
    (1, "MS_RDONLY"),
    (2, "MS_NOSUID"),
    (4, "MS_NODEV"),
    (8, "MS_NOEXEC"),
    (0x20, "MS_REMOUNT"),
    (0x1000, "MS_BIND"),
    (0x2000, "MS_MOVE"),
    (0x4000, "MS_REC"),
    (0x8000, "MS_SILENT"),
    (0x4_0000, "MS_PRIVATE"),
];
const FAMILIES: [(u64, &str); 10] = [
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (10, "AF_INET6"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (29, "AF_CAN"),
    (31, "AF_BLUETOOTH"),
    (38, "AF_ALG"),
    (40, "AF_VSOCK"),
    (44, "AF_XDP"),
];
const SOCKET_KINDS: [(u64, &str); 4] = [
    (1, "SOCK_STREAM"),
    (2, "SOCK_DGRAM"),
    (3, "SOCK_RAW"),
    (5, "SOCK_SEQPACKET"),
];
const RESOURCES: [(u64, &str); 16] = [
    (0, "RLIMIT_CPU"),
    (1, "RLIMIT_FSIZE"),
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (4, "RLIMIT_CORE"),
    (5, "RLIMIT_RSS"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (10, "RLIMIT_LOCKS"),
    (11, "RLIMIT_SIGPENDING"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
    (15, "RLIMIT_RTTIME"),
];
const PROTECTION: [(u64, &str); 3] = [(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];
const MAP: [(u64, &str); 6] = [
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x2000, "MAP_LOCKED"),
    (0x4_0000, "MAP_HUGETLB"),
];
const ACCESS: [(u64, &str); 3] = [(4, "R_OK"), (2, "W_OK"), (1, "X_OK")];
