//! Converts audit records into observations: picks one recording's records, joins those of one event, and counts.

use super::audit_rules;
use super::record::{AuditRecord, AvcRecord, Glance, RecordKind, Stamp};
use super::recorded_processes::RecordedProcesses;
use capprof_profile::Capability;
use capprof_profile::observation::{
    Audit, CheckAnswer, Namespace, Observation, RecorderName, Syscall,
};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The number of events that may be open at once. Records of one event come close together, with those of other processors in between.
const OPEN_EVENTS: usize = 128;

/// The number of kinds of observation that keep their path. Further kinds are counted without it. A program may touch a million files.
const KINDS_WITH_PATH: usize = 4096;

/// The number of kinds of observation that keep program and path.
const KINDS_WITH_PROGRAM: usize = 8192;

/// The number of boolean changes to remember.
const SWITCHES: usize = 256;

/// The sums over the records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordSummary {
    /// Capability checks.
    pub(crate) observations: Vec<Observation>,
    /// Lines that are not audit records, cut short or damaged.
    pub(crate) malformed: u64,
    /// The number of those lines that may have been AVC records.
    pub(crate) doubtful: u64,
    /// Uses that SELinux refused, in enforcing mode.
    pub(crate) refused: u64,
    /// True if enforcing mode was switched on.
    pub(crate) enforced: bool,
    /// Booleans that were switched, with the new value.
    pub(crate) switched: BTreeSet<(String, bool)>,
    /// True if a policy was loaded.
    pub(crate) policy_loaded: bool,
    /// True if a rule of audit's exclude list was removed: it may have hidden records.
    pub(crate) exclusion_removed: bool,
    /// The counter of lost records before its reset.
    pub(crate) lost_before_reset: Option<u32>,
    /// True if auditd was started or stopped.
    pub(crate) daemon_restarted: bool,
    /// The nonce of the last fence that passed.
    pub(crate) fence: Option<String>,
    /// True if that fence was sent when no process of the container was left: no record comes after it.
    pub(crate) over: bool,
    /// Records that were lost in transit, a line each.
    pub(crate) losses: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    capability: Capability,
    namespace: Namespace,
    verdict: CheckAnswer,
    program: String,
    executable: Option<PathBuf>,
    syscall: Option<Syscall>,
    path: Option<PathBuf>,
}

#[derive(Debug)]
struct Event {
    stamp: Stamp,
    checks: Vec<(Capability, Namespace, CheckAnswer)>,
    program: String,
    pid: u32,
    executable: Option<PathBuf>,
    syscall: Option<Syscall>,
    directory: Option<PathBuf>,
    path: Option<PathBuf>,
}

/// Reads records in the order in which the kernel queued them.
#[derive(Debug)]
pub(crate) struct EventCollector {
    target: RecordedProcesses,
    /// Searches for the target's range, which lines of other processes do not contain.
    range: Finder<'static>,
    open: VecDeque<Event>,
    kinds: HashMap<Key, Observation>,
    /// Granted checks, by the capability's number: those against the container's own user namespace, and all.
    granted: [(u64, u64); 64],
    seen: RecordSummary,
}

impl EventCollector {
    /// Makes a collector for this target.
    pub(crate) fn new(target: RecordedProcesses) -> Self {
        Self {
            range: Finder::new(target.range.as_bytes()).into_owned(),
            target,
            open: VecDeque::new(),
            kinds: HashMap::new(),
            granted: [(0, 0); 64],
            seen: RecordSummary::default(),
        }
    }

    /// Reads one line of auditd's log.
    pub(crate) fn line(&mut self, line: &[u8]) {
        match Glance::at(line) {
            Glance::Avc if self.range.find(line).is_none() => return,
            Glance::Continuation if self.open.is_empty() => return,
            _ => {}
        }
        match AuditRecord::from_line(line) {
            Some(record) => self.record(&record),
            None if line.is_empty() => {}
            None => self.malformed(line),
        }
    }

    /// Reads one message of the kernel's multicast group.
    pub(crate) fn message(&mut self, number: u16, payload: &[u8]) {
        match AuditRecord::from_message(number, payload) {
            Some(record) => self.record(&record),
            None => self.malformed(payload),
        }
    }

    /// Notes that records were lost in transit.
    pub(crate) fn lost(&mut self, reason: String) {
        if !self.seen.losses.contains(&reason) {
            self.seen.losses.push(reason);
        }
    }

    /// The nonce of the last fence that passed.
    pub(crate) fn fence(&self) -> Option<&str> {
        self.seen.fence.as_deref()
    }

    /// Returns the number of granted checks of a capability: those against the container's own user namespace, and all.
    pub(crate) fn granted(&self, capability: Capability) -> (u64, u64) {
        self.granted
            .get(usize::from(capability.number()))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the number of kinds of observation.
    pub(crate) fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Returns the sums so far, including events that are still open.
    pub(crate) fn seen(&mut self) -> RecordSummary {
        while let Some(event) = self.open.pop_front() {
            self.close(event);
        }
        let mut observations: Vec<Observation> = self.kinds.values().cloned().collect();
        observations.sort_by(|one, other| {
            (one.capability, one.first_ms, &one.program, &one.path).cmp(&(
                other.capability,
                other.first_ms,
                &other.program,
                &other.path,
            ))
        });
        RecordSummary {
            observations,
            ..self.seen.clone()
        }
    }

    fn switched(&mut self, name: String, value: bool) {
        let switch = (name, value);
        if self.seen.switched.contains(&switch) {
            return;
        }
        if self.seen.switched.len() < SWITCHES {
            self.seen.switched.insert(switch);
        } else {
            self.lost(format!(
                "SELinux booleans were switched in more than {SWITCHES} ways while recording: later switches, which may have hidden checks, are not known"
            ));
        }
    }

    fn malformed(&mut self, line: &[u8]) {
        self.seen.malformed += 1;
        if memchr::memmem::find(line, b"avc:").is_some() || self.range.find(line).is_some() {
            self.seen.doubtful += 1;
        }
    }

    fn record(&mut self, record: &AuditRecord<'_>) {
        match record.kind {
            RecordKind::Avc => self.avc(record),
            RecordKind::UserAvc => self.user_avc(record),
            RecordKind::Syscall
            | RecordKind::Path
            | RecordKind::Cwd
            | RecordKind::Proctitle
            | RecordKind::Eoe => {
                self.continuation(record);
            }
            RecordKind::MacStatus => self.seen.enforced |= record.number("enforcing") == Some(1),
            RecordKind::MacConfigChange => {
                if let (Some(name), Some(value)) = (record.field("bool"), record.number("val")) {
                    self.switched(String::from_utf8_lossy(name).into_owned(), value != 0);
                }
            }
            RecordKind::MacPolicyLoad => self.seen.policy_loaded = true,
            RecordKind::ConfigChange => self.configuration(record),
            RecordKind::DaemonStart | RecordKind::DaemonEnd | RecordKind::DaemonAbort => {
                self.seen.daemon_restarted = true;
            }
            RecordKind::Other => {}
        }
    }

    /// Reads a change of audit's state or rules: `op=remove_rule key=(null) list=5 res=1`, `op=set lost=0 old=12 …` (kernel/auditfilter.c,
    /// kernel/audit.c).
    fn configuration(&mut self, record: &AuditRecord<'_>) {
        match record.field("op") {
            Some(b"remove_rule") => {
                self.seen.exclusion_removed |= record.number("list")
                    == Some(audit_rules::EXCLUDE.into())
                    && record.number("res") == Some(1);
            }
            Some(b"set") if record.field("lost").is_some() => {
                let old = record.number("old").and_then(|old| u32::try_from(old).ok());
                self.seen.lost_before_reset = self.seen.lost_before_reset.max(old);
            }
            _ => {}
        }
    }

    fn avc(&mut self, record: &AuditRecord<'_>) {
        // On a busy host most records belong to other processes, so the line is searched before it is parsed.
        if self.range.find(record.body).is_none() {
            return;
        }
        let Some(avc) = AvcRecord::from_record(record) else {
            self.malformed(record.body);
            return;
        };
        if avc.source.type_ != self.target.type_.as_bytes()
            || avc.source.range != self.target.range.as_bytes()
        {
            return;
        }
        let in_initial_namespace = match avc.class {
            b"capability" | b"capability2" => true,
            b"cap_userns" | b"cap2_userns" => false,
            _ => return,
        };
        let Some(capability) = avc.capability.and_then(Capability::from_number) else {
            self.malformed(record.body);
            return;
        };
        let namespace = match (in_initial_namespace, self.target.user_namespace) {
            (true, false) | (false, true) => Namespace::Own,
            (true, true) => Namespace::Initial,
            (false, false) => Namespace::NestedUnclear,
        };
        let verdict = if avc.granted || avc.permissive {
            CheckAnswer::Granted
        } else {
            self.seen.refused += 1;
            CheckAnswer::Denied
        };
        if verdict == CheckAnswer::Granted
            && let Some((own, any)) = self.granted.get_mut(usize::from(capability.number()))
        {
            *any += 1;
            *own += u64::from(namespace == Namespace::Own);
        }
        let check = (capability, namespace, verdict);
        if let Some(event) = self
            .open
            .iter_mut()
            .find(|event| event.stamp == record.stamp)
        {
            event.checks.push(check);
            return;
        }
        if self.open.len() == OPEN_EVENTS
            && let Some(oldest) = self.open.pop_front()
        {
            self.close(oldest);
        }
        self.open.push_back(Event {
            stamp: record.stamp,
            checks: vec![check],
            program: record
                .text("comm")
                .map(|comm| String::from_utf8_lossy(&comm).into_owned())
                .unwrap_or_default(),
            pid: record
                .number("pid")
                .and_then(|pid| u32::try_from(pid).ok())
                .unwrap_or_default(),
            executable: None,
            syscall: None,
            directory: None,
            path: None,
        });
    }

    fn user_avc(&mut self, record: &AuditRecord<'_>) {
        let fence = self.target.fence.as_bytes();
        let Some(at) = memchr::memmem::find(record.body, fence) else {
            return;
        };
        let nonce: String = record
            .body
            .get(at + fence.len()..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .take(64)
            .map(|byte| char::from(*byte))
            .collect();
        if !nonce.is_empty() {
            self.seen.fence = Some(nonce);
        }
    }

    /// Reads a record that follows the AVC record of its event.
    fn continuation(&mut self, record: &AuditRecord<'_>) {
        let Some(at) = self
            .open
            .iter()
            .position(|event| event.stamp == record.stamp)
        else {
            return;
        };
        let Some(event) = self.open.get_mut(at) else {
            return;
        };
        match record.kind {
            RecordKind::Syscall => {
                event.executable = record.text("exe").map(|exe| path(&exe));
                event.syscall = syscall(record);
                if let Some(comm) = record.text("comm") {
                    event.program = String::from_utf8_lossy(&comm).into_owned();
                }
            }
            RecordKind::Cwd => event.directory = record.text("cwd").map(|cwd| path(&cwd)),
            // When an object is created or removed, the record of its parent directory comes first.
            RecordKind::Path
                if record.field("nametype") != Some(b"PARENT") || event.path.is_none() =>
            {
                if let Some(name) = record.text("name") {
                    let name = path(&name);
                    event.path = Some(match &event.directory {
                        Some(directory) if name.is_relative() => directory.join(name),
                        _ => name,
                    });
                }
            }
            // auditd does not log EOE; the command line is the last that it logs of an event.
            RecordKind::Proctitle | RecordKind::Eoe => {
                if let Some(event) = self.open.remove(at) {
                    self.close(event);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, event: Event) {
        let milliseconds = event.stamp.milliseconds.saturating_sub(self.target.armed);
        for (capability, namespace, verdict) in event.checks {
            let mut key = Key {
                capability,
                namespace,
                verdict,
                program: event.program.clone(),
                executable: event.executable.clone(),
                syscall: event.syscall.clone(),
                path: event.path.clone(),
            };
            if self.kinds.len() >= KINDS_WITH_PATH && !self.kinds.contains_key(&key) {
                key.path = None;
            }
            if self.kinds.len() >= KINDS_WITH_PROGRAM && !self.kinds.contains_key(&key) {
                key.program = String::new();
                key.executable = None;
            }
            let observation = self.kinds.entry(key).or_insert_with_key(|key| Observation {
                recorder: RecorderName::Selinux,
                capability: key.capability,
                verdict: key.verdict,
                namespace: key.namespace,
                // SELinux writes no record of a check that the kernel makes with CAP_OPT_NOAUDIT.
                audit: Audit::Audited,
                overridden: false,
                own_mount: false,
                by_owner: false,
                pre_exec: false,
                joined: false,
                as_root: false,
                without_effect: false,
                program: key.program.clone(),
                executable: key.executable.clone(),
                pid: event.pid,
                syscall: key.syscall.clone(),
                argument: None,
                call_site: Vec::new(),
                path: key.path.clone(),
                object: None,
                count: 0,
                first_ms: milliseconds,
                last_ms: milliseconds,
                results: None,
            });
            observation.count += 1;
            observation.first_ms = observation.first_ms.min(milliseconds);
            observation.last_ms = observation.last_ms.max(milliseconds);
        }
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

/// The system call of a SYSCALL record, by the table of its architecture (`AUDIT_ARCH_*`, include/uapi/linux/audit.h).
fn syscall(record: &AuditRecord<'_>) -> Option<Syscall> {
    let number = record.number("syscall")?;
    let architecture = std::str::from_utf8(record.field("arch")?).ok()?;
    let table = usize::try_from(number).ok();
    let name = match architecture {
        "c000003e" => table.and_then(|n| syscalls::x86_64::Sysno::new(n).map(|call| call.name())),
        "40000003" => table.and_then(|n| syscalls::x86::Sysno::new(n).map(|call| call.name())),
        "40000028" => table.and_then(|n| syscalls::arm::Sysno::new(n).map(|call| call.name())),
        "c00000b7" => table.and_then(|n| syscalls::aarch64::Sysno::new(n).map(|call| call.name())),
        _ => None,
    };
    Some(Syscall {
        number,
        name: name.map_or_else(|| number.to_string(), str::to_owned),
    })
}

#[cfg(test)]
mod tests;
