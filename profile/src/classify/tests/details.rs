use super::{ROOT, gives, is_used};
use crate::Capability;
use crate::classify::Decision::{Dismissed, Needed, Optional};
use crate::fixtures::check;
use crate::profile::Reason;

#[test]
fn bpf_verifier() {
    gives(
        &check(
            Capability::PERFMON,
            "bpf",
            &["capable", "bpf_token_capable", "bpf_check", "bpf_prog_load"],
        ),
        &ROOT,
        "bpf-verifier",
        Optional,
    );
    // Tracing programs are refused without, and so are helpers.
    is_used(&check(
        Capability::PERFMON,
        "bpf",
        &["capable", "bpf_token_capable", "bpf_prog_load"],
    ));
    is_used(&check(
        Capability::PERFMON,
        "bpf",
        &[
            "capable",
            "bpf_token_capable",
            "bpf_base_func_proto",
            "check_helper_call",
            "bpf_check",
        ],
    ));
}

#[test]
fn kernel_addresses() {
    gives(
        &check(
            Capability::SYSLOG,
            "openat",
            &["kallsyms_show_value", "kallsyms_open", "proc_reg_open"],
        ),
        &ROOT,
        "kernel-addresses",
        Optional,
    );
    gives(
        &check(
            Capability::SYSLOG,
            "read",
            &["has_capability_noaudit", "restricted_pointer", "vsnprintf"],
        ),
        &ROOT,
        "kernel-addresses",
        Optional,
    );
}

#[test]
fn process_status() {
    gives(
        &check(
            Capability::SYS_PTRACE,
            "read",
            &[
                "ns_capable_noaudit",
                "__ptrace_may_access",
                "ptrace_may_access",
                "do_task_stat",
                "proc_single_show",
            ],
        ),
        &ROOT,
        "process-status",
        Optional,
    );
    is_used(&check(
        Capability::SYS_PTRACE,
        "readlink",
        &[
            "ns_capable",
            "__ptrace_may_access",
            "ptrace_may_access",
            "proc_pid_get_link",
        ],
    ));
}

#[test]
fn page_frames() {
    gives(
        &check(
            Capability::SYS_ADMIN,
            "read",
            &["file_ns_capable", "pagemap_read", "vfs_read"],
        ),
        &ROOT,
        "page-frames",
        Optional,
    );
}

#[test]
fn socket_details() {
    gives(
        &check(
            Capability::NET_ADMIN,
            "recvmsg",
            &[
                "ns_capable",
                "netlink_net_capable",
                "inet_diag_dump_icsk",
                "tcp_diag_dump",
            ],
        ),
        &ROOT,
        "socket-details",
        Optional,
    );
    is_used(&check(
        Capability::NET_ADMIN,
        "sendmsg",
        &[
            "ns_capable",
            "sock_diag_destroy",
            "tcp_diag_destroy",
            "inet_diag_cmd_exact",
        ],
    ));
}

#[test]
fn oom_score() {
    gives(
        &check(
            Capability::SYS_RESOURCE,
            "write",
            &[
                "has_capability_noaudit",
                "__set_oom_adj",
                "oom_score_adj_write",
            ],
        ),
        &ROOT,
        "oom-score",
        Dismissed,
    );
    is_used(&check(
        Capability::SYS_RESOURCE,
        "write",
        &["capable", "__set_oom_adj", "oom_score_adj_write"],
    ));
}

#[test]
fn io_uring_accounting() {
    gives(
        &check(
            Capability::IPC_LOCK,
            "io_uring_setup",
            &[
                "ns_capable_noaudit",
                "io_uring_create",
                "__x64_sys_io_uring_setup",
            ],
        ),
        &ROOT,
        "io-uring-accounting",
        Optional,
    );
}

#[test]
fn vsock() {
    gives(
        &check(
            Capability::NET_ADMIN,
            "socket",
            &[
                "ns_capable_noaudit",
                "__vsock_create",
                "vsock_create",
                "__sock_create",
            ],
        ),
        &ROOT,
        "vsock",
        Optional,
    );
}

#[test]
fn xfs_quota() {
    gives(
        &check(
            Capability::FOWNER,
            "fchown",
            &[
                "ns_capable_noaudit",
                "xfs_setattr_nonsize",
                "xfs_vn_setattr",
            ],
        ),
        &ROOT,
        "xfs-quota",
        Optional,
    );
    is_used(&check(
        Capability::FOWNER,
        "fchmod",
        &[
            "capable_wrt_inode_uidgid",
            "setattr_prepare",
            "xfs_vn_setattr",
        ],
    ));
}

#[test]
fn attribute_list() {
    for frames in [
        &["capable", "ext4_xattr_trusted_list", "ext4_listxattr"][..],
        &["ns_capable_noaudit", "ovl_listxattr", "vfs_listxattr"],
        &["ns_capable_noaudit", "simple_xattr_list", "shmem_listxattr"],
    ] {
        gives(
            &check(Capability::SYS_ADMIN, "llistxattr", frames),
            &ROOT,
            "attribute-list",
            Optional,
        );
    }
    is_used(&check(
        Capability::SYS_ADMIN,
        "lsetxattr",
        &["capable", "xattr_permission", "vfs_setxattr"],
    ));
}

#[test]
fn label_read() {
    gives(
        &check(
            Capability::MAC_ADMIN,
            "getxattr",
            &[
                "has_cap_mac_admin",
                "selinux_inode_getsecurity",
                "xattr_getsecurity",
            ],
        ),
        &ROOT,
        "label-read",
        Optional,
    );
    is_used(&check(
        Capability::MAC_ADMIN,
        "setxattr",
        &["has_cap_mac_admin", "selinux_inode_setxattr"],
    ));
}

#[test]
fn integrity_policy() {
    gives(
        &check(
            Capability::SETUID,
            "openat",
            &[
                "has_capability_noaudit",
                "ima_match_policy",
                "ima_file_check",
            ],
        ),
        &ROOT,
        "integrity-policy",
        Dismissed,
    );
}

#[test]
fn module_autoload() {
    gives(
        &check(
            Capability::NET_ADMIN,
            "ioctl",
            &["capable", "dev_load", "dev_ioctl", "sock_do_ioctl"],
        ),
        &ROOT,
        "module-autoload",
        Optional,
    );
    is_used(&check(
        Capability::NET_ADMIN,
        "ioctl",
        &["ns_capable", "dev_ioctl", "sock_do_ioctl"],
    ));
}

#[test]
fn namespace_list() {
    gives(
        &check(
            Capability::SYS_ADMIN,
            "ioctl",
            &["ns_capable_noaudit", "get_sequential_mnt_ns", "ns_ioctl"],
        ),
        &ROOT,
        "namespace-list",
        Optional,
    );
    gives(
        &check(
            Capability::SYS_ADMIN,
            "ioctl",
            &["ns_capable_noaudit", "may_see_all_namespaces", "ns_ioctl"],
        ),
        &ROOT,
        "enforced-silently",
        Needed(Reason::EnforcingSilent),
    );
}

#[test]
fn details_that_are_left_out_or_kept_within_limits() {
    for (capability, syscall, frames, rule) in [
        (
            Capability::SYS_PTRACE,
            "read",
            &["ns_capable", "__ptrace_may_access", "proc_pid_wchan"][..],
            "wait-channel",
        ),
        (
            Capability::SYS_ADMIN,
            "read",
            &["file_ns_capable", "r_show", "seq_read_iter"],
            "memory-map",
        ),
        (
            Capability::SYS_ADMIN,
            "pread64",
            &["file_ns_capable", "pci_read_config"],
            "pci-configuration",
        ),
        (
            Capability::SYS_ADMIN,
            "write",
            &["capable", "proc_sched_autogroup_set_nice"],
            "autogroup",
        ),
        (
            Capability::SYS_ADMIN,
            "writev",
            &["capable", "process_init_reply", "fuse_dev_do_write"],
            "fuse-limits",
        ),
        (
            Capability::FSETID,
            "setxattr",
            &["capable_wrt_inode_uidgid", "posix_acl_update_mode"],
            "acl-mode",
        ),
        (
            Capability::DAC_OVERRIDE,
            "execve",
            &["generic_permission", "inode_permission", "begin_new_exec"],
            "would-dump",
        ),
        (
            Capability::SYS_ADMIN,
            "listxattr",
            &["capable", "xfs_xattr_put_listent"],
            "attribute-list",
        ),
        (
            Capability::PERFMON,
            "bpf",
            &["bpf_token_capable", "array_map_alloc"],
            "bpf-verifier",
        ),
    ] {
        gives(&check(capability, syscall, frames), &ROOT, rule, Optional);
    }
    // A filter by mark is refused without.
    is_used(&check(
        Capability::NET_ADMIN,
        "sendmsg",
        &[
            "ns_capable",
            "__inet_diag_dump_start",
            "inet_diag_handler_cmd",
        ],
    ));
}

#[test]
fn places_of_the_atlas_that_show_less() {
    for (capability, frames) in [
        (
            Capability::NET_ADMIN,
            &["capable", "bond_info_show_master", "seq_read_iter"][..],
        ),
        (
            Capability::SYS_ADMIN,
            &["capable", "uart_line_info", "uart_proc_show"],
        ),
    ] {
        gives(
            &check(capability, "read", frames),
            &ROOT,
            "shown-less",
            Optional,
        );
    }
}

#[test]
fn each_rule_that_the_atlas_names_exists() {
    let known: Vec<_> = crate::classify::rules().map(|rule| rule.name).collect();
    for site in crate::atlas::sites() {
        if let Some(rule) = site.rule {
            assert!(known.contains(&rule), "{}: {rule}", site.function);
        }
    }
}
