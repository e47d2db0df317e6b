//! The SELinux recorder: capability use as records of the access vector cache.
//!
//! The kernel asks SELinux after `cap_capable()` has said yes (security/security.c), so a record is a use that was granted. In scope `domain`
//! the container runs as `capprof_t`, a permissive domain of capprof's own policy module that leaves a record for every audited use; the only
//! switch is the boolean that opens its entrance. In scope `host` it runs in an ordinary container's domain, with the booleans off that give
//! that domain capabilities, and the machine permissive.
//!
//! Attribution is by type and range of the label alone, order by place in the log alone.

mod audit;
mod blind;
mod events;
mod log;
mod policy;
mod record;
mod rules;
pub(crate) mod selinuxfs;
mod watch;

use crate::journal;
use crate::lease::{self, Kind, Leases, Switch};
use audit::{Audit, Status};
use capprof_profile::observation::{BlindSpot, Evidence, Observation, Recorder, Verdict};
use capprof_profile::random;
use capprof_profile::recording::{self, Directory, Process, Recording, Scope};
use capprof_profile::{Capability, CapabilitySet};
use events::{Collector, Seen, Target};
use log::{Position, Reader};
use nix::time::{ClockId, clock_gettime};
use policy::{Class, Decision};
use rules::Effect;
use selinuxfs::Selinuxfs;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The boolean that opens the entrance to `capprof_t`.
const ENTRANCE: &str = "capprof_recording";

/// What the names of booleans begin with that end the auditing of one capability each.
const AUDIT_BOOLEAN: &str = "capprof_audit_";

/// The type of profiled containers in scope `domain`.
const DOMAIN: &str = "capprof_t";

/// Booleans that give capabilities to containers in the policies that are known; others are found by their names.
const CAPABILITY_BOOLEANS: &[&str] =
    &["virt_sandbox_", "container_", "docker_", "podman_", "crio_"];

/// How long the fence may take to come through.
const FENCE_PATIENCE: Duration = Duration::from_secs(2);

/// Why the SELinux recorder cannot record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The host has no SELinux.
    #[error("arm the SELinux recorder: SELinux is off on this host")]
    Off,
    /// The shim made no label.
    #[error("arm the SELinux recorder: the recording has no label")]
    NoLabel,
    /// The policy has no levels: two recordings could not be told apart.
    #[error(
        "arm the SELinux recorder: the loaded policy has no levels (neither MCS nor MLS), so recordings cannot be told apart"
    )]
    NoLevels,
    /// The domain would refuse capabilities.
    #[error(
        "arm the SELinux recorder: {context} is not permissive: the loaded policy module is not capprof's, or not this version's (semodule -i capprof.cil)"
    )]
    NotPermissive {
        /// The label.
        context: String,
    },
    /// The policy did not answer.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A switch could not be thrown.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// Audit did not answer.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The booleans could not be listed.
    #[error("list /sys/fs/selinux/booleans: {source}")]
    Booleans {
        /// Why.
        source: io::Error,
    },
    /// The access vector cache could not be emptied.
    #[error("flush the access vector cache: {source}")]
    Flush {
        /// Why.
        source: io::Error,
    },
    /// The listener could not be started.
    #[error("start the audit listener: {source}")]
    Listener {
        /// Why.
        source: io::Error,
    },
    /// A file of the recording could not be read or written.
    #[error(transparent)]
    Recording(#[from] recording::Error),
}

/// What [`arm`] did, and what [`collect`] and [`release`] need to know of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Armed {
    #[serde(with = "capprof_profile::path")]
    directory: PathBuf,
    scope: Scope,
    target: Target,
    context: String,
    /// The end of auditd's log, if auditd writes one.
    position: Option<Position>,
    /// The listener, if there is one.
    listener: Option<Process>,
    /// auditd, as the kernel knows it.
    daemon: u32,
    /// The kernel's counter of lost records.
    lost: u32,
    /// Milliseconds since boot when it was armed, by a clock that nobody can set.
    booted: u64,
    /// Booleans that are off for this recording, in scope `host`.
    booleans: Vec<String>,
    blind_spots: Vec<BlindSpot>,
    refused: Option<String>,
}

impl Armed {
    /// How records come: `audit log and multicast group, scope domain`.
    pub(crate) fn method(&self) -> String {
        let way = match (&self.position, &self.listener) {
            (Some(_), Some(_)) => "audit log and multicast group",
            (Some(_), None) => "audit log",
            (None, _) => "audit multicast group",
        };
        let scope = match self.scope {
            Scope::Host => "host",
            Scope::Domain | Scope::Auto => "domain",
        };
        format!("{way}, scope {scope}")
    }

    /// Why nothing will be recorded although the lease is held: without it the container could not enter the domain of its label.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

pub(crate) use policy::is_on;

/// The state directory that a recording's directory lies in.
pub(crate) fn state_of(directory: &Directory) -> &Path {
    // <state>/recordings/<key>.<id>
    directory
        .path()
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new(recording::STATE_DIRECTORY))
}

fn kind_of(scope: Scope) -> Kind {
    match scope {
        Scope::Host => Kind::Host,
        Scope::Domain | Scope::Auto => Kind::Domain,
    }
}

/// Takes the lease, notes where the audit log ends, and starts a listener where one is needed.
///
/// In scope `domain` the container cannot start without the lease: an error must stop it. Where the lease is held and nothing can be
/// recorded (auditing is off), [`Armed::refused`] says so.
///
/// # Errors
/// Any [`Error`]; then nothing is held.
pub(crate) fn arm(
    recording: &Recording,
    directory: &Directory,
    init: Process,
) -> Result<Armed, Error> {
    let label = recording.label.as_ref().ok_or(Error::NoLabel)?;
    if !policy::is_on() {
        return Err(Error::Off);
    }
    let context = policy::canonical(&label.context)?;
    let (type_, range) = policy::type_and_range(&context)?;
    if range.is_empty() {
        return Err(Error::NoLevels);
    }
    let mut armed = Armed {
        directory: directory.path().to_owned(),
        scope: label.scope,
        target: Target {
            type_,
            range,
            fence: format!("capprof fence {} ", recording.id),
            user_namespace: recording.user_namespace,
            armed: now(),
        },
        context,
        position: None,
        listener: None,
        daemon: 0,
        lost: 0,
        booted: since_boot(),
        booleans: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    };
    let result = arm_leased(recording, directory, init, &mut armed);
    if let Err(error) = result {
        let selinuxfs = Selinuxfs::new();
        let _ = Leases::new(state_of(directory), &selinuxfs)
            .release(kind_of(armed.scope), &recording.id);
        return Err(error);
    }
    Ok(armed)
}

fn arm_leased(
    recording: &Recording,
    directory: &Directory,
    init: Process,
    armed: &mut Armed,
) -> Result<(), Error> {
    let selinuxfs = Selinuxfs::new();
    let audit_booleans = match armed.scope {
        Scope::Host => {
            // Without audit there is nothing to be had in this scope, and nothing to switch.
            exclusions(&Audit::open()?, &armed.target)?;
            armed.booleans = lease_host(recording, directory, armed, &selinuxfs)?;
            Vec::new()
        }
        Scope::Domain | Scope::Auto => {
            let audit_booleans = watch::audit_booleans(&selinuxfs)?;
            lease_domain(recording, directory, &selinuxfs, &audit_booleans)?;
            audit_booleans
        }
    };
    let decisions = decisions(&armed.context, recording.user_namespace)?;
    if armed.scope != Scope::Host
        && policy::enforcing()
        && decisions.iter().any(|(_, decision)| !decision.permissive)
    {
        return Err(Error::NotPermissive {
            context: armed.context.clone(),
        });
    }
    armed.blind_spots = blind::spots(recording.user_namespace, &decisions);
    // A level that the engine gave may have had its first uses recorded before, in a container that is gone. One with categories
    // of its own never was in use since boot.
    if !armed.target.range.contains('-') {
        selinuxfs
            .flush()
            .map_err(|source| Error::Flush { source })?;
    }
    match arm_audit(directory, init, armed, audit_booleans) {
        Err(Error::Audit(error)) if armed.scope != Scope::Host => {
            armed.refused = Some(error.to_string());
            Ok(())
        }
        result => result,
    }
}

fn lease_domain(
    recording: &Recording,
    directory: &Directory,
    selinuxfs: &Selinuxfs,
    audit_booleans: &[(Capability, String)],
) -> Result<(), Error> {
    // Auditing may be off since another recording had seen enough; this one has seen nothing.
    let mut wanted: Vec<(Switch, bool)> = audit_booleans
        .iter()
        .map(|(_, name)| (Switch::Boolean(name.clone()), true))
        .collect();
    wanted.push((Switch::Boolean(ENTRANCE.to_owned()), true));
    let notes = Leases::new(state_of(directory), selinuxfs).acquire(
        Kind::Domain,
        &recording.id,
        directory.path(),
        &wanted,
    )?;
    for note in notes {
        journal::warning(&note);
    }
    Ok(())
}

/// Makes the host permissive and takes from the container's domain what booleans give it. Gives the booleans that are off.
fn lease_host(
    recording: &Recording,
    directory: &Directory,
    armed: &Armed,
    selinuxfs: &Selinuxfs,
) -> Result<Vec<String>, Error> {
    let leases = Leases::new(state_of(directory), selinuxfs);
    let configured = recording
        .label
        .as_ref()
        .map(|label| label.booleans.as_slice())
        .unwrap_or_default();
    let booleans = selinuxfs
        .booleans(|name| match configured {
            [] => CAPABILITY_BOOLEANS
                .iter()
                .any(|prefix| name.starts_with(prefix)),
            names => names.iter().any(|configured| configured == name),
        })
        .map_err(|source| Error::Booleans { source })?;
    let mut notes = leases.acquire(
        Kind::Host,
        &recording.id,
        directory.path(),
        &[(Switch::Enforcing, false)],
    )?;
    let allowed = || -> Result<u32, Error> {
        Ok([
            Class::Capability,
            Class::Capability2,
            Class::CapUserns,
            Class::Cap2Userns,
        ]
        .into_iter()
        .map(|class| Ok(policy::decision(&armed.context, class)?.allowed.len()))
        .collect::<Result<Vec<u32>, Error>>()?
        .into_iter()
        .sum())
    };
    let mut off = Vec::new();
    for (name, value) in &booleans {
        if configured.is_empty() && !value {
            continue;
        }
        let before = allowed()?;
        let switch = Switch::Boolean(name.clone());
        notes.extend(leases.acquire(
            Kind::Host,
            &recording.id,
            directory.path(),
            &[(switch.clone(), false)],
        )?);
        if configured.is_empty() && allowed()? >= before {
            leases.give_back(Kind::Host, &recording.id, &switch)?;
        } else {
            off.push(name.clone());
        }
    }
    for name in configured {
        if !booleans.iter().any(|(existing, _)| existing == name) {
            return Err(lease::Error::Unknown(Switch::Boolean(name.clone())).into());
        }
    }
    for note in notes {
        journal::warning(&note);
    }
    let switched_off = if off.is_empty() {
        String::new()
    } else {
        format!(", with {} off", off.join(", "))
    };
    journal::warning(&format!(
        "SELinux is permissive on the whole host{switched_off}, until recording {} and all others of scope host end",
        recording.id
    ));
    Ok(off)
}

fn arm_audit(
    directory: &Directory,
    init: Process,
    armed: &mut Armed,
    audit_booleans: Vec<(Capability, String)>,
) -> Result<(), Error> {
    let audit = Audit::open()?;
    let status = audit.status()?;
    armed.blind_spots.extend(exclusions(&audit, &armed.target)?);
    armed.position = match log_of(&status) {
        Some(path) => Some(Position::end_of(&path)?),
        None => None,
    };
    if armed.position.is_none() || !audit_booleans.is_empty() {
        match watch::start(directory, &armed.target, init, audit_booleans) {
            Ok(process) => armed.listener = Some(process),
            // The log alone will do, without a bound on its volume.
            Err(error) if armed.position.is_some() => journal::warning(&error.to_string()),
            Err(error) => return Err(error),
        }
    }
    armed.daemon = status.daemon;
    armed.lost = status.lost;
    armed.target.armed = now();
    armed.booted = since_boot();
    Ok(())
}

/// The rules of audit that may keep some of the records from being made, as blind spots.
///
/// # Errors
/// [`audit::Error::Excluded`] if one keeps all of them, any other [`audit::Error`] if it cannot be told.
fn exclusions(audit: &Audit, target: &Target) -> Result<Vec<BlindSpot>, audit::Error> {
    let mut spots = Vec::new();
    for rule in audit.rules()? {
        match rule.effect(target) {
            Effect::None => {}
            Effect::Some => spots.push(BlindSpot {
                capability: None,
                recorder: Recorder::Selinux,
                reason: format!(
                    "audit rule {rule} keeps records of some processes from being made"
                ),
            }),
            Effect::All => return Err(audit::Error::Excluded(rule.to_string())),
        }
    }
    Ok(spots)
}

/// The log that is being written: only auditd writes one, while it is the reader of audit's unicast stream.
fn log_of(status: &Status) -> Option<PathBuf> {
    if status.daemon == 0 {
        return None;
    }
    let name = std::fs::read_to_string(format!("/proc/{}/comm", status.daemon)).ok()?;
    if name.trim_end() != "auditd" {
        return None;
    }
    log::path().filter(|path| path.exists())
}

fn decisions(context: &str, user_namespace: bool) -> Result<Vec<(Class, Decision)>, Error> {
    Class::of(user_namespace)
        .into_iter()
        .map(|class| Ok((class, policy::decision(context, class)?)))
        .collect()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok())
        .unwrap_or_default()
}

/// What tells one fence from another, in hexadecimal.
fn nonce() -> String {
    random::number().map_or_else(|_| format!("{:x}", now()), |nonce| format!("{nonce:016x}"))
}

fn since_boot() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .ok()
        .map(Duration::from)
        .and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok())
        .unwrap_or_default()
}

/// Sends a fence behind the container's last record, reads until it has come through, and says what the records show.
///
/// Never fails as a whole: what went wrong is a loss.
pub(crate) fn collect(recording: &Recording, armed: &Armed) -> Evidence {
    let mut evidence = Evidence {
        blind_spots: armed.blind_spots.clone(),
        ..Evidence::default()
    };
    if let Some(reason) = armed.refused() {
        evidence.blind_spots = vec![BlindSpot {
            capability: None,
            recorder: Recorder::Selinux,
            reason: reason.to_owned(),
        }];
        return evidence;
    }
    let seen = read(armed, &mut evidence);
    judge(recording, armed, &seen, &mut evidence);
    // Records carry the time of a clock that the container may have set.
    let elapsed = since_boot().saturating_sub(armed.booted);
    evidence.observations = seen
        .observations
        .into_iter()
        .map(|observation| Observation {
            first_ms: observation.first_ms.min(elapsed),
            last_ms: observation.last_ms.min(elapsed),
            ..observation
        })
        .collect();
    evidence.losses.sort();
    evidence.losses.dedup();
    evidence.blind_spots.sort();
    evidence.blind_spots.dedup();
    evidence
}

/// Reads log and listener up to a fence. What one of them lost counts only if the other lost something, too.
fn read(armed: &Armed, evidence: &mut Evidence) -> Seen {
    let losses = &mut evidence.losses;
    let audit = match Audit::open() {
        Ok(audit) => audit,
        Err(error) => {
            losses.push(error.to_string());
            return Seen::default();
        }
    };
    let nonce = nonce();
    if let Err(error) = audit.user_avc(&format!("{}{nonce}", armed.target.fence)) {
        losses.push(format!("send the fence: {error}"));
    }
    let mut patience = Patience::default();
    let mut ways: Vec<(Seen, Vec<String>)> = Vec::new();
    let directory = Directory::at(armed.directory.clone());
    if let Some(listener) = armed.listener {
        ways.push(read_listener(&directory, listener, &nonce, &mut patience));
    }
    if let Some(position) = &armed.position {
        ways.push(read_log(position, &armed.target, &nonce, &mut patience));
    }
    // The fence has come through: whatever hid records before it is loaded, or its removal is on record.
    match exclusions(&audit, &armed.target) {
        Ok(spots) => evidence.blind_spots.extend(spots),
        Err(error) => losses.push(error.to_string()),
    }
    let status = audit.status();
    match &status {
        Ok(status) => {
            if armed.position.is_some()
                && status.daemon != armed.daemon
                && let Some((_, lost)) = ways.last_mut()
            {
                lost.push("auditd was stopped or started while recording".to_owned());
            }
        }
        Err(error) => losses.push(format!(
            "{error}, so it is not known whether records were lost"
        )),
    }
    if !ways.iter().any(|(_, lost)| lost.is_empty()) {
        losses.extend(ways.iter().flat_map(|(_, lost)| lost.iter().cloned()));
    }
    let seen = ways
        .into_iter()
        .map(|(seen, _)| seen)
        .reduce(join)
        .unwrap_or_default();
    if let Ok(status) = status
        && let Some(loss) = lost(armed.lost, status.lost, seen.lost_before_reset)
    {
        losses.push(format!(
            "{loss} (backlog limit {}, rate limit {}, see auditctl -s)",
            status.backlog_limit, status.rate_limit
        ));
    }
    if seen.exclusion_removed {
        losses.push(
            "a rule of audit's exclude list was removed while recording: records may be missing"
                .to_owned(),
        );
    }
    seen
}

/// What the kernel's counter of lost records says, from its value at the start, at the end, and where somebody reset it in between.
fn lost(start: u32, end: u32, before_reset: Option<u32>) -> Option<String> {
    let count = match before_reset {
        Some(before_reset) => before_reset.saturating_sub(start).saturating_add(end),
        None if end < start => {
            return Some(
                "the kernel's counter of lost audit records was reset while recording".to_owned(),
            );
        }
        None => end - start,
    };
    (count > 0).then(|| format!("the kernel lost {count} audit records while recording"))
}

/// How long is still waited for the fence, in time spent waiting: a host that was suspended in between has not had the time to deliver.
#[derive(Debug)]
struct Patience {
    left: Duration,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            left: FENCE_PATIENCE,
            pause: Duration::from_millis(1),
        }
    }
}

impl Patience {
    /// Waits a little; says whether it was worth it.
    fn wait(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        std::thread::sleep(self.pause);
        self.left = self.left.saturating_sub(self.pause);
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
        true
    }
}

fn read_log(
    position: &Position,
    target: &Target,
    nonce: &str,
    patience: &mut Patience,
) -> (Seen, Vec<String>) {
    let mut collector = Collector::new(target.clone());
    let mut losses = Vec::new();
    match Reader::resume(position) {
        Ok(mut reader) => {
            loop {
                if let Err(error) = reader.read(|line| collector.line(line)) {
                    losses.push(error.to_string());
                    break;
                }
                if collector.fence() == Some(nonce) {
                    break;
                }
                if !patience.wait() {
                    losses.push(format!(
                        "the fence did not come through the audit log within {} s: auditd is stopped, suspended, or does not log user messages",
                        FENCE_PATIENCE.as_secs()
                    ));
                    break;
                }
            }
            losses.extend(reader.losses().iter().cloned());
        }
        Err(error) => losses.push(error.to_string()),
    }
    let seen = collector.seen();
    if seen.daemon_restarted {
        losses.push("auditd was stopped or started while recording".to_owned());
    }
    if seen.doubtful > 0 {
        losses.push(format!(
            "the audit log has {} damaged lines that may have been records of this container (of {} damaged lines)",
            seen.doubtful, seen.malformed
        ));
    }
    (seen, losses)
}

fn read_listener(
    directory: &Directory,
    listener: Process,
    nonce: &str,
    patience: &mut Patience,
) -> (Seen, Vec<String>) {
    loop {
        // Asked first: it may write and end between the two.
        let ended = !listener.exists() || is_zombie(listener.pid);
        let seen = directory.load_json::<Seen>(watch::SEEN).ok();
        // It sends a fence of its own when no process of the container is left, and ends with it.
        let passed = seen
            .as_ref()
            .is_some_and(|seen| seen.over || seen.fence.as_deref() == Some(nonce));
        if passed || ended || !patience.wait() {
            let seen = seen.unwrap_or_default();
            let mut losses = seen.losses.clone();
            if !passed {
                losses.push(if ended {
                    "the audit listener ended before the container did".to_owned()
                } else {
                    format!(
                        "the fence did not come through audit's multicast group within {} s",
                        FENCE_PATIENCE.as_secs()
                    )
                });
            }
            if seen.malformed > 0 {
                losses.push(format!(
                    "audit's multicast group sent {} records that cannot be read",
                    seen.malformed
                ));
            }
            return (seen, losses);
        }
    }
}

/// Whether the process has ended and waits for its parent to notice.
fn is_zombie(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let after_name = stat.iter().rposition(|byte| *byte == b')');
        after_name.and_then(|at| stat.get(at + 2)) == Some(&b'Z')
    })
}

/// Two accounts of the same records as one: each kind with the higher of its counts.
fn join(mut one: Seen, other: Seen) -> Seen {
    type Kind = (
        Capability,
        Verdict,
        String,
        Option<PathBuf>,
        Option<String>,
        Option<PathBuf>,
        String,
    );
    let kind = |observation: &Observation| -> Kind {
        (
            observation.capability,
            observation.verdict,
            observation.program.clone(),
            observation.executable.clone(),
            observation.syscall.as_ref().map(|call| call.name.clone()),
            observation.path.clone(),
            format!("{:?}", observation.namespace),
        )
    };
    let mut joined: BTreeMap<Kind, Observation> = one
        .observations
        .drain(..)
        .map(|observation| (kind(&observation), observation))
        .collect();
    for observation in other.observations {
        joined
            .entry(kind(&observation))
            .and_modify(|known| known.count = known.count.max(observation.count))
            .or_insert(observation);
    }
    one.observations = joined.into_values().collect();
    one.refused = one.refused.max(other.refused);
    one.enforced |= other.enforced;
    one.policy_loaded |= other.policy_loaded;
    one.exclusion_removed |= other.exclusion_removed;
    one.lost_before_reset = one.lost_before_reset.max(other.lost_before_reset);
    one.switched.extend(other.switched);
    one
}

/// What besides the records themselves tells whether they are all.
fn judge(recording: &Recording, armed: &Armed, seen: &Seen, evidence: &mut Evidence) {
    let found: CapabilitySet = seen
        .observations
        .iter()
        .map(|observation| observation.capability)
        .collect();
    if seen.refused > 0 {
        evidence.losses.push(format!(
            "SELinux refused {} uses of capabilities: the container was not in a permissive domain all the time",
            seen.refused
        ));
    }
    for (name, value) in &seen.switched {
        if let Some(capability) = name.strip_prefix(AUDIT_BOOLEAN)
            && armed.scope != Scope::Host
            && !value
        {
            let capability = format!("CAP_{}", capability.to_ascii_uppercase()).parse();
            if let Ok(capability) = capability
                && !found.contains(capability)
            {
                evidence.losses.push(format!(
                    "auditing of {capability} was switched off while recording ({name}): another container flooded the audit log, or an administrator did it"
                ));
            }
        }
        if armed.scope == Scope::Host && armed.booleans.contains(name) && *value {
            evidence
                .losses
                .push(format!("boolean {name} was switched on while recording"));
        }
    }
    if armed.scope == Scope::Host {
        if seen.enforced {
            evidence
                .losses
                .push("enforcing mode was switched on while recording".to_owned());
        }
        let selinuxfs = Selinuxfs::new();
        let directory = Directory::at(armed.directory.clone());
        match Leases::new(state_of(&directory), &selinuxfs).changes(Kind::Host) {
            Ok(changes) => evidence.losses.extend(changes),
            Err(error) => evidence.losses.push(error.to_string()),
        }
    }
    if seen.policy_loaded {
        match decisions(&armed.context, recording.user_namespace) {
            Ok(decisions) => {
                evidence
                    .blind_spots
                    .extend(blind::spots(recording.user_namespace, &decisions));
            }
            Err(error) => evidence
                .losses
                .push(format!("a policy was loaded while recording: {error}")),
        }
    }
}

/// Ends the recording's lease. The last one out switches back; what somebody else changed is left alone.
///
/// Gives a line for each such change.
///
/// # Errors
/// [`Error::Lease`]; [`sweep`] tries again.
pub(crate) fn release(
    recording: &Recording,
    directory: &Directory,
    armed: &Armed,
) -> Result<Vec<String>, Error> {
    let selinuxfs = Selinuxfs::new();
    let (last, mut lines) = Leases::new(state_of(directory), &selinuxfs)
        .release(kind_of(armed.scope), &recording.id)?;
    if last && armed.scope == Scope::Host {
        lines.push(format!(
            "SELinux is {} again: recording {} of scope host has ended, as the last one",
            if policy::enforcing() {
                "enforcing"
            } else {
                "permissive as before"
            },
            recording.id
        ));
    }
    Ok(lines)
}

/// Ends the leases of recordings whose directory is gone, and finishes what killed processes left. Gives a line for each.
///
/// # Errors
/// [`Error::Lease`].
pub(crate) fn sweep(state: &Path) -> Result<Vec<String>, Error> {
    let selinuxfs = Selinuxfs::new();
    Ok(Leases::new(state, &selinuxfs).sweep()?)
}

/// Listens to audit for a recording, as the process that [`arm`] starts.
///
/// # Errors
/// Any [`Error`].
pub(crate) fn watch(directory: &Directory) -> Result<(), Error> {
    watch::run(directory)
}

/// What each scope could record on this host, for `capprofctl doctor`.
///
/// ```json
/// {"selinux": "enforcing", "domain_of_this_process": "…", "module": {"loaded": true, "booleans": {…}},
///  "audit": {"usable": true, "state": "on", "daemon": "auditd", "log": "/var/log/audit/audit.log", "lost": 0, "backlog_limit": 8192, "problems": []},
///  "scopes": {"domain": {"possible": true, "problems": [], "blind_spots": {"capability": ["…"]}}, "host": {…}}}
/// ```
pub(crate) fn probe(state: &Path) -> serde_json::Value {
    if !policy::is_on() {
        return json!({
            "usable": false,
            "selinux": "off",
            "refused": ["SELinux is off on this host: the SELinux recorder is not available"],
        });
    }
    let selinuxfs = Selinuxfs::new();
    let booleans: BTreeMap<String, bool> = selinuxfs
        .booleans(|name| name.starts_with("capprof_"))
        .unwrap_or_default()
        .into_iter()
        .collect();
    let audit = probe_audit();
    let leases = Leases::new(state, &selinuxfs);
    let domain = probe_scope(
        &format!("system_u:system_r:{DOMAIN}:s0"),
        &[Switch::Boolean(ENTRANCE.to_owned())],
        &selinuxfs,
        Scope::Domain,
    );
    let host = probe_scope(
        &default_context().unwrap_or_else(|| "system_u:system_r:container_t:s0".to_owned()),
        &[Switch::Enforcing],
        &selinuxfs,
        Scope::Host,
    );
    let refused: Vec<&serde_json::Value> = [&domain, &host, &audit]
        .into_iter()
        .filter_map(|part| part["problems"].as_array())
        .flatten()
        .collect();
    json!({
        "usable": audit["usable"] == true && (domain["possible"] == true || host["possible"] == true),
        "refused": refused,
        "selinux": if policy::enforcing() { "enforcing" } else { "permissive" },
        "domain_of_this_process": std::fs::read_to_string("/proc/self/attr/current")
            .unwrap_or_default()
            .trim_end_matches(['\0', '\n']),
        "module": {
            "loaded": booleans.contains_key(ENTRANCE),
            "booleans": booleans,
        },
        "leases": {
            "domain": leases.in_use(Kind::Domain).unwrap_or_default(),
            "host": leases.in_use(Kind::Host).unwrap_or_default(),
        },
        "scopes": {"domain": domain, "host": host},
        "audit": audit,
    })
}

fn probe_audit() -> serde_json::Value {
    let audit = match Audit::open() {
        Ok(audit) => audit,
        Err(error) => {
            return json!({"usable": false, "state": "off", "problems": [error.to_string()]});
        }
    };
    let status = match audit.status() {
        Ok(status) => status,
        Err(error) => {
            return json!({"usable": false, "state": "unknown", "problems": [error.to_string()]});
        }
    };
    let log = log_of(&status);
    let mut problems = Vec::new();
    if let Some(path) = &log
        && let Err(error) = Position::end_of(path)
    {
        problems.push(error.to_string());
    }
    if let Err(error) = audit::Listener::join() {
        problems.push(error.to_string());
    }
    let target = Target {
        type_: DOMAIN.to_owned(),
        ..Target::default()
    };
    let exclusions = exclusions(&audit, &target);
    match &exclusions {
        Ok(spots) => problems.extend(spots.iter().map(|spot| spot.reason.clone())),
        Err(error) => problems.push(error.to_string()),
    }
    if status.rate_limit != 0 {
        problems.push(format!(
            "audit lets through {} records per second at most (auditctl -r): more make a profile incomplete",
            status.rate_limit
        ));
    }
    if status.backlog_limit < 1024 {
        problems.push(format!(
            "audit keeps {} records waiting at most (auditctl -b): a burst makes a profile incomplete; 8192 is usual",
            status.backlog_limit
        ));
    }
    json!({
        "usable": exclusions.is_ok(),
        "state": match status.enabled {
            // AVC records are made nevertheless.
            0 => "disabled",
            _ => "on",
        },
        "daemon": std::fs::read_to_string(format!("/proc/{}/comm", status.daemon))
            .ok()
            .filter(|_| status.daemon != 0)
            .map(|name| name.trim_end().to_owned()),
        "log": log,
        "lost": status.lost,
        "backlog_limit": status.backlog_limit,
        "problems": problems,
    })
}

fn probe_scope(
    context: &str,
    switches: &[Switch],
    selinuxfs: &Selinuxfs,
    scope: Scope,
) -> serde_json::Value {
    let mut problems = Vec::new();
    if let Err(error) = policy::canonical(context) {
        return json!({"possible": false, "context": context, "problems": [error.to_string()]});
    }
    for switch in switches {
        if let Err(problem) = selinuxfs.writable(switch) {
            problems.push(problem);
        }
    }
    let mut blind_spots = BTreeMap::new();
    for user_namespace in [false, true] {
        match decisions(context, user_namespace) {
            Ok(decisions) => {
                if scope != Scope::Host && decisions.iter().any(|(_, answer)| !answer.permissive) {
                    problems.push(format!("{context} is not a permissive domain"));
                }
                blind_spots.insert(
                    if user_namespace {
                        "in_a_user_namespace"
                    } else {
                        "in_the_initial_user_namespace"
                    },
                    blind::spots(user_namespace, &decisions),
                );
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems.sort();
    problems.dedup();
    json!({
        "possible": problems.is_empty(),
        "context": context,
        "problems": problems,
        "blind_spots": blind_spots,
    })
}

/// The context of ordinary containers, from the policy's own list (`lxc_contexts`, selinux's `container` policies).
fn default_context() -> Option<String> {
    let policy = std::fs::read_to_string("/etc/selinux/config").ok()?;
    let name = policy
        .lines()
        .find_map(|line| line.strip_prefix("SELINUXTYPE="))?;
    let list = std::fs::read_to_string(format!(
        "/etc/selinux/{}/contexts/lxc_contexts",
        name.trim()
    ))
    .ok()?;
    list.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "process").then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_records_are_counted_across_a_reset() {
        assert_eq!(lost(5, 5, None), None);
        assert!(lost(5, 7, None).unwrap().contains(" lost 2 "));
        assert_eq!(lost(5, 0, Some(5)), None);
        assert!(lost(5, 1, Some(8)).unwrap().contains(" lost 4 "));
        // Its record was excluded, or lost itself.
        assert!(lost(5, 0, None).unwrap().contains("reset"));
    }
}
