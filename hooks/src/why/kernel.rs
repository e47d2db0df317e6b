//! The eBPF programs of `why`: loading, attaching, their maps. Nothing is pinned, so that nothing stays when this process ends.

use super::calls;
use super::layout::{CALLS, Event, Filter, INSTRUCTIONS, SPAWNER, SeenKey, kind};
use crate::ebpf::error::describe;
use crate::ebpf::features::Feature;
use crate::ebpf::programs::{choose, control_groups, listen};
use libbpf_rs::{Iter, Link, MapCore, MapFlags, Object, ObjectBuilder, RingBufferBuilder};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// The compiled program, `bpf/why.bpf.c`.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/why.bpf.o"));

/// Attached on every kernel.
const COMMON: [&str; 5] = [
    "why_fork",
    "why_exec",
    "why_end",
    "why_signal",
    "why_system_call",
];

/// Names kernel functions.
const NAMES: &str = "name_symbols";
/// How many at a time: the size of the map `symbols`.
const SYMBOLS: usize = 64;
/// Sees what device rules say.
const DEVICES: &str = "why_device";

fn load(programs: &[&str]) -> Result<Object, String> {
    let mut open = ObjectBuilder::default()
        .name("capprof_why")
        .and_then(|builder| builder.open_memory(OBJECT))
        .map_err(|error| format!("open: {}", describe(&error)))?;
    choose(&mut open, programs);
    open.load()
        .map_err(|error| format!("load: {}", describe(&error)))
}

fn attach(object: &Object, name: &str) -> Result<Link, String> {
    let program = object
        .progs_mut()
        .find(|program| program.name() == name)
        .ok_or_else(|| format!("the program has no function {name}"))?;
    match name {
        DEVICES => program.attach_cgroup(control_groups()?.as_raw_fd()),
        _ => program.attach_trace(),
    }
    .map_err(|error| format!("attach {name}: {}", describe(&error)))
}

/// Something that the kernel told.
pub(super) enum Told {
    Event(Box<Event>),
    Filter {
        filter: u64,
        previous: u64,
        /// `None` if this kernel does not keep it (CONFIG_CHECKPOINT_RESTORE).
        instructions: Option<Vec<u64>>,
    },
}

/// The programs, attached as long as this lives.
pub(super) struct Kernel {
    object: Object,
    _links: Vec<Link>,
    /// What this kernel cannot tell, a line each.
    pub(super) missing: Vec<String>,
}

impl Kernel {
    /// Loads and attaches.
    pub(super) fn load() -> Result<Self, String> {
        let checks = match Feature::CapabilityTracepoint.missing() {
            None => "why_capable",
            Some(_) => "why_capable_fexit",
        };
        let mut needed: Vec<&str> = COMMON.to_vec();
        needed.push(checks);
        let mut missing = Vec::new();
        // One program that is refused makes the whole object fail.
        let attempts = [&[NAMES, DEVICES][..], &[DEVICES], &[]];
        let mut refused = String::new();
        let mut loaded = None;
        for optional in attempts {
            if optional.contains(&DEVICES) && Feature::ReturnValue.missing().is_some() {
                continue;
            }
            let programs = [&needed[..], optional].concat();
            match listen(|| load(&programs)) {
                Ok(object) => {
                    loaded = Some((object, optional.contains(&DEVICES)));
                    break;
                }
                Err(reason) => refused = reason,
            }
        }
        let (object, sees_devices) = loaded.ok_or(refused)?;
        let mut links = Vec::new();
        for name in &needed {
            links.push(listen(|| attach(&object, name))?);
        }
        match sees_devices {
            true => match listen(|| attach(&object, DEVICES)) {
                Ok(link) => links.push(link),
                Err(reason) => missing.push(format!("device rules: {reason}")),
            },
            false => missing.push(format!(
                "device rules: {}",
                Feature::ReturnValue
                    .missing()
                    .unwrap_or("the kernel refuses the program that sees them")
            )),
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

    fn map(&self, name: &str) -> Result<libbpf_rs::Map<'_>, String> {
        self.object
            .maps()
            .find(|map| map.name() == name)
            .ok_or_else(|| format!("the program has no map {name}"))
    }

    fn put(&self, map: &str, key: u32, value: u32) -> Result<(), String> {
        self.map(map)?
            .update(&key.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| format!("update eBPF map {map}: {error}"))
    }

    /// Watches what this process starts from now on, and not this process itself.
    pub(super) fn watch_children(&self) -> Result<(), String> {
        self.put("watched", std::process::id(), SPAWNER)
    }

    /// Ends that; what was started is watched on.
    pub(super) fn stop_watching_children(&self) {
        if let Ok(map) = self.map("watched") {
            let _ = map.delete(&std::process::id().to_ne_bytes());
        }
    }

    /// Watches a process that runs already.
    pub(super) fn watch(&self, pid: u32) -> Result<(), String> {
        self.put("watched", pid, 0)
    }

    /// Watches what is executed in this mount namespace.
    pub(super) fn watch_joins(&self, mount_namespace: u32) -> Result<(), String> {
        self.put("joins", mount_namespace, 1)
    }

    /// How often a refusal was seen.
    pub(super) fn count(&self, key: &SeenKey) -> u64 {
        self.map("seen")
            .ok()
            .and_then(|map| map.lookup(key.as_bytes(), MapFlags::ANY).ok().flatten())
            .and_then(|value| u64::read_from_bytes(&value).ok())
            .unwrap_or(1)
    }

    /// How many events found no room.
    pub(super) fn lost(&self) -> u64 {
        self.map("lost")
            .ok()
            .and_then(|map| {
                map.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY)
                    .ok()
                    .flatten()
            })
            .and_then(|value| u64::read_from_bytes(&value).ok())
            .unwrap_or(0)
    }

    /// Names of the functions that these addresses lie in; `None` if this kernel does not name them.
    pub(super) fn names(&self, addresses: &[u64]) -> Option<HashMap<u64, String>> {
        let map = self.map("symbols").ok()?;
        let link = listen(|| {
            self.object
                .progs_mut()
                .find(|program| program.name() == NAMES)
                .ok_or_else(|| format!("the program has no function {NAMES}"))?
                .attach_iter(map.as_fd())
                .map_err(|error| describe(&error))
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

    /// What the kernel tells, in order.
    pub(super) fn events(&self) -> Result<Events<'_>, String> {
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
            .map_err(|error| format!("read eBPF events: {error}"))?;
        let ring = builder
            .build()
            .map_err(|error| format!("read eBPF events: {error}"))?;
        Ok(Events { ring, queue })
    }
}

/// The stream of what the kernel tells.
pub(super) struct Events<'kernel> {
    ring: libbpf_rs::RingBuffer<'kernel>,
    queue: Rc<RefCell<VecDeque<Told>>>,
}

impl Events<'_> {
    /// What has come, or comes within this time.
    pub(super) fn wait(&self, time: Duration) -> Vec<Told> {
        // Interrupted by a signal, for example; the next call goes on.
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
        _ => Some(Told::Event(Box::new(
            Event::read_from_prefix(bytes).ok()?.0,
        ))),
    }
}
