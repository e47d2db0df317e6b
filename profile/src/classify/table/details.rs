//! Places where the kernel asks only to settle a detail: how much it shows, how it accounts, which hardening it leaves out.
//!
//! The atlas has the places of most of these rules (`rule` in `profile/atlas/table`). The others depend on the caller of a function that serves
//! many (access to a process, to a file), which the data cannot express.

use crate::Capability;
use crate::atlas::paths;
use crate::classify::call_site::{asked_in, silent};
use crate::classify::rule::{Decision, Rule, in_atlas};

pub(super) static RULES: &[Rule] = &[
    Rule {
        name: "bpf-compiler",
        explanation: "asked while a filter is compiled, to leave out a hardening",
        decision: Decision::Dismissed,
        applies: in_atlas,
    },
    Rule {
        name: "bpf-verifier",
        explanation: "asked by the BPF verifier, which is stricter without, and for maps, which are hardened without",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "kernel-addresses",
        explanation: "without it kernel addresses are shown as zeros",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    // fs/proc/array.c do_task_stat(): PTRACE_MODE_NOAUDIT
    Rule {
        name: "process-status",
        explanation: "without it three addresses in /proc/PID/stat are shown as zeros",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_PTRACE
                && (asked_in(check, paths::PROCESS_STATUS)
                    || (silent(check) && asked_in(check, paths::PROCESS_ACCESS)))
        },
    },
    // fs/proc/base.c proc_pid_wchan()
    Rule {
        name: "wait-channel",
        explanation: "without it the function that another user's process waits in is shown as 0 (ps)",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_PTRACE && asked_in(check, paths::WAIT_CHANNEL)
        },
    },
    Rule {
        name: "memory-map",
        explanation: "without it addresses in /proc/iomem and /proc/ioports are shown as zeros",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "pci-configuration",
        explanation: "without it the first 64 bytes of a PCI device's configuration are shown (lspci)",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "autogroup",
        explanation: "asked when the priority of an autogroup was set; without it that may be done ten times a second",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "fuse-limits",
        explanation: "asked when a FUSE file system introduced itself; without it the host's limits for background requests hold",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "acl-mode",
        explanation: "asked when an access control list was set; without it a set-group-ID bit of another group's file is cleared",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    // fs/exec.c would_dump(), inlined in begin_new_exec(): decides if the process may be traced and dumped.
    Rule {
        name: "would-dump",
        explanation: "asked when a program was executed that may not be read; without it the process cannot be traced or dumped by its user",
        decision: Decision::Optional,
        applies: |check, _| {
            [Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH].contains(&check.capability)
                && (asked_in(check, paths::WOULD_DUMP)
                    || (asked_in(check, paths::PROGRAM_START)
                        && asked_in(check, paths::FILE_ACCESS)))
        },
    },
    Rule {
        name: "page-frames",
        explanation: "without it page frame numbers in /proc/PID/pagemap are shown as zeros",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "socket-details",
        explanation: "without it marks and filters are left out of the listed sockets (ss)",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "oom-score",
        explanation: "asked after the score for the out-of-memory killer was set, to remember it as the lowest allowed",
        decision: Decision::Dismissed,
        applies: in_atlas,
    },
    Rule {
        name: "io-uring-accounting",
        explanation: "without it the ring's memory is counted against the limit for locked memory",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "vsock",
        explanation: "asked when a socket for virtual machines is made, to mark it as trusted",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "xfs-quota",
        explanation: "asked silently by XFS, to let the privileged exceed quotas or see more",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "attribute-list",
        explanation: "without it trusted attributes are left out of the list",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    // The atlas has the place. No other place asks for this capability silently, so the rule recognises a check whose stack was lost.
    Rule {
        name: "label-read",
        explanation: "without it a label that the loaded policy does not know is shown as unlabeled",
        decision: Decision::Optional,
        applies: |check, _| check.capability == Capability::MAC_ADMIN && silent(check),
    },
    Rule {
        name: "integrity-policy",
        explanation: "asked by the integrity measurement, to find the rule that applies",
        decision: Decision::Dismissed,
        applies: in_atlas,
    },
    Rule {
        name: "module-autoload",
        explanation: "asked about an interface that does not exist, to load a driver for it",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "namespace-list",
        explanation: "without it mount namespaces of others are left out of the list",
        decision: Decision::Optional,
        applies: in_atlas,
    },
    Rule {
        name: "shown-less",
        explanation: "without it the kernel leaves details out of what it shows",
        decision: Decision::Optional,
        applies: in_atlas,
    },
];
