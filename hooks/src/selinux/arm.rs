//! Arms the SELinux recorder: takes the lease, and notes the end of the audit log.

use super::armed::{SelinuxState, kind_of};
use super::audit::AuditSocket;
use super::booleans::{self, ENTRANCE};
use super::error::Error;
use super::exclusions::exclusions;
use super::fence::{milliseconds_since_boot, milliseconds_since_epoch};
use super::log::{self, Position};
use super::policy::{self, CapabilityClass};
use super::recorded_processes::RecordedProcesses;
use super::selinuxfs::Selinuxfs;
use super::{blind_spots, listener};
use crate::journal;
use crate::lease::{self, LeaseKind, Leases, Switch};
use capprof_profile::Capability;
use capprof_profile::recording::{Process, Recording};
use capprof_profile::settings::Scope;
use capprof_store::recording::Directory;

/// Takes the lease, notes the end of the audit log, and starts a listener if one is needed.
///
/// In scope `domain` the container cannot start without the lease, so an error must stop it. If the lease is held but nothing can be recorded
/// (auditing is off), [`SelinuxState::refused`] has the reason.
///
/// # Errors
/// Any [`Error`]; then nothing is held.
pub(super) fn arm(
    recording: &Recording,
    directory: &Directory,
    init: Process,
) -> Result<SelinuxState, Error> {
    if recording.verifies().is_some() {
        return Err(Error::Verifying);
    }
    let label = recording.grant.label.as_ref().ok_or(Error::NoLabel)?;
    if !policy::is_on() {
        return Err(Error::Off);
    }
    let context = policy::canonical(&label.context)?;
    let (type_, range) = policy::type_and_range(&context)?;
    if range.is_empty() {
        return Err(Error::NoLevels);
    }
    let mut armed = SelinuxState {
        directory: directory.path().to_owned(),
        scope: label.scope,
        target: RecordedProcesses {
            type_,
            range,
            fence: format!("capprof fence {} ", recording.id),
            user_namespace: recording.process.user_namespace,
            armed: milliseconds_since_epoch(),
        },
        context,
        position: None,
        listener: None,
        daemon: 0,
        lost: 0,
        booted: milliseconds_since_boot(),
        booleans: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    };
    let result = arm_leased(recording, directory, init, &mut armed);
    if let Err(error) = result {
        let selinuxfs = Selinuxfs::new();
        let _ =
            Leases::new(directory.state(), &selinuxfs).release(kind_of(armed.scope), &recording.id);
        return Err(error);
    }
    Ok(armed)
}

fn arm_leased(
    recording: &Recording,
    directory: &Directory,
    init: Process,
    armed: &mut SelinuxState,
) -> Result<(), Error> {
    let selinuxfs = Selinuxfs::new();
    let audit_booleans = match armed.scope {
        Scope::Host => {
            // Without audit nothing can be recorded in this scope, so nothing must be switched.
            exclusions(&AuditSocket::open()?, &armed.target)?;
            armed.booleans = lease_host(recording, directory, armed, &selinuxfs)?;
            Vec::new()
        }
        Scope::Domain | Scope::Auto => {
            let audit_booleans = booleans::audit_booleans(&selinuxfs)?;
            lease_domain(recording, directory, &selinuxfs, &audit_booleans)?;
            audit_booleans
        }
    };
    let decisions = policy::decisions(&armed.context, recording.process.user_namespace)?;
    if armed.scope != Scope::Host
        && policy::enforcing()
        && decisions.iter().any(|(_, decision)| !decision.permissive)
    {
        return Err(Error::NotPermissive {
            context: armed.context.clone(),
        });
    }
    armed.blind_spots = blind_spots::spots(recording.process.user_namespace, &decisions);
    // If the level is the engine's, the cache may already have decisions for it from an earlier container, and first uses leave no record
    // again. A level with categories of its own was never in use since boot.
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
    // Auditing may be off because another recording had seen enough. This recording has seen nothing yet.
    let mut wanted: Vec<(Switch, bool)> = audit_booleans
        .iter()
        .map(|(_, name)| (Switch::Boolean(name.clone()), true))
        .collect();
    wanted.push((Switch::Boolean(ENTRANCE.to_owned()), true));
    let notes = Leases::new(directory.state(), selinuxfs).acquire(
        LeaseKind::Domain,
        &recording.id,
        directory.path(),
        &wanted,
    )?;
    for note in notes {
        journal::warning(&note);
    }
    Ok(())
}

/// Makes the host permissive, and switches off the booleans that give the container's domain capabilities. Returns the booleans that are off.
fn lease_host(
    recording: &Recording,
    directory: &Directory,
    armed: &SelinuxState,
    selinuxfs: &Selinuxfs,
) -> Result<Vec<String>, Error> {
    let leases = Leases::new(directory.state(), selinuxfs);
    let configured = recording
        .grant
        .label
        .as_ref()
        .map(|label| label.booleans.as_slice())
        .unwrap_or_default();
    let booleans = selinuxfs
        .booleans(|name| match configured {
            [] => booleans::gives_capabilities(name),
            names => names.iter().any(|configured| configured == name),
        })
        .map_err(|source| Error::Booleans { source })?;
    let mut notes = leases.acquire(
        LeaseKind::Host,
        &recording.id,
        directory.path(),
        &[(Switch::Enforcing, false)],
    )?;
    let allowed = || -> Result<u32, Error> {
        Ok([
            CapabilityClass::Capability,
            CapabilityClass::Capability2,
            CapabilityClass::CapUserns,
            CapabilityClass::Cap2Userns,
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
            LeaseKind::Host,
            &recording.id,
            directory.path(),
            &[(switch.clone(), false)],
        )?);
        if configured.is_empty() && allowed()? >= before {
            leases.give_back(LeaseKind::Host, &recording.id, &switch)?;
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
    armed: &mut SelinuxState,
    audit_booleans: Vec<(Capability, String)>,
) -> Result<(), Error> {
    let audit = AuditSocket::open()?;
    let status = audit.status()?;
    armed.blind_spots.extend(exclusions(&audit, &armed.target)?);
    armed.position = match log::written_by_auditd(&status) {
        Some(path) => Some(Position::end_of(&path)?),
        None => None,
    };
    if armed.position.is_none() || !audit_booleans.is_empty() {
        match listener::start(directory, &armed.target, init, audit_booleans) {
            Ok(process) => armed.listener = Some(process),
            // The log alone is enough, but without a listener its volume has no bound.
            Err(error) if armed.position.is_some() => journal::warning(&error.to_string()),
            Err(error) => return Err(error),
        }
    }
    armed.daemon = status.daemon;
    armed.lost = status.lost;
    armed.target.armed = milliseconds_since_epoch();
    armed.booted = milliseconds_since_boot();
    Ok(())
}
