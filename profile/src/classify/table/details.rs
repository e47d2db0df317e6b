//! Places where the kernel asks only to decide about a detail: what it shows, how it accounts, which hardening it leaves out.

use crate::Capability;
use crate::classify::call_site::{asked_in, function, silent};
use crate::classify::rule::{Decision, Rule};

pub(super) static RULES: &[Rule] = &[
    // arch/x86/net/bpf_jit_comp.c emit_spectre_bhb_barrier(), include/linux/filter.h bpf_jit_blinding_enabled().
    Rule {
        name: "bpf-compiler",
        explanation: "asked while a filter is compiled, to leave out a hardening",
        decision: Decision::Dismissed,
        applies: |check, _| {
            asked_in(
                check,
                &["do_jit", "bpf_int_jit_compile", "bpf_jit_blind_constants"],
            )
        },
    },
    // kernel/bpf/verifier.c bpf_check(): env->allow_ptr_leaks and kin. Helper prototypes are refused without, which is a need.
    Rule {
        name: "bpf-verifier",
        explanation: "asked by the BPF verifier, which is stricter without, and for maps, which are hardened without",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::PERFMON
                && asked_in(
                    check,
                    &["bpf_check", "array_map_alloc", "array_map_alloc_check"],
                )
                && !check
                    .call_site
                    .iter()
                    .any(|frame| function(frame).ends_with("_func_proto"))
        },
    },
    // kernel/ksyms_common.c, lib/vsprintf.c
    Rule {
        name: "kernel-addresses",
        explanation: "without it kernel addresses are shown as zeros",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYSLOG
                && asked_in(check, &["kallsyms_show_value", "restricted_pointer"])
        },
    },
    // fs/proc/array.c do_task_stat(): PTRACE_MODE_NOAUDIT
    Rule {
        name: "process-status",
        explanation: "without it three addresses in /proc/PID/stat are shown as zeros",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_PTRACE
                && (asked_in(check, &["do_task_stat", "proc_tgid_stat", "proc_tid_stat"])
                    || (silent(check)
                        && asked_in(check, &["__ptrace_may_access", "ptrace_may_access"])))
        },
    },
    // fs/proc/base.c proc_pid_wchan()
    Rule {
        name: "wait-channel",
        explanation: "without it the function that another user's process waits in is shown as 0 (ps)",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_PTRACE && asked_in(check, &["proc_pid_wchan"])
        },
    },
    // kernel/resource.c r_show()
    Rule {
        name: "memory-map",
        explanation: "without it addresses in /proc/iomem and /proc/ioports are shown as zeros",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["r_show"])
                && asked_in(check, &["file_ns_capable", "seq_read_iter"])
        },
    },
    // drivers/pci/pci-sysfs.c pci_read_config(), drivers/pci/proc.c proc_bus_pci_read()
    Rule {
        name: "pci-configuration",
        explanation: "without it the first 64 bytes of a PCI device's configuration are shown (lspci)",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["pci_read_config", "proc_bus_pci_read"])
        },
    },
    // kernel/sched/autogroup.c proc_sched_autogroup_set_nice(): how soon the value may be set again.
    Rule {
        name: "autogroup",
        explanation: "asked when the priority of an autogroup was set; without it that may be done ten times a second",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["proc_sched_autogroup_set_nice"])
        },
    },
    // fs/fuse/inode.c process_init_reply() of a server that speaks to a mount made elsewhere.
    Rule {
        name: "fuse-limits",
        explanation: "asked when a FUSE file system introduced itself; without it the host's limits for background requests hold",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["process_init_reply", "process_init_limits"])
        },
    },
    // fs/posix_acl.c posix_acl_update_mode()
    Rule {
        name: "acl-mode",
        explanation: "asked when an access control list was set; without it a set-group-ID bit of another group's file is cleared",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::FSETID && asked_in(check, &["posix_acl_update_mode"])
        },
    },
    // fs/exec.c would_dump(), in line in begin_new_exec(): whether the process may be traced and dumped.
    Rule {
        name: "would-dump",
        explanation: "asked when a program was executed that may not be read; without it the process cannot be traced or dumped by its user",
        decision: Decision::Optional,
        applies: |check, _| {
            [Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH].contains(&check.capability)
                && (asked_in(check, &["would_dump"])
                    || (asked_in(check, &["begin_new_exec"])
                        && asked_in(check, &["generic_permission"])))
        },
    },
    // fs/proc/task_mmu.c
    Rule {
        name: "page-frames",
        explanation: "without it page frame numbers in /proc/PID/pagemap are shown as zeros",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["pagemap_read", "pagemap_open"])
        },
    },
    // net/ipv4/inet_diag.c, net/mptcp/mptcp_diag.c, net/packet/diag.c; closing sockets (sock_diag_destroy) is a need.
    Rule {
        name: "socket-details",
        explanation: "without it marks and filters are left out of the listed sockets (ss)",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::NET_ADMIN
                && !asked_in(
                    check,
                    &[
                        "sock_diag_destroy",
                        "tcp_diag_destroy",
                        "udp_diag_destroy",
                        // A filter by mark is refused (inet_diag_bc_audit()).
                        "__inet_diag_dump_start",
                        "inet_diag_dump_start",
                        "inet_diag_dump_start_compat",
                        "inet_diag_bc_audit",
                    ],
                )
                && check.call_site.iter().any(|frame| {
                    let frame = function(frame);
                    [
                        "tcp_diag_",
                        "udp_diag_",
                        "inet_diag_",
                        "inet_sk_diag_",
                        "packet_diag_",
                        "mptcp_diag_",
                        "raw_diag_",
                    ]
                    .iter()
                    .any(|prefix| frame.starts_with(prefix))
                })
        },
    },
    // fs/proc/base.c __set_oom_adj(): capable() guards lowering, has_capability_noaudit() afterwards only remembers the value.
    Rule {
        name: "oom-score",
        explanation: "asked after the score for the out-of-memory killer was set, to remember it as the lowest allowed",
        decision: Decision::Dismissed,
        applies: |check, _| {
            check.capability == Capability::SYS_RESOURCE
                && asked_in(check, &["__set_oom_adj"])
                && silent(check)
        },
    },
    // io_uring/io_uring.c io_uring_create()
    Rule {
        name: "io-uring-accounting",
        explanation: "without it the ring's memory is counted against the limit for locked memory",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::IPC_LOCK
                && check.call_site.iter().any(|frame| {
                    frame.contains("io_uring_create") || frame.contains("io_uring_setup")
                })
        },
    },
    // net/vmw_vsock/af_vsock.c __vsock_create()
    Rule {
        name: "vsock",
        explanation: "asked when a socket for virtual machines is made, to mark it as trusted",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::NET_ADMIN
                && asked_in(check, &["__vsock_create", "vsock_create"])
        },
    },
    // fs/xfs: quota limits are not enforced for who may, reverse mappings are shown.
    Rule {
        name: "xfs-quota",
        explanation: "asked silently by XFS, to let the privileged exceed quotas or see more",
        decision: Decision::Optional,
        applies: |check, _| {
            silent(check)
                && check
                    .call_site
                    .iter()
                    .any(|frame| function(frame).starts_with("xfs_"))
        },
    },
    // fs/xattr.c simple_xattr_list(), fs/overlayfs/xattrs.c ovl_can_list(), fs/ext4/xattr_trusted.c and kin.
    Rule {
        name: "attribute-list",
        explanation: "without it trusted attributes are left out of the list",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && check.call_site.iter().any(|frame| {
                    let frame = function(frame);
                    frame.ends_with("xattr_trusted_list")
                        || [
                            "ovl_listxattr",
                            "ovl_can_list",
                            "simple_xattr_list",
                            "xfs_xattr_put_listent",
                            "squashfs_listxattr",
                            "squashfs_trusted_xattr_handler_list",
                        ]
                        .contains(&frame)
                })
        },
    },
    // security/selinux/hooks.c selinux_inode_getsecurity()
    Rule {
        name: "label-read",
        explanation: "without it a label that the loaded policy does not know is shown as unlabeled",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::MAC_ADMIN
                && (silent(check) || asked_in(check, &["selinux_inode_getsecurity"]))
        },
    },
    // security/integrity/ima/ima_policy.c ima_match_rules()
    Rule {
        name: "integrity-policy",
        explanation: "asked by the integrity measurement, to find the rule that applies",
        decision: Decision::Dismissed,
        applies: |check, _| {
            check
                .call_site
                .iter()
                .any(|frame| function(frame).starts_with("ima_"))
        },
    },
    // net/core/dev_ioctl.c dev_load()
    Rule {
        name: "module-autoload",
        explanation: "asked about an interface that does not exist, to load a driver for it",
        decision: Decision::Optional,
        applies: |check, _| {
            [Capability::NET_ADMIN, Capability::SYS_MODULE].contains(&check.capability)
                && asked_in(check, &["dev_load"])
        },
    },
    // fs/namespace.c lookup_next_mnt_ns(): namespaces that may not be seen are passed over.
    Rule {
        name: "namespace-list",
        explanation: "without it mount namespaces of others are left out of the list",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["lookup_next_mnt_ns", "get_sequential_mnt_ns"])
        },
    },
];
