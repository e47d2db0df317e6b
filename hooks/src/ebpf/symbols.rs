//! Call sites: from return addresses to names of kernel functions.

use super::layout;
use super::program_set::{self, ProgramSet};
use capprof_profile::atlas::paths;
use capprof_profile::observation::Audit;
use capprof_profile::settings::STATE_DIRECTORY;
use capprof_store::file::{self, Attributes};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The functions of the kernel's entry code. Their callers do not matter.
const ENTRY: [&str; 16] = [
    "x64_sys_call",
    "ia32_sys_call",
    "do_syscall_64",
    "do_int80_syscall_32",
    "do_int80_emulation",
    "__do_fast_syscall_32",
    "do_fast_syscall_32",
    "do_SYSENTER_32",
    "entry_",
    "asm_exc_",
    "ret_from_fork",
    "fred_",
    "el0_svc",
    "el0t_64_sync",
    "invoke_syscall",
    "do_el0_svc",
];

/// The machinery between the checked function and the recorder.
const MACHINERY: [&str; 16] = [
    "bpf_prog_",
    "bpf_trampoline_",
    "bpf_trace_run",
    "__bpf_trace_",
    "__bpf_prog_",
    "__traceiter_",
    "trace_cap_capable",
    "kprobe_",
    "kretprobe_",
    "__kretprobe_",
    "arch_rethook_",
    "rethook_",
    "ftrace_",
    "trace_call_bpf",
    "aggr_",
    "arch_ftrace_",
];

/// Names for the return addresses of all rows.
pub(crate) struct Symbols(HashMap<u64, String>);

impl Symbols {
    /// Asks the kernel for the functions that contain these return addresses. The error says why names are missing.
    pub(super) fn resolve<'row>(
        set: &ProgramSet,
        stacks: impl Iterator<Item = &'row [u64]>,
    ) -> (Self, Option<String>) {
        let addresses: BTreeSet<u64> = stacks
            .flatten()
            .map(|address| call(*address))
            // There is no function at address 0, and the kernel side stores 0 for no address.
            .filter(|address| *address != 0)
            .collect();
        let addresses: Vec<u64> = addresses.into_iter().collect();
        if addresses.is_empty() {
            return (Self(HashMap::new()), None);
        }
        match set.name(&addresses) {
            Ok(names) => (Self(names), None),
            Err(error) => match from_kallsyms(&addresses) {
                Some(names) => (Self(names), None),
                None => (
                    Self(HashMap::new()),
                    Some(format!(
                        "call sites have no names: {error}, and /proc/kallsyms hides its addresses"
                    )),
                ),
            },
        }
    }

    /// Returns names for these return addresses from `name`, which names the functions that contain given addresses; else from
    /// `/proc/kallsyms`.
    pub(crate) fn by(
        stacks: &[u64],
        name: impl FnOnce(&[u64]) -> Option<HashMap<u64, String>>,
    ) -> Self {
        let addresses: BTreeSet<u64> = stacks.iter().map(|address| call(*address)).collect();
        let addresses: Vec<u64> = addresses
            .into_iter()
            .filter(|address| *address != 0)
            .collect();
        Self(
            name(&addresses)
                .or_else(|| from_kallsyms(&addresses))
                .unwrap_or_default(),
        )
    }

    /// The functions from the one that asked outwards, without the recorder's own machinery and without the entry code.
    pub(crate) fn call_site(&self, stack: &[u64]) -> Vec<String> {
        let names: Vec<String> = stack
            .iter()
            .filter_map(|address| self.0.get(&call(*address)))
            .map(|name| clean(name))
            .collect();
        trim(&names)
    }
}

/// The address of the call before a return address. A return address may be past the end of a function that ends with a call.
fn call(address: u64) -> u64 {
    address.saturating_sub(1)
}

/// Removes the suffixes of a name: `shmem_get_inode.isra.0`, `ovl_permission [overlay]`.
fn clean(name: &str) -> String {
    name.split(['.', ' ', '+'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn trim(names: &[String]) -> Vec<String> {
    let starts =
        |name: &String, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let start = match names.iter().position(|name| name == "cap_capable") {
        Some(checked) => checked + 1,
        None => names
            .iter()
            .take_while(|name| starts(name, &MACHINERY) || name.starts_with("0x"))
            .count(),
    };
    names
        .iter()
        .skip(start)
        .take_while(|name| !starts(name, &ENTRY))
        .cloned()
        .collect()
}

/// Returns the audit option with which the kernel asked, as far as the functions show it (kernel/capability.c, security/commoncap.c).
pub(super) fn audit(call_site: &[String]) -> Audit {
    for name in call_site.iter().take(3) {
        let name = name.as_str();
        if paths::SILENT_QUESTION.contains(&name) {
            return Audit::Silent;
        }
        if paths::AUDITED_QUESTION.contains(&name) {
            return Audit::Audited;
        }
    }
    Audit::Unknown
}

/// Looks names up in `/proc/kallsyms`, for kernels that cannot run the program which names symbols.
fn from_kallsyms(addresses: &[u64]) -> Option<HashMap<u64, String>> {
    let remembered = Remembered {
        path: Path::new(STATE_DIRECTORY).join("symbols"),
        of: loaded_code(),
    };
    remembered.names(addresses, || fs::read_to_string("/proc/kallsyms").ok())
}

/// Describes the code that was loaded into the kernel: the modules with their addresses, and the program set. The kernel's own code keeps its
/// addresses until the next boot.
fn loaded_code() -> Option<String> {
    let modules = match fs::read_to_string("/proc/modules") {
        // The kernel has no modules.
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        result => result.ok()?,
    };
    let set = fs::metadata(program_set::directory()).ok()?;
    // The use counts are left out, because they change.
    let places: String = modules
        .lines()
        .map(|line| {
            let mut fields = line.split(' ');
            format!("{:?} {:?}\n", fields.next(), fields.nth(4))
        })
        .collect();
    Some(format!(
        "{:016x} {}.{}",
        layout::hash(places.as_bytes()),
        set.mtime(),
        set.mtime_nsec()
    ))
}

/// Names that were looked up before: reading all of `/proc/kallsyms` takes longer than everything else at the end of a container.
struct Remembered {
    path: PathBuf,
    /// The [`loaded_code`] for which they are valid; `None`: nothing is remembered.
    of: Option<String>,
}

impl Remembered {
    /// The names of these addresses; `None` if the kernel hides its addresses. `all` is the text of `/proc/kallsyms`.
    fn names(
        &self,
        addresses: &[u64],
        all: impl FnOnce() -> Option<String>,
    ) -> Option<HashMap<u64, String>> {
        let mut names = self.read().unwrap_or_default();
        let unknown: Vec<u64> = addresses
            .iter()
            .copied()
            .filter(|address| !names.contains_key(address))
            .collect();
        if !unknown.is_empty() {
            names.extend(look_up(&unknown, &all()?)?);
            self.write(&names);
        }
        Some(names)
    }

    fn read(&self) -> Option<HashMap<u64, String>> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (of, lines) = text.split_once('\n')?;
        if Some(of) != self.of.as_deref() {
            return None;
        }
        let name = |line: &str| {
            let (address, name) = line.split_once(' ')?;
            Some((u64::from_str_radix(address, 16).ok()?, name.to_owned()))
        };
        lines.lines().map(name).collect()
    }

    /// Writes the names. If that fails, the next hook looks them up again.
    fn write(&self, names: &HashMap<u64, String>) {
        let Some(of) = &self.of else { return };
        let lines: String = names
            .iter()
            .map(|(address, name)| format!("{address:x} {name}\n"))
            .collect();
        let text = format!("{of}\n{lines}");
        let _ = file::write_unsynced(&self.path, text.as_bytes(), Attributes::Mode(0o600));
    }
}

/// The functions that contain these addresses, according to the text of `/proc/kallsyms`; `None` if it shows no addresses.
fn look_up(addresses: &[u64], text: &str) -> Option<HashMap<u64, String>> {
    let mut functions: Vec<(u64, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let address = u64::from_str_radix(fields.next()?, 16).ok()?;
            let kind = fields.next()?;
            (address != 0 && matches!(kind, "t" | "T" | "w" | "W"))
                .then_some((address, fields.next()?))
        })
        .collect();
    if functions.is_empty() {
        return None;
    }
    functions.sort_unstable();
    Some(
        addresses
            .iter()
            .filter_map(|address| {
                let after = functions.partition_point(|(start, _)| start <= address);
                let (_, name) = functions.get(after.checked_sub(1)?)?;
                Some((*address, (*name).to_owned()))
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(clean).collect()
    }

    #[test]
    fn a_call_site_begins_after_the_check_and_ends_before_the_entry() {
        let stack = "bpf_prog_0f1c_tp_cap_capable bpf_trace_run5 __bpf_trace_cap_capable cap_capable security_capable \
            ns_capable path_mount.isra.0 __x64_sys_mount do_syscall_64 entry_SYSCALL_64_after_hwframe";
        assert_eq!(
            trim(&names(stack)),
            [
                "security_capable",
                "ns_capable",
                "path_mount",
                "__x64_sys_mount"
            ]
        );
    }

    #[test]
    fn a_trampoline_hides_the_checked_function() {
        let stack = "bpf_prog_1_fexit_cap_capable bpf_trampoline_6442 security_capable capable do_seccomp do_syscall_64";
        assert_eq!(
            trim(&names(stack)),
            ["security_capable", "capable", "do_seccomp"]
        );
    }

    #[test]
    fn names_are_remembered_while_the_same_code_is_loaded() {
        const KALLSYMS: &str = "0000000000001000 T ns_capable\n0000000000002000 t overlay [overlay]\n0000000000003000 D data\n";
        let directory = tempfile::tempdir().unwrap();
        let of = |of: Option<&str>| Remembered {
            path: directory.path().join("symbols"),
            of: of.map(str::to_owned),
        };
        let names = of(Some("a")).names(&[0x1008, 0x2010], || Some(KALLSYMS.to_owned()));
        assert_eq!(names.unwrap()[&0x2010], "overlay");
        let names = of(Some("a")).names(&[0x1008], || unreachable!("it is remembered"));
        assert_eq!(names.unwrap()[&0x1008], "ns_capable");
        // Another address, other code, and unknown code.
        for (remembered, address) in [(Some("a"), 0x1010), (Some("b"), 0x1008), (None, 0x1008)] {
            assert!(of(remembered).names(&[address], || None).is_none());
        }
        let hidden = "0000000000000000 T ns_capable\n";
        assert!(
            of(Some("b"))
                .names(&[0x1008], || Some(hidden.to_owned()))
                .is_none()
        );
    }

    #[test]
    fn modules_and_clones_of_a_function_have_its_name() {
        assert_eq!(clean("ovl_permission [overlay]"), "ovl_permission");
        assert_eq!(clean("do_mount.constprop.0.cold"), "do_mount");
        assert_eq!(clean("ns_capable+0x2f"), "ns_capable");
    }

    #[test]
    fn who_asked_tells_whether_silently() {
        assert_eq!(
            audit(&names("security_capable ns_capable_noaudit do_seccomp")),
            Audit::Silent
        );
        assert_eq!(
            audit(&names("security_vm_enough_memory_mm mmap_region")),
            Audit::Silent
        );
        assert_eq!(
            audit(&names("security_capable ns_capable path_mount")),
            Audit::Audited
        );
        assert_eq!(
            audit(&names("security_capable generic_permission")),
            Audit::Unknown
        );
    }
}
