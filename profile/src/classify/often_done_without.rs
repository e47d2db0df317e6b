//! Uses of a capability that programs can often do without.

use super::call_site::asked_in;
use crate::Capability;
use crate::atlas::paths;
use crate::observation::{Argument, Observation};

struct Use {
    capability: Capability,
    applies: fn(&Observation) -> bool,
    why: &'static str,
}

/// `PR_CAPBSET_DROP`, include/uapi/linux/prctl.h.
const DROP_BOUNDING: Argument = Argument::Prctl(24);

/// `SO_SNDBUFFORCE` and `SO_RCVBUFFORCE` of `SOL_SOCKET`.
const BUFFER_FORCED: [Argument; 2] = [
    Argument::SocketOption { level: 1, name: 32 },
    Argument::SocketOption { level: 1, name: 33 },
];

/// systemd-tmpfiles, as the kernel cuts off its name (TASK_COMM_LEN).
const SYSTEMD_TMPFILES: &str = "systemd-tmpfile";

/// Uses that some programs are known to do without. A single run with everything granted cannot show if this program is one of them, so these
/// uses count; `tests/servers/expected.toml` has the programs that were run without.
static OFTEN_DONE_WITHOUT: &[Use] = &[
    // kernel/audit.c audit_receive_msg(): a session that PAM reports. OpenSSH treats a refusal as fatal.
    Use {
        capability: Capability::AUDIT_WRITE,
        applies: |check| asked_in(check, paths::AUDIT_MESSAGE),
        why: "PAM goes on if it may not report a session; sshd does not",
    },
    // kernel/signal.c check_kill_permission(): Apache, Postfix and sshd ignore the error of kill(2); HAProxy's workers stay.
    Use {
        capability: Capability::KILL,
        applies: |check| asked_in(check, paths::SIGNAL),
        why: "a process often ends even if the signal to end does not reach it",
    },
    // kernel/nsproxy.c copy_namespaces() in clone(2), unshare_nsproxy_namespaces(): vsftpd.
    Use {
        capability: Capability::SYS_ADMIN,
        applies: |check| asked_in(check, paths::NAMESPACES_ASKED),
        why: "many programs put their processes into namespaces only if that is allowed",
    },
    // kernel/sys.c do_prlimit(), fs/proc/base.c __set_oom_adj(): named, PostgreSQL, sshd.
    Use {
        capability: Capability::SYS_RESOURCE,
        applies: |check| asked_in(check, paths::LIMIT_OR_SCORE),
        why: "programs mostly keep limits and scores that they may not change",
    },
    // net/core/sock.c sk_setsockopt(): systemd, iproute2 and others also set the option that needs no capability.
    Use {
        capability: Capability::NET_ADMIN,
        applies: |check| {
            check
                .argument
                .as_ref()
                .is_some_and(|option| BUFFER_FORCED.contains(option))
        },
        why: "programs mostly accept a buffer within the limit if they may not exceed it",
    },
    // security/commoncap.c cap_prctl_drop(): sudo, setpriv, systemd.
    Use {
        capability: Capability::SETPCAP,
        applies: |check| check.argument.as_ref() == Some(&DROP_BOUNDING),
        why: "programs often keep a bounding set that they may not reduce",
    },
    // fs/attr.c setattr_prepare(), chown(2): dnsmasq and unbound log it; nginx, chronyd and rsyslogd end.
    Use {
        capability: Capability::CHOWN,
        applies: |check| asked_in(check, paths::ATTRIBUTE_CHECK),
        why: "programs often only log that they may not change an owner",
    },
    // The same for chmod(2) and utimes(2): the scripts of Postfix ignore it, logrotate does not.
    Use {
        capability: Capability::FOWNER,
        applies: |check| asked_in(check, paths::ATTRIBUTE_CHECK),
        why: "programs often only log that they may not change a mode",
    },
    // fs/namei.c vfs_mknod(): systemd makes nodes that no process is to open, and ignores that it may not; debootstrap ends.
    Use {
        capability: Capability::MKNOD,
        applies: |check| asked_in(check, paths::DEVICE_NODE),
        why: "programs often go on without a device node that they may not make, because the engine makes those that may be opened",
    },
    // fs/proc/base.c environ_open(): ps shows what it may read.
    Use {
        capability: Capability::SYS_PTRACE,
        applies: |check| asked_in(check, paths::PROCESS_ENVIRONMENT),
        why: "programs mostly leave out the environment of other users' processes if they may not read it",
    },
    // fs/namei.c may_open() with O_NOATIME: git, tar and others open the file again without that flag. may_open() asks through
    // inode_owner_or_capable(), which is missing from the trace where it ends in a tail call.
    Use {
        capability: Capability::FOWNER,
        applies: |check| asked_in(check, paths::FILE_OPEN_FLAGS),
        why: "programs mostly let a read update the access time if they may not prevent that",
    },
    // fs/attr.c setattr_copy(), fs/posix_acl.c, fs/inode.c: systemd-tmpfiles. The system call succeeds all the same, so a run without it passes.
    Use {
        capability: Capability::FSETID,
        applies: |_| true,
        why: "the kernel clears a set-user-ID or set-group-ID bit without an error, and few programs look if it is still there",
    },
    // systemd as the first process makes control groups, and links to them, where no process may write: src/core/cgroup.c. systemd-tmpfiles
    // makes what is missing: src/tmpfiles/tmpfiles.c.
    Use {
        capability: Capability::DAC_OVERRIDE,
        applies: |check| {
            matches!(check.program.as_str(), "systemd" | SYSTEMD_TMPFILES)
                && asked_in(check, paths::DIRECTORY_ENTRY)
        },
        why: "systemd logs that it may not make a directory or link, and goes on",
    },
    // git status and others rewrite the index if the times of files differ from those in the index: builtin/commit.c, cmd_status(). A commit
    // also makes objects, with mkdir(2), link(2) and unlink(2).
    Use {
        capability: Capability::DAC_OVERRIDE,
        applies: |check| {
            let call = check.syscall.as_ref().map(|call| call.name.as_str());
            // A lookup on the way to a file that git only reads is no such use.
            check.program == "git"
                && matches!(call, Some("openat" | "rename"))
                && !asked_in(check, paths::FILE_LOOKUP)
        },
        why: "git goes on if it may not rewrite the index",
    },
    // pg_ctlcluster of postgresql-common looks at the cluster's directory as root, then once more as its owner.
    Use {
        capability: Capability::DAC_READ_SEARCH,
        applies: |check| check.program == "pg_ctlcluster" && asked_in(check, paths::FILE_LOOKUP),
        why: "pg_ctlcluster looks at the cluster's files as their owner too",
    },
];

/// Returns the reason why a program may do without a use, if programs often do; else `None`.
pub(crate) fn often_done_without(check: &Observation) -> Option<&'static str> {
    OFTEN_DONE_WITHOUT
        .iter()
        .find(|known| known.capability == check.capability && (known.applies)(check))
        .map(|known| known.why)
}
