/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Results of system calls in which a check was refused.
 */
#pragma once

/* Returns true if the checks were refused in this system call. */
static __always_inline bool were_refused_in(const struct refusals *refused, const struct call *call)
{
	/* An execve(2) can change which table of system calls the task uses. */
	if (!refused->call)
		return is_execve(call->number, false) || is_execve(call->number, true);
	return refused->call == digest_of_call(call);
}

/* Counts the result of a system call with its refused checks. */
static __always_inline void count_results(struct refusals *refused, long ret)
{
	u32 number = refused->number, result;
	struct container *container;
	struct call call;

	refused->number = 0;
	read_current_call(&call);
	if (!were_refused_in(refused, &call)) {
		/* The kernel has skipped both programs at the end of an earlier system call. */
		container = bpf_map_lookup_elem(&containers, &refused->of[0].key.slot);
		if (container)
			lose(container, LOSS_RESULTS);
		return;
	}
	if ((unsigned long)ret < (unsigned long)-4095L) /* MAX_ERRNO */
		result = RESULT_SUCCESS;
	else if (ret == -1 /* EPERM */)
		result = RESULT_EPERM;
	else if (ret == -13 /* EACCES */)
		result = RESULT_EACCES;
	else
		result = RESULT_OTHER;
	for (u32 i = 0; i < REFUSALS; i++) {
		struct check *row;

		if (i >= number)
			break;
		row = bpf_map_lookup_elem(&checks, &refused->of[i].key);
		if (row)
			__sync_fetch_and_add(&row->results[result], refused->of[i].count);
	}
}

static __always_inline int follow_system_call(long ret)
{
	struct refusals *refused = bpf_task_storage_get(&refusals, bpf_get_current_task_btf(), 0, 0);

	if (refused && refused->number)
		count_results(refused, ret);
	return 0;
}

/*
 * Counts the result of a system call in which a check was refused. It costs every system call of the host some nanoseconds. It is therefore
 * an object of its own, loaded and attached only while a recording wants results.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(system_call_exit, struct pt_regs *regs, long ret)
{
	return follow_system_call(ret);
}

/*
 * Does the work of the first program if the kernel has skipped that one. Otherwise no refused check is left. It is no program of a perf event, as
 * those of standing_by.h are, because the kernel writes a record for a perf event at every system call of the host. So the kernel can preempt a
 * task in this program too, and skip both: were_refused_in() finds that out.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(standby_system_call_exit, struct pt_regs *regs, long ret)
{
	return follow_system_call(ret);
}
