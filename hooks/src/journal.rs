//! Writes a hook's messages to the system log.
//!
//! runc shows a failing hook's standard error in its own message. crun gives hooks /dev/null, so the hook also writes the message to the runtime's
//! standard error, where engines look for it. In both cases the system log gets it.

use capprof_profile::printable::printable;
use rustix::fs::OFlags;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;

/// `LOG_DAEMON | LOG_ERR` and `LOG_DAEMON | LOG_WARNING`, syslog(3).
const ERROR: u8 = (3 << 3) | 3;
const WARNING: u8 = (3 << 3) | 4;

/// Writes an error to standard error and to the system log, on one line. Never fails itself.
pub fn error(message: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(message));
    system_log(ERROR, message);
}

/// The same for a hook that a runtime has started: it also writes to the runtime's standard error if the hook's own is discarded.
pub fn hook_error(message: &str) {
    error(message);
    if standard_error_is_discarded() {
        tell_runtime(&one_line(message));
    }
}

fn one_line(message: &str) -> String {
    format!("capprof-hook: {}", printable(&message.replace('\n', " ")))
}

/// Writes a message for the administrator although nothing failed: the start and the end of a toggle, or another program's change in between.
pub fn warning(message: &str) {
    system_log(WARNING, message);
}

fn standard_error_is_discarded() -> bool {
    fs::read_link("/proc/self/fd/2").is_ok_and(|target| target == *"/dev/null")
}

/// Writes to the open file of the runtime itself: a file that is opened again has a position of its own, and the runtime's message would overwrite
/// this one. Sharing the descriptor needs the right to trace the runtime, which SELinux does not give to hooks. But engines give a runtime a pipe
/// or a terminal, which have no position, so opening these again does as well.
fn tell_runtime(line: &str) {
    let Some(parent) = rustix::process::getppid() else {
        return;
    };
    let line = format!("{line}\n");
    let shared = rustix::process::pidfd_open(parent, PidfdFlags::empty())
        .and_then(|parent| rustix::process::pidfd_getfd(parent, 2, PidfdGetfdFlags::empty()))
        .and_then(|stream| rustix::io::write(stream, line.as_bytes()));
    if shared.is_ok() {
        return;
    }
    let path = format!("/proc/{}/fd/2", parent.as_raw_nonzero());
    let has_position = fs::metadata(&path).map_or(true, |metadata| {
        let kind = metadata.file_type();
        !(kind.is_fifo() || kind.is_char_device())
    });
    if !has_position {
        let _ = OpenOptions::new()
            .write(true)
            // A pipe that is full or has no reader must not delay a container.
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
            .open(&path)
            .and_then(|mut stream| stream.write_all(line.as_bytes()));
    }
}

fn system_log(priority: u8, message: &str) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    // A full log socket must not delay a container.
    let _ = socket.set_nonblocking(true);
    let _ = socket.send_to(
        format!(
            "<{priority}>capprof-hook[{}]: {}",
            std::process::id(),
            printable(&message.replace('\n', " "))
        )
        .as_bytes(),
        "/dev/log",
    );
}
