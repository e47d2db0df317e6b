//! Programs that stand by for others: the kernel skips a program that it has preempted in another task. See `bpf/standby.h`.

use super::features::preempts_programs;
use super::libbpf::{self, function, refused};
use libbpf_rs::{Link, Object};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A program that stands by.
#[derive(Debug)]
pub(super) struct Standby {
    /// Its own name.
    pub(super) name: &'static str,
    /// The program for which it stands by.
    first: &'static str,
    /// Their event, as a path in tracefs.
    event: &'static str,
}

/// All standby programs.
const STANDBY: [Standby; 3] = [
    Standby {
        name: "standby_cap_capable",
        first: "tp_cap_capable",
        event: "capability/cap_capable",
    },
    Standby {
        name: "standby_exec",
        first: "process_exec",
        event: "sched/sched_process_exec",
    },
    Standby {
        name: "standby_exit",
        first: "process_exit",
        event: "sched/sched_process_exit",
    },
];

/// The standby programs that this kernel needs.
pub(super) fn programs() -> impl Iterator<Item = &'static Standby> {
    STANDBY.iter().filter(|_| preempts_programs())
}

/// Returns true if this is a standby program.
pub(super) fn is_standby(program: &str) -> bool {
    STANDBY.iter().any(|standby| standby.name == program)
}

/// The program that stands by for this one.
pub(super) fn standby_for(program: &str) -> Option<&'static str> {
    let found = STANDBY.iter().find(|standby| standby.first == program)?;
    Some(found.name)
}

impl Standby {
    /// Attaches the program to its event. One perf event on one processor is enough: the kernel runs its program on all processors.
    pub(super) fn attach(&self, object: &Object) -> Result<Link, libbpf::Error> {
        let number = self
            .number()
            .map_err(self.event_error("read the number of event"))?;
        let event = open_event(number).map_err(self.event_error("perf_event_open of"))?;
        function(object, self.name)?
            .attach_perf_event(event.as_raw_fd())
            .map_err(refused(format!("attach {}", self.name)))
    }

    fn event_error(&self, operation: &'static str) -> impl FnOnce(io::Error) -> libbpf::Error {
        let event = self.event;
        move |source| libbpf::Error::Event {
            operation,
            event,
            source,
        }
    }

    /// The event's number, read from a detached mount of tracefs, because not every host mounts tracefs.
    fn number(&self) -> io::Result<u64> {
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let root = fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_NOEXEC,
        )?;
        let path = format!("events/{}/id", self.event);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&root, path.as_str(), flags, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        text.trim().parse().map_err(io::Error::other)
    }
}

/// perf_event_open(2) of a tracepoint, for all tasks of processor 0.
#[allow(unsafe_code)]
fn open_event(number: u64) -> io::Result<OwnedFd> {
    let mut attributes = libbpf_sys::perf_event_attr {
        type_: libbpf_sys::PERF_TYPE_TRACEPOINT,
        size: u32::try_from(size_of::<libbpf_sys::perf_event_attr>()).unwrap_or(0),
        config: number,
        ..Default::default()
    };
    let (every_task, processor, no_group) = (-1, 0, -1);
    // SAFETY: the kernel reads `size` bytes of the structure and writes at most its size into it; the other arguments are numbers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw mut attributes,
            every_task,
            processor,
            no_group,
            libbpf_sys::PERF_FLAG_FD_CLOEXEC,
        )
    };
    match i32::try_from(result) {
        // SAFETY: the call has returned a new descriptor, which no other code knows.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
