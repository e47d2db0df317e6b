//! Real-time scheduling of a process while it uses the maps.

use super::features::preempts_programs;

/// As long as this value exists, the kernel does not preempt this thread for a task of the usual classes (sched(7)).
///
/// During a bpf(2) system call on a map, the kernel skips the standby programs (`bpf/standby.h`) for all tasks of that processor, so the thread must
/// not be preempted there. A process that may not change its scheduling goes on without: the kernel counts the skipped runs. New processes of the
/// thread are scheduled as usual.
#[derive(Debug)]
pub(super) struct RealTime {
    /// The policy to return to; `None` if it was not changed.
    former: Option<libc::c_int>,
}

/// The lowest priority of the real-time policies: before all usual tasks, and after all other real-time tasks.
const LOWEST: libc::c_int = 1;

impl RealTime {
    /// Changes the policy of this thread, on kernels that preempt programs.
    pub(super) fn begin() -> Self {
        Self::begin_if(preempts_programs())
    }

    fn begin_if(is_wanted: bool) -> Self {
        let former = is_wanted
            .then(policy)
            .flatten()
            .filter(|former| is_usual(*former));
        Self {
            former: former
                .filter(|_| set_policy(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, LOWEST)),
        }
    }
}

impl Drop for RealTime {
    fn drop(&mut self) {
        if let Some(former) = self.former {
            set_policy(former, 0);
        }
    }
}

/// Returns true for the policies of tasks without a deadline or a real-time priority.
fn is_usual(policy: libc::c_int) -> bool {
    let policy = policy & !libc::SCHED_RESET_ON_FORK;
    [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE].contains(&policy)
}

/// This thread's policy (`sched_getscheduler(2)`).
#[allow(unsafe_code)]
fn policy() -> Option<libc::c_int> {
    let this_thread = 0;
    // SAFETY: the arguments and the result are numbers.
    let policy = unsafe { libc::sched_getscheduler(this_thread) };
    (policy >= 0).then_some(policy)
}

/// Sets this thread's policy (`sched_setscheduler(2)`). Returns true if the kernel did.
#[allow(unsafe_code)]
fn set_policy(policy: libc::c_int, priority: libc::c_int) -> bool {
    let this_thread = 0;
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the kernel reads a structure that lives until the call returns; the other arguments are numbers.
    unsafe { libc::sched_setscheduler(this_thread, policy, &raw const parameters) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_as_before_when_it_ends() {
        let before = policy();
        assert!(before.is_some_and(is_usual));
        let outer = RealTime::begin_if(true);
        if outer.former.is_none() {
            eprintln!("skipped: this process may not use real-time scheduling");
            return;
        }
        let real_time = Some(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK);
        assert_eq!(policy(), real_time);
        drop(RealTime::begin_if(true));
        assert_eq!(policy(), real_time, "the inner one has nothing to undo");
        drop(outer);
        assert_eq!(policy(), before);
    }

    #[test]
    fn nothing_changes_where_the_kernel_preempts_no_program() {
        let before = policy();
        let unchanged = RealTime::begin_if(false);
        assert_eq!(policy(), before);
        drop(unchanged);
        assert_eq!(policy(), before);
    }
}
