//! Features that this kernel offers to eBPF programs. They are known before any program is loaded.

use memchr::memmem;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::fs::{self, File};
use std::ptr;
use std::slice;
use std::sync::OnceLock;

/// The kernel's type information. It contains the names of all functions, tracepoints, helpers and kinds of maps as strings that end with NUL. A
/// search for a name takes one millisecond; loading a program that the kernel refuses takes tens.
const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// The features of a kernel that programs can need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// The tracepoint `cap_capable`.
    CapabilityTracepoint,
    /// Programs at the end of the kernel's own functions. Only the type information of arm64 kernels shows this feature.
    FunctionEnds,
    /// Registers and storage of a task: `bpf_task_pt_regs()`, `bpf_task_storage_get()`.
    TaskStorage,
    /// The answer of an engine's own programs: `bpf_get_retval()`.
    ReturnValue,
}

/// The kernel's type information; `None` if it does not show it.
pub(super) fn types_of_kernel() -> Option<&'static [u8]> {
    static TYPES_OF_KERNEL: OnceLock<Option<&[u8]>> = OnceLock::new();
    *TYPES_OF_KERNEL.get_or_init(|| {
        mapped_types().or_else(|| fs::read(TYPES).ok().map(|types| &*Vec::leak(types)))
    })
}

/// The same, mapped into memory if the kernel allows that (Linux 6.16). A read returns only one page, and there are more than a thousand.
#[allow(unsafe_code)]
fn mapped_types() -> Option<&'static [u8]> {
    let file = File::open(TYPES).ok()?;
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
    let (read_only, private) = (ProtFlags::READ, MapFlags::PRIVATE);
    // SAFETY: a new mapping at an address that the kernel chooses.
    let address = unsafe { mmap(ptr::null_mut(), length, read_only, private, &file, 0) }.ok()?;
    // SAFETY: the mapping has this length, because the kernel refuses it if the file is shorter. It is never unmapped, and its content is
    // constant: the kernel's own read-only data.
    Some(unsafe { slice::from_raw_parts(address.cast::<u8>(), length) })
}

impl Feature {
    /// The name in the kernel's type information.
    const fn symbol(self) -> &'static str {
        match self {
            Self::CapabilityTracepoint => "btf_trace_cap_capable",
            Self::FunctionEnds => "register_ftrace_direct",
            Self::TaskStorage => "BPF_FUNC_task_pt_regs",
            Self::ReturnValue => "BPF_FUNC_get_retval",
        }
    }

    /// The name of the missing feature, and the first kernel that has it.
    const fn lacking(self) -> &'static str {
        match self {
            Self::CapabilityTracepoint => "this kernel has no such tracepoint (Linux 6.14 has)",
            Self::FunctionEnds => {
                "this kernel calls no eBPF program at the end of its functions (Linux 6.4 does)"
            }
            Self::TaskStorage => {
                "this kernel keeps nothing for each task that an eBPF program could use (Linux 5.15 does)"
            }
            Self::ReturnValue => {
                "this kernel does not tell an eBPF program whether the engine's refused the use (Linux 5.18 does)"
            }
        }
    }

    /// Describes the missing feature; `None` if this kernel has it, or shows no type information.
    pub(crate) fn missing(self) -> Option<&'static str> {
        self.missing_in(types_of_kernel()?)
    }

    fn missing_in(self, types: &[u8]) -> Option<&'static str> {
        let name = format!("\0{}\0", self.symbol());
        match memmem::find(types, name.as_bytes()) {
            Some(_) => None,
            None => Some(self.lacking()),
        }
    }
}

/// Returns true if the kernel's type information has a function of this name, or if there is no type information.
pub(crate) fn has_function(name: &str) -> bool {
    types_of_kernel()
        .is_none_or(|types| memmem::find(types, format!("\0{name}\0").as_bytes()).is_some())
}

/// The kernel's release, as uname(2) has it; empty if that cannot be read.
pub(super) fn release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| String::new(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// Returns true if this kernel can preempt a task inside a tracepoint program, and then skips that program for the other tasks of the processor. Since
/// Linux 7.0, callers of tracepoints do not disable preemption (include/linux/tracepoint.h). No name in the type information shows that.
pub(super) fn preempts_programs() -> bool {
    version(&release()).is_some_and(|version| version >= (7, 0))
}

/// Returns true if this kernel's release is older.
pub(super) fn is_older_than(major: u32, minor: u32) -> bool {
    version(&release()).is_some_and(|version| version < (major, minor))
}

/// The major and minor number of a release (`uname -r`).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|other: char| !other.is_ascii_digit())
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_its_version() {
        assert_eq!(version("7.3.4+deb13-cloud-amd64"), Some((7, 3)));
        assert_eq!(version("6.19.11-1-arch"), Some((6, 19)));
        assert_eq!(version("10.1"), Some((10, 1)));
        assert_eq!(version("7.1-rc2"), Some((7, 1)));
        for release in ["", "unknown", "7"] {
            assert_eq!(version(release), None, "{release}");
        }
    }

    #[test]
    fn a_feature_is_there_if_its_whole_name_is() {
        let types = b"\0cap_capable\0btf_trace_cap_capable\0BPF_FUNC_get_retval_other\0";
        assert_eq!(Feature::CapabilityTracepoint.missing_in(types), None);
        for feature in [
            Feature::FunctionEnds,
            Feature::ReturnValue,
            Feature::TaskStorage,
        ] {
            assert_eq!(feature.missing_in(types), Some(feature.lacking()));
        }
    }
}
