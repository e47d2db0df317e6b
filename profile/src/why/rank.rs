//! Sorts refusals by importance.

use super::report::Refusal;

/// Calls with which programs find out what they may do, and without which they go on: glibc's clone3, numactl's memory policies, the event
/// rings of libuv.
const PROBES: [&str; 22] = [
    "access",
    "clone3",
    "close_range",
    "faccessat",
    "faccessat2",
    "get_mempolicy",
    "getrandom",
    "io_uring_setup",
    "kcmp",
    "keyctl",
    "mbind",
    "membarrier",
    "mlock",
    "mlockall",
    "perf_event_open",
    "personality",
    "rseq",
    "sched_setscheduler",
    "set_mempolicy",
    "setpriority",
    "statx",
    "userfaultfd",
];

/// Returns true if programs make this call to see whether they may.
pub fn is_probe(call: &str) -> bool {
    PROBES.contains(&call)
}

/// Puts the likeliest culprit first: the last refusal of a process that then ended with an error; probes last.
pub fn rank(refusals: &mut [Refusal]) {
    refusals.sort_by_key(|refusal| {
        let class = match (refusal.fatal, refusal.probe) {
            (true, false) => 0,
            (true, true) => 1,
            (false, false) => 2,
            (false, true) => 3,
        };
        // Of several fatal refusals the last came closest to the end.
        let order = match refusal.fatal {
            true => u64::MAX - refusal.order,
            false => refusal.order,
        };
        (class, order)
    });
}
