//! The eBPF programs of `why`: loading, attaching, their maps. Nothing is pinned, so that nothing stays when this process ends.

use super::layout::{CALLS, Event, Filter, INSTRUCTIONS, Lost, Record, SPAWNER, SeenKey, kind};
use super::{calls, process};
use crate::ebpf::features::{Feature, has_function};
use crate::ebpf::libbpf::{self, Error, function, listen, refused};
use crate::ebpf::programs::{attach_cgroup, choose, control_groups};
use libbpf_rs::{Iter, Link, Map, MapCore, MapFlags, Object, ObjectBuilder, RingBufferBuilder};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// The compiled program, `bpf/why.bpf.c`.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/why.bpf.o"));

/// Programs that are attached on every kernel.
const COMMON: [&str; 5] = [
    "why_fork",
    "why_exec",
    "why_end",
    "why_signal",
    "why_system_call",
];

/// The program that names kernel functions.
const NAMES: &str = "name_symbols";
/// The number of functions that it names at a time: the size of the map `symbols`.
const SYMBOLS: usize = 64;
/// The program that sees the answers of device rules.
const DEVICES: &str = "why_device";
/// The program that sees the audit records of SELinux and AppArmor.
const RECORDS: &str = "why_record";
/// The program that sees AppArmor's refusals without a record.
const APPARMOR: &str = "why_apparmor";

/// AppArmor's functions (security/apparmor/lsm.c) that answer with an error if they refuse. Functions that run at every read and write are left
/// out.
const APPARMOR_FUNCTIONS: [&str; 25] = [
    "apparmor_bprm_creds_for_exec",
    "apparmor_file_open",
    "apparmor_file_truncate",
    "apparmor_move_mount",
    "apparmor_path_chmod",
    "apparmor_path_chown",
    "apparmor_path_link",
    "apparmor_path_mkdir",
    "apparmor_path_mknod",
    "apparmor_path_rename",
    "apparmor_path_rmdir",
    "apparmor_path_symlink",
    "apparmor_path_truncate",
    "apparmor_path_unlink",
    "apparmor_ptrace_access_check",
    "apparmor_ptrace_traceme",
    "apparmor_sb_mount",
    "apparmor_sb_pivotroot",
    "apparmor_sb_umount",
    "apparmor_socket_bind",
    "apparmor_socket_connect",
    "apparmor_socket_create",
    "apparmor_task_kill",
    "apparmor_task_setrlimit",
    "apparmor_userns_create",
];

/// The programs for this kernel without which `why` still finds the other causes, each with the loss that its absence means.
fn optional(missing: &mut Vec<String>) -> Vec<(&'static str, &'static str)> {
    let mut programs = vec![(NAMES, "")];
    match Feature::ReturnValue.missing() {
        None => programs.push((DEVICES, "device rules")),
        Some(reason) => missing.push(format!("device rules: {reason}")),
    }
    let apparmor_is_on = process::apparmor_is_on();
    if apparmor_is_on || process::selinux_is_on() {
        programs.push((RECORDS, "what SELinux and AppArmor refuse"));
    }
    if apparmor_is_on {
        programs.push((APPARMOR, "what AppArmor refuses by a deny rule"));
    }
    programs
}

fn load(programs: &[&str]) -> Result<Object, Error> {
    let mut open = ObjectBuilder::default()
        .name("capprof_why")
        .and_then(|builder| builder.open_memory(OBJECT))
        .map_err(refused("open"))?;
    choose(&mut open, programs);
    open.load().map_err(refused("load"))
}

/// Loads with as many of the optional programs as this kernel accepts. Only those stay in the list.
fn load_with(
    needed: &[&str],
    optional: &mut Vec<(&'static str, &'static str)>,
    missing: &mut Vec<String>,
) -> Result<Object, Error> {
    loop {
        let others = optional.iter().map(|(name, _)| *name);
        let programs: Vec<&str> = needed.iter().copied().chain(others).collect();
        let error = match listen(|| load(&programs)) {
            Ok(object) => return Ok(object),
            Err(error) => error,
        };
        // One program that is refused makes the whole object fail.
        let refused = optional
            .iter()
            .position(|(name, _)| error.program() == Some(*name));
        let Some(place) = refused else {
            return Err(error);
        };
        let (name, what) = optional.remove(place);
        // Without it, the names come from /proc/kallsyms.
        if name != NAMES {
            missing.push(format!("{what}: {error}"));
        }
    }
}

fn attach(object: &Object, name: &'static str) -> Result<Vec<Link>, Error> {
    let link = match name {
        DEVICES => attach_cgroup(object, name, &control_groups()?)?,
        APPARMOR => return attach_apparmor(object),
        _ => function(object, name)?
            .attach_trace()
            .map_err(refused(format!("attach {name}")))?,
    };
    Ok(vec![link])
}

/// Attaches one program to all of AppArmor's functions that this kernel has.
fn attach_apparmor(object: &Object) -> Result<Vec<Link>, Error> {
    let program = function(object, APPARMOR)?;
    APPARMOR_FUNCTIONS
        .into_iter()
        .filter(|name| has_function(name))
        .map(|name| {
            program
                .attach_kprobe(true, name)
                .map_err(refused(format!("attach {APPARMOR} to {name}")))
        })
        .collect()
}

/// A message of the kernel side.
pub(super) enum Told {
    Event(Box<Event>),
    Filter {
        filter: u64,
        previous: u64,
        /// The filter's program; `None` if this kernel does not keep it (CONFIG_CHECKPOINT_RESTORE).
        instructions: Option<Vec<u64>>,
    },
    Record(Box<Record>),
}

/// The programs, attached as long as this lives.
pub(super) struct Kernel {
    object: Object,
    _links: Vec<Link>,
    /// The facts that this kernel cannot provide, a line each.
    pub(super) missing: Vec<String>,
}

impl Kernel {
    /// Loads and attaches the programs.
    pub(super) fn load() -> Result<Self, Error> {
        let checks = match Feature::CapabilityTracepoint.missing() {
            None => "why_capable",
            Some(_) => "why_capable_fexit",
        };
        let mut needed: Vec<&'static str> = COMMON.to_vec();
        needed.push(checks);
        let mut missing = Vec::new();
        let mut optional = optional(&mut missing);
        let object = load_with(&needed, &mut optional, &mut missing)?;
        let mut links = Vec::new();
        for name in &needed {
            links.extend(listen(|| attach(&object, name))?);
        }
        for (name, what) in optional.iter().filter(|(name, _)| *name != NAMES) {
            match listen(|| attach(&object, name)) {
                Ok(attached) => links.extend(attached),
                Err(error) => missing.push(format!("{what}: {error}")),
            }
        }
        let kernel = Self {
            object,
            _links: links,
            missing,
        };
        for number in 0..CALLS {
            let shape = calls::shape(number);
            if shape != 0 {
                kernel.put("calls", number, shape)?;
            }
        }
        Ok(kernel)
    }

    fn map(&self, name: &'static str) -> Result<Map<'_>, Error> {
        libbpf::map(&self.object, name)
    }

    fn put(&self, map: &'static str, key: u32, value: u32) -> Result<(), Error> {
        self.map(map)?
            .update(&key.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
            .map_err(refused(format!("update eBPF map {map}")))
    }

    /// Watches the processes that this one starts from now on, and not the process itself.
    pub(super) fn watch_children(&self, pid: u32) -> Result<(), Error> {
        self.put("watched", pid, SPAWNER)
    }

    /// Watches a running process.
    pub(super) fn watch(&self, pid: u32) -> Result<(), Error> {
        self.put("watched", pid, 0)
    }

    /// Watches processes that execute a program in this mount namespace.
    pub(super) fn watch_joins(&self, mount_namespace: u32) -> Result<(), Error> {
        self.put("joins", mount_namespace, 1)
    }

    /// Returns the number of times that a refusal was seen.
    pub(super) fn count(&self, key: &SeenKey) -> u64 {
        self.map("seen")
            .ok()
            .and_then(|map| map.lookup(key.as_bytes(), MapFlags::ANY).ok().flatten())
            .and_then(|value| u64::read_from_bytes(&value).ok())
            .unwrap_or(1)
    }

    /// The number of these that did not fit.
    pub(super) fn lost(&self, what: Lost) -> u64 {
        self.map("lost")
            .ok()
            .and_then(|map| {
                map.lookup(&(what as u32).to_ne_bytes(), MapFlags::ANY)
                    .ok()
                    .flatten()
            })
            .and_then(|value| u64::read_from_bytes(&value).ok())
            .unwrap_or(0)
    }

    /// Names of the functions that contain these addresses; `None` if this kernel does not name them.
    pub(super) fn names(&self, addresses: &[u64]) -> Option<HashMap<u64, String>> {
        let map = self.map("symbols").ok()?;
        let link = listen(|| {
            function(&self.object, NAMES)?
                .attach_iter(map.as_fd())
                .map_err(refused(format!("attach {NAMES}")))
        })
        .ok()?;
        let mut names = HashMap::new();
        for chunk in addresses.chunks(SYMBOLS) {
            for (index, address) in (0_u32..).zip(chunk) {
                map.update(&index.to_ne_bytes(), &address.to_ne_bytes(), MapFlags::ANY)
                    .ok()?;
            }
            let mut text = String::with_capacity(64 << 10);
            Iter::new(&link).ok()?.read_to_string(&mut text).ok()?;
            names.extend(
                chunk
                    .iter()
                    .copied()
                    .zip(text.lines().map(ToOwned::to_owned)),
            );
        }
        Some(names)
    }

    /// The kernel's events, in order.
    pub(super) fn events(&self) -> Result<Events<'_>, Error> {
        let queue = Rc::new(RefCell::new(VecDeque::new()));
        let into = Rc::clone(&queue);
        let map = self.map("events")?;
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes| {
                if let Some(told) = read(bytes) {
                    into.borrow_mut().push_back(told);
                }
                0
            })
            .map_err(refused("read eBPF events"))?;
        let ring = builder.build().map_err(refused("read eBPF events"))?;
        Ok(Events { ring, queue })
    }
}

/// The stream of the kernel side's messages.
pub(super) struct Events<'kernel> {
    ring: libbpf_rs::RingBuffer<'kernel>,
    queue: Rc<RefCell<VecDeque<Told>>>,
}

impl Events<'_> {
    /// Returns the messages that have arrived, or arrive within this time.
    pub(super) fn wait(&self, time: Duration) -> Vec<Told> {
        // A signal, for example, may interrupt this; the next call goes on.
        let _ = self.ring.poll(time);
        self.queue.borrow_mut().drain(..).collect()
    }
}

fn read(bytes: &[u8]) -> Option<Told> {
    let (first, _) = bytes.split_at_checked(4)?;
    match u32::from_ne_bytes(first.try_into().ok()?) {
        kind::FILTER => {
            let filter = Filter::ref_from_prefix(bytes).ok()?.0;
            let length = usize::try_from(filter.length)
                .unwrap_or(0)
                .min(INSTRUCTIONS);
            Some(Told::Filter {
                filter: filter.filter,
                previous: filter.previous,
                instructions: (length > 0)
                    .then(|| filter.instructions.iter().take(length).copied().collect()),
            })
        }
        kind::RECORD => Some(Told::Record(Box::new(
            Record::read_from_prefix(bytes).ok()?.0,
        ))),
        _ => Some(Told::Event(Box::new(
            Event::read_from_prefix(bytes).ok()?.0,
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_for_which_there_is_no_room_is_counted() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: eBPF needs root");
            return;
        }
        let kernel = Kernel::load().unwrap();
        kernel.watch_children(std::process::id()).unwrap();
        Command::new("true").status().unwrap();
        assert_eq!(kernel.lost(Lost::Processes), 0);
        // No process has a number this large.
        let full = (1 << 23..)
            .take(1 << 17)
            .find_map(|pid| kernel.watch(pid).err());
        assert!(full.is_some());
        Command::new("true").status().unwrap();
        // Other tests of this process may start processes too.
        assert!(kernel.lost(Lost::Processes) > 0);
        assert_eq!(kernel.lost(Lost::Events), 0);
    }
}
