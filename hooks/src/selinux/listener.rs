//! The listener that runs next to a container. It reads audit's multicast group if no auditd writes a log, and ends floods.
//!
//! The prestart hook joins the group and passes the socket as standard input, so that nothing is missed in between. The listener has a session of
//! its own, a control group of its own (of version 2), and no other streams. It ends by itself: when no process of the container is left and its own
//! fence has arrived, with the poststop hook's fence, or when the recording's directory is gone.
//!
//! It must not wait for the poststop hook: `crun run` adopts every orphan below it (PR_SET_CHILD_SUBREAPER), including the listener, and runs that
//! hook only when the last of its children has ended.

use super::audit::{AuditSocket, Heard, Listener};
use super::error::Error;
use super::events::EventCollector;
use super::fence::{FENCE_TIMEOUT, nonce};
use super::flood::Flood;
use super::liveness::Liveness;
use super::recorded_processes::RecordedProcesses;
use capprof_profile::Capability;
use capprof_profile::recording::Process;
use capprof_store::control_group::{self, PROCESSES, VERSION_2};
use capprof_store::process;
use capprof_store::recording::Directory;
use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The file in the recording's directory with the listener's options.
const OPTIONS: &str = "listener-options.json";

/// The file in the recording's directory with the listener's sums.
pub(super) const SUMMARY: &str = "listener.json";

/// The time that the listener waits for a record in one turn, in milliseconds.
const TURN: u16 = 200;

/// The time between two writes of the sums.
const INTERVAL: Duration = Duration::from_millis(500);

/// The control group of all listeners, directly below the root of the hierarchy, where they outlive the engine's service.
const CONTROL_GROUP: &str = "capprof";

#[derive(Debug, Serialize, Deserialize)]
struct Options {
    target: RecordedProcesses,
    /// The container's first process.
    init: Process,
    /// The capabilities whose auditing can be switched off, with the booleans.
    booleans: Vec<(Capability, String)>,
}

/// Starts the listener for a recording.
///
/// # Errors
/// [`Error::Audit`] if the group cannot be joined, [`Error::Listener`] if the process cannot be started.
pub(super) fn start(
    directory: &Directory,
    target: &RecordedProcesses,
    init: Process,
    booleans: Vec<(Capability, String)>,
) -> Result<Process, Error> {
    let socket = Listener::join()?;
    directory.save_json(
        OPTIONS,
        &Options {
            target: target.clone(),
            init,
            booleans,
        },
    )?;
    let listener = |source: io::Error| Error::Listener { source };
    let program = std::env::current_exe().map_err(listener)?;
    let child = Command::new(program)
        .arg("listen")
        .arg(directory.path())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(listener)?;
    // The hook ends long before the listener; the process that adopts it reaps it.
    let pid = i32::try_from(child.id())
        .map_err(|_| listener(io::Error::from(io::ErrorKind::InvalidData)))?;
    process::find(pid).ok_or_else(|| listener(io::Error::from(io::ErrorKind::NotFound)))
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
    let options: Options = directory.load_json(OPTIONS)?;
    let mut liveness = Liveness::new(options.init, options.target.clone());
    let mut collector = EventCollector::new(options.target);
    let mut listener = Listener::on(socket, TURN.into())?;
    let mut floods: Vec<Flood> = options
        .booleans
        .into_iter()
        .map(|(capability, boolean)| Flood::new(capability, boolean))
        .collect();
    let mut written = Instant::now();
    let mut written_kinds = 0;
    let mut overflowed = false;
    let mut fence: Option<(String, Instant)> = None;
    loop {
        let woken = listener.wait(liveness.descriptor(), TURN);
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
        if fence.is_none() && liveness.is_over(woken.by_process) {
            let nonce = nonce();
            let text = liveness.fence(&nonce);
            if let Err(error) = AuditSocket::open().and_then(|audit| audit.user_avc(&text)) {
                collector.lost(format!("send the listener's fence: {error}"));
            }
            fence = Some((nonce, Instant::now()));
        }
        let given_up = fence
            .as_ref()
            .is_some_and(|(_, sent)| sent.elapsed() >= FENCE_TIMEOUT);
        let passed = collector.fence().is_some() || given_up;
        if passed || written.elapsed() >= INTERVAL {
            if !directory.exists()? {
                return Ok(());
            }
            if passed || overflowed || collector.kinds() != written_kinds {
                written_kinds = collector.kinds();
                overflowed = false;
                let mut seen = collector.seen();
                // Any other fence comes from the poststop hook, which knows its nonce, or does not matter.
                seen.over = fence
                    .as_ref()
                    .is_some_and(|(nonce, _)| seen.fence.as_ref() == Some(nonce));
                match directory.save_json(SUMMARY, &seen) {
                    // The directory has just been removed: the recording has ended without waiting for this listener.
                    Err(_) if !directory.exists()? => return Ok(()),
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

/// Detaches this process from the hook that started it.
fn detach() -> io::Result<()> {
    // This fails only for the leader of a process group, which a child of the hook is not.
    let _ = setsid();
    let null: OwnedFd = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into();
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // On a host with only version 1 control groups, or if the policy forbids the move, the listener ends with the engine's service.
    let Some(root) = control_group::mount(VERSION_2) else {
        return Ok(());
    };
    let group = root.join(CONTROL_GROUP);
    for _ in 0..10 {
        let _ = fs::create_dir(&group);
        match join_control_group(&group) {
            // An earlier listener, the last one, has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    Ok(())
}

fn join_control_group(group: &Path) -> io::Result<()> {
    // fs::write would try to create the file if the group is gone.
    let mut members = File::options().write(true).open(group.join(PROCESSES))?;
    members.write_all(b"0")
}

/// Leaves the listeners' control group, and removes it after the last of them.
fn leave_control_group() {
    if let Some(root) = control_group::mount(VERSION_2) {
        let _ = join_control_group(&root);
        // The kernel refuses this while another listener is in the group.
        let _ = fs::remove_dir(root.join(CONTROL_GROUP));
    }
}
