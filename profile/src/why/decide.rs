//! Finds the cause of a refusal from the facts.

use super::cause::{Cause, Explanation};
use super::facts::{CheckedNamespace, Errno, Facts, FileKind, RefusedCheck};
use super::seccomp::Answer;
use super::{file, modules, sysctls_and_limits};
use crate::atlas::{self, PlaceClass, paths};
use crate::classify;
use crate::default_filter::opened_by_capabilities;
use crate::{Capability, CapabilitySet};

/// Finds the part of the system that refused.
pub fn decide(facts: &Facts) -> Explanation {
    let mut explanation = match by_filter(facts) {
        Some(cause) => Explanation::sure(cause),
        None => after_filter(facts),
    };
    explanation.notes = notes(facts, &explanation.causes);
    explanation
}

/// Returns the seccomp filter as the cause if it answers with exactly this error: the call has not run, so nothing else can be the cause.
fn by_filter(facts: &Facts) -> Option<Cause> {
    let error = match facts.seccomp? {
        Answer::Errno(error) if Errno(error) == facts.error => error,
        Answer::Kill if facts.error == Errno::default() => 0,
        _ => return None,
    };
    Some(Cause::Seccomp {
        call: facts.call.clone(),
        error,
        opened_by: opened_by_capabilities()
            .find(|(name, _)| *name == facts.call)
            .map_or_else(CapabilitySet::default, |(_, capabilities)| capabilities),
    })
}

fn after_filter(facts: &Facts) -> Explanation {
    let mut causes: Vec<Cause> = match facts.error {
        Errno::EROFS => file::read_only(facts).into_iter().collect(),
        Errno::EPERM | Errno::EACCES => return not_permitted(facts),
        _ => sysctls_and_limits::by_limit(facts),
    };
    if causes.is_empty() {
        causes = confinement(facts);
        causes.push(unknown(facts));
    }
    Explanation {
        causes,
        notes: Vec::new(),
    }
}

fn not_permitted(facts: &Facts) -> Explanation {
    let mut by_modules = modules::refused(&facts.modules, |check| is_decisive(facts, check));
    if !by_modules.is_empty() {
        // Besides a module's refusal, a refused capability may have failed the call.
        if !modules::is_about_capabilities(&facts.modules)
            && let Some((check, sites)) = deciding(facts)
        {
            by_modules.push(by_check(facts, check, &sites));
        }
        return Explanation {
            causes: by_modules,
            notes: Vec::new(),
        };
    }
    let mut causes = file::by_flags(facts);
    causes.extend(sysctls_and_limits::without_check(facts));
    causes.dedup();
    if let Some((check, sites)) = deciding(facts) {
        let cause = by_check(facts, check, &sites);
        // If the kernel asked before it knew whether that matters, a reason that needs no check may be the cause too.
        causes.retain(|_| is_early(&sites));
        causes.insert(0, cause);
        return Explanation {
            causes,
            notes: Vec::new(),
        };
    }
    if causes.is_empty() {
        causes.extend(file::by_mode(facts).filter(needs_no_check));
    }
    if let Some(rule) = facts.device
        && rule.refused == Some(true)
        && facts.error == Errno::EPERM
    {
        causes = vec![Cause::Device { rule }];
    }
    if causes.is_empty() {
        causes = confinement(facts);
        let proved = causes.len() == 1 && is_last_possible(facts);
        if !proved {
            causes.push(unknown(facts));
        }
    }
    Explanation {
        causes,
        notes: Vec::new(),
    }
}

/// Returns true for causes where the kernel refuses without asking for a capability.
fn needs_no_check(cause: &Cause) -> bool {
    match cause {
        Cause::UnmappedOwner { .. } | Cause::NotExecutable { .. } => true,
        Cause::FileMode { capabilities, .. } => capabilities.is_empty(),
        _ => false,
    }
}

/// Returns the refused check that explains the error, with the atlas's entries for it. It is the last check that fails the call; where one place
/// asks for several capabilities one after the other, it is the first of them, the narrower capability.
fn deciding(facts: &Facts) -> Option<(&RefusedCheck, Vec<&'static atlas::Site>)> {
    let mut found: Option<(&RefusedCheck, Vec<&'static atlas::Site>)> = None;
    for check in facts.checks.iter().rev() {
        let sites = atlas::asked(check.capability, check.functions());
        if !matters(facts, check, &sites) {
            continue;
        }
        match &found {
            None => found = Some((check, sites)),
            Some((last, _)) if place(last) == place(check) => found = Some((check, sites)),
            Some(_) => break,
        }
    }
    found
}

/// The call site without the helpers through which it asks.
fn place(check: &RefusedCheck) -> Vec<&str> {
    check
        .functions()
        .skip_while(|name| is_helper(name))
        .collect()
}

fn is_helper(name: &str) -> bool {
    name.contains("capable")
        || atlas::of_function(name).any(|site| site.class == PlaceClass::Helper)
}

/// Returns true if the kernel fails the call because of the refused check. False for a check before the kernel knows whether it matters.
fn is_decisive(facts: &Facts, check: &RefusedCheck) -> bool {
    let sites = atlas::asked(check.capability, check.functions());
    matters(facts, check, &sites) && !is_early(&sites)
}

/// Returns true if the place asks before the kernel knows whether the answer matters.
fn is_early(sites: &[&'static atlas::Site]) -> bool {
    !sites.is_empty() && sites.iter().all(|site| site.class == PlaceClass::Early)
}

fn matters(facts: &Facts, check: &RefusedCheck, sites: &[&'static atlas::Site]) -> bool {
    let refuses = sites.is_empty()
        || sites
            .iter()
            .any(|site| matches!(site.class, PlaceClass::Refuses | PlaceClass::Early));
    let about_files = is_dac(check.capability) && check.is_asked_in(paths::FILE_ACCESS);
    // The kernel's reserve of memory, for which it says ENOMEM.
    let about_memory = sites
        .iter()
        .any(|site| paths::MEMORY_RESERVE.contains(&site.function));
    let in_overlay = check.foreign
        && check
            .call_site
            .iter()
            .any(|name| classify::is_of_overlayfs(name));
    let has_no_place = sites.is_empty() && check.call_site.is_empty() && check.foreign;
    let is_beside_the_point = in_overlay
        || has_no_place
        || (about_memory && facts.error != Errno::ENOMEM)
        || (about_files && facts.error != Errno::EACCES);
    refuses && !is_beside_the_point
}

fn is_dac(capability: Capability) -> bool {
    matches!(
        capability,
        Capability::DAC_OVERRIDE | Capability::DAC_READ_SEARCH
    )
}

fn by_check(facts: &Facts, check: &RefusedCheck, sites: &[&'static atlas::Site]) -> Cause {
    if let Some(cause) = sysctls_and_limits::by_check(facts, check) {
        return cause;
    }
    if is_dac(check.capability)
        && let Some(cause) = file::by_mode(facts)
    {
        return cause;
    }
    let site = sites.first();
    let to = site.map_or_else(String::new, |site| site.plain.to_owned());
    let function = sysctls_and_limits::function(check);
    if check.target == CheckedNamespace::Initial {
        return Cause::UserNamespace {
            capability: check.capability,
            held: facts.credentials.effective.contains(check.capability),
            to,
            function,
        };
    }
    let mut alternatives: CapabilitySet = sites
        .iter()
        .fold(CapabilitySet::default(), |all, site| all.union(site.or));
    alternatives.remove(check.capability);
    Cause::Capability {
        capability: check.capability,
        to,
        alternatives,
        unless: site.and_then(|site| site.unless).map(ToOwned::to_owned),
        function,
    }
}

/// Returns filters and security modules that could have refused and left no sign of it.
fn confinement(facts: &Facts) -> Vec<Cause> {
    let modules = &facts.modules;
    let mut causes = Vec::new();
    if facts.seccomp == Some(Answer::Supervisor) {
        causes.push(Cause::Supervisor {
            call: facts.call.clone(),
        });
    }
    if facts.seccomp == Some(Answer::Unreadable) {
        causes.push(Cause::Seccomp {
            call: facts.call.clone(),
            error: facts.error.0,
            opened_by: CapabilitySet::default(),
        });
    }
    let is_error_of_landlock = matches!(facts.error, Errno::EACCES | Errno::EPERM | Errno::EXDEV);
    if modules.landlock == Some(true) && is_error_of_landlock {
        causes.push(Cause::Landlock {
            path: facts
                .walk
                .as_ref()
                .map_or_else(String::new, |walk| walk.name.clone()),
        });
    }
    if let Some(context) = &modules.selinux
        && modules.selinux_enforcing
    {
        causes.push(Cause::Selinux {
            rule: context.clone(),
            serial: None,
        });
    }
    if let Some(profile) = &modules.apparmor {
        causes.push(Cause::Apparmor {
            profile: profile.clone(),
            denied: None,
            serial: None,
        });
    }
    causes
}

/// Returns true if only a security module can have refused: the path was walked to its end, mode and capabilities allow the access, and the file
/// system makes no permission checks of its own.
fn is_last_possible(facts: &Facts) -> bool {
    if facts.error != Errno::EACCES && facts.error != Errno::EXDEV {
        return false;
    }
    facts.walk.as_ref().is_some_and(|walk| {
        let end = walk.last.as_ref().or_else(|| walk.parent());
        walk.whole
            && end.is_some_and(|step| {
                matches!(step.kind, FileKind::File | FileKind::Directory)
                    && PLAIN.contains(&step.mount.file_system.as_str())
            })
            && file::by_mode(facts).is_none()
    })
}

/// File systems that decide by mode, owner and access control list alone.
const PLAIN: [&str; 7] = ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "ext3", "f2fs"];

fn unknown(facts: &Facts) -> Cause {
    Cause::Unknown {
        function: format!("sys_{}", facts.call),
    }
}

/// Returns true if the cause is a security module that is active and left no record.
fn is_without_a_record(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Selinux { serial: None, .. } | Cause::Apparmor { denied: None, .. }
    )
}

fn notes(facts: &Facts, causes: &[Cause]) -> Vec<String> {
    let wants_more = causes.iter().any(|cause| {
        matches!(
            cause,
            Cause::Capability { .. } | Cause::FileMode { .. } | Cause::Owner { .. }
        )
    });
    if let [only] = causes
        && is_without_a_record(only)
    {
        return vec![
            "nothing else that was looked at can have refused: modes, owners, mounts and capabilities let the call pass"
                .to_owned(),
        ];
    }
    match facts.ignored_setuid {
        Some(true) if wants_more => {
            vec!["the program is set-user-ID or set-group-ID, and its mount is nosuid".to_owned()]
        }
        Some(false) if wants_more => vec![
            "the program is set-user-ID or set-group-ID, and no_new_privs ignores that".to_owned(),
        ],
        _ => Vec::new(),
    }
}
