//! Loading and attaching the program set.

use super::error::describe;
use super::features::{Feature, preempts_programs};
use super::layout::Settings;
use super::method::Method;
use super::object::OBJECT;
use super::standby;
use super::types;
use capprof_profile::capability::CapabilitySet;
use capprof_store::control_group::{self, VERSION_2};
use libbpf_rs::{
    Link, MapCore, Object, ObjectBuilder, OpenObject, PrintLevel, get_print, set_print,
};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::Mutex;
use zerocopy::IntoBytes;

/// Needed by every method: they see which processes belong to a container.
const COMMON: [&str; 2] = ["process_exec", "process_exit"];

/// The same of new processes: where the kernel skips no program for having preempted it, and where it does, a program that it does not preempt.
const FORK: [&str; 2] = ["process_fork", "process_woken"];

/// Names kernel functions. Where the kernel refuses it, `/proc/kallsyms` has the names too.
const NAMES: &str = "name_symbols";

/// See what is no capability check: devices opened, entries of /proc/sys written, ports bound, ping sockets made. Where the kernel refuses
/// them, capabilities are recorded all the same.
pub(super) const CGROUP_PROGRAMS: [&str; 5] = [
    "device_access",
    "sysctl_write",
    "port_bound4",
    "port_bound6",
    "ping_socket",
];

/// Follows refused checks to the end of their system call; loaded in addition to the others while a recording wants that.
const RESULTS: &str = "system_call_exit";

/// A program set in the kernel, attached, and not yet pinned.
pub(super) struct Loaded {
    pub(super) object: Object,
    pub(super) links: Vec<(&'static str, Link)>,
    pub(super) method: Method,
    /// What was tried before, a line each.
    pub(super) refused: Vec<String>,
    /// Of [`CGROUP_PROGRAMS`], [`NAMES`] and those that stand by, those that were refused, with the reason.
    pub(super) lacking: BTreeMap<String, String>,
}

/// Loads and attaches by the first of these methods that works. The error has a line for each method.
pub(super) fn load(methods: &[Method]) -> Result<Loaded, Vec<String>> {
    let mut refused = Vec::new();
    for method in methods {
        match attach(*method) {
            Ok(attached) => {
                return Ok(Loaded {
                    object: attached.object,
                    links: attached.links,
                    method: *method,
                    refused,
                    lacking: attached.lacking,
                });
            }
            Err(reason) => refused.push(format!("{method}: {reason}")),
        }
    }
    Err(refused)
}

/// The program that follows refused checks, attached, and not yet pinned.
pub(super) struct LoadedResults {
    pub(super) object: Object,
    pub(super) link: Link,
}

/// Loads and attaches the program that follows refused checks to the end of their system call, on the maps that are pinned in `directory`.
pub(super) fn load_results(directory: &Path) -> Result<LoadedResults, String> {
    if let Some(missing) = Feature::TaskStorage.missing() {
        return Err(missing.to_owned());
    }
    listen(|| {
        let mut open = open()?;
        choose(&mut open, &[RESULTS]);
        for mut map in open.maps_mut() {
            let name = map.name().to_owned();
            let result = match name.to_str() {
                Some("checks" | "refusals") => map.reuse_pinned_map(directory.join(&name)),
                _ => map.set_autocreate(false),
            };
            result.map_err(|error| format!("map {}: {}", name.display(), describe(&error)))?;
        }
        let object = open
            .load()
            .map_err(|error| format!("load: {}", describe(&error)))?;
        let link = object
            .progs_mut()
            .find(|program| program.name() == RESULTS)
            .ok_or_else(|| format!("the program has no function {RESULTS}"))?
            .attach_trace()
            .map_err(|error| format!("attach {RESULTS}: {}", describe(&error)))?;
        Ok(LoadedResults { object, link })
    })
}

/// A program set in the kernel, attached by one method.
pub(super) struct Attached {
    object: Object,
    links: Vec<(&'static str, Link)>,
    pub(super) lacking: BTreeMap<String, String>,
}

/// Loads and attaches by this method alone. Dropping the result detaches.
pub(super) fn attach(method: Method) -> Result<Attached, String> {
    if let Some(missing) = method.missing() {
        return Err(missing.to_owned());
    }
    let mut lacking: BTreeMap<String, String> = optional()
        .filter_map(|name| Some((name.to_owned(), missing_for(name)?.to_owned())))
        .collect();
    let object = loop {
        let others = optional().filter(|name| !lacking.contains_key(*name));
        let wanted: Vec<&'static str> = needed(method).chain(others).collect();
        match load_object(&wanted) {
            Ok(object) => break object,
            // One program that is refused makes the whole object fail.
            Err(reason) => {
                let without = to_leave_out(&reason, &lacking);
                if without.is_empty() {
                    return Err(reason);
                }
                lacking.extend(
                    without
                        .into_iter()
                        .map(|name| (name.to_owned(), reason.clone())),
                );
            }
        }
    };
    listen(|| {
        let mut attached = Attached {
            links: link(&object, method)?,
            object,
            lacking,
        };
        attached.link_names();
        attached.link_cgroup_programs();
        attached.link_standby();
        Ok(attached)
    })
}

/// The programs without which this method cannot record.
fn needed(method: Method) -> impl Iterator<Item = &'static str> {
    let fork = FORK[usize::from(preempts_programs())];
    COMMON
        .into_iter()
        .chain([fork])
        .chain(method.programs().iter().copied())
}

/// The programs without which capabilities are still recorded.
fn optional() -> impl Iterator<Item = &'static str> {
    let standby = standby::programs().map(|program| program.name);
    CGROUP_PROGRAMS.into_iter().chain([NAMES]).chain(standby)
}

/// The programs to load without, after the kernel has refused a set that had all optional programs but those of `lacking`: the one that the
/// reason names, or all that are left where it names none. Empty if a program that is needed was refused.
fn to_leave_out(reason: &str, lacking: &BTreeMap<String, String>) -> Vec<&'static str> {
    let left: Vec<&'static str> = optional()
        .filter(|name| !lacking.contains_key(*name))
        .collect();
    let refused = |name: &&&str| reason.contains(&format!("prog '{name}'"));
    match left.iter().find(refused) {
        Some(name) => vec![*name],
        None if reason.contains("prog '") => Vec::new(),
        None => left,
    }
}

/// What this kernel lacks for one of the optional programs.
fn missing_for(program: &str) -> Option<&'static str> {
    match program {
        "device_access" | "sysctl_write" => Feature::ReturnValue.missing(),
        _ => None,
    }
}

fn load_object(wanted: &[&'static str]) -> Result<Object, String> {
    listen(|| {
        let mut open = open()?;
        choose(&mut open, wanted);
        configure(&mut open)?;
        leave_out_maps(&mut open)?;
        open.load()
            .map_err(|error| format!("load: {}", describe(&error)))
    })
}

impl Attached {
    fn link_names(&mut self) {
        if self.lacking.contains_key(NAMES) {
            return;
        }
        match iterate_symbols(&self.object) {
            Ok(link) => self.links.push((NAMES, link)),
            Err(reason) => {
                self.lacking.insert(NAMES.to_owned(), reason);
            }
        }
    }

    /// Attaches the programs that stand by, after those that they stand by for.
    fn link_standby(&mut self) {
        for standby in standby::programs() {
            if self.lacking.contains_key(standby.name) {
                continue;
            }
            match standby.attach(&self.object) {
                Ok(link) => self.links.push((standby.name, link)),
                Err(reason) => {
                    self.lacking.insert(standby.name.to_owned(), reason);
                }
            }
        }
    }

    /// Attaches the programs of control groups to the root of the hierarchy.
    fn link_cgroup_programs(&mut self) {
        let root = control_groups();
        for name in CGROUP_PROGRAMS {
            if self.lacking.contains_key(name) {
                continue;
            }
            let link = root.as_ref().map_err(Clone::clone).and_then(|root| {
                self.object
                    .progs_mut()
                    .find(|program| program.name() == name)
                    .ok_or_else(|| format!("the program has no function {name}"))?
                    .attach_cgroup(root.as_raw_fd())
                    .map_err(|error| format!("attach {name}: {}", describe(&error)))
            });
            match link {
                Ok(link) => self.links.push((name, link)),
                Err(reason) => {
                    self.lacking.insert(name.to_owned(), reason);
                }
            }
        }
    }
}

/// The root of the hierarchy of control groups, version 2, as far as this namespace shows it.
pub(crate) fn control_groups() -> Result<File, String> {
    let path = control_group::mount(VERSION_2)
        .ok_or("control groups version 2 are not mounted (mount -t cgroup2)")?;
    File::open(&path).map_err(|error| format!("open {}: {error}", path.display()))
}

fn open() -> Result<OpenObject, String> {
    let mut builder = ObjectBuilder::default();
    builder
        .name("capprof")
        .and_then(|builder| match types::reduced() {
            Some(reduced) => builder.btf_custom_path(reduced.path()),
            None => Ok(builder),
        })
        .and_then(|builder| builder.open_memory(OBJECT))
        .map_err(|error| format!("open: {}", describe(&error)))
}

/// Leaves out all programs of an object but these.
pub(crate) fn choose(open: &mut OpenObject, programs: &[&str]) {
    for mut program in open.progs_mut() {
        let wanted = program
            .name()
            .to_str()
            .is_some_and(|name| programs.contains(&name));
        program.set_autoload(wanted);
    }
}

fn configure(open: &mut OpenObject) -> Result<(), String> {
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(CapabilitySet::from_bits(u64::MAX).len() - 1);
    let settings = Settings {
        valid_capabilities: u64::MAX >> 63_u32.saturating_sub(last),
        timespec64: types::number_of_timespec64(),
        preempts: u64::from(preempts_programs()),
    };
    for mut map in open.maps_mut() {
        if map.name() == ".rodata.settings" {
            return map
                .set_initial_value(settings.as_bytes())
                .map_err(|error| format!("configure: {}", describe(&error)));
        }
    }
    Err("configure: the program has no section .rodata.settings".to_owned())
}

/// Maps that this kernel does not know: no program uses them here.
fn leave_out_maps(open: &mut OpenObject) -> Result<(), String> {
    if Feature::TaskStorage.missing().is_none() {
        return Ok(());
    }
    for mut map in open.maps_mut().filter(|map| map.name() == "refusals") {
        map.set_autocreate(false)
            .map_err(|error| format!("map refusals: {}", describe(&error)))?;
    }
    Ok(())
}

fn link(object: &Object, method: Method) -> Result<Vec<(&'static str, Link)>, String> {
    let mut links = Vec::new();
    // Membership first: a check of a process that is not known yet must not be missed because of the order.
    for name in needed(method) {
        let program = object
            .progs_mut()
            .find(|program| program.name() == name)
            .ok_or_else(|| format!("the program has no function {name}"))?;
        let link = match name {
            "kprobe_cap_capable" => program.attach_kprobe(false, "cap_capable"),
            "kretprobe_cap_capable" => program.attach_kprobe(true, "cap_capable"),
            _ => program.attach_trace(),
        };
        let link = link.map_err(|error| format!("attach {name}: {}", describe(&error)))?;
        links.push((name, link));
    }
    Ok(links)
}

/// Attaches [`NAMES`] to the map of addresses that it names.
fn iterate_symbols(object: &Object) -> Result<Link, String> {
    let symbols = object
        .maps()
        .find(|map| map.name() == "symbols")
        .ok_or("the program has no map symbols")?;
    object
        .progs_mut()
        .find(|program| program.name() == NAMES)
        .ok_or_else(|| format!("the program has no function {NAMES}"))?
        .attach_iter(symbols.as_fd())
        .map_err(|error| format!("attach {NAMES}: {}", describe(&error)))
}

/// What libbpf said while it was loading.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs `work` with libbpf's warnings kept off standard error and added to the error's reason.
pub(crate) fn listen<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let before = get_print();
    set_print(Some((PrintLevel::Warn, |_, line| {
        if let Ok(mut said) = SAID.lock() {
            said.push(line);
        }
    })));
    let result = work();
    set_print(before);
    let said = SAID
        .lock()
        .map(|mut said| std::mem::take(&mut *said))
        .unwrap_or_default();
    result.map_err(|reason| with_cause(reason, &said))
}

/// How many lines of the verifier's log a reason repeats: the instructions that led to its complaint, and the complaint.
const LOG_LINES: usize = 3;

/// A reason with what libbpf said of it, on one line.
fn with_cause(reason: String, said: &[String]) -> String {
    // The first warning names the cause; what follows repeats it on every level above.
    let Some(first) = said.first() else {
        return reason;
    };
    let first = first.trim().trim_start_matches("libbpf: ");
    let log: Vec<&str> = said
        .iter()
        .find_map(|text| verifier_log(text))
        .map_or_else(Vec::new, Iterator::collect);
    match log.get(log.len().saturating_sub(LOG_LINES)..) {
        None | Some([]) => format!("{reason} ({first})"),
        Some(last) => format!(
            "{reason} ({first}; the verifier's last lines: {})",
            last.join(" | ")
        ),
    }
}

/// The lines of the verifier's log in a warning of libbpf, without the statistics at its end; `None` if it has none.
fn verifier_log(warning: &str) -> Option<impl Iterator<Item = &str>> {
    let (_, log) = warning.split_once("-- BEGIN PROG LOAD LOG --")?;
    let (log, _) = log
        .split_once("-- END PROG LOAD LOG --")
        .unwrap_or((log, ""));
    let is_statistics = |line: &&str| {
        line.starts_with("processed ")
            || line.starts_with("verification time ")
            || line.starts_with("stack depth ")
    };
    Some(
        log.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .filter(move |line| !is_statistics(line)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_is_left_out_if_it_may_be() {
        // What Linux 6.18 says where a policy of its own refuses the iterator.
        let refused = "load: Operation not permitted (os error 1) (prog 'name_symbols': BPF program load failed: -EPERM)";
        let mut lacking = BTreeMap::new();
        assert_eq!(to_leave_out(refused, &lacking), [NAMES]);
        lacking.insert(NAMES.to_owned(), refused.to_owned());
        assert!(to_leave_out(refused, &lacking).is_empty());
        assert_eq!(
            to_leave_out("load: Invalid argument", &lacking),
            CGROUP_PROGRAMS
        );
        let needed =
            "load: Permission denied (prog 'tp_cap_capable': BPF program load failed: -EACCES)";
        assert!(to_leave_out(needed, &lacking).is_empty());
    }

    #[test]
    fn a_reason_keeps_the_verifiers_last_lines() {
        // What Linux 6.1 says of a key that does not lie on the stack.
        let said = [
            "libbpf: prog 'fexit_cap_capable': BPF program load failed: -EACCES\n".to_owned(),
            "libbpf: prog 'fexit_cap_capable': -- BEGIN PROG LOAD LOG --\n\
             800: (18) r1 = 0xffff93f8822f4400\n\
             801: (bf) r2 = r9\n\
             802: (85) call bpf_map_lookup_elem#1\n\
             R2 type=mem expected=fp, pkt, pkt_meta, map_key, map_value\n\
             processed 2034 insns (limit 1000000) max_states_per_insn 2 total_states 70\n\
             -- END PROG LOAD LOG --\n"
                .to_owned(),
            "libbpf: failed to load object 'capprof'\n".to_owned(),
        ];
        assert_eq!(
            with_cause("load: Permission denied".to_owned(), &said),
            "load: Permission denied (prog 'fexit_cap_capable': BPF program load failed: -EACCES; the verifier's last lines: \
             801: (bf) r2 = r9 | 802: (85) call bpf_map_lookup_elem#1 | \
             R2 type=mem expected=fp, pkt, pkt_meta, map_key, map_value)"
        );
    }

    #[test]
    fn a_reason_without_a_log_names_the_first_warning() {
        let said = ["libbpf: prog 'tp_cap_capable': failed to find kernel BTF type ID of 'cap_capable': -ESRCH\n".to_owned()];
        assert_eq!(
            with_cause("load: No such process".to_owned(), &said),
            "load: No such process (prog 'tp_cap_capable': failed to find kernel BTF type ID of 'cap_capable': -ESRCH)"
        );
        assert_eq!(with_cause("open: EPERM".to_owned(), &[]), "open: EPERM");
    }
}
