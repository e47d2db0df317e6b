//! From audit records to observations: picks out one recording's records, puts those of one event together, and counts.

use super::record::{Avc, Kind, Record, Stamp};
use super::rules;
use capprof_profile::Capability;
use capprof_profile::observation::{Audit, Namespace, Observation, Recorder, Syscall, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// How many events may be open at once. Records of one event come close together; other processors' come between them.
const OPEN_EVENTS: usize = 128;

/// How many kinds of observation keep their path; further ones are counted without. A program may touch a million files.
const KINDS_WITH_PATH: usize = 4096;

/// How many kinds of observation keep program and path.
const KINDS_WITH_PROGRAM: usize = 8192;

/// How many switches of booleans are remembered.
const SWITCHES: usize = 256;

/// Whose records are looked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Target {
    /// The type of the recording's label.
    pub(crate) type_: String,
    /// The range of its levels, as the kernel prints it.
    pub(crate) range: String,
    /// What the fence's text begins with; a nonce follows.
    pub(crate) fence: String,
    /// Whether the container has a user namespace of its own.
    pub(crate) user_namespace: bool,
    /// Milliseconds since the epoch when the recording was armed.
    pub(crate) armed: u64,
}

/// What the records say, added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Capability checks.
    pub(crate) observations: Vec<Observation>,
    /// Lines that are no audit records, cut short or damaged.
    pub(crate) malformed: u64,
    /// How many of these may have been AVC records.
    pub(crate) doubtful: u64,
    /// Uses that SELinux refused, in enforcing mode.
    pub(crate) refused: u64,
    /// Enforcing mode was switched on.
    pub(crate) enforced: bool,
    /// Booleans that were switched, and to what.
    pub(crate) switched: BTreeSet<(String, bool)>,
    /// A policy was loaded.
    pub(crate) policy_loaded: bool,
    /// A rule of audit's exclude list was removed: it may have hidden records.
    pub(crate) exclusion_removed: bool,
    /// What the counter of lost records stood at when somebody reset it.
    pub(crate) lost_before_reset: Option<u32>,
    /// auditd was started or stopped.
    pub(crate) daemon_restarted: bool,
    /// The nonce of the last fence that passed.
    pub(crate) fence: Option<String>,
    /// That fence was sent when no process of the container was left: there is nothing behind it.
    pub(crate) over: bool,
    /// What was lost on the way, a line each.
    pub(crate) losses: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    capability: Capability,
    namespace: Namespace,
    verdict: Verdict,
    program: String,
    executable: Option<PathBuf>,
    syscall: Option<Syscall>,
    path: Option<PathBuf>,
}

#[derive(Debug)]
struct Event {
    stamp: Stamp,
    checks: Vec<(Capability, Namespace, Verdict)>,
    program: String,
    pid: u32,
    executable: Option<PathBuf>,
    syscall: Option<Syscall>,
    directory: Option<PathBuf>,
    path: Option<PathBuf>,
}

/// Reads records in the order in which the kernel queued them.
#[derive(Debug)]
pub(crate) struct Collector {
    target: Target,
    open: VecDeque<Event>,
    kinds: HashMap<Key, Observation>,
    /// Checks that were granted, by the capability's number: in the container's own user namespace, and in any.
    granted: [(u64, u64); 64],
    seen: Seen,
}

impl Collector {
    /// One that looks for this target.
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            open: VecDeque::new(),
            kinds: HashMap::new(),
            granted: [(0, 0); 64],
            seen: Seen::default(),
        }
    }

    /// Takes one line of auditd's log.
    pub(crate) fn line(&mut self, line: &[u8]) {
        match Record::from_line(line) {
            Some(record) => self.record(&record),
            None if line.is_empty() => {}
            None => self.malformed(line),
        }
    }

    /// Takes one message of the kernel's multicast group.
    pub(crate) fn message(&mut self, number: u16, payload: &[u8]) {
        match Record::from_message(number, payload) {
            Some(record) => self.record(&record),
            None => self.malformed(payload),
        }
    }

    /// Notes that records were lost on the way.
    pub(crate) fn lost(&mut self, reason: String) {
        if !self.seen.losses.contains(&reason) {
            self.seen.losses.push(reason);
        }
    }

    /// The nonce of the last fence that passed.
    pub(crate) fn fence(&self) -> Option<&str> {
        self.seen.fence.as_deref()
    }

    /// How often a capability has been seen granted: in the container's own user namespace, and in any.
    pub(crate) fn granted(&self, capability: Capability) -> (u64, u64) {
        self.granted
            .get(usize::from(capability.number()))
            .copied()
            .unwrap_or_default()
    }

    /// How many kinds of observation there are.
    pub(crate) fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// What has been seen so far, events that are still open included.
    pub(crate) fn seen(&mut self) -> Seen {
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
        Seen {
            observations,
            ..self.seen.clone()
        }
    }

    fn malformed(&mut self, line: &[u8]) {
        self.seen.malformed += 1;
        if memchr::memmem::find(line, b"avc:").is_some()
            || memchr::memmem::find(line, self.target.range.as_bytes()).is_some()
        {
            self.seen.doubtful += 1;
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        match record.kind {
            Kind::Avc => self.avc(record),
            Kind::UserAvc => self.user_avc(record),
            Kind::Syscall | Kind::Path | Kind::Cwd | Kind::Proctitle | Kind::Eoe => {
                self.continuation(record);
            }
            Kind::MacStatus => self.seen.enforced |= record.number("enforcing") == Some(1),
            Kind::MacConfigChange => {
                if let (Some(name), Some(value)) = (record.field("bool"), record.number("val"))
                    && self.seen.switched.len() < SWITCHES
                {
                    self.seen
                        .switched
                        .insert((String::from_utf8_lossy(name).into_owned(), value != 0));
                }
            }
            Kind::MacPolicyLoad => self.seen.policy_loaded = true,
            Kind::ConfigChange => self.configuration(record),
            Kind::DaemonStart | Kind::DaemonEnd | Kind::DaemonAbort => {
                self.seen.daemon_restarted = true;
            }
            Kind::Other => {}
        }
    }

    /// `op=remove_rule key=(null) list=5 res=1`, `op=set lost=0 old=12 …` (kernel/auditfilter.c, kernel/audit.c).
    fn configuration(&mut self, record: &Record<'_>) {
        match record.field("op") {
            Some(b"remove_rule") => {
                self.seen.exclusion_removed |= record.number("list") == Some(rules::EXCLUDE.into())
                    && record.number("res") == Some(1);
            }
            Some(b"set") if record.field("lost").is_some() => {
                let old = record.number("old").and_then(|old| u32::try_from(old).ok());
                self.seen.lost_before_reset = self.seen.lost_before_reset.max(old);
            }
            _ => {}
        }
    }

    fn avc(&mut self, record: &Record<'_>) {
        // Most records on a busy host are somebody else's: look before taking them apart.
        if memchr::memmem::find(record.body, self.target.range.as_bytes()).is_none() {
            return;
        }
        let Some(avc) = Avc::from_record(record) else {
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
            Verdict::Granted
        } else {
            self.seen.refused += 1;
            Verdict::Denied
        };
        if verdict == Verdict::Granted
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

    fn user_avc(&mut self, record: &Record<'_>) {
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

    /// A record that follows the AVC record of its event.
    fn continuation(&mut self, record: &Record<'_>) {
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
            Kind::Syscall => {
                event.executable = record.text("exe").map(|exe| path(&exe));
                event.syscall = syscall(record);
                if let Some(comm) = record.text("comm") {
                    event.program = String::from_utf8_lossy(&comm).into_owned();
                }
            }
            Kind::Cwd => event.directory = record.text("cwd").map(|cwd| path(&cwd)),
            // The parent directory of what is created or removed comes before the object itself.
            Kind::Path if record.field("nametype") != Some(b"PARENT") || event.path.is_none() => {
                if let Some(name) = record.text("name") {
                    let name = path(&name);
                    event.path = Some(match &event.directory {
                        Some(directory) if name.is_relative() => directory.join(name),
                        _ => name,
                    });
                }
            }
            // auditd does not log EOE; the command line is the last that it logs of an event.
            Kind::Proctitle | Kind::Eoe => {
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
                recorder: Recorder::Selinux,
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
                without_effect: false,
                program: key.program.clone(),
                executable: key.executable.clone(),
                pid: event.pid,
                syscall: key.syscall.clone(),
                argument: None,
                call_site: Vec::new(),
                path: key.path.clone(),
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
fn syscall(record: &Record<'_>) -> Option<Syscall> {
    let number = record.number("syscall")?;
    let architecture = std::str::from_utf8(record.field("arch")?).ok()?;
    let table = usize::try_from(number).ok();
    let name = match architecture {
        "c000003e" => table.and_then(|n| syscalls::x86_64::Sysno::new(n).map(|call| call.name())),
        "40000003" => table.and_then(|n| syscalls::x86::Sysno::new(n).map(|call| call.name())),
        "c00000b7" => table.and_then(|n| syscalls::aarch64::Sysno::new(n).map(|call| call.name())),
        _ => None,
    };
    Some(Syscall {
        number,
        name: name.map_or_else(|| number.to_string(), str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANGE: &str = "s0:c1,c2-s0:c1,c2,c500,c501";

    fn target() -> Target {
        Target {
            type_: "capprof_t".to_owned(),
            range: RANGE.to_owned(),
            fence: "capprof fence 20261123T150102Z-1a2b3c4d ".to_owned(),
            user_namespace: false,
            armed: 1_795_441_500_000,
        }
    }

    fn avc(
        serial: u64,
        verdict: &str,
        name: &str,
        number: u8,
        type_: &str,
        range: &str,
        class: &str,
    ) -> String {
        let permissive = if verdict == "denied" {
            " permissive=1"
        } else {
            ""
        };
        format!(
            "type=AVC msg=audit(1795441500.475:{serial}): avc:  {verdict}  {{ {name} }} for  pid=160 comm=\"tool\" capability={number}  \
             scontext=system_u:system_r:{type_}:{range} tcontext=system_u:system_r:{type_}:{range} tclass={class}{permissive}"
        )
    }

    fn collect(lines: &[String]) -> Seen {
        let mut collector = Collector::new(target());
        for line in lines {
            collector.line(line.as_bytes());
        }
        collector.seen()
    }

    #[test]
    fn changes_of_audits_rules_and_counters_are_seen() {
        let change = |body: &str| {
            collect(&[format!(
                "type=CONFIG_CHANGE msg=audit(1795441500.475:7): {body}"
            )])
        };
        let removed =
            "auid=0 ses=1 subj=unconfined_u:unconfined_r:auditctl_t:s0 op=remove_rule key=(null)";
        assert!(change(&format!("{removed} list=5 res=1")).exclusion_removed);
        assert!(!change(&format!("{removed} list=4 res=1")).exclusion_removed);
        assert!(!change(&format!("{removed} list=5 res=0")).exclusion_removed);
        assert_eq!(
            change("op=set lost=0 old=12 auid=0 ses=1 res=1").lost_before_reset,
            Some(12)
        );
        assert_eq!(
            change("op=set audit_rate_limit=5 old=0 auid=0 ses=1 res=1").lost_before_reset,
            None
        );
    }

    #[test]
    fn only_the_own_type_and_range_count() {
        let seen = collect(&[
            avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability"),
            avc(2, "denied", "fowner", 3, "container_t", RANGE, "capability"),
            avc(
                3,
                "denied",
                "kill",
                5,
                "capprof_t",
                "s0:c1,c2",
                "capability",
            ),
            avc(
                4,
                "denied",
                "setuid",
                7,
                "capprof_t",
                "s0:c1,c2-s0:c1,c2,c500,c5010",
                "capability",
            ),
            avc(5, "denied", "read", 1, "capprof_t", RANGE, "file"),
        ]);
        let capabilities: Vec<_> = seen.observations.iter().map(|o| o.capability).collect();
        assert_eq!(capabilities, [Capability::CHOWN]);
        assert_eq!(seen.malformed, 0);
    }

    #[test]
    fn all_four_classes_and_both_verdicts() {
        let seen = collect(&[
            avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability"),
            avc(
                2,
                "granted",
                "syslog",
                34,
                "capprof_t",
                RANGE,
                "capability2",
            ),
            avc(
                3,
                "denied",
                "sys_chroot",
                18,
                "capprof_t",
                RANGE,
                "cap_userns",
            ),
            avc(4, "granted", "bpf", 39, "capprof_t", RANGE, "cap2_userns"),
        ]);
        let found: Vec<_> = seen
            .observations
            .iter()
            .map(|o| (o.capability, o.namespace, o.verdict))
            .collect();
        assert_eq!(
            found,
            [
                (Capability::CHOWN, Namespace::Own, Verdict::Granted),
                (
                    Capability::SYS_CHROOT,
                    Namespace::NestedUnclear,
                    Verdict::Granted
                ),
                (Capability::SYSLOG, Namespace::Own, Verdict::Granted),
                (Capability::BPF, Namespace::NestedUnclear, Verdict::Granted),
            ]
        );
    }

    #[test]
    fn in_a_user_namespace_of_its_own_the_other_classes_are_the_containers() {
        let mut collector = Collector::new(Target {
            user_namespace: true,
            ..target()
        });
        collector.line(avc(1, "denied", "chown", 0, "capprof_t", RANGE, "cap_userns").as_bytes());
        collector.line(avc(2, "denied", "kill", 5, "capprof_t", RANGE, "capability").as_bytes());
        let found: Vec<_> = collector
            .seen()
            .observations
            .iter()
            .map(|o| o.namespace)
            .collect();
        assert_eq!(found, [Namespace::Own, Namespace::Initial]);
    }

    #[test]
    fn a_refusal_in_enforcing_mode_is_denied_and_counted() {
        let line = avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability")
            .replace("permissive=1", "permissive=0");
        let seen = collect(&[line]);
        assert_eq!(seen.observations[0].verdict, Verdict::Denied);
        assert_eq!(seen.refused, 1);
    }

    #[test]
    fn records_of_one_event_are_put_together_though_others_come_between() {
        let seen = collect(&[
            avc(7, "granted", "sys_admin", 21, "capprof_t", RANGE, "capability"),
            avc(7, "granted", "sys_admin", 21, "capprof_t", RANGE, "capability"),
            avc(8, "denied", "chown", 0, "other_t", "s0", "capability"),
            "type=SYSCALL msg=audit(1795441500.475:8): arch=c000003e syscall=92 success=yes exit=0 comm=\"other\" exe=\"/other\"".to_owned(),
            "type=SYSCALL msg=audit(1795441500.475:7): arch=c000003e syscall=165 success=yes exit=0 a0=1 items=1 ppid=1 pid=160 auid=0 comm=\"tool\" exe=\"/bin/tool\" subj=x key=(null)\u{1d}ARCH=x86_64 SYSCALL=mount".to_owned(),
            "type=CWD msg=audit(1795441500.475:7): cwd=\"/srv\"".to_owned(),
            "type=PATH msg=audit(1795441500.475:7): item=0 name=\"mnt\" inode=5 nametype=NORMAL".to_owned(),
            "type=PROCTITLE msg=audit(1795441500.475:7): proctitle=746F6F6C".to_owned(),
        ]);
        assert_eq!(seen.observations.len(), 1);
        let observation = &seen.observations[0];
        assert_eq!(observation.count, 2);
        assert_eq!(observation.program, "tool");
        assert_eq!(observation.pid, 160);
        assert_eq!(observation.executable, Some(PathBuf::from("/bin/tool")));
        assert_eq!(observation.syscall.as_ref().unwrap().name, "mount");
        assert_eq!(observation.path, Some(PathBuf::from("/srv/mnt")));
        assert_eq!(observation.first_ms, 475);
    }

    #[test]
    fn a_clock_that_was_set_back_changes_nothing_but_the_time_shown() {
        let line = avc(
            1,
            "denied",
            "sys_time",
            25,
            "capprof_t",
            RANGE,
            "capability",
        )
        .replace("1795441500", "1763905500");
        let seen = collect(&[line]);
        assert_eq!(seen.observations[0].capability, Capability::SYS_TIME);
        assert_eq!(seen.observations[0].first_ms, 0);
    }

    #[test]
    fn the_fence_is_known_by_its_text_and_gives_its_nonce() {
        let fence = "type=USER_AVC msg=audit(1795441500.475:9): pid=1 uid=0 auid=0 ses=1 subj=a:b:c:s0 msg='capprof fence 20261123T150102Z-1a2b3c4d beef  exe=\"/x\" hostname=? addr=? terminal=?'";
        assert_eq!(collect(&[fence.to_owned()]).fence.as_deref(), Some("beef"));
        assert_eq!(
            collect(&[fence.replace("1a2b3c4d", "00000000")]).fence,
            None
        );
        assert_eq!(collect(&[fence.replace("USER_AVC", "USER")]).fence, None);
    }

    #[test]
    fn what_changes_the_meaning_of_the_records_is_noted() {
        let seen = collect(&[
            "type=MAC_STATUS msg=audit(1.0:1): enforcing=1 old_enforcing=0 auid=0 ses=1 enabled=1 old-enabled=1 lsm=selinux res=1".to_owned(),
            "type=MAC_CONFIG_CHANGE msg=audit(1.0:2): bool=virt_sandbox_use_all_caps val=1 old_val=0 auid=0 ses=1".to_owned(),
            "type=DAEMON_END msg=audit(1.1:3): op=terminate auid=0 pid=1 res=success".to_owned(),
            "type=MAC_POLICY_LOAD msg=audit(1.0:4): auid=0 ses=1 lsm=selinux res=1".to_owned(),
        ]);
        assert!(seen.enforced && seen.daemon_restarted && seen.policy_loaded);
        assert!(
            seen.switched
                .contains(&("virt_sandbox_use_all_caps".to_owned(), true))
        );
    }

    #[test]
    fn damaged_lines_are_counted_and_doubtful_ones_told_apart() {
        let whole = avc(1, "denied", "chown", 0, "capprof_t", RANGE, "capability");
        let seen = collect(&[
            "not an audit record".to_owned(),
            whole[..whole.len() - 30].to_owned(),
            String::new(),
        ]);
        assert_eq!((seen.malformed, seen.doubtful), (2, 1));
        assert!(seen.observations.is_empty());
    }

    #[test]
    fn a_million_paths_take_bounded_memory() {
        let mut collector = Collector::new(target());
        for serial in 0..20_000_u64 {
            collector.line(
                avc(
                    serial,
                    "granted",
                    "sys_admin",
                    21,
                    "capprof_t",
                    RANGE,
                    "capability",
                )
                .as_bytes(),
            );
            collector.line(format!("type=PATH msg=audit(1795441500.475:{serial}): item=0 name=\"/f{serial}\" nametype=NORMAL").as_bytes());
            collector.line(
                format!("type=PROCTITLE msg=audit(1795441500.475:{serial}): proctitle=\"x\"")
                    .as_bytes(),
            );
        }
        let seen = collector.seen();
        assert_eq!(seen.observations.len(), KINDS_WITH_PATH + 1);
        assert_eq!(
            seen.observations.iter().map(|o| o.count).sum::<u64>(),
            20_000
        );
        assert_eq!(collector.granted(Capability::SYS_ADMIN), (20_000, 20_000));
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut collector = Collector::new(target());
            for line in &lines {
                collector.line(line);
                collector.message(1400, line);
            }
            let _ = collector.seen();
        }
    }
}
