//! The eBPF programs of `why`: loading, attaching, their maps. Nothing is pinned, so that nothing stays when this process ends.

use super::calls;
use super::layout::{CALLS, Event, Filter, INSTRUCTIONS, SPAWNER, SeenKey, kind};
use crate::ebpf::features::Feature;
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

fn load(programs: &[&str]) -> Result<Object, Error> {
    let mut open = ObjectBuilder::default()
        .name("capprof_why")
        .and_then(|builder| builder.open_memory(OBJECT))
        .map_err(refused("open"))?;
    choose(&mut open, programs);
    open.load().map_err(refused("load"))
}

/// Loads these programs, with as many of the optional ones as the kernel takes. Returns the object, and true if it sees device rules.
fn load_most(needed: &[&str]) -> Result<(Object, bool), Error> {
    if Feature::ReturnValue.missing().is_none() {
        // One program that is refused makes the whole object fail.
        for optional in [&[NAMES, DEVICES][..], &[DEVICES]] {
            if let Ok(object) = listen(|| load(&[needed, optional].concat())) {
                return Ok((object, true));
            }
        }
    }
    Ok((listen(|| load(needed))?, false))
}

fn attach(object: &Object, name: &'static str) -> Result<Link, Error> {
    match name {
        DEVICES => attach_cgroup(object, name, &control_groups()?),
        _ => function(object, name)?
            .attach_trace()
            .map_err(refused(format!("attach {name}"))),
    }
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
    pub(super) fn load() -> Result<Self, Error> {
        let checks = match Feature::CapabilityTracepoint.missing() {
            None => "why_capable",
            Some(_) => "why_capable_fexit",
        };
        let mut needed: Vec<&'static str> = COMMON.to_vec();
        needed.push(checks);
        let mut missing = Vec::new();
        let (object, sees_devices) = load_most(&needed)?;
        let mut links = Vec::new();
        for name in &needed {
            links.push(listen(|| attach(&object, name))?);
        }
        match sees_devices {
            true => match listen(|| attach(&object, DEVICES)) {
                Ok(link) => links.push(link),
                Err(error) => missing.push(format!("device rules: {error}")),
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

    fn map(&self, name: &'static str) -> Result<Map<'_>, Error> {
        libbpf::map(&self.object, name)
    }

    fn put(&self, map: &'static str, key: u32, value: u32) -> Result<(), Error> {
        self.map(map)?
            .update(&key.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
            .map_err(refused(format!("update eBPF map {map}")))
    }

    /// Watches what this process starts from now on, and not this process itself.
    pub(super) fn watch_children(&self) -> Result<(), Error> {
        self.put("watched", std::process::id(), SPAWNER)
    }

    /// Ends that; what was started is watched on.
    pub(super) fn stop_watching_children(&self) {
        if let Ok(map) = self.map("watched") {
            let _ = map.delete(&std::process::id().to_ne_bytes());
        }
    }

    /// Watches a process that runs already.
    pub(super) fn watch(&self, pid: u32) -> Result<(), Error> {
        self.put("watched", pid, 0)
    }

    /// Watches what is executed in this mount namespace.
    pub(super) fn watch_joins(&self, mount_namespace: u32) -> Result<(), Error> {
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

    /// What the kernel tells, in order.
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
