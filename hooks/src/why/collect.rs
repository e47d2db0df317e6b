//! Collects the facts about each refusal while the process still exists, and makes the report in the end.

use super::kernel::{Kernel, Told};
use super::layout::{self, Event, FRAMES, SeenKey, flag, kind, text};
use super::path_lookup::{Start, walk};
use super::process::{self, Networks, Roots};
use super::records::{self, Waiting};
use super::unseen::{self, Unseen};
use super::{calls, decode, executable, intent};
use crate::ebpf::symbols::Symbols;
use capprof_profile::why::facts::{
    CheckedNamespace, Credentials, DeviceRule, Errno, Facts, FileKind, IdRange, Intent,
    RefusedCheck, Walk,
};
use capprof_profile::why::report::{Refusal, RefusalReport};
use capprof_profile::why::{self, seccomp};
use capprof_profile::{Capability, CapabilitySet};
use rustix::fs::{Mode, OFlags, openat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: (u32, u32) = (0xc000_003e, 0x4000_0003);
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURE: (u32, u32) = (0xc000_00b7, 0x4000_0028);

/// `SECCOMP_MODE_FILTER` (include/uapi/linux/seccomp.h). The kernel adds one when a filter has killed.
const FILTERED: u32 = 2;

/// The name of the program that starts the command.
const STARTER: &str = "capprofctl";

/// The largest number of distinct refusals.
const MOST: usize = 4096;

/// A refusal before its stacks have names.
struct Pending {
    event: Box<Event>,
    records: Vec<layout::Record>,
    facts: Facts,
    program: String,
    fatal: bool,
}

impl Pending {
    /// The addresses that need names.
    fn addresses(&self) -> Vec<u64> {
        let checks = checks(&self.event).flat_map(stack);
        let records = self.records.iter().flat_map(records::stack);
        let mut addresses: Vec<u64> = checks.chain(records).copied().collect();
        addresses.extend(records::hook(&self.event));
        addresses
    }
}

/// The facts about a process.
#[derive(Default)]
struct Process {
    program: String,
    /// The indexes of its refusals in the list.
    refused: Vec<usize>,
}

/// A seccomp filter: the address of the one below it, and its program.
type Filter = (u64, Option<Vec<seccomp::Instruction>>);

/// Collects the refusals that the kernel side reports.
#[derive(Default)]
pub(super) struct RefusalCollector {
    roots: Roots,
    networks: Networks,
    records: Waiting,
    processes: HashMap<u32, Process>,
    filters: HashMap<u64, Filter>,
    pending: Vec<Pending>,
    unseen: Unseen,
    /// The command. If its execution is refused, the refused process has the name [`STARTER`].
    starts: String,
    /// True if the processes ran before `why` watched them, so that their own earlier restrictions are not known.
    attached: bool,
}

impl RefusalCollector {
    /// Makes a collector for a command that is about to be started.
    pub(super) fn of_command(program: &OsStr) -> Self {
        Self {
            starts: program.to_string_lossy().into_owned(),
            ..Self::default()
        }
    }

    /// Makes a collector for running processes.
    pub(super) fn of_container() -> Self {
        Self {
            attached: true,
            ..Self::default()
        }
    }

    /// Notes a running process.
    pub(super) fn knows(&mut self, pid: u32) {
        let process = self.processes.entry(pid).or_default();
        process.program = process::executable(pid).unwrap_or_default();
    }

    /// Opens files and namespaces that would be gone with the process.
    pub(super) fn hold(&mut self, told: &Told) {
        let Told::Event(event) = told else { return };
        match event.kind {
            kind::EXEC | kind::NAMESPACE => self.roots.refresh(event.tgid, event.mount_namespace),
            kind::REFUSED if !self.roots.know(event.mount_namespace) => {
                self.roots.refresh(event.tgid, event.mount_namespace);
            }
            _ => return,
        }
        self.networks.of(event.tgid, event.network_namespace);
    }

    /// Processes a message that [`Self::hold`] has seen.
    pub(super) fn take(&mut self, told: Told) {
        match told {
            Told::Filter {
                filter,
                previous,
                instructions,
            } => {
                let program = instructions
                    .map(|words| words.into_iter().map(seccomp::Instruction::from).collect());
                self.filters.insert(filter, (previous, program));
            }
            Told::Record(record) => self.records.add(&record),
            Told::Event(event) => match event.kind {
                kind::REFUSED => self.refused(event),
                kind::EXEC => self.executed(&event),
                kind::EXIT => self.ended(&event),
                _ => {}
            },
        }
    }

    fn executed(&mut self, event: &Event) {
        let process = self.processes.entry(event.tgid).or_default();
        process.program = decode::base(event);
    }

    fn refused(&mut self, event: Box<Event>) {
        let records = self.records.of(&event);
        if self.pending.len() >= MOST {
            self.unseen.dropped += 1;
            return;
        }
        // epoll_ctl(2) refuses a file that cannot be polled with EPERM.
        if calls::name(event.call) == "epoll_ctl" {
            return;
        }
        let facts = self.facts(&event);
        // A SIGSYS that does not come from a filter is not a refusal.
        if facts.error == Errno::default() && facts.seccomp != Some(seccomp::Answer::Kill) {
            return;
        }
        self.unseen.note(&event);
        let place = self.pending.len();
        let process = self.processes.entry(event.tgid).or_default();
        if process.program.is_empty() {
            process.program = match text(&event.comm) {
                name if name == STARTER => self.starts.clone(),
                name => process::executable(event.tgid).unwrap_or(name),
            };
        }
        process.refused.push(place);
        let program = process.program.clone();
        self.pending.push(Pending {
            event,
            records,
            facts,
            program,
            fatal: false,
        });
    }

    fn ended(&mut self, event: &Event) {
        let failed = event.result != 0;
        let pid = event.tgid;
        self.records.ended(pid);
        let Some(process) = self.processes.remove(&pid).filter(|_| failed) else {
            return;
        };
        let last = process.refused.iter().rev().copied();
        let is_probe = |place: &usize| {
            self.pending
                .get(*place)
                .is_none_or(|pending| why::is_probe(&pending.facts.call))
        };
        let fatal = last
            .clone()
            .find(|place| !is_probe(place))
            .or_else(|| last.clone().next());
        if let Some(pending) = fatal.and_then(|place| self.pending.get_mut(place)) {
            pending.fatal = true;
        }
    }

    /// Collects all facts that are available now.
    fn facts(&mut self, event: &Event) -> Facts {
        let call = match event.flags & flag::COMPAT != 0 {
            true => format!("32-bit system call {}", event.call),
            false => calls::name(event.call),
        };
        let (intent, second_intent) = intent::intent(&call, &event.arguments);
        let mut facts = Facts {
            arguments: event.arguments,
            error: Errno(i32::try_from(-event.result).unwrap_or(0)),
            credentials: credentials(event),
            seccomp: self.answer(event),
            sysctls: process::sysctls(&call, self.networks.of(event.tid, event.network_namespace)),
            limits: process::limits(event.tid, &event.limits),
            modules: process::modules(
                event.tid,
                match event.flags & flag::LANDLOCKED != 0 {
                    true => Some(true),
                    false => (!self.attached).then_some(false),
                },
            ),
            pids_limit: process::pids_limit(event.tgid),
            ignored_setuid: (event.flags & flag::SETUID_IGNORED != 0)
                .then_some(event.flags & flag::NOSUID != 0),
            device: device(event),
            intent,
            second_intent,
            call,
            ..Facts::default()
        };
        self.walk(event, &mut facts);
        facts
    }

    fn walk(&mut self, event: &Event, facts: &mut Facts) {
        let socket = decode::socket_path(event).filter(|_| calls::takes_address(&facts.call));
        if socket.is_some() {
            facts.intent.write = facts.call != "bind";
            facts.intent.create = facts.call == "bind";
            facts.intent.exclusive = facts.intent.create;
        }
        let names_file =
            socket.is_some() || calls::call(&facts.call).is_some_and(|call| call.names_file());
        let base = decode::base(event);
        let is_absolute = match &socket {
            Some(path) => path.starts_with('/'),
            None => event.path[0] == b'/',
        };
        if !names_file || unseen::has_long_name(event) || (!is_absolute && base.is_empty()) {
            return;
        }
        let Some((root, mounts)) = self.roots.of(event.tid, event.mount_namespace) else {
            self.unseen.too_late += 1;
            return;
        };
        let start = Start {
            root: root.as_fd(),
            mounts: &mounts,
            pid: process::pid_inside(event.tgid),
        };
        let at = |path: &[u8], intent: Intent| walk(&start, &base, &text(path), intent.no_follow);
        let mut first = match &socket {
            Some(path) => at(path.as_bytes(), Intent::default()),
            None => at(&event.path, facts.intent),
        };
        if facts.intent.execute {
            add_interpreters(&start, &root, &mut first);
        }
        facts.walk = Some(first);
        // If both relative names share a directory, the kernel side reported it once.
        let shares = event.path2[0] == b'/'
            || event.arguments[0] == event.arguments[2]
            || matches!(facts.call.as_str(), "rename" | "link");
        if facts.second_intent != Intent::default() && shares {
            facts.second_walk = Some(at(&event.path2, facts.second_intent));
        }
    }

    /// Returns the answer of the process's filters to the call.
    fn answer(&self, event: &Event) -> Option<seccomp::Answer> {
        if event.seccomp_mode < FILTERED {
            return None;
        }
        let mut filters = Vec::new();
        let mut next = event.filter;
        // A chain cannot be longer than the number of known filters. The link of a filter whose memory was reused may lead anywhere.
        while next != 0 && filters.len() <= self.filters.len() {
            match self.filters.get(&next) {
                Some((previous, program)) => {
                    filters.push(program.clone());
                    next = *previous;
                }
                None => {
                    filters.push(None);
                    break;
                }
            }
        }
        let compat = event.flags & flag::COMPAT != 0;
        let call = seccomp::SeccompData {
            number: event.call.cast_unsigned(),
            architecture: if compat {
                ARCHITECTURE.1
            } else {
                ARCHITECTURE.0
            },
            instruction: event.instruction,
            arguments: event.arguments,
        };
        Some(seccomp::answer(&filters, &call))
    }

    /// Returns all refusals with their explanations.
    pub(super) fn report(self, kernel: &Kernel) -> RefusalReport {
        let mut missing = kernel.missing.clone();
        missing.extend(self.unseen.lines(kernel));
        let addresses: Vec<u64> = self.pending.iter().flat_map(Pending::addresses).collect();
        let symbols = match addresses.is_empty() {
            true => None,
            false => Some(Symbols::by(&addresses, |addresses| kernel.names(addresses))),
        };
        let mut refusals: Vec<Refusal> = Vec::new();
        for (order, pending) in (0_u64..).zip(self.pending) {
            let answered = pending.event.flags & flag::ANSWERED != 0;
            let refusal = explain(pending, symbols.as_ref(), kernel, order);
            // netlink answered the request, and only showed less.
            if answered && !refusal.explanation.is_about_capabilities() {
                continue;
            }
            let known = refusals.iter_mut().find(|known| {
                known.program == refusal.program
                    && known.text == refusal.text
                    && known.error == refusal.error
                    && known.explanation == refusal.explanation
            });
            match known {
                Some(known) => {
                    known.count += refusal.count;
                    known.fatal |= refusal.fatal;
                }
                None => refusals.push(refusal),
            }
        }
        why::rank(&mut refusals);
        RefusalReport {
            refusals,
            exit_status: None,
            missing,
        }
    }
}

fn explain(
    mut pending: Pending,
    symbols: Option<&Symbols>,
    kernel: &Kernel,
    order: u64,
) -> Refusal {
    let event = &pending.event;
    if let Some(symbols) = symbols {
        pending.facts.checks = checks(event)
            .filter_map(|check| {
                Some(RefusedCheck {
                    capability: Capability::from_number(u8::try_from(check.capability).ok()?)?,
                    target: target(event, check.flags),
                    foreign: check.flags & layout::check_flag::OTHER_CREDENTIALS != 0,
                    call_site: symbols.call_site(stack(check)),
                })
            })
            .collect();
    }
    add_records(&mut pending, symbols);
    let event = &pending.event;
    let explanation = why::decide(&pending.facts);
    let key = SeenKey {
        tgid: event.tgid,
        call: event.call,
        digest: event.digest,
    };
    let call = &pending.facts.call;
    Refusal {
        pid: event.tgid,
        text: decode::call(event, call),
        error: match pending.facts.error {
            Errno(0) => String::new(),
            error if event.flags & flag::ANSWERED != 0 => {
                format!("{} in netlink's answer", error.name())
            }
            error => error.name(),
        },
        count: match event.kind {
            kind::REFUSED => kernel.count(&key),
            _ => 1,
        },
        fatal: pending.fatal,
        probe: why::is_probe(call),
        order,
        remedies: explanation
            .causes
            .iter()
            .filter_map(why::Cause::remedy)
            .collect(),
        explanation,
        call: pending.facts.call,
        program: pending.program,
    }
}

/// Adds the records of security modules about the call.
fn add_records(pending: &mut Pending, symbols: Option<&Symbols>) {
    let modules = &mut pending.facts.modules;
    for record in &pending.records {
        let (avc, denial) = records::read(record, symbols);
        modules.avc.extend(avc);
        modules.apparmor_denials.extend(denial);
    }
    // AppArmor may also have refused a capability in the same call.
    let denials = &mut modules.apparmor_denials;
    if denials.iter().all(|denial| denial.check.is_some()) {
        let profile = modules.apparmor.as_deref();
        let denial = records::unrecorded(&pending.event, pending.facts.error, profile, symbols);
        denials.extend(denial);
    }
}

/// The refused checks of a call that the kernel side has kept, oldest first.
fn checks(event: &Event) -> impl Iterator<Item = &layout::Check> {
    let number = usize::try_from(event.checks).unwrap_or(0);
    let kept = number.min(layout::CHECKS);
    (number - kept..number).filter_map(|index| event.check.get(index % layout::CHECKS))
}

fn stack(check: &layout::Check) -> &[u64] {
    let frames = usize::try_from(check.frames).unwrap_or(0) / 8;
    check.stack.get(..frames.min(FRAMES)).unwrap_or_default()
}

fn target(event: &Event, flags: u32) -> CheckedNamespace {
    let own = flags & layout::check_flag::OWN != 0;
    match (flags & layout::check_flag::INITIAL != 0, own) {
        (true, true) => CheckedNamespace::Own,
        (true, false) if event.user_level > 0 => CheckedNamespace::Initial,
        (true, false) => CheckedNamespace::Other,
        (false, true) => CheckedNamespace::OwnNested,
        (false, false) => CheckedNamespace::Other,
    }
}

fn credentials(event: &Event) -> Credentials {
    let map = |count: u32, extents: &[layout::Extent]| {
        let count = usize::try_from(count).unwrap_or(0);
        // The kernel keeps longer maps elsewhere, and the kernel side does not read them.
        let known = extents.get(..count).unwrap_or_default();
        known
            .iter()
            .map(|extent| IdRange {
                inside: extent.first,
                outside: extent.lower_first,
                count: extent.count,
            })
            .collect()
    };
    let groups = usize::try_from(event.groups).unwrap_or(0);
    Credentials {
        uid: event.uid,
        euid: event.euid,
        fsuid: event.fsuid,
        fsgid: event.fsgid,
        groups: event.group.iter().take(groups).copied().collect(),
        effective: CapabilitySet::from_bits(event.effective),
        bounding: CapabilitySet::from_bits(event.bounding),
        user_level: event.user_level,
        uid_map: map(event.extents_uid, &event.uid_map),
        gid_map: map(event.extents_gid, &event.gid_map),
        no_new_privileges: event.flags & flag::NO_NEW_PRIVILEGES != 0,
    }
}

fn device(event: &Event) -> Option<DeviceRule> {
    if event.flags & flag::DEVICE == 0 {
        return None;
    }
    let mut rule = DeviceRule {
        block: event.device_access & 0xffff == 1,
        major: event.device_major,
        minor: event.device_minor,
        access: event.device_access >> 16,
        refused: (event.flags & flag::DEVICE_REFUSED != 0).then_some(true),
    };
    if rule.refused.is_none() {
        rule.refused = process::device_list_refuses(event.tgid, &rule);
    }
    Some(rule)
}

fn add_interpreters(start: &Start<'_>, root: &OwnedFd, walk_of_file: &mut Walk) {
    let mut path = walk_of_file
        .last
        .as_ref()
        .filter(|step| step.kind == FileKind::File)
        .map(|step| step.path.clone());
    // A script's interpreter may be a script; the kernel follows a few.
    for _ in 0..5 {
        let Some(at) = path.take() else { return };
        let Ok(file) = openat(
            root,
            at.trim_start_matches('/'),
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        ) else {
            return;
        };
        let Some(name) = executable::interpreter(file.into()) else {
            return;
        };
        let way = walk(start, "/", &name, false);
        path = way
            .last
            .as_ref()
            .filter(|step| step.kind == FileKind::File)
            .map(|step| step.path.clone());
        walk_of_file.interpreters.push(way);
    }
}
