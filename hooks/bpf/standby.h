/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How a standby program knows if the kernel has skipped a program.
 *
 * Since Linux 7.0 a task can be preempted in a program of a tracepoint. Until that task continues, the kernel skips the program for all other
 * tasks of the processor (kernel/trace/bpf_trace.c, __bpf_trace_run()). The standby programs (standing_by.h) run after the others at the same
 * events. They are attached by perf events, for which the kernel disables preemption (include/trace/perf.h), so they never keep each other
 * from running. A standby program does the work of the first program if the kernel skipped that one.
 *
 * The first program stores for its processor which task it ran for, and the task's number of context switches. If the standby program finds
 * its own task with the same number, the kernel did not skip the event: while no other task runs, no task enters or leaves the first program,
 * so the kernel cannot have run it at an earlier event and skipped it at this one. If the number differs, the standby program treats the event
 * as skipped. At worst the event then counts twice.
 */
#pragma once

static __always_inline struct last_run this_run(void)
{
	struct task_struct *current = bpf_get_current_task_btf();

	return (struct last_run){ .thread = bpf_get_current_pid_tgid(), .switches = current->nvcsw + current->nivcsw };
}

/* Stores that the event's program has run for the current task. */
static __always_inline void note_run(u32 event)
{
	struct last_run *last;

	if (!settings.preempts)
		return;
	last = bpf_map_lookup_elem(&last_runs, &event);
	if (last)
		*last = this_run();
}

/* Returns true if the kernel may have skipped the event's program for the current task. */
static __always_inline bool was_skipped(u32 event)
{
	struct last_run *last = bpf_map_lookup_elem(&last_runs, &event), now = this_run();

	if (!last || last->thread != now.thread || last->switches != now.switches)
		return true;
	/* The entry is valid for one event only. */
	last->thread = 0;
	return false;
}
