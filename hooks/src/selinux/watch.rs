//! The listener that stays beside a container: it hears audit's multicast group where no auditd writes a log, and ends floods.
//!
//! The prestart hook joins the group and hands the socket down as standard input, so that nothing is missed in between. The listener
//! has a session, a control group (where control groups are version 2) and no streams of its own. It ends by itself: when no process of the
//! container is left and a fence of its own has passed, with the poststop hook's fence, or when the recording's directory is gone.
//!
//! It must not wait for the poststop hook. `crun run` adopts every orphan below it (PR_SET_CHILD_SUBREAPER), the listener among them, and
//! runs that hook only when the last of its children has ended.

use super::audit::{Audit, Heard, Listener};
use super::events::{Collector, Target};
use super::selinuxfs::Selinuxfs;
use super::{AUDIT_BOOLEAN, Error, FENCE_PATIENCE, is_zombie, nonce, state_of};
use crate::journal;
use crate::lease::{Kind, Leases, Switch};
use capprof_profile::Capability;
use capprof_profile::recording::{Directory, Process};
use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use rustix::process::PidfdFlags;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the listener is told, in the recording's directory.
const ORDERS: &str = "watch.json";

/// What it has seen, in the recording's directory.
pub(super) const SEEN: &str = "seen.json";

/// How many records of a capability are enough.
const ENOUGH: u64 = 100;

/// After how many records of a capability its auditing ends although another recording has not seen enough of it yet.
const TOO_MANY: u64 = 5_000;

/// How long one turn waits for a record, in milliseconds.
const PATIENCE: u16 = 200;

/// Between two writes of what was seen.
const INTERVAL: Duration = Duration::from_millis(500);

/// The control group of all listeners, where they outlive the engine's service.
const CONTROL_GROUP: &str = "/sys/fs/cgroup/capprof";

#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    target: Target,
    /// The container's first process.
    init: Process,
    /// The capabilities whose auditing can be ended, and the booleans that do it.
    booleans: Vec<(Capability, String)>,
}

/// Starts the listener for a recording.
///
/// # Errors
/// [`Error::Audit`] if the group cannot be joined, [`Error::Listener`] if the process cannot be started.
pub(super) fn start(
    directory: &Directory,
    target: &Target,
    init: Process,
    booleans: Vec<(Capability, String)>,
) -> Result<Process, Error> {
    let socket = Listener::join()?;
    directory.save_json(
        ORDERS,
        &Orders {
            target: target.clone(),
            init,
            booleans,
        },
    )?;
    let listener = |source: io::Error| Error::Listener { source };
    let program = std::env::current_exe().map_err(listener)?;
    let child = Command::new(program)
        .arg("watch")
        .arg(directory.path())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(listener)?;
    // Whoever adopts it reaps it: the hook ends long before.
    let pid = i32::try_from(child.id())
        .map_err(|_| listener(io::Error::from(io::ErrorKind::InvalidData)))?;
    Process::of(pid).ok_or_else(|| listener(io::Error::from(io::ErrorKind::NotFound)))
}

/// Listens until a fence has passed or the recording is gone.
///
/// # Errors
/// The recording's directory cannot be read or written, or standard input is not a socket of the group.
pub(super) fn run(directory: &Directory) -> Result<(), Error> {
    let listener_error = |source: io::Error| Error::Listener { source };
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(listener_error)?;
    detach().map_err(listener_error)?;
    let result = listen(directory, socket);
    leave_control_group();
    result
}

fn listen(directory: &Directory, socket: OwnedFd) -> Result<(), Error> {
    let orders: Orders = directory.load_json(ORDERS)?;
    let mut life = Life::new(orders.init, orders.target.clone());
    let mut collector = Collector::new(orders.target);
    let mut listener = Listener::on(socket, PATIENCE.into())?;
    let mut floods: Vec<Flood> = orders
        .booleans
        .into_iter()
        .map(|(capability, boolean)| Flood::new(capability, boolean))
        .collect();
    let mut written = Instant::now();
    let mut written_kinds = 0;
    let mut overflowed = false;
    let mut fence: Option<(String, Instant)> = None;
    loop {
        let woken = listener.wait(life.descriptor(), PATIENCE);
        let heard = match woken.by_record {
            true => listener.hear()?,
            false => Heard::Nothing,
        };
        match heard {
            Heard::Record(kind, payload) => {
                collector.message(kind, payload);
            }
            Heard::Nothing => {}
            Heard::Overflow => {
                overflowed = true;
                collector.lost(
                    "audit's multicast group: records came faster than they were read (ENOBUFS)"
                        .to_owned(),
                );
            }
        }
        for flood in &mut floods {
            flood.check(directory, &collector);
        }
        if fence.is_none() && life.is_over(woken.by_process) {
            let nonce = nonce();
            let text = life.fence(&nonce);
            if let Err(error) = Audit::open().and_then(|audit| audit.user_avc(&text)) {
                collector.lost(format!("send the listener's fence: {error}"));
            }
            fence = Some((nonce, Instant::now()));
        }
        let given_up = fence
            .as_ref()
            .is_some_and(|(_, sent)| sent.elapsed() >= FENCE_PATIENCE);
        let passed = collector.fence().is_some() || given_up;
        if passed || written.elapsed() >= INTERVAL {
            if !directory.path().exists() {
                return Ok(());
            }
            if passed || overflowed || collector.kinds() != written_kinds {
                written_kinds = collector.kinds();
                overflowed = false;
                let mut seen = collector.seen();
                // Any other fence is the poststop hook's, which knows its nonce, or nobody's.
                seen.over = fence
                    .as_ref()
                    .is_some_and(|(nonce, _)| seen.fence.as_ref() == Some(nonce));
                match directory.save_json(SEEN, &seen) {
                    // Removed in this moment: the recording has ended without waiting for this listener.
                    Err(_) if !directory.path().exists() => return Ok(()),
                    result => result?,
                }
            }
            written = Instant::now();
        }
        if passed {
            return Ok(());
        }
    }
}

/// The container as it is known from outside.
#[derive(Debug)]
struct Life {
    init: Process,
    /// Readable when the first process has ended; `None` if it has, or if this kernel has no such descriptors.
    descriptor: Option<OwnedFd>,
    has_ended: bool,
    /// Whether it is the first of a pid namespace. The kernel ends all others of that before it ends (pid_namespaces(7)).
    takes_all: bool,
    target: Target,
}

impl Life {
    fn new(init: Process, target: Target) -> Self {
        let descriptor = rustix::process::Pid::from_raw(init.pid)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let status = fs::read_to_string(format!("/proc/{}/status", init.pid)).unwrap_or_default();
        // Opened and read first: it may have ended, and the number may be another's.
        let has_ended = !init.exists();
        Self {
            init,
            descriptor: descriptor.filter(|_| !has_ended),
            has_ended,
            takes_all: !has_ended && is_first_of_its_pid_namespace(&status),
            target,
        }
    }

    /// What becomes readable with the end of the first process.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Whether no process of the container is left.
    fn is_over(&mut self, first_has_ended: bool) -> bool {
        if !self.has_ended && (first_has_ended || self.descriptor.is_none()) {
            self.has_ended = !self.init.exists() || is_zombie(self.init.pid);
            if self.has_ended {
                self.descriptor = None;
            }
        }
        self.has_ended && (self.takes_all || !self.target.is_in_use())
    }

    /// The text of a fence behind the container's last record.
    fn fence(&self, nonce: &str) -> String {
        format!("{}{nonce}", self.target.fence)
    }
}

/// Whether a process with this `/proc/PID/status` began a pid namespace: `NSpid` (proc_pid_status(5)) has its ids in that of the reader and in
/// those below, its own last.
fn is_first_of_its_pid_namespace(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|ids| {
            let ids: Vec<&str> = ids.split_whitespace().collect();
            ids.len() > 1 && ids.last() == Some(&"1")
        })
}

impl Target {
    /// Whether a process runs under the recording's label. One that may not be looked at counts as none.
    fn is_in_use(&self) -> bool {
        let label = format!(":{}:{}", self.type_, self.range);
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .any(|pid| {
                fs::read_to_string(format!("/proc/{pid}/attr/current"))
                    .is_ok_and(|context| context.trim_end_matches(['\0', '\n']).ends_with(&label))
                    && !is_zombie(pid)
            })
    }
}

/// Leaves everything that ties this process to the hook that started it.
fn detach() -> io::Result<()> {
    // Fails only for a leader of a process group, which a child of the hook is not.
    let _ = setsid();
    let null: OwnedFd = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into();
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // Not on a host with control groups of version 1, and not where the policy forbids it: then the listener ends with the engine's service.
    for _ in 0..10 {
        let _ = fs::create_dir(CONTROL_GROUP);
        match join_control_group(CONTROL_GROUP) {
            // The last listener of before has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    Ok(())
}

fn join_control_group(path: &str) -> io::Result<()> {
    // Not fs::write, which would try to make the file where the group is gone.
    let mut members = File::options()
        .write(true)
        .open(Path::new(path).join("cgroup.procs"))?;
    members.write_all(b"0")
}

/// Leaves the listeners' control group, and removes it after the last of them.
fn leave_control_group() {
    let _ = join_control_group("/sys/fs/cgroup");
    // Refused while another listener is in it.
    let _ = fs::remove_dir(CONTROL_GROUP);
}

/// The auditing of one capability whose every use is recorded, and when to end it.
#[derive(Debug)]
struct Flood {
    capability: Capability,
    boolean: String,
    /// The count at which to look again.
    next: u64,
    marked: bool,
}

impl Flood {
    fn new(capability: Capability, boolean: String) -> Self {
        Self {
            capability,
            boolean,
            next: ENOUGH,
            marked: false,
        }
    }

    /// Says in the recording's directory when this recording has seen enough, and switches auditing off if all have, or if it is too much.
    fn check(&mut self, directory: &Directory, collector: &Collector) {
        let (own, any) = collector.granted(self.capability);
        if any < self.next {
            return;
        }
        self.next = any + ENOUGH;
        let mark = format!("enough-{}", self.capability);
        // Uses in a nested user namespace say nothing about the container's own.
        if own >= ENOUGH && !self.marked {
            self.marked = fs::write(directory.path().join(&mark), "").is_ok();
        }
        let selinuxfs = Selinuxfs::new();
        let result = Leases::new(state_of(directory), &selinuxfs).switch_if(
            Kind::Domain,
            &Switch::Boolean(self.boolean.clone()),
            false,
            |recordings| {
                any >= TOO_MANY
                    || recordings
                        .iter()
                        .all(|recording| recording.join(&mark).exists())
            },
        );
        match result {
            Ok(true) => journal::warning(&format!(
                "auditing of {} ended after {any} records ({} off until the last recording ends)",
                self.capability, self.boolean
            )),
            Ok(false) => {}
            Err(error) => {
                // Once is enough: every further hundred records would say the same.
                self.next = u64::MAX;
                journal::warning(&format!("end auditing of {}: {error}", self.capability));
            }
        }
    }
}

/// The booleans that end the auditing of one capability each, as far as the loaded policy has them.
///
/// # Errors
/// [`Error::Booleans`] if the policy's cannot be listed.
pub(super) fn audit_booleans(selinuxfs: &Selinuxfs) -> Result<Vec<(Capability, String)>, Error> {
    Ok(selinuxfs
        .names(|name| name.starts_with(AUDIT_BOOLEAN))
        .map_err(|source| Error::Booleans { source })?
        .into_iter()
        .filter_map(|name| {
            let capability = name.strip_prefix(AUDIT_BOOLEAN)?;
            let capability = format!("CAP_{}", capability.to_ascii_uppercase());
            Some((capability.parse().ok()?, name))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_began_a_pid_namespace_is_told_by_its_ids() {
        let is_first =
            |ids: &str| is_first_of_its_pid_namespace(&format!("Name:\tsh\nNSpid:\t{ids}\nx:\n"));
        assert!(is_first("4711\t1"));
        assert!(is_first("4711\t12\t1"));
        // One that joined, one of the reader's own, and the reader's first.
        assert!(!is_first("4711\t8"));
        assert!(!is_first("4711"));
        assert!(!is_first("1"));
        assert!(!is_first_of_its_pid_namespace(""));
    }

    #[test]
    fn booleans_of_the_policy_module_are_told_by_name() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("booleans")).unwrap();
        for (name, value) in [
            ("capprof_audit_sys_admin", "1 1"),
            ("capprof_audit_nonsense", "1 1"),
            ("capprof_recording", "0 0"),
            ("virt_use_nfs", "0 0"),
        ] {
            fs::write(root.path().join("booleans").join(name), value).unwrap();
        }
        assert_eq!(
            audit_booleans(&Selinuxfs::at(root.path().to_owned())).unwrap(),
            [(Capability::SYS_ADMIN, "capprof_audit_sys_admin".to_owned())]
        );
    }
}
