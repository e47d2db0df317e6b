/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Results of system calls in which a check was refused.
 */
#pragma once

/*
 * Counts the result of a system call in which a check was refused. It costs every system call of the host some nanoseconds. It is therefore
 * an object of its own, loaded and attached only while a recording wants results.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(system_call_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct refusals *refused = bpf_task_storage_get(&refusals, current, 0, 0);
	u32 number, result;

	if (!refused || !refused->number)
		return 0;
	number = refused->number;
	refused->number = 0;
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
	return 0;
}
