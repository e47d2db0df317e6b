/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whether the kernel has skipped a program.
 *
 * Since Linux 7.0 a task can be preempted in a program of a tracepoint. Until it goes on, the kernel skips that program for all other tasks
 * of the processor (kernel/trace/bpf_trace.c, __bpf_trace_run()). The programs of standing_by.h run after the others at the same events, by
 * perf events, for which the kernel switches preemption off (include/trace/perf.h): one that runs is not in another one's way. They do what
 * the first program was to do, if that was skipped.
 *
 * The first program leaves for each processor which task it has run for, and how often that task had been switched to others. If the second
 * finds its own task there, not switched since, the event at hand was not skipped: while no other task runs, none enters the first program or
 * leaves it, so that the kernel cannot have run it at an event before and skipped it at this one. If the task has been switched, the event is
 * taken for a skipped one; at worst it then counts twice.
 */
#pragma once

static __always_inline struct last_run this_run(void)
{
	struct task_struct *current = bpf_get_current_task_btf();

	return (struct last_run){ .thread = bpf_get_current_pid_tgid(), .switches = current->nvcsw + current->nivcsw };
}

/* The program of the event has run for the current task. */
static __always_inline void note_run(u32 event)
{
	struct last_run *last;

	if (!settings.preempts)
		return;
	last = bpf_map_lookup_elem(&last_runs, &event);
	if (last)
		*last = this_run();
}

/* Whether it was skipped. */
static __always_inline bool was_skipped(u32 event)
{
	struct last_run *last = bpf_map_lookup_elem(&last_runs, &event), now = this_run();

	if (!last || last->thread != now.thread || last->switches != now.switches)
		return true;
	/* It says nothing of the next event. */
	last->thread = 0;
	return false;
}
