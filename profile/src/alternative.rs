//! Capabilities that the kernel would have accepted in place of the one that it checked first.

use crate::atlas::paths;
use crate::classify::asked_in;
use crate::observation::{Argument, Observation};
use crate::{Capability, CapabilitySet};

/// Socket options that either of `CAP_NET_RAW` and `CAP_NET_ADMIN` lets a process set, by level and name: `SO_PRIORITY`, `SO_MARK`,
/// `IP_TRANSPARENT`, `IPV6_TRANSPARENT`. IPv6 header options and unknown IP options take the first alone.
const EITHER_OPTION: [(u16, u16); 4] = [(1, 12), (1, 36), (0, 19), (41, 75)];

/// The other capabilities that would have satisfied this check; empty if there is none, or if too little is known about the place.
///
/// | asked | instead | where |
/// |---|---|---|
/// | `DAC_READ_SEARCH` | `DAC_OVERRIDE` | fs/namei.c `generic_permission()`; not open_by_handle_at(2) |
/// | `PERFMON`, `BPF`, `CHECKPOINT_RESTORE` | `SYS_ADMIN` | include/linux/capability.h `perfmon_capable()`, kernel/bpf/token.c `bpf_token_capable()`, `checkpoint_restore_ns_capable()` |
/// | `NET_ADMIN` | `SYS_ADMIN` | kernel/bpf/syscall.c, programs for networking |
/// | `NET_RAW` | `NET_ADMIN` | net/core/sock.c `SO_MARK`, `SO_PRIORITY`; net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c transparent proxies, not header options |
/// | `SYS_RESOURCE` | `SYS_ADMIN` | kernel/fork.c `copy_process()`, fs/pipe.c `alloc_pipe_info()` |
/// | `SYS_ADMIN` | `SYS_NICE` | block/ioprio.c `ioprio_check_cap()`, which asks for the stronger one first |
pub fn alternatives(check: &Observation) -> CapabilitySet {
    let asked_in = |functions: &[&str]| asked_in(check, functions);
    let instead = match check.capability {
        Capability::DAC_READ_SEARCH if check.call_site.is_empty() => check
            .syscall
            .as_ref()
            .filter(|syscall| {
                syscall.number >= 0
                    && ![
                        "open_by_handle_at",
                        "linkat",
                        "fanotify_mark",
                        "io_uring_enter",
                    ]
                    .contains(&syscall.name.as_str())
            })
            .map(|_| Capability::DAC_OVERRIDE),
        Capability::DAC_READ_SEARCH => {
            asked_in(paths::FILE_OF_OWNER).then_some(Capability::DAC_OVERRIDE)
        }
        Capability::PERFMON | Capability::CHECKPOINT_RESTORE => Some(Capability::SYS_ADMIN),
        Capability::BPF => (!asked_in(paths::BPF_TOKEN)).then_some(Capability::SYS_ADMIN),
        Capability::NET_ADMIN => asked_in(paths::BPF_QUESTION).then_some(Capability::SYS_ADMIN),
        Capability::NET_RAW => {
            let takes_either = match check.argument {
                Some(Argument::SocketOption { level, name }) => {
                    EITHER_OPTION.contains(&(level, name))
                }
                _ => asked_in(paths::CONTROL_MESSAGE),
            };
            takes_either.then_some(Capability::NET_ADMIN)
        }
        Capability::SYS_RESOURCE => asked_in(paths::BEYOND_LIMIT).then_some(Capability::SYS_ADMIN),
        Capability::SYS_ADMIN => asked_in(paths::IO_PRIORITY).then_some(Capability::SYS_NICE),
        _ => None,
    };
    instead.into_iter().collect()
}
