/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs that stand by for those that the kernel skips: see standby.h. Only Linux 7.0 and later load them.
 */
#pragma once

SEC("tracepoint")
int standby_cap_capable(struct trace_event_raw_cap_capable *event)
{
	struct task *found = find_member();

	/* Every process of the host comes this far. */
	if (!found || !was_skipped(RUN_CHECK))
		return 0;
	/* Where the record of an event lies, no return addresses are. */
	record_member(event, event->cred, event->target_ns,
		      &(struct question){ .place = PLACE_STANDBY, .capability = event->cap, .denied = event->ret != 0 }, found);
	return 0;
}

SEC("tracepoint")
int standby_exec(void *event)
{
	struct task_struct *current = bpf_get_current_task_btf();

	if (was_skipped(RUN_EXEC))
		executed(current, BPF_CORE_READ(current, mm, exe_file), PLACE_STANDBY);
	return 0;
}

SEC("tracepoint")
int standby_exit(void *event)
{
	if (was_skipped(RUN_EXIT))
		ended(bpf_get_current_task_btf());
	return 0;
}

/*
 * No record of an event leads to the child of a fork. In the place of sched_process_fork, this is called with a lock held that keeps the
 * processor (kernel/sched/core.c, wake_up_new_task()); the current task is the parent.
 */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(process_woken, struct task_struct *child)
{
	return forked(bpf_get_current_task_btf(), child);
}
