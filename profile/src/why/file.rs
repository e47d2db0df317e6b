//! Refusals of files: modes, mounts, flags.

use super::access::{EXECUTE, READ, WRITE, allowed};
use super::cause::Cause;
use super::facts::{Errno, Facts, FileKind, Intent, Mount, PathComponent, Walk};
use crate::{Capability, CapabilitySet};

/// A step that mode, owner or access control list refuse.
struct Refused<'a> {
    step: &'a PathComponent,
    wanted: u32,
}

/// Returns the first step that mode, owner or access control list refuse and for which the process holds no sufficient capability.
fn refused_by_mode<'a>(facts: &Facts, walk: &'a Walk, intent: Intent) -> Option<Refused<'a>> {
    let user = match intent.real_ids {
        true => facts.credentials.uid,
        false => facts.credentials.fsuid,
    };
    let check = |step: &'a PathComponent, wanted: u32| {
        (wanted != 0
            && !allowed(&facts.credentials, user, step, wanted)
            && !overrides(facts, step, wanted))
        .then_some(Refused { step, wanted })
    };
    for step in &walk.passed {
        if step.kind == FileKind::Directory
            && let Some(refused) = check(step, EXECUTE)
        {
            return Some(refused);
        }
    }
    let changes_directory =
        intent.remove || intent.create && (walk.last.is_none() || intent.exclusive);
    if changes_directory && let Some(parent) = walk.parent() {
        return check(parent, WRITE | EXECUTE).or_else(|| check(parent, WRITE));
    }
    let last = walk.last.as_ref()?;
    let wanted = [
        (intent.read, READ),
        (intent.write, WRITE),
        (intent.execute, EXECUTE),
    ]
    .into_iter()
    .filter_map(|(wants, bit)| wants.then_some(bit))
    .sum();
    check(last, wanted)
}

/// Returns true if the process holds a sufficient capability that counts for this file.
fn overrides(facts: &Facts, step: &PathComponent, wanted: u32) -> bool {
    let credentials = &facts.credentials;
    !is_sysctl(step)
        && credentials.maps(step.uid, step.gid)
        && would_do(step, wanted)
            .iter()
            .any(|capability| credentials.effective.contains(capability))
}

/// Returns true for a file below /proc/sys, where the mode alone decides (fs/proc/proc_sysctl.c, `sysctl_perm()`).
fn is_sysctl(step: &PathComponent) -> bool {
    step.mount.file_system == "proc" && step.path.contains("/sys/")
}

/// The capabilities of which any one allows that access in spite of the mode (fs/namei.c, `generic_permission()`).
fn would_do(step: &PathComponent, wanted: u32) -> CapabilitySet {
    if is_sysctl(step) {
        return CapabilitySet::default();
    }
    let reads = match step.kind {
        FileKind::Directory => wanted & WRITE == 0,
        _ => wanted == READ,
    };
    match step.kind != FileKind::Directory && wanted & EXECUTE != 0 && step.mode & 0o111 == 0 {
        true => CapabilitySet::default(),
        false if reads => [Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH]
            .into_iter()
            .collect(),
        false => [Capability::DAC_OVERRIDE].into_iter().collect(),
    }
}

/// Returns the cause if the mode refuses; `None` if mode and capabilities allow the access.
pub(super) fn by_mode(facts: &Facts) -> Option<Cause> {
    let walks = [
        (facts.walk.as_ref(), facts.intent),
        (facts.second_walk.as_ref(), facts.second_intent),
    ];
    walks
        .into_iter()
        .filter_map(|(walk, intent)| Some((walk?, intent)))
        .find_map(|(walk, intent)| {
            refused_by_mode(facts, walk, intent).or_else(|| {
                let execute = Intent {
                    execute: true,
                    ..Intent::default()
                };
                walk.interpreters
                    .iter()
                    .find_map(|walk| refused_by_mode(facts, walk, execute))
            })
        })
        .map(|refused| describe(facts, &refused))
}

fn describe(facts: &Facts, refused: &Refused<'_>) -> Cause {
    let (step, wanted) = (refused.step, refused.wanted);
    let capabilities = would_do(step, wanted);
    if step.kind != FileKind::Directory && wanted & EXECUTE != 0 && step.mode & 0o111 == 0 {
        return Cause::NotExecutable {
            path: step.path.clone(),
            mode: step.mode,
            special: false,
        };
    }
    let held = capabilities
        .iter()
        .any(|capability| facts.credentials.effective.contains(capability));
    if held {
        return Cause::UnmappedOwner {
            path: step.path.clone(),
            uid: step.uid,
            gid: step.gid,
        };
    }
    let missing =
        |bit| wanted & bit != 0 && !allowed(&facts.credentials, facts.credentials.fsuid, step, bit);
    let word = match step.kind {
        _ if missing(WRITE) => "write",
        _ if missing(READ) => "read",
        FileKind::Directory => "pass through",
        _ => "execute",
    };
    Cause::FileMode {
        path: step.path.clone(),
        mode: step.mode,
        uid: step.uid,
        gid: step.gid,
        acl: !step.acl.is_empty(),
        wanted: word.to_owned(),
        capabilities,
    }
}

/// The walks of the call, each with the access that it asks for.
fn walks(facts: &Facts) -> impl Iterator<Item = (&Walk, Intent)> {
    [
        (facts.walk.as_ref(), facts.intent),
        (facts.second_walk.as_ref(), facts.second_intent),
    ]
    .into_iter()
    .filter_map(|(walk, intent)| Some((walk?, intent)))
}

/// The object of the write: the file, or the directory of an entry.
fn written(walk: &Walk, intent: Intent) -> impl Iterator<Item = &PathComponent> {
    let directory =
        (intent.create && walk.last.is_none()) || intent.remove || intent.exclusive || intent.link;
    let file = intent.write || intent.attributes || !directory;
    [
        walk.last.as_ref().filter(|_| file),
        walk.parent().filter(|_| directory || walk.last.is_none()),
    ]
    .into_iter()
    .flatten()
}

/// Returns true for a mount with which engines hide a path from the container (runtime-spec, config-linux.md, "Masked Paths").
fn hides(mount: &Mount) -> bool {
    mount.file_system == "tmpfs"
        && (mount.point.starts_with("/proc/") || mount.point.starts_with("/sys/"))
}

/// Returns the cause of `EROFS`.
pub(super) fn read_only(facts: &Facts) -> Option<Cause> {
    walks(facts).find_map(|(walk, intent)| {
        written(walk, intent).find_map(|step| {
            let by = step.mount.read_only?;
            let mount = step.mount.point.clone();
            Some(match hides(&step.mount) {
                true => Cause::MaskedPath { path: mount },
                false => Cause::ReadOnly { mount, by },
            })
        })
    })
}

/// Refusals for which the kernel asks for no capability. Each suffices for the error.
pub(super) fn by_flags(facts: &Facts) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (walk, intent) in walks(facts) {
        match facts.error {
            Errno::EACCES => {
                causes.extend(not_executable(walk, intent));
                causes.extend(no_device(walk, intent));
                causes.extend(protected(facts, walk, intent));
            }
            Errno::EPERM => {
                causes.extend(immutable(walk, intent));
                causes.extend(file_capabilities(facts, walk, intent));
                if intent.map_executable
                    && let Some(last) = &walk.last
                    && last.mount.noexec
                {
                    causes.push(Cause::NoExec {
                        mount: last.mount.point.clone(),
                    });
                }
            }
            _ => {}
        }
    }
    causes
}

fn not_executable(walk: &Walk, intent: Intent) -> Option<Cause> {
    if !intent.execute || intent.real_ids {
        return None;
    }
    let files = std::iter::once(walk)
        .chain(&walk.interpreters)
        .filter_map(|walk| walk.last.as_ref());
    for file in files {
        if file.kind != FileKind::File {
            return Some(Cause::NotExecutable {
                path: file.path.clone(),
                mode: file.mode,
                special: true,
            });
        }
        if file.mount.noexec {
            return Some(Cause::NoExec {
                mount: file.mount.point.clone(),
            });
        }
    }
    None
}

fn no_device(walk: &Walk, intent: Intent) -> Option<Cause> {
    let last = walk.last.as_ref()?;
    let device = matches!(last.kind, FileKind::Character | FileKind::Block);
    (device && last.mount.nodev && (intent.read || intent.write)).then(|| Cause::NoDev {
        mount: last.mount.point.clone(),
    })
}

fn immutable(walk: &Walk, intent: Intent) -> Option<Cause> {
    let mut steps: Vec<&PathComponent> = Vec::new();
    let changes = intent.write || intent.attributes || intent.remove || intent.link;
    if changes {
        steps.extend(walk.last.as_ref());
    }
    if intent.remove || (intent.create && (walk.last.is_none() || intent.exclusive)) {
        steps.extend(walk.parent());
    }
    steps
        .into_iter()
        .find(|step| step.immutable || step.append_only)
        .filter(|step| step.immutable || !(intent.create && step.kind == FileKind::Directory))
        .map(|step| Cause::Immutable {
            path: step.path.clone(),
            append_only: !step.immutable,
        })
}

/// execve(2) of a file whose capabilities are more than the process may get (security/commoncap.c, `bprm_caps_from_vfs_caps()`).
fn file_capabilities(facts: &Facts, walk: &Walk, intent: Intent) -> Option<Cause> {
    let (permitted, effective) = walk.file_capabilities?;
    let lacking = permitted.difference(facts.credentials.bounding);
    (intent.execute && effective && !lacking.is_empty()).then(|| Cause::FileCapabilities {
        path: walk.name.clone(),
        lacking,
    })
}

/// The sysctls fs.protected_* (fs/namei.c, `may_follow_link()`, `may_create_in_sticky()`).
fn protected(facts: &Facts, walk: &Walk, intent: Intent) -> Option<Cause> {
    let is_shared = |directory: &PathComponent| directory.mode & 0o1002 == 0o1002;
    let value = |name: &str| facts.sysctls.get(name).copied().filter(|value| *value > 0);
    let cause = |name: &str, value: i64| {
        Some(Cause::Sysctl {
            name: name.to_owned(),
            value: value.to_string(),
            allows: "=0".to_owned(),
            capabilities: CapabilitySet::default(),
        })
    };
    for pair in walk.passed.windows(2) {
        let [directory, link] = pair else { continue };
        if link.kind == FileKind::Link
            && is_shared(directory)
            && link.uid != facts.credentials.fsuid
            && link.uid != directory.uid
            && let Some(value) = value("fs.protected_symlinks")
        {
            return cause("fs.protected_symlinks", value);
        }
    }
    let (last, parent) = (walk.last.as_ref()?, walk.parent()?);
    let name = match last.kind {
        FileKind::Fifo => "fs.protected_fifos",
        FileKind::File => "fs.protected_regular",
        _ => return None,
    };
    let value = value(name)?;
    let shared = is_shared(parent) || (value >= 2 && parent.mode & 0o1020 == 0o1020);
    (intent.create
        && !intent.exclusive
        && shared
        && last.uid != parent.uid
        && last.uid != facts.credentials.fsuid)
        .then(|| cause(name, value))
        .flatten()
}
