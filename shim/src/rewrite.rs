//! Rewrites a configuration.
//!
//! A configuration is a JSON value in which keys keep their order and numbers their digits. Members that capprof does not change pass through.
//! Field names and meanings: runtime-spec, config.md and config-linux.md.

use capprof_profile::CapabilitySet;
use capprof_profile::default_filter::opened_by_capabilities;
use capprof_profile::recording::{ProcessSets, Relaxation};
use capprof_profile::settings::{GrantNonRoot, RelaxSeccomp};
use capprof_store::config_json::set_capabilities;
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The name under which the hooks are called.
const HOOK: &str = "capprof-hook";

/// The whole environment of a hook: engines call `delete` with almost none.
const HOOK_ENVIRONMENT: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// A configuration that violates the runtime-spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A member of another kind.
    #[error("{pointer} is not {expected}")]
    Kind {
        /// JSON pointer (RFC 6901).
        pointer: String,
        /// The expected type.
        expected: &'static str,
    },
}

fn kind(pointer: &str, expected: &'static str) -> Error {
    Error::Kind {
        pointer: if pointer.is_empty() {
            "the configuration"
        } else {
            pointer
        }
        .to_owned(),
        expected,
    }
}

/// The capability sets for a process.
#[derive(Clone, Copy, Debug)]
pub enum Sets {
    /// All capabilities that capprof can give.
    Everything {
        /// The capabilities of capprof itself. It cannot give more.
        held: CapabilitySet,
        /// The sets of a process that does not run as root.
        non_root: GrantNonRoot,
    },
    /// Exactly these sets.
    Exactly(ProcessSets),
    /// The sets that it asks for, limited to this set.
    AtMost(CapabilitySet),
    /// The sets that it has, unchanged.
    Unchanged,
}

/// The privileges to give a process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessGrant<'a> {
    /// Its capabilities.
    pub sets: Sets,
    /// True if the AppArmor profile is removed.
    pub relax_apparmor: bool,
    /// The SELinux label, if it gets one.
    pub label: Option<&'a str>,
}

/// The changes to a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The sets and the label of the container's process.
    pub grant: ProcessGrant<'a>,
    /// The change to seccomp rules that refuse.
    pub relax_seccomp: RelaxSeccomp,
    /// The hooks to add.
    pub hooks: Hooks,
    /// Absolute path of `capprof-hook`.
    pub hook: &'a str,
    /// Absolute path of the recording's directory.
    pub directory: &'a str,
    /// The time limit of a hook, in seconds.
    pub timeout: u32,
}

/// The hooks of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// Prestart, which arms the recorders, and poststop, which collects their evidence.
    Record,
    /// Poststop alone, which removes the recording. Until then `exec` finds the limit in it.
    Remove,
}

/// The changes that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The sets that the engine had asked for.
    pub original: ProcessSets,
    /// The sets that the process gets.
    pub granted: ProcessSets,
    /// The rules that would have hidden checks.
    pub relaxed: Vec<Relaxation>,
    /// System calls that the seccomp filter refuses and that a capability would open.
    pub filter_refuses: BTreeSet<String>,
}

/// Changes a configuration so that its process gets the capabilities, and capprof's hooks run with the container.
///
/// # Errors
/// A member violates the runtime-spec; then the value must not be used any more.
pub fn rewrite(configuration: &mut Value, plan: &Plan<'_>) -> Result<Changes, Error> {
    let process = member_object(configuration, "", "process")?
        .ok_or_else(|| kind("/process", "an object"))?;
    let mut outcome = grant(process, &plan.grant)?;
    if let Some(linux) = member_object(configuration, "", "linux")? {
        outcome.filter_refuses = refused_calls(linux);
        if let Some(change) = relax_seccomp(linux, plan.relax_seccomp) {
            outcome.relaxed.push(Relaxation {
                pointer: "/linux/seccomp".to_owned(),
                change,
            });
        }
    }
    add_hooks(configuration, plan)?;
    Ok(outcome)
}

/// Gives a process of config.json, or of `exec --process FILE`, the capabilities and the label, and relaxes settings that would hide checks.
///
/// # Errors
/// A member violates the runtime-spec.
pub fn grant(process: &mut Map<String, Value>, grant: &ProcessGrant<'_>) -> Result<Changes, Error> {
    let root = uid(process)? == 0;
    let original = sets_of(process)?;
    match grant.sets {
        Sets::Everything { held, non_root } => {
            let names: &[&str] = match (root, non_root) {
                // At execve, root gets permitted and effective from bounding; the other two sets stay the engine's.
                (true, _) => &["bounding", "effective", "permitted"],
                // Without ambient capabilities, execve empties these sets for any other user (capabilities(7)).
                (false, GrantNonRoot::Ambient) => &[
                    "bounding",
                    "effective",
                    "inheritable",
                    "permitted",
                    "ambient",
                ],
                (false, GrantNonRoot::Bounding) => &["bounding"],
            };
            let sets: Vec<_> = names.iter().map(|name| (*name, held)).collect();
            set_capabilities(process, &sets);
        }
        Sets::Exactly(sets) => set_capabilities(process, &sets.named()),
        Sets::Unchanged => {}
        Sets::AtMost(ceiling) => set_capabilities(process, &original.at_most(ceiling).named()),
    }
    let granted = sets_of(process)?;
    if let Some(label) = grant.label {
        process.insert("selinuxLabel".to_owned(), label.into());
    }
    let mut relaxed = Vec::new();
    if grant.relax_apparmor {
        let profile = process
            .get("apparmorProfile")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !matches!(profile, "" | "unconfined") {
            relaxed.push(Relaxation {
                pointer: "/process/apparmorProfile".to_owned(),
                change: format!("profile {profile} taken off"),
            });
            process.shift_remove("apparmorProfile");
        }
    }
    Ok(Changes {
        original,
        granted,
        relaxed,
        filter_refuses: BTreeSet::new(),
    })
}

/// The user id of a process inside its container; 0 if it is absent.
///
/// # Errors
/// It is no 32-bit number.
pub fn uid(process: &Map<String, Value>) -> Result<u32, Error> {
    match process.get("user").and_then(|user| user.get("uid")) {
        None | Some(Value::Null) => Ok(0),
        Some(uid) => uid
            .as_u64()
            .and_then(|uid| u32::try_from(uid).ok())
            .ok_or_else(|| kind("/process/user/uid", "a 32-bit number")),
    }
}

/// The five sets of a process. Unknown names are left out, as runc and crun ignore them.
///
/// # Errors
/// They violate the runtime-spec.
pub fn sets_of(process: &Map<String, Value>) -> Result<ProcessSets, Error> {
    sets_as_read(process, false)
}

/// The five sets as a runtime reads them that accepts names only in upper case, or in any case.
///
/// # Errors
/// They violate the runtime-spec.
pub fn sets_as_read(process: &Map<String, Value>, any_case: bool) -> Result<ProcessSets, Error> {
    let capabilities = match process.get("capabilities") {
        None | Some(Value::Null) => return Ok(ProcessSets::default()),
        Some(capabilities) => capabilities
            .as_object()
            .ok_or_else(|| kind("/process/capabilities", "an object"))?,
    };
    let set = |name: &str| -> Result<CapabilitySet, Error> {
        let error = || {
            kind(
                &format!("/process/capabilities/{name}"),
                "an array of names",
            )
        };
        let names = match capabilities.get(name) {
            None | Some(Value::Null) => return Ok(CapabilitySet::EMPTY),
            Some(names) => names.as_array().ok_or_else(error)?,
        };
        let mut set = CapabilitySet::EMPTY;
        for name in names {
            let name = name.as_str().ok_or_else(error)?;
            let name = match any_case {
                true => name.to_ascii_uppercase(),
                false => name.to_owned(),
            };
            if name.starts_with("CAP_")
                && let Ok(capability) = name.parse()
            {
                set.insert(capability);
            }
        }
        Ok(set)
    };
    Ok(ProcessSets {
        bounding: set("bounding")?,
        effective: set("effective")?,
        permitted: set("permitted")?,
        inheritable: set("inheritable")?,
        ambient: set("ambient")?,
    })
}

/// Returns the system calls that engines' filters allow with a capability and that this filter refuses: by its default action or by a rule for
/// them, unless a rule lets them pass with any arguments. (docker's lets clone(2) pass only with some flags.)
pub fn refused_calls(linux: &Map<String, Value>) -> BTreeSet<String> {
    let Some(seccomp) = linux.get("seccomp").and_then(Value::as_object) else {
        return BTreeSet::new();
    };
    let mut passing: BTreeSet<&str> = BTreeSet::new();
    let mut refused: BTreeSet<&str> = BTreeSet::new();
    for rule in seccomp
        .get("syscalls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
    {
        let has_conditions = rule
            .get("args")
            .and_then(Value::as_array)
            .is_some_and(|conditions| !conditions.is_empty());
        let names = rule
            .get("names")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        if refuses(rule, "action", "errnoRet") {
            refused.extend(names);
        } else if !has_conditions {
            passing.extend(names);
        }
    }
    let by_default = refuses(seccomp, "defaultAction", "defaultErrnoRet");
    opened_by_capabilities()
        .map(|(name, _)| name)
        .filter(|name| !passing.contains(name) && (by_default || refused.contains(name)))
        .map(str::to_owned)
        .collect()
}

/// Changes rules that refuse system calls, so that the calls reach their capability check. Returns a description of the change.
///
/// An engine makes the filter from the capabilities that it grants, and the filter answers before the kernel makes any check.
/// `ENOSYS` stays: to a program it means "this kernel has no such call", and the program uses another one instead (instead of clone3, for example).
fn relax_seccomp(linux: &mut Map<String, Value>, relax: RelaxSeccomp) -> Option<String> {
    let action = match relax {
        RelaxSeccomp::Keep => return None,
        RelaxSeccomp::Log => "SCMP_ACT_LOG",
        RelaxSeccomp::Allow => "SCMP_ACT_ALLOW",
    };
    let seccomp = linux.get_mut("seccomp")?.as_object_mut()?;
    let mut changes = Vec::new();
    if refuses(seccomp, "defaultAction", "defaultErrnoRet") {
        let former = seccomp.insert("defaultAction".to_owned(), action.into());
        // Both runtimes reject an errno with an action that returns none.
        seccomp.shift_remove("defaultErrnoRet");
        let former = former.as_ref().and_then(Value::as_str).unwrap_or_default();
        changes.push(format!("default action {former}"));
    }
    let mut rules = 0;
    for rule in seccomp
        .get_mut("syscalls")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(rule) = rule.as_object_mut()
            && refuses(rule, "action", "errnoRet")
        {
            rule.insert("action".to_owned(), action.into());
            rule.shift_remove("errnoRet");
            rules += 1;
        }
    }
    if rules > 0 {
        changes.push(match rules {
            1 => "1 rule".to_owned(),
            _ => format!("{rules} rules"),
        });
    }
    (!changes.is_empty()).then(|| format!("{} now {action}", changes.join(" and ")))
}

/// Returns true if the action keeps a system call from running, except by the answer that there is no such call.
fn refuses(holder: &Map<String, Value>, action: &str, errno: &str) -> bool {
    match holder.get(action).and_then(Value::as_str) {
        Some("SCMP_ACT_ERRNO") => {
            holder.get(errno).and_then(Value::as_i64)
                != Some(i64::from(Errno::NOSYS.raw_os_error()))
        }
        Some(
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_PROCESS" | "SCMP_ACT_KILL_THREAD" | "SCMP_ACT_TRAP",
        ) => true,
        _ => false,
    }
}

/// Adds the prestart hook last, after other hooks have done their work, and the poststop hook first, because runc stops at the first that fails.
fn add_hooks(configuration: &mut Value, plan: &Plan<'_>) -> Result<(), Error> {
    let hook = |stage: &str| {
        json!({
            "path": plan.hook,
            "args": [HOOK, stage, plan.directory],
            "env": [HOOK_ENVIRONMENT],
            "timeout": plan.timeout,
        })
    };
    let configuration = configuration
        .as_object_mut()
        .ok_or_else(|| kind("", "an object"))?;
    let hooks = filled(configuration, "hooks", || json!({}))
        .as_object_mut()
        .ok_or_else(|| kind("/hooks", "an object"))?;
    if plan.hooks == Hooks::Record {
        filled(hooks, "prestart", || json!([]))
            .as_array_mut()
            .ok_or_else(|| kind("/hooks/prestart", "an array"))?
            .push(hook("prestart"));
    }
    filled(hooks, "poststop", || json!([]))
        .as_array_mut()
        .ok_or_else(|| kind("/hooks/poststop", "an array"))?
        .insert(0, hook("poststop"));
    Ok(())
}

/// The member, if it is present and not null.
fn member_object<'a>(
    value: &'a mut Value,
    holder: &str,
    key: &str,
) -> Result<Option<&'a mut Map<String, Value>>, Error> {
    let object = value
        .as_object_mut()
        .ok_or_else(|| kind(holder, "an object"))?;
    match object.get_mut(key) {
        None | Some(Value::Null) => Ok(None),
        Some(member) => member
            .as_object_mut()
            .map(Some)
            .ok_or_else(|| kind(&format!("{holder}/{key}"), "an object")),
    }
}

/// The member, made if it is absent or null.
fn filled<'a>(
    object: &'a mut Map<String, Value>,
    key: &str,
    make: impl FnOnce() -> Value,
) -> &'a mut Value {
    let place = object.entry(key).or_insert(Value::Null);
    if place.is_null() {
        *place = make();
    }
    place
}
