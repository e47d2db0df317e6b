//! Uses that programs are known to do without.

use super::call_site::asked_in;
use crate::Capability;
use crate::observation::Observation;

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
