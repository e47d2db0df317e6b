/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The standby programs, which replace those that the kernel skips: see standby.h. They are loaded on Linux 7.0 and later.
 */
#pragma once

SEC("tracepoint")
int standby_cap_capable(struct trace_event_raw_cap_capable *event)
{
	struct task *found = find_member();

	/* Checks of all processes on the host reach this line. */
	if (!found || !was_skipped(RUN_CHECK))
		return 0;
	/* The context is the record of the event, so no return addresses lie above it. */
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
 * The record of sched_process_fork has no pointer to the child. This tracepoint replaces it: the kernel calls it with a lock held that
 * disables preemption (kernel/sched/core.c, wake_up_new_task()), and the current task is the parent.
 */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(process_woken, struct task_struct *child)
{
	return forked(bpf_get_current_task_btf(), child);
}
