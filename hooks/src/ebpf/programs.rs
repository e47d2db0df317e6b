//! Loads and attaches the program set.

use super::btf;
use super::features::{Feature, preempts_programs};
use super::layout::Settings;
use super::libbpf::{Error, function, listen, map, refused};
use super::method::Method;
use super::object::OBJECT;
use super::standby;
use capprof_profile::capability::CapabilitySet;
use capprof_store::control_group::{self, VERSION_2};
use libbpf_rs::{Link, Object, ObjectBuilder, OpenObject};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use zerocopy::IntoBytes;

/// Programs that every method needs: they see which processes belong to a container.
const COMMON: [&str; 2] = ["process_exec", "process_exit"];

/// The same for new processes. The second one is for kernels that skip a preempted program: the kernel does not preempt it.
const FORK: [&str; 2] = ["process_fork", "process_woken"];

/// The program that names kernel functions. If the kernel refuses it, the names come from `/proc/kallsyms`.
const NAMES: &str = "name_symbols";

/// The programs for uses that are not capability checks: devices opened, entries of /proc/sys written, ports bound, ping sockets made. If the
/// kernel refuses them, capprof records capabilities all the same.
pub(super) const CGROUP_PROGRAMS: [&str; 5] = [
    "device_access",
    "sysctl_write",
    "port_bound4",
    "port_bound6",
    "ping_socket",
];

/// Programs that follow refused checks to the end of their system call. They are loaded only while a recording wants that. The second one stands by
/// for the first.
const RESULTS: [&str; 2] = ["system_call_exit", "standby_system_call_exit"];

/// A program set in the kernel, attached, and not yet pinned.
pub(super) struct Loaded {
    pub(super) object: Object,
    pub(super) links: Vec<(&'static str, Link)>,
    pub(super) method: Method,
    /// The methods that failed before, a line each.
    pub(super) refused: Vec<String>,
    /// The refused programs of [`CGROUP_PROGRAMS`], [`NAMES`] and the standby programs, with the reasons.
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
            Err(error) => refused.push(format!("{method}: {error}")),
        }
    }
    Err(refused)
}

/// The programs of [`RESULTS`] that this kernel makes necessary, in the order in which they are attached.
pub(super) fn results() -> &'static [&'static str] {
    &RESULTS[..=usize::from(preempts_programs())]
}

/// The programs that follow refused checks, attached, and not yet pinned.
pub(super) struct LoadedResults {
    pub(super) object: Object,
    /// In the order of [`results`].
    pub(super) links: Vec<Link>,
}

/// Loads and attaches the programs that follow refused checks to the end of their system call, on the maps that are pinned in `directory`.
pub(super) fn load_results(directory: &Path) -> Result<LoadedResults, Error> {
    if let Some(missing) = Feature::TaskStorage.missing() {
        return Err(Error::Lacking(missing));
    }
    listen(|| {
        let mut open = open()?;
        choose(&mut open, results());
        configure(&mut open)?;
        for mut map in open.maps_mut() {
            let name = map.name().to_owned();
            let result = match name.to_str() {
                Some("checks" | "refusals" | "containers") => {
                    map.reuse_pinned_map(directory.join(&name))
                }
                Some(".rodata.settings") => Ok(()),
                _ => map.set_autocreate(false),
            };
            result.map_err(refused(format!("map {}", name.display())))?;
        }
        let object = open.load().map_err(refused("load"))?;
        let links = results()
            .iter()
            .map(|name| {
                let link = function(&object, name)?.attach_trace();
                link.map_err(refused(format!("attach {name}")))
            })
            .collect::<Result<_, _>>()?;
        Ok(LoadedResults { object, links })
    })
}

/// A program set in the kernel, attached by one method.
pub(super) struct Attached {
    object: Object,
    links: Vec<(&'static str, Link)>,
    pub(super) lacking: BTreeMap<String, String>,
}

/// Loads and attaches by this method alone. Dropping the result detaches.
pub(super) fn attach(method: Method) -> Result<Attached, Error> {
    if let Some(missing) = method.missing() {
        return Err(Error::Lacking(missing));
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
            Err(error) => {
                let without = to_leave_out(&error, &lacking);
                if without.is_empty() {
                    return Err(error);
                }
                lacking.extend(
                    without
                        .into_iter()
                        .map(|name| (name.to_owned(), error.to_string())),
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

/// Returns the programs to leave out after the kernel has refused a set with all optional programs but those of `lacking`: the program that the error
/// names, or all that are left if it names none. Empty if a needed program was refused.
fn to_leave_out(error: &Error, lacking: &BTreeMap<String, String>) -> Vec<&'static str> {
    let left: Vec<&'static str> = optional()
        .filter(|name| !lacking.contains_key(*name))
        .collect();
    match error.program() {
        Some(refused) => left.into_iter().filter(|name| *name == refused).collect(),
        None => left,
    }
}

/// The feature that this kernel lacks for an optional program.
fn missing_for(program: &str) -> Option<&'static str> {
    match program {
        "device_access" | "sysctl_write" => Feature::ReturnValue.missing(),
        _ => None,
    }
}

fn load_object(wanted: &[&'static str]) -> Result<Object, Error> {
    listen(|| {
        let mut open = open()?;
        choose(&mut open, wanted);
        configure(&mut open)?;
        leave_out_maps(&mut open)?;
        open.load().map_err(refused("load"))
    })
}

impl Attached {
    fn link_names(&mut self) {
        if self.lacking.contains_key(NAMES) {
            return;
        }
        match iterate_symbols(&self.object) {
            Ok(link) => self.links.push((NAMES, link)),
            Err(error) => {
                self.lacking.insert(NAMES.to_owned(), error.to_string());
            }
        }
    }

    /// Attaches the standby programs, after the programs for which they stand by.
    fn link_standby(&mut self) {
        for standby in standby::programs() {
            if self.lacking.contains_key(standby.name) {
                continue;
            }
            match standby.attach(&self.object) {
                Ok(link) => self.links.push((standby.name, link)),
                Err(error) => {
                    self.lacking
                        .insert(standby.name.to_owned(), error.to_string());
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
            let link = match &root {
                Ok(root) => {
                    attach_cgroup(&self.object, name, root).map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match link {
                Ok(link) => self.links.push((name, link)),
                Err(reason) => {
                    self.lacking.insert(name.to_owned(), reason);
                }
            }
        }
    }
}

/// Attaches a program of control groups to one of them.
pub(crate) fn attach_cgroup(
    object: &Object,
    name: &'static str,
    group: &File,
) -> Result<Link, Error> {
    function(object, name)?
        .attach_cgroup(group.as_raw_fd())
        .map_err(refused(format!("attach {name}")))
}

/// The root of the hierarchy of control groups, version 2, as far as this namespace shows it.
pub(crate) fn control_groups() -> Result<File, Error> {
    let path = control_group::mount(VERSION_2).ok_or(Error::NoControlGroups)?;
    File::open(&path).map_err(|source| Error::ControlGroups { path, source })
}

fn open() -> Result<OpenObject, Error> {
    let mut builder = ObjectBuilder::default();
    builder
        .name("capprof")
        .and_then(|builder| match btf::reduced() {
            Some(reduced) => builder.btf_custom_path(reduced.path()),
            None => Ok(builder),
        })
        .and_then(|builder| builder.open_memory(OBJECT))
        .map_err(refused("open"))
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

fn configure(open: &mut OpenObject) -> Result<(), Error> {
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(CapabilitySet::from_bits(u64::MAX).len() - 1);
    let settings = Settings {
        valid_capabilities: u64::MAX >> 63_u32.saturating_sub(last),
        timespec64: btf::number_of_timespec64(),
        preempts: u64::from(preempts_programs()),
    };
    for mut map in open.maps_mut() {
        if map.name() == ".rodata.settings" {
            return map
                .set_initial_value(settings.as_bytes())
                .map_err(refused("configure"));
        }
    }
    Err(Error::Absent {
        what: "section",
        name: ".rodata.settings",
    })
}

/// Leaves out the maps of a kind that this kernel does not know: no program uses them here.
fn leave_out_maps(open: &mut OpenObject) -> Result<(), Error> {
    if Feature::TaskStorage.missing().is_none() {
        return Ok(());
    }
    for mut map in open.maps_mut().filter(|map| map.name() == "refusals") {
        map.set_autocreate(false).map_err(refused("map refusals"))?;
    }
    Ok(())
}

fn link(object: &Object, method: Method) -> Result<Vec<(&'static str, Link)>, Error> {
    let mut links = Vec::new();
    // The programs for membership come first, so that no check of a new process is lost.
    for name in needed(method) {
        let program = function(object, name)?;
        let link = match name {
            "kprobe_cap_capable" => program.attach_kprobe(false, "cap_capable"),
            "kretprobe_cap_capable" => program.attach_kprobe(true, "cap_capable"),
            _ => program.attach_trace(),
        };
        let link = link.map_err(refused(format!("attach {name}")))?;
        links.push((name, link));
    }
    Ok(links)
}

/// Attaches [`NAMES`] to the map of addresses that it names.
fn iterate_symbols(object: &Object) -> Result<Link, Error> {
    let symbols = map(object, "symbols")?;
    function(object, NAMES)?
        .attach_iter(symbols.as_fd())
        .map_err(refused(format!("attach {NAMES}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn load_error(said: &[&str]) -> Error {
        let said: Vec<String> = said.iter().map(|text| (*text).to_owned()).collect();
        refused("load")(io::Error::from_raw_os_error(libc::EPERM).into()).with_warnings(&said)
    }

    #[test]
    fn what_the_kernel_refuses_is_left_out_if_it_may_be() {
        // The message of Linux 6.18 if a policy refuses the iterator.
        let refused = load_error(&["libbpf: prog 'name_symbols': BPF program load failed: -EPERM"]);
        let mut lacking = BTreeMap::new();
        assert_eq!(to_leave_out(&refused, &lacking), [NAMES]);
        lacking.insert(NAMES.to_owned(), refused.to_string());
        assert!(to_leave_out(&refused, &lacking).is_empty());
        assert_eq!(to_leave_out(&load_error(&[]), &lacking), CGROUP_PROGRAMS);
        let needed =
            load_error(&["libbpf: prog 'tp_cap_capable': BPF program load failed: -EACCES"]);
        assert!(to_leave_out(&needed, &lacking).is_empty());
    }
}
