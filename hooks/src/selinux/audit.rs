//! The kernel's audit subsystem over netlink (`include/uapi/linux/audit.h`, kernel/audit.c): its state, a user-space record, the multicast group.
//!
//! The unicast stream belongs to auditd and is never touched.

use super::audit_rules::AuditRule;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const AUDIT_GET: u16 = 1000;
const AUDIT_LIST_RULES: u16 = 1013;
const AUDIT_USER_AVC: u16 = 1107;
/// `AUDIT_NLGRP_READLOG`, as a bit of the mask of groups.
const GROUP_READLOG: u32 = 1;
/// The header of a netlink message (netlink(7)): length, type, flags, sequence, port.
const HEADER: usize = 16;
/// `MAX_AUDIT_MESSAGE_LENGTH`, with room for the header.
const MESSAGE: usize = 8970 + HEADER;
/// systemd-journald uses the same value for the same purpose.
const RECEIVE_BUFFER: usize = 128 * 1024 * 1024;
/// The time that the kernel's answer may take, in seconds.
const TIMEOUT: i64 = 2;

/// A request to audit that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kernel was built or started without audit.
    #[error(
        "open audit netlink socket: auditing is off in this kernel (audit=0 on its command line, or not built in): SELinux leaves no records"
    )]
    Off,
    /// The socket could not be opened.
    #[error("open audit netlink socket: {0}")]
    Open(Errno),
    /// A request could not be sent.
    #[error("{request}: {errno}{}", hint(*errno))]
    Request {
        /// The request.
        request: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// An audit rule of the host excludes every record.
    #[error(
        "audit rule {0} keeps SELinux's records from being made (auditctl -l lists it, auditctl -d removes it)"
    )]
    Excluded(String),
    /// The kernel's answer is shorter than its header says.
    #[error("{0}: the kernel's answer is cut short")]
    Short(&'static str),
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM | Errno::EACCES => {
            " (needs CAP_AUDIT_CONTROL, CAP_AUDIT_WRITE and CAP_AUDIT_READ, and an SELinux domain that may use them: is capprof's policy module installed and capprof-hook labelled?)"
        }
        Errno::ECONNREFUSED => {
            " (audit answers only in the initial user and process namespaces: capprof-hook must run as root of the host)"
        }
        _ => "",
    }
}

/// The state of auditing: `struct audit_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// 0 off (AVC records are made nevertheless), 1 on, 2 on until the next boot.
    pub(crate) enabled: u32,
    /// The process that reads the unicast stream, usually auditd; 0 if none does.
    pub(crate) daemon: u32,
    /// The number of records per second that may pass; 0 is without limit.
    pub(crate) rate_limit: u32,
    /// The number of records that may wait.
    pub(crate) backlog_limit: u32,
    /// The number of records that were lost since boot (the counter may be reset by auditctl).
    pub(crate) lost: u32,
}

/// A connection to the kernel's audit subsystem.
#[derive(Debug)]
pub(crate) struct AuditSocket(OwnedFd);

impl AuditSocket {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`Error::Off`], [`Error::Open`].
    pub(crate) fn open() -> Result<Self, Error> {
        let socket = open_socket()?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(TIMEOUT, 0)).map_err(Error::Open)?;
        Ok(Self(socket))
    }

    /// Asks for the state of auditing.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Short`].
    pub(crate) fn status(&self) -> Result<Status, Error> {
        const REQUEST: &str = "ask for the state of auditing";
        self.send(REQUEST, AUDIT_GET, NLM_F_REQUEST, b"")?;
        let mut buffer = [0; MESSAGE];
        loop {
            let (kind, payload) = self.receive(REQUEST, &mut buffer)?;
            match kind {
                AUDIT_GET => {
                    let word = |index: usize| {
                        payload
                            .get(index * 4..index * 4 + 4)
                            .and_then(|bytes| bytes.try_into().ok())
                            .map(u32::from_ne_bytes)
                            .ok_or(Error::Short(REQUEST))
                    };
                    // mask, enabled, failure, pid, rate_limit, backlog_limit, lost
                    return Ok(Status {
                        enabled: word(1)?,
                        daemon: word(3)?,
                        rate_limit: word(4)?,
                        backlog_limit: word(5)?,
                        lost: word(6)?,
                    });
                }
                NLMSG_ERROR => acknowledged(REQUEST, payload)?,
                _ => {}
            }
        }
    }

    /// Asks for the rules that are loaded, in all lists.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Short`].
    pub(super) fn rules(&self) -> Result<Vec<AuditRule>, Error> {
        const REQUEST: &str = "list audit's rules";
        self.send(REQUEST, AUDIT_LIST_RULES, NLM_F_REQUEST, b"")?;
        let mut rules = Vec::new();
        let mut buffer = [0; MESSAGE];
        loop {
            let (kind, payload) = self.receive(REQUEST, &mut buffer)?;
            match kind {
                AUDIT_LIST_RULES => {
                    rules.push(AuditRule::parse(payload).ok_or(Error::Short(REQUEST))?)
                }
                NLMSG_DONE => return Ok(rules),
                NLMSG_ERROR => acknowledged(REQUEST, payload)?,
                _ => {}
            }
        }
    }

    /// Writes a record of type `USER_AVC`. Of the types for user space, only this one is passed on while auditing is disabled (kernel/audit.c,
    /// `audit_receive_msg()`).
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Short`].
    pub(crate) fn user_avc(&self, text: &str) -> Result<(), Error> {
        const REQUEST: &str = "write a record to audit";
        let mut payload = text.as_bytes().to_vec();
        payload.push(0);
        self.send(REQUEST, AUDIT_USER_AVC, NLM_F_REQUEST | NLM_F_ACK, &payload)?;
        let mut buffer = [0; MESSAGE];
        loop {
            let (kind, payload) = self.receive(REQUEST, &mut buffer)?;
            if kind == NLMSG_ERROR {
                return acknowledged(REQUEST, payload);
            }
        }
    }

    fn send(
        &self,
        request: &'static str,
        kind: u16,
        flags: u16,
        payload: &[u8],
    ) -> Result<(), Error> {
        let error = |errno| Error::Request { request, errno };
        let length = u32::try_from(HEADER + payload.len()).map_err(|_| error(Errno::EMSGSIZE))?;
        let mut message = Vec::with_capacity(HEADER + payload.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.extend_from_slice(&1_u32.to_ne_bytes());
        message.extend_from_slice(&0_u32.to_ne_bytes());
        message.extend_from_slice(payload);
        sendto(
            self.0.as_raw_fd(),
            &message,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )
        .map_err(error)?;
        Ok(())
    }

    fn receive<'a>(
        &self,
        request: &'static str,
        buffer: &'a mut [u8],
    ) -> Result<(u16, &'a [u8]), Error> {
        loop {
            match receive(&self.0, buffer) {
                Ok(Some((kind, length))) => {
                    let payload = buffer.get(HEADER..length).ok_or(Error::Short(request))?;
                    return Ok((kind, payload));
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Request { request, errno }),
            }
        }
    }
}

fn acknowledged(request: &'static str, payload: &[u8]) -> Result<(), Error> {
    let code = payload
        .get(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes)
        .ok_or(Error::Short(request))?;
    match code {
        0 => Ok(()),
        code => Err(Error::Request {
            request,
            errno: Errno::from_raw(-code),
        }),
    }
}

fn open_socket() -> Result<OwnedFd, Error> {
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkAudit,
    )
    .map_err(|errno| match errno {
        // kernel/audit.c registers no netlink protocol if audit is off.
        Errno::EPROTONOSUPPORT => Error::Off,
        errno => Error::Open(errno),
    })
}

/// Receives one message: its type, and the length of header and payload in `buffer`; `None` if it does not come from the kernel.
///
/// The length is the number of bytes that arrived: on audit's unicast stream, the length in the header excludes the header.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Option<(u16, usize)>, Errno> {
    let (length, sender) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buffer)?;
    if sender.is_some_and(|sender| sender.pid() != 0) || length < HEADER {
        return Ok(None);
    }
    let kind = match buffer.get(4..6) {
        Some([low, high]) => u16::from_ne_bytes([*low, *high]),
        _ => return Ok(None),
    };
    Ok(Some((kind, length)))
}

/// A member of audit's multicast group. It gets every record when the kernel's thread takes it from the queue, with or without auditd.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// The event that ended a [`Listener`]'s wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Woken {
    /// A record has arrived, or an overflow was reported.
    pub(crate) by_record: bool,
    /// The process has ended.
    pub(crate) by_process: bool,
}

/// A message that a [`Listener`] received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A record: its type, and `audit(…): …`.
    Record(u16, &'a [u8]),
    /// No record has come within the listener's wait.
    Nothing,
    /// Records were dropped because this listener was too slow (ENOBUFS); the kernel's counter `lost` does not include them.
    Overflow,
}

impl Listener {
    /// Joins the group. From now on records wait in the socket's buffer, even across an `execve` that inherits it.
    ///
    /// # Errors
    /// [`Error::Off`], [`Error::Open`], [`Error::Request`].
    pub(crate) fn join() -> Result<OwnedFd, Error> {
        const REQUEST: &str = "join audit's multicast group";
        let socket = open_socket()?;
        let error = |errno| Error::Request {
            request: REQUEST,
            errno,
        };
        // This comes before joining, so that nothing is lost in between. Without CAP_NET_ADMIN the default size must do.
        let _ = setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER);
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP_READLOG)).map_err(error)?;
        Ok(socket)
    }

    /// Listens on a socket that has joined; each call of [`Listener::hear`] waits for up to `patience` milliseconds.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub(crate) fn on(socket: OwnedFd, patience: i64) -> Result<Self, Error> {
        setsockopt(
            &socket,
            ReceiveTimeout,
            &TimeVal::new(patience / 1000, patience % 1000 * 1000),
        )
        .map_err(Error::Open)?;
        Ok(Self {
            socket,
            buffer: vec![0; MESSAGE],
        })
    }

    /// Waits for a record, or for the end of a process, but no longer than `patience` milliseconds.
    pub(crate) fn wait(&self, process: Option<BorrowedFd<'_>>, patience: u16) -> Woken {
        let mut descriptors = vec![PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        descriptors.extend(process.map(|process| PollFd::new(process, PollFlags::POLLIN)));
        // hear() reports an error of the socket.
        let _ = poll(&mut descriptors, patience);
        let is_ready = |index: usize| {
            descriptors
                .get(index)
                .and_then(PollFd::any)
                .unwrap_or_default()
        };
        Woken {
            by_record: is_ready(0),
            by_process: is_ready(1),
        }
    }

    /// Receives the next record.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub(crate) fn hear(&mut self) -> Result<Heard<'_>, Error> {
        loop {
            match receive(&self.socket, &mut self.buffer) {
                Ok(Some((kind, length))) => {
                    let payload = self.buffer.get(HEADER..length).unwrap_or_default();
                    return Ok(Heard::Record(kind, payload));
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Heard::Nothing),
                Err(Errno::ENOBUFS) => return Ok(Heard::Overflow),
                Err(errno) => {
                    return Err(Error::Request {
                        request: "listen to audit's multicast group",
                        errno,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Skipped, with a message, if the kernel does not audit or this process may not use audit.
    #[test]
    fn the_kernel_tells_its_state_and_passes_on_a_record() {
        let audit = match AuditSocket::open() {
            Ok(audit) => audit,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        let socket = match Listener::join() {
            Ok(socket) => socket,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        let status = match audit.status() {
            Ok(status) => status,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        assert!(status.enabled <= 2, "{status:?}");
        // This reads the list to its end.
        audit.rules().unwrap();
        let text = format!("capprof test {}", std::process::id());
        audit.user_avc(&text).unwrap();
        let mut listener = Listener::on(socket, 2000).unwrap();
        loop {
            match listener.hear().unwrap() {
                Heard::Record(1107, payload)
                    if memchr::memmem::find(payload, text.as_bytes()).is_some() =>
                {
                    break;
                }
                Heard::Record(..) | Heard::Overflow => {}
                Heard::Nothing => panic!("the record did not come back"),
            }
        }
    }
}
