//! The object of a system call, from what `bpf/object.h` read of it.

use super::layout::{self, OBJECT_TEXT};
use capprof_profile::object::Object;
use capprof_profile::observation::Syscall;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Of address families, include/linux/socket.h.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// The length of `struct sockaddr` up to a unix socket's path.
const SUN_PATH: usize = 2;

/// Types of files, include/uapi/linux/stat.h.
const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;

/// `MS_REMOUNT`, `MS_BIND`, `MS_MOVE`, and those of mount propagation (include/uapi/linux/mount.h): with these, mount(2) ignores the type.
const MOUNTS_NOTHING_NEW: u64 = 0x20 | 0x1000 | 0x2000 | 0x1e_0000;

/// `PRIO_PROCESS` and `IOPRIO_WHO_PROCESS`.
const PRIO_PROCESS: u64 = 0;
const IOPRIO_WHO_PROCESS: u64 = 1;

/// The object; `None` if nothing is known of it.
pub(super) fn object(program: &str, call: &Syscall, row: &layout::Object) -> Option<Object> {
    if row.read == 0 {
        return None;
    }
    let known = Object {
        program: program.to_owned(),
        syscall: call.name.clone(),
        ..known(&call.name, row)
    };
    let is_known = known.path.is_some()
        || known.file_system.is_some()
        || known.port.is_some()
        || known.process.is_some()
        || known.user.is_some()
        || known.group.is_some();
    is_known.then_some(known)
}

/// What is known, by the system call.
fn known(call: &str, row: &layout::Object) -> Object {
    let [first, second, third, fourth] = row.arguments;
    match call {
        "bind" | "connect" => of_address(row, third),
        "mount" => Object {
            file_system: (fourth & MOUNTS_NOTHING_NEW == 0)
                .then(|| layout::text(&row.detail))
                .filter(|name| !name.is_empty()),
            ..of_path(row)
        },
        "fsopen" => Object {
            file_system: text(row).map(|(name, _)| String::from_utf8_lossy(&name).into_owned()),
            ..Object::default()
        },
        "mknod" => of_node(row, second, third),
        "mknodat" => of_node(row, third, fourth),
        "kill" | "tkill" | "tgkill" | "rt_sigqueueinfo" | "rt_tgsigqueueinfo"
        | "process_vm_readv" | "process_vm_writev" | "prlimit64" | "sched_setscheduler"
        | "sched_setparam" | "sched_setattr" | "sched_setaffinity" | "migrate_pages"
        | "move_pages" => of_process(first),
        "setpriority" if first == PRIO_PROCESS => of_process(second),
        "ioprio_set" if first == IOPRIO_WHO_PROCESS => of_process(second),
        "ptrace" => of_process(second),
        "setuid" | "setfsuid" => of_user(&[first]),
        "setreuid" => of_user(&[second, first]),
        "setresuid" => of_user(&[second, first, third]),
        "setgid" | "setfsgid" => of_group(&[first]),
        "setregid" => of_group(&[second, first]),
        "setresgid" => of_group(&[second, first, third]),
        _ => of_path(row),
    }
}

/// The text, and whether it is cut.
fn text(row: &layout::Object) -> Option<(Vec<u8>, bool)> {
    let length = usize::try_from(row.length).ok()?;
    let is_cut = length >= OBJECT_TEXT;
    // The kernel counts the NUL, and a text that fills the room may be longer.
    let end = match is_cut {
        true => OBJECT_TEXT.checked_sub(2)?,
        false => length.checked_sub(1)?,
    };
    let mut bytes = row.text.get(..end)?.to_vec();
    if is_cut {
        drop_half_a_character(&mut bytes);
    }
    (!bytes.is_empty()).then_some((bytes, is_cut))
}

/// Cuts off the beginning of a character at the end of UTF-8.
fn drop_half_a_character(bytes: &mut Vec<u8>) {
    if let Err(error) = std::str::from_utf8(bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
}

fn of_path(row: &layout::Object) -> Object {
    let Some((bytes, cut)) = text(row) else {
        return Object::default();
    };
    Object {
        path: Some(PathBuf::from(OsString::from_vec(bytes))),
        cut,
        ..Object::default()
    }
}

/// Of an address with this length.
fn of_address(row: &layout::Object, length: u64) -> Object {
    let [family, family_end, port, port_end, ..] = row.detail;
    let length = usize::try_from(low(length)).unwrap_or_default();
    match u16::from_ne_bytes([family, family_end]) {
        AF_INET | AF_INET6 => Object {
            port: Some(u16::from_be_bytes([port, port_end])).filter(|port| *port != 0),
            ..Object::default()
        },
        AF_UNIX => {
            let mut object = of_path(row);
            // The path need not end with NUL.
            object.path = object
                .path
                .map(|path| path.into_os_string().into_vec())
                .map(|mut path| {
                    path.truncate(length.saturating_sub(SUN_PATH));
                    PathBuf::from(OsString::from_vec(path))
                })
                .filter(|path| !path.as_os_str().is_empty());
            object.cut &= object.path.is_some();
            object
        }
        _ => Object::default(),
    }
}

/// Of a file that mknod(2) makes. A device's number is encoded as in include/linux/kdev_t.h, `new_decode_dev()`.
fn of_node(row: &layout::Object, mode: u64, device: u64) -> Object {
    let device = low(device);
    let major = (device & 0x000f_ff00) >> 8;
    let minor = (device & 0xff) | (device >> 12 & 0x000f_ff00);
    let kind = match low(mode) & S_IFMT {
        S_IFCHR => Some('c'),
        S_IFBLK => Some('b'),
        _ => None,
    };
    let known = of_path(row);
    Object {
        device: kind
            .filter(|_| known.path.is_some())
            .map(|kind| format!("{kind} {major}:{minor}")),
        ..known
    }
}

fn of_process(number: u64) -> Object {
    Object {
        process: Some(low(number).cast_signed()),
        ..Object::default()
    }
}

/// The first of these that is to change.
fn of_user(ids: &[u64]) -> Object {
    Object {
        user: changed(ids),
        ..Object::default()
    }
}

/// The same for a group.
fn of_group(ids: &[u64]) -> Object {
    Object {
        group: changed(ids),
        ..Object::default()
    }
}

fn changed(ids: &[u64]) -> Option<u32> {
    ids.iter().map(|id| low(*id)).find(|id| *id != u32::MAX)
}

/// The half of a register in which the kernel finds an `int`.
fn low(word: u64) -> u32 {
    u32::try_from(word & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests;
