//! Observations for tests, as the recorders make them.

use crate::Capability;
use crate::observation::{Audit, Namespace, Observation, Recorder, Syscall, Verdict};

/// A granted check seen by eBPF through the tracepoint, which does not tell whether the kernel asked silently.
pub(crate) fn check(capability: Capability, syscall: &str, call_site: &[&str]) -> Observation {
    Observation {
        recorder: Recorder::Ebpf,
        capability,
        verdict: Verdict::Granted,
        namespace: Namespace::Own,
        audit: Audit::Unknown,
        overridden: false,
        own_mount: false,
        by_owner: false,
        pre_exec: false,
        joined: false,
        without_effect: false,
        program: "program".to_owned(),
        executable: Some("/usr/bin/program".into()),
        pid: 4711,
        syscall: Some(Syscall {
            number: match syscall {
                "" => -1,
                _ => 1,
            },
            name: syscall.to_owned(),
        }),
        argument: None,
        call_site: call_site.iter().map(|frame| (*frame).to_owned()).collect(),
        path: None,
        count: 1,
        first_ms: 5,
        last_ms: 5,
        results: None,
    }
}

/// An access vector cache record: no call site, no system call, no silent checks.
pub(crate) fn record(capability: Capability) -> Observation {
    Observation {
        recorder: Recorder::Selinux,
        audit: Audit::Audited,
        syscall: None,
        executable: None,
        ..check(capability, "", &[])
    }
}
