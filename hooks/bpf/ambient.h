/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * prctl(PR_CAP_AMBIENT_RAISE) compares sets and makes no capability check (security/commoncap.c, cap_task_prctl()). The recorder reads the
 * ambient set when the process executes a program or ends.
 */
#pragma once

static __always_inline u64 ambient_set(const struct cred *cred)
{
	return read_set(__builtin_preserve_access_index(&cred->cap_ambient));
}

static __noinline int look_at_ambient(struct container *container, u32 tgid, const struct cred *cred)
{
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);
	struct capset_key key = {};

	if (!task || !container || (u64)BPF_CORE_READ(cred, user_ns) != container->user_namespace)
		return 0;
	key.ambient = ambient_set(cred) & ~container->ambient & ~task->ambient;
	if (!key.ambient)
		return 0;
	task->ambient |= key.ambient;
	key.slot = task->slot;
	key.program = task->program;
	key.held = read_set(__builtin_preserve_access_index(&cred->cap_permitted));
	if (!count_row(container, &capsets, &key, TABLE_CAPSETS, LIMIT_CAPSETS))
		lose(container, LOSS_CAPSETS);
	return 1;
}
