//! What one observation means: whether the kernel's question mattered, and by which rule that was decided.
//!
//! Pure: an [`Observation`] and the little that must be known of the container go in, a [`Classification`] comes out.
//! One rule is one entry of the table [`rules`] goes through; the first that applies decides. A check is dismissed only by a rule that says why;
//! what no rule knows counts. `docs/classification.md` describes each rule for users, and a test holds it against this table.
//!
//! Rules go by the kernel functions on the stack, of which some are inlined or tail calls and never show, so a rule names
//! every function on the way that identifies it. Function names are those of Linux 6.1 to 7.2.

use crate::observation::{Audit, Namespace, Observation, Verdict};
use crate::recording::Recording;
use crate::result::Reason;
use crate::{Capability, CapabilitySet};

/// What a rule has to know beside the observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// User id of the container's process inside the container.
    pub uid: u32,
    /// Whether the container has a user namespace of its own.
    pub user_namespace: bool,
    /// Whether the container's processes run with `no_new_privs`.
    pub no_new_privileges: bool,
    /// The bounding set that the container was given while it was profiled.
    pub granted: CapabilitySet,
}

impl From<&Recording> for Context {
    fn from(recording: &Recording) -> Self {
        Self {
            uid: recording.uid,
            user_namespace: recording.user_namespace,
            no_new_privileges: recording.no_new_privileges,
            granted: recording.granted.bounding,
        }
    }
}

/// What becomes of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It counts.
    Needed(Reason),
    /// It was granted, and the same would have happened without.
    Dismissed,
    /// It was granted, and without it the program would have gone on with less: fewer details, other accounting.
    Optional,
    /// It was refused.
    Denied,
}

/// One rule of the classification.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name in profiles and documentation.
    pub name: &'static str,
    /// What it means, in one line, for the reader of a report.
    pub explanation: &'static str,
    /// What it decides for a granted check.
    pub outcome: Outcome,
    applies: fn(&Observation, &Context) -> bool,
}

/// The class of one observation.
#[derive(Clone, Copy, Debug)]
pub struct Classification {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: &'static Rule,
}

/// Gives an observation its class. Every observation gets one.
pub fn classify(observation: &Observation, context: &Context) -> Classification {
    let rule = RULES
        .iter()
        .find(|rule| (rule.applies)(observation, context))
        .unwrap_or(&USED);
    if observation.verdict == Verdict::Granted {
        return Classification {
            outcome: rule.outcome,
            rule,
        };
    }
    let rule = match rule.outcome {
        // A probe that was refused is a probe all the same.
        Outcome::Dismissed | Outcome::Optional => rule,
        _ if observation.namespace == Namespace::Initial => &INITIAL_NAMESPACE,
        _ => &REFUSED,
    };
    Classification {
        outcome: Outcome::Denied,
        rule,
    }
}

/// All rules, in the order in which they are tried, then the ones that apply where none of these does.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain([&USED, &REFUSED, &INITIAL_NAMESPACE])
}

/// The check was granted, and nothing says that it did not matter.
static USED: Rule = Rule {
    name: "used",
    explanation: "the kernel asked and granted, and acts on the answer",
    outcome: Outcome::Needed(Reason::Used),
    applies: |_, _| true,
};

/// Refused, and for want of the capability.
pub(crate) static REFUSED: Rule = Rule {
    name: "refused",
    explanation: "the process did not hold the capability at that moment",
    outcome: Outcome::Denied,
    applies: |_, _| false,
};

/// Refused for good.
static INITIAL_NAMESPACE: Rule = Rule {
    name: "initial-namespace",
    explanation: "asked of the initial user namespace, and the container lives in another: no capability set can grant it",
    outcome: Outcome::Denied,
    applies: |_, _| false,
};

static RULES: &[Rule] = &[
    // mm/util.c __vm_enough_memory() of every mapping, fork, page of stack: security/commoncap.c cap_vm_enough_memory() asks with NOAUDIT.
    Rule {
        name: "overcommit",
        explanation: "asked at every growth of memory, to decide who may use the last 3 %",
        outcome: Outcome::Dismissed,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && (asked_in(
                    check,
                    &[
                        "security_vm_enough_memory_mm",
                        "__vm_enough_memory",
                        "cap_vm_enough_memory",
                    ],
                ) || (check.call_site.is_empty() && only_overcommit_asks(check)))
        },
    },
    // security/commoncap.c cap_capable_helper(): the owner of a namespace has all capabilities in it.
    Rule {
        name: "namespace-owner",
        explanation: "granted because the process made the user namespace that was asked about, whatever it holds",
        outcome: Outcome::Dismissed,
        applies: |check, _| check.by_owner,
    },
    Rule {
        name: "nested-namespace",
        explanation: "asked of a user namespace that the container made for itself, where its maker holds everything",
        outcome: Outcome::Dismissed,
        applies: |check, _| check.namespace == Namespace::Nested,
    },
    // The permissions callbacks of namespaced sysctls are asked on every look at the file, before it is known what for; see
    // fs/proc/proc_sysctl.c sysctl_perm(). The recorder tells who only reads, or may write as the host's root.
    Rule {
        name: "sysctl-write",
        explanation: "a sysctl was written, or opened for it, that this process may not write without",
        outcome: Outcome::Needed(Reason::EnforcingSilent),
        applies: |check, context| {
            sysctl(check)
                && !check.without_effect
                && !root_may_write(check, context)
                && !in_syscall(check, READING)
                && !in_syscall(check, ACCESS)
        },
    },
    Rule {
        name: "sysctl",
        explanation: "asked at every look at a sysctl, which may be read (and by root written) without",
        outcome: Outcome::Dismissed,
        applies: |check, _| sysctl(check),
    },
    // fs/open.c do_faccessat(): looks and does nothing; older kernels, and newer ones for users with capabilities, exchange the
    // credentials for it. What the program does with the answer asks for itself.
    Rule {
        name: "asked-by-access",
        explanation: "the program asked with access(2) whether it may, and was told yes: counts only if it goes by the answer",
        outcome: Outcome::Optional,
        applies: |check, _| in_syscall(check, ACCESS) && !(check.overridden && in_overlayfs(check)),
    },
    // override_creds(): overlayfs with its mounter's credentials, coredumps, binfmt_misc. Not so where a user's own request is carried
    // out with credentials that it chose or had before: io_uring, cgroup.procs, the opener of a file, a tracer.
    Rule {
        name: "overridden-credentials",
        explanation: "the kernel asked on its own behalf, with other credentials than the program's (overlayfs)",
        outcome: Outcome::Dismissed,
        applies: |check, _| check.overridden && !carries_out_own_request(check),
    },
    Rule {
        name: "without-effect",
        explanation: "the system call would have done the same without (setting ids that are set already, raising nothing)",
        outcome: Outcome::Dismissed,
        applies: |check, _| check.without_effect,
    },
    // fs/attr.c notify_change() turns the loss of the set-user-ID bit into a change of mode, and setattr_prepare() then asks about the
    // set-group-ID bit, which chown(2) itself has dealt with unless the group may not execute the file.
    Rule {
        name: "chown-mode",
        explanation: "asked while the owner of a set-user-ID file was changed; without it a set-group-ID bit without group execution is cleared",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::FSETID
                && in_syscall(check, &["chown", "fchown", "lchown", "fchownat"])
                && asked_in(check, &["setattr_prepare", "setattr_copy"])
        },
    },
    // arch/x86/net/bpf_jit_comp.c emit_spectre_bhb_barrier(), include/linux/filter.h bpf_jit_blinding_enabled().
    Rule {
        name: "bpf-compiler",
        explanation: "asked while a filter is compiled, to leave out a hardening",
        outcome: Outcome::Dismissed,
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
        explanation: "asked by the BPF verifier, which is stricter without",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::PERFMON
                && asked_in(check, &["bpf_check"])
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
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::SYSLOG
                && asked_in(check, &["kallsyms_show_value", "restricted_pointer"])
        },
    },
    // fs/proc/array.c do_task_stat(): PTRACE_MODE_NOAUDIT
    Rule {
        name: "process-status",
        explanation: "without it three addresses in /proc/PID/stat are shown as zeros",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_PTRACE
                && (asked_in(check, &["do_task_stat", "proc_tgid_stat", "proc_tid_stat"])
                    || (silent(check)
                        && asked_in(check, &["__ptrace_may_access", "ptrace_may_access"])))
        },
    },
    // fs/proc/task_mmu.c
    Rule {
        name: "page-frames",
        explanation: "without it page frame numbers in /proc/PID/pagemap are shown as zeros",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["pagemap_read", "pagemap_open"])
        },
    },
    // net/ipv4/inet_diag.c, net/mptcp/mptcp_diag.c, net/packet/diag.c; closing sockets (sock_diag_destroy) is a need.
    Rule {
        name: "socket-details",
        explanation: "without it marks and filters are left out of the listed sockets (ss)",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::NET_ADMIN
                && !asked_in(
                    check,
                    &["sock_diag_destroy", "tcp_diag_destroy", "udp_diag_destroy"],
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
        outcome: Outcome::Dismissed,
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
        outcome: Outcome::Optional,
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
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::NET_ADMIN
                && asked_in(check, &["__vsock_create", "vsock_create"])
        },
    },
    // fs/xfs: quota limits are not enforced for who may, reverse mappings are shown.
    Rule {
        name: "xfs-quota",
        explanation: "asked silently by XFS, to let the privileged exceed quotas or see more",
        outcome: Outcome::Optional,
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
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && check.call_site.iter().any(|frame| {
                    let frame = function(frame);
                    frame.ends_with("xattr_trusted_list")
                        || ["ovl_listxattr", "ovl_can_list", "simple_xattr_list"].contains(&frame)
                })
        },
    },
    // security/selinux/hooks.c selinux_inode_getsecurity()
    Rule {
        name: "label-read",
        explanation: "without it a label that the loaded policy does not know is shown as unlabeled",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::MAC_ADMIN
                && (silent(check) || asked_in(check, &["selinux_inode_getsecurity"]))
        },
    },
    // security/integrity/ima/ima_policy.c ima_match_rules()
    Rule {
        name: "integrity-policy",
        explanation: "asked by the integrity measurement, to find the rule that applies",
        outcome: Outcome::Dismissed,
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
        outcome: Outcome::Optional,
        applies: |check, _| {
            [Capability::NET_ADMIN, Capability::SYS_MODULE].contains(&check.capability)
                && asked_in(check, &["dev_load"])
        },
    },
    // fs/namespace.c lookup_next_mnt_ns(): namespaces that may not be seen are passed over.
    Rule {
        name: "namespace-list",
        explanation: "without it mount namespaces of others are left out of the list",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::SYS_ADMIN
                && asked_in(check, &["lookup_next_mnt_ns", "get_sequential_mnt_ns"])
        },
    },
    // security/commoncap.c cap_bprm_creds_from_file(): with no_new_privs the result is the same either way.
    Rule {
        name: "no-new-privileges",
        explanation: "asked at the start of a set-user-ID program, which gains nothing under no_new_privs anyway",
        outcome: Outcome::Dismissed,
        applies: |check, context| {
            check.capability == Capability::SETUID
                && context.no_new_privileges
                && asked_in(check, &["cap_bprm_creds_from_file"])
        },
    },
    // fs/namei.c may_linkat(): safe_hardlink_source() asks for read and write access; whoever owns the file may link it all the same.
    // The recorder cannot see the owner. git links its own read-only files all the time; minimize makes a blind spot of it.
    Rule {
        name: HARD_LINK,
        explanation: "asked when a file is hard-linked, which its owner may do without",
        outcome: Outcome::Optional,
        applies: |check, _| {
            check.capability == Capability::DAC_OVERRIDE
                && asked_in(check, &["may_linkat", "safe_hardlink_source"])
        },
    },
    Rule {
        name: "pre-exec",
        explanation: "the runtime needed it to start the container's program",
        outcome: Outcome::Needed(Reason::PreExec),
        applies: |check, _| check.pre_exec,
    },
    // NOAUDIT and enforced: kernel/seccomp.c, security/landlock/syscalls.c, kernel/capability.c ptracer_capable(), fs/namespace.c, fs/nsfs.c,
    // io_uring/register.c.
    Rule {
        name: "enforced-silently",
        explanation: "the kernel asks without an audit record, and refuses the system call without",
        outcome: Outcome::Needed(Reason::EnforcingSilent),
        applies: |check, _| {
            check.call_site.iter().any(|frame| {
                let frame = function(frame);
                [
                    "do_seccomp",
                    "seccomp_prepare_filter",
                    "seccomp_prepare_user_filter",
                    "seccomp_set_mode_filter",
                    "prctl_set_seccomp",
                    "ptracer_capable",
                    "may_see_all_namespaces",
                    "may_use_nsfs_ioctl",
                    "io_register_restrictions_task",
                    "io_register_bpf_filter_task",
                    "do_statmount",
                    "do_listmount",
                ]
                .contains(&frame)
                    || [
                        "sys_seccomp",
                        "landlock_restrict_self",
                        "sys_statmount",
                        "sys_listmount",
                    ]
                    .iter()
                    .any(|part| frame.contains(part))
            }) && silent_or_unknown(check)
        },
    },
    Rule {
        name: "silent-unknown-site",
        explanation: "the kernel asked without an audit record, at a place that capprof has no rule for: counted to be safe",
        outcome: Outcome::Needed(Reason::EnforcingSilent),
        applies: |check, _| silent(check),
    },
];

/// The rule of link(2), which [`crate::minimize`] makes a blind spot of.
pub(crate) const HARD_LINK: &str = "hard-link";

/// Uses that programs are known to do without, by capability and the kernel's function that asks. Whether this program does, a single run
/// in which everything is granted cannot tell, so they count; `tests/servers/expected.toml` has the programs that were run without.
static OFTEN_DONE_WITHOUT: &[(Capability, &[&str], &str)] = &[
    // kernel/audit.c audit_receive_msg(): a session that PAM reports. OpenSSH takes a refusal for fatal.
    (
        Capability::AUDIT_WRITE,
        &["audit_receive_msg", "audit_netlink_ok"],
        "PAM goes on where it may not report a session, sshd does not",
    ),
    // kernel/signal.c check_kill_permission(): Apache, Postfix and sshd ignore the error of kill(2); HAProxy's workers stay.
    (
        Capability::KILL,
        &["check_kill_permission"],
        "what is told to end by a signal often ends by other means too",
    ),
    // kernel/nsproxy.c copy_namespaces() in clone(2), unshare_nsproxy_namespaces(): vsftpd.
    (
        Capability::SYS_ADMIN,
        &["copy_namespaces", "unshare_nsproxy_namespaces"],
        "many programs put their processes into namespaces only where that is allowed",
    ),
    // kernel/sys.c do_prlimit(), fs/proc/base.c __set_oom_adj(): named, PostgreSQL, sshd.
    (
        Capability::SYS_RESOURCE,
        &["do_prlimit", "__set_oom_adj"],
        "limits and scores that may not be changed are mostly kept as they are",
    ),
];

/// What is known of programs that use a capability in this way, if they often do without.
pub(crate) fn often_done_without(check: &Observation) -> Option<&'static str> {
    OFTEN_DONE_WITHOUT
        .iter()
        .find(|(capability, functions, _)| {
            *capability == check.capability && asked_in(check, functions)
        })
        .map(|(_, _, text)| *text)
}

/// A frame's function: without offset, module, and the suffixes that compilers add to copies (`.isra.0`, `.constprop.0`, `.part.0`).
pub(crate) fn function(frame: &str) -> &str {
    let end = frame.find(['.', '+', ' ']).unwrap_or(frame.len());
    frame.get(..end).unwrap_or(frame)
}

fn asked_in(check: &Observation, functions: &[&str]) -> bool {
    check
        .call_site
        .iter()
        .any(|frame| functions.contains(&function(frame)))
}

fn in_syscall(check: &Observation, names: &[&str]) -> bool {
    check
        .syscall
        .as_ref()
        .is_some_and(|syscall| names.contains(&syscall.name.as_str()))
}

/// Whether the kernel asked with NOAUDIT, as the recorder or the wrapper on the stack tells.
pub(crate) fn silent(check: &Observation) -> bool {
    match check.audit {
        Audit::Silent => true,
        Audit::Audited => false,
        Audit::Unknown => asked_in(
            check,
            &[
                "ns_capable_noaudit",
                "has_capability_noaudit",
                "has_ns_capability_noaudit",
            ],
        ),
    }
}

fn silent_or_unknown(check: &Observation) -> bool {
    check.audit != Audit::Audited
}

/// Whether the overcommit probe is the only one that these system calls make for CAP_SYS_ADMIN, for checks whose stack was lost.
///
/// clone(2) and unshare(2) ask also for new namespaces, but not silently; brk(2) and page faults ask for nothing else at all.
fn only_overcommit_asks(check: &Observation) -> bool {
    let Some(syscall) = &check.syscall else {
        return false;
    };
    syscall.number < 0
        || ["brk", "mmap", "mmap2", "mprotect", "mremap", "munmap"].contains(&syscall.name.as_str())
        || (check.audit == Audit::Silent
            && [
                "fork",
                "vfork",
                "clone",
                "clone3",
                "execve",
                "execveat",
                "memfd_create",
                "ftruncate",
                "shmget",
                "shmat",
                "madvise",
            ]
            .contains(&syscall.name.as_str()))
}

fn in_overlayfs(check: &Observation) -> bool {
    check.call_site.iter().any(|frame| {
        let frame = function(frame);
        frame.starts_with("ovl_") || frame.starts_with("backing_file_")
    })
}

fn carries_out_own_request(check: &Observation) -> bool {
    !in_overlayfs(check)
        && (
            // io_uring carries requests out under credentials that their maker registered (IORING_REGISTER_PERSONALITY, SQPOLL).
            asked_in(check, &["io_issue_sqe", "__io_issue_sqe", "io_wq_submit_work", "io_sq_thread"])
            // kernel/cgroup/cgroup.c __cgroup_procs_write(): those who opened the file are asked.
            || asked_in(check, &["cgroup_attach_permissions", "cgroup_procs_write_permission"])
            // The credentials with which a file was opened, or a tracer's: others than the task's, and not the kernel's own.
            || asked_in(check, &["file_ns_capable", "ptracer_capable"])
        )
}

fn sysctl(check: &Observation) -> bool {
    asked_in(
        check,
        &[
            "net_ctl_permissions",
            "ipc_permissions",
            "set_permissions",
            "pid_table_root_permissions",
        ],
    ) || (silent(check) && asked_in(check, &["sysctl_perm"]))
}

/// System calls that read, or look up names.
const READING: &[&str] = &[
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "stat",
    "lstat",
    "newfstatat",
    "statx",
    "readlink",
    "readlinkat",
    "getdents64",
];

/// System calls that only say what would be allowed.
const ACCESS: &[&str] = &["access", "faccessat", "faccessat2"];

/// Whether the file's mode lets this container's root write all the same.
///
/// net/sysctl_net.c keeps the mode (test_perm() lets the initial namespace's root write); kernel/pid.c accepts the pid namespace's root;
/// kernel/ucount.c (/proc/sys/user) and ipc/ipc_sysctl.c (next_id) accept nobody.
fn root_may_write(check: &Observation, context: &Context) -> bool {
    context.uid == 0
        && match check.capability {
            Capability::NET_ADMIN => !context.user_namespace,
            Capability::SYS_ADMIN => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, record};
    use Outcome::{Denied, Dismissed, Needed, Optional};

    const ROOT: Context = Context {
        uid: 0,
        user_namespace: false,
        no_new_privileges: false,
        granted: CapabilitySet::EMPTY,
    };

    #[track_caller]
    fn gives(check: &Observation, context: &Context, rule: &str, outcome: Outcome) {
        let class = classify(check, context);
        assert_eq!((class.rule.name, class.outcome), (rule, outcome));
    }

    #[track_caller]
    fn is_used(check: &Observation) {
        gives(check, &ROOT, "used", Needed(Reason::Used));
    }

    #[test]
    fn ordinary_checks_count() {
        is_used(&check(
            Capability::SYS_ADMIN,
            "mount",
            &["ns_capable", "path_mount", "__x64_sys_mount"],
        ));
        is_used(&check(
            Capability::SYSLOG,
            "syslog",
            &[
                "capable",
                "check_syslog_permissions",
                "do_syslog",
                "__x64_sys_syslog",
            ],
        ));
        is_used(&record(Capability::NET_ADMIN));
    }

    #[test]
    fn uses_that_programs_do_without_are_known() {
        let known = |capability, syscall, frames: &[&str]| {
            let check = check(capability, syscall, frames);
            is_used(&check);
            often_done_without(&check).is_some()
        };
        // Sites of Linux 6.18: vsftpd, apache2, vsftpd, named, sshd.
        assert!(known(
            Capability::AUDIT_WRITE,
            "sendto",
            &[
                "ns_capable",
                "audit_receive_msg",
                "audit_receive",
                "netlink_unicast"
            ]
        ));
        assert!(known(
            Capability::KILL,
            "kill",
            &[
                "ns_capable",
                "check_kill_permission",
                "kill_pid_info_type",
                "kill_something_info"
            ]
        ));
        assert!(known(
            Capability::SYS_ADMIN,
            "clone",
            &[
                "ns_capable",
                "copy_namespaces",
                "copy_process",
                "kernel_clone"
            ]
        ));
        assert!(known(
            Capability::SYS_RESOURCE,
            "prlimit64",
            &["capable", "do_prlimit"]
        ));
        assert!(known(
            Capability::SYS_RESOURCE,
            "write",
            &["capable", "__set_oom_adj", "oom_score_adj_write"]
        ));
        // Mounting, and leaving root's group, are no such things.
        assert!(!known(
            Capability::SYS_ADMIN,
            "mount",
            &["ns_capable", "path_mount"]
        ));
        assert!(!known(
            Capability::SETGID,
            "setgroups",
            &["ns_capable_setid", "__do_sys_setgroups"]
        ));
    }

    #[test]
    fn overcommit() {
        for frames in [
            // Linux 6.18, seen by the tracepoint: mmap, fork, growth of the stack.
            &[
                "security_vm_enough_memory_mm",
                "__mmap_region",
                "mmap_region",
                "do_mmap",
                "vm_mmap_pgoff",
            ][..],
            &[
                "security_vm_enough_memory_mm",
                "dup_mmap",
                "copy_process",
                "kernel_clone",
                "__do_sys_clone",
            ],
            &[
                "security_vm_enough_memory_mm",
                "expand_stack",
                "exc_page_fault",
                "asm_exc_page_fault",
            ],
            // fexit sees what is not inlined; a build may rename copies.
            &[
                "cap_vm_enough_memory",
                "security_vm_enough_memory_mm",
                "shmem_zero_setup",
            ],
            &["__vm_enough_memory.part.0", "do_brk_flags"],
        ] {
            gives(
                &check(Capability::SYS_ADMIN, "mmap", frames),
                &ROOT,
                "overcommit",
                Dismissed,
            );
        }
        // The same capability, asked for new namespaces in the same system call.
        is_used(&check(
            Capability::SYS_ADMIN,
            "clone",
            &[
                "ns_capable",
                "copy_namespaces",
                "copy_process",
                "kernel_clone",
            ],
        ));
    }

    #[test]
    fn overcommit_without_a_stack() {
        for syscall in ["", "brk", "mremap"] {
            gives(
                &check(Capability::SYS_ADMIN, syscall, &[]),
                &ROOT,
                "overcommit",
                Dismissed,
            );
        }
        // clone(2) asks also for namespaces, which is no probe; known to be silent, it can only be the probe.
        is_used(&check(Capability::SYS_ADMIN, "clone", &[]));
        let silent = Observation {
            audit: Audit::Silent,
            ..check(Capability::SYS_ADMIN, "clone", &[])
        };
        gives(&silent, &ROOT, "overcommit", Dismissed);
    }

    #[test]
    fn refused_overcommit_is_still_a_probe() {
        let refused = Observation {
            verdict: Verdict::Denied,
            namespace: Namespace::Initial,
            ..check(
                Capability::SYS_ADMIN,
                "mmap",
                &["security_vm_enough_memory_mm", "mmap_region"],
            )
        };
        gives(&refused, &ROOT, "overcommit", Denied);
    }

    #[test]
    fn namespace_owner() {
        let unshare = Observation {
            by_owner: true,
            namespace: Namespace::Nested,
            ..check(
                Capability::SYS_ADMIN,
                "unshare",
                &["ns_capable", "unshare_nsproxy_namespaces", "ksys_unshare"],
            )
        };
        gives(&unshare, &ROOT, "namespace-owner", Dismissed);
    }

    #[test]
    fn nested_namespace() {
        let mount = Observation {
            namespace: Namespace::Nested,
            ..check(
                Capability::SYS_ADMIN,
                "mount",
                &["ns_capable", "path_mount"],
            )
        };
        gives(&mount, &ROOT, "nested-namespace", Dismissed);
    }

    #[test]
    fn initial_namespace_cannot_be_granted() {
        let settime = Observation {
            verdict: Verdict::Denied,
            namespace: Namespace::Initial,
            ..check(
                Capability::SYS_TIME,
                "clock_settime",
                &["capable", "cap_settime"],
            )
        };
        gives(&settime, &ROOT, "initial-namespace", Denied);
        let chown = Observation {
            verdict: Verdict::Denied,
            ..check(
                Capability::CHOWN,
                "chown",
                &["capable_wrt_inode_uidgid", "chown_ok"],
            )
        };
        gives(&chown, &ROOT, "refused", Denied);
    }

    #[test]
    fn overridden_credentials() {
        let overlay = Observation {
            overridden: true,
            ..check(
                Capability::SYS_ADMIN,
                "statx",
                &[
                    "capable",
                    "xattr_permission",
                    "vfs_getxattr",
                    "ovl_check_metacopy_xattr",
                    "ovl_lookup",
                ],
            )
        };
        gives(&overlay, &ROOT, "overridden-credentials", Dismissed);
        // The program's own request on the same file system.
        is_used(&check(
            Capability::DAC_OVERRIDE,
            "openat",
            &[
                "capable_wrt_inode_uidgid",
                "generic_permission",
                "ovl_permission",
                "inode_permission",
            ],
        ));
    }

    #[test]
    fn access_only_asks() {
        let frames = [
            "capable_wrt_inode_uidgid",
            "generic_permission",
            "ovl_permission",
            "inode_permission",
            "do_faccessat",
        ];
        let access = check(Capability::DAC_OVERRIDE, "faccessat2", &frames);
        gives(&access, &ROOT, "asked-by-access", Optional);
        // With exchanged credentials, on another file system than overlayfs.
        let exchanged = Observation {
            overridden: true,
            call_site: vec!["generic_permission".into(), "do_faccessat".into()],
            ..access.clone()
        };
        gives(&exchanged, &ROOT, "asked-by-access", Optional);
        let layer = Observation {
            overridden: true,
            ..access
        };
        gives(&layer, &ROOT, "overridden-credentials", Dismissed);
        is_used(&check(Capability::DAC_OVERRIDE, "openat", &frames));
    }

    #[test]
    fn chown_of_a_set_user_id_file() {
        let frames = [
            "capable_wrt_inode_uidgid",
            "setattr_prepare",
            "notify_change",
            "chown_common",
        ];
        gives(
            &check(Capability::FSETID, "fchownat", &frames),
            &ROOT,
            "chown-mode",
            Optional,
        );
        is_used(&check(Capability::CHOWN, "fchownat", &frames));
        is_used(&check(
            Capability::FSETID,
            "fchmodat",
            &[
                "capable_wrt_inode_uidgid",
                "setattr_prepare",
                "chmod_common",
            ],
        ));
    }

    #[test]
    fn requests_under_chosen_credentials_count() {
        let ring = Observation {
            overridden: true,
            ..check(
                Capability::DAC_READ_SEARCH,
                "io_uring_enter",
                &[
                    "capable_wrt_inode_uidgid",
                    "generic_permission",
                    "path_openat",
                    "io_openat2",
                    "io_issue_sqe",
                ],
            )
        };
        is_used(&ring);
    }

    #[test]
    fn without_effect() {
        let own_id = Observation {
            without_effect: true,
            ..check(
                Capability::SETGID,
                "setgid",
                &["ns_capable_setid", "__sys_setgid"],
            )
        };
        gives(&own_id, &ROOT, "without-effect", Dismissed);
        is_used(&check(
            Capability::SETGID,
            "setgid",
            &["ns_capable_setid", "__sys_setgid"],
        ));
    }

    #[test]
    fn seccomp_filter_is_enforced_and_its_compilation_is_not() {
        for frames in [
            &["ns_capable_noaudit", "do_seccomp", "__x64_sys_seccomp"][..],
            &[
                "ns_capable_noaudit",
                "seccomp_prepare_filter",
                "prctl_set_seccomp",
            ],
            &["ns_capable_noaudit", "__do_sys_landlock_restrict_self"],
        ] {
            gives(
                &check(Capability::SYS_ADMIN, "seccomp", frames),
                &ROOT,
                "enforced-silently",
                Needed(Reason::EnforcingSilent),
            );
        }
        gives(
            &check(
                Capability::SYS_ADMIN,
                "seccomp",
                &[
                    "ns_capable_noaudit",
                    "do_jit",
                    "bpf_int_jit_compile",
                    "bpf_prog_select_runtime",
                    "do_seccomp",
                ],
            ),
            &ROOT,
            "bpf-compiler",
            Dismissed,
        );
    }

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
    fn sysctls_are_asked_for_on_every_look() {
        let user = Context { uid: 33, ..ROOT };
        for (capability, function) in [
            (Capability::SYS_ADMIN, "pid_table_root_permissions"),
            (Capability::CHECKPOINT_RESTORE, "ipc_permissions"),
            (Capability::NET_ADMIN, "net_ctl_permissions"),
            (Capability::SYS_RESOURCE, "set_permissions"),
        ] {
            let frames = [
                "ns_capable_noaudit",
                function,
                "sysctl_perm",
                "proc_sys_permission",
            ];
            // Opened for reading, as the recorder saw from the arguments.
            let open = Observation {
                without_effect: true,
                ..check(capability, "openat", &frames)
            };
            gives(&open, &user, "sysctl", Dismissed);
            gives(
                &check(capability, "read", &frames),
                &user,
                "sysctl",
                Dismissed,
            );
            gives(
                &check(capability, "faccessat2", &frames),
                &user,
                "sysctl",
                Dismissed,
            );
        }
    }

    #[test]
    fn written_sysctls_need_it_where_the_mode_does_not_suffice() {
        let user = Context { uid: 33, ..ROOT };
        let inside = Context {
            user_namespace: true,
            ..ROOT
        };
        let write = |capability, function| {
            check(
                capability,
                "write",
                &[
                    "ns_capable_noaudit",
                    function,
                    "sysctl_perm",
                    "proc_sys_call_handler",
                    "vfs_write",
                ],
            )
        };
        let needed = Needed(Reason::EnforcingSilent);
        let network = write(Capability::NET_ADMIN, "net_ctl_permissions");
        gives(&network, &ROOT, "sysctl", Dismissed);
        gives(&network, &user, "sysctl-write", needed);
        gives(&network, &inside, "sysctl-write", needed);
        let open = check(
            Capability::NET_ADMIN,
            "openat",
            &[
                "ns_capable_noaudit",
                "net_ctl_permissions",
                "proc_sys_permission",
            ],
        );
        gives(&open, &user, "sysctl-write", needed);
        let processes = write(Capability::SYS_ADMIN, "pid_table_root_permissions");
        gives(&processes, &inside, "sysctl", Dismissed);
        gives(&processes, &user, "sysctl-write", needed);
        gives(
            &write(Capability::SYS_RESOURCE, "set_permissions"),
            &ROOT,
            "sysctl-write",
            needed,
        );
        gives(
            &write(Capability::CHECKPOINT_RESTORE, "ipc_permissions"),
            &ROOT,
            "sysctl-write",
            needed,
        );
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
    fn set_user_id_under_no_new_privs() {
        let start = check(
            Capability::SETUID,
            "execve",
            &[
                "ns_capable",
                "cap_bprm_creds_from_file",
                "security_bprm_creds_from_file",
                "begin_new_exec",
            ],
        );
        gives(
            &start,
            &Context {
                no_new_privileges: true,
                ..ROOT
            },
            "no-new-privileges",
            Dismissed,
        );
        is_used(&start);
    }

    #[test]
    fn hard_link() {
        gives(
            &check(
                Capability::DAC_OVERRIDE,
                "linkat",
                &[
                    "capable_wrt_inode_uidgid",
                    "generic_permission",
                    "inode_permission",
                    "may_linkat",
                    "do_linkat",
                ],
            ),
            &ROOT,
            HARD_LINK,
            Optional,
        );
        // The directory that the link is made in.
        is_used(&check(
            Capability::DAC_OVERRIDE,
            "linkat",
            &[
                "capable_wrt_inode_uidgid",
                "generic_permission",
                "inode_permission",
                "vfs_link",
                "do_linkat",
            ],
        ));
    }

    #[test]
    fn pre_exec() {
        let entry = Observation {
            pre_exec: true,
            ..check(
                Capability::DAC_READ_SEARCH,
                "execve",
                &[
                    "capable_wrt_inode_uidgid",
                    "generic_permission",
                    "link_path_walk",
                    "do_open_execat",
                ],
            )
        };
        gives(&entry, &ROOT, "pre-exec", Needed(Reason::PreExec));
        let memory = Observation {
            call_site: vec!["security_vm_enough_memory_mm".into(), "alloc_bprm".into()],
            capability: Capability::SYS_ADMIN,
            ..entry
        };
        gives(&memory, &ROOT, "overcommit", Dismissed);
    }

    #[test]
    fn silent_at_an_unknown_site_counts() {
        let check = check(
            Capability::SYS_ADMIN,
            "ioctl",
            &["ns_capable_noaudit", "something_new"],
        );
        gives(
            &check,
            &ROOT,
            "silent-unknown-site",
            Needed(Reason::EnforcingSilent),
        );
    }

    #[test]
    fn names_are_unique_and_documented() {
        let text = include_str!("../../docs/classification.md");
        let mut seen = std::collections::BTreeSet::new();
        for rule in rules() {
            assert!(seen.insert(rule.name), "{} twice", rule.name);
            assert!(
                text.contains(&format!("`{}`", rule.name)),
                "{} is not in docs/classification.md",
                rule.name
            );
            assert!(!rule.explanation.contains('\n'));
        }
    }
}
