/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Containers that ran before their recording began. User space knows only the numbers of their processes. The programs read everything else
 * from each process when they see it for the first time.
 */
#pragma once

#define PID_NAMESPACES 4 /* levels of pid namespaces that the container may have made */
#define ANCESTORS 32

/* Returns the process with this number if it is among the current task's ancestors or the first processes of its pid namespaces, else 0. */
__noinline u64 first_process(u32 init)
{
	struct task_struct *found = (void *)bpf_get_current_task();
	struct pid_namespace *pids = BPF_CORE_READ(found, nsproxy, pid_ns_for_children);

	for (u32 i = 0; i < PID_NAMESPACES && pids; i++) {
		struct task_struct *reaper = BPF_CORE_READ(pids, child_reaper);

		if (reaper && (u32)BPF_CORE_READ(reaper, tgid) == init)
			return (u64)reaper;
		pids = BPF_CORE_READ(pids, parent);
	}
	/* A container in the host's pid namespace has no first process there. */
	for (u32 i = 0; i < ANCESTORS && found; i++) {
		if ((u32)BPF_CORE_READ(found, tgid) == init)
			return (u64)found;
		found = BPF_CORE_READ(found, real_parent);
	}
	return 0;
}

/* Fills the container's row from its first process. The current task takes its place if that process is not found. */
static __noinline int know_container(struct container *container, struct task_struct *task)
{
	struct task_struct *first;

	if (!container || container->user_namespace)
		return 0;
	first = (void *)first_process(container->init);
	if (!first)
		first = task;
	container->root_dentry = (u64)BPF_CORE_READ(first, fs, root.dentry);
	container->root_mount = (u64)BPF_CORE_READ(first, fs, root.mnt);
	container->ambient = ambient_set(BPF_CORE_READ(first, cred));
	note_registers(container);
	container->user_namespace = (u64)BPF_CORE_READ(first, real_cred, user_ns);
	return 0;
}

/* Completes the row of the current task, which ran before the recording began and is seen for the first time. */
__noinline int settle(u32 place)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task *member = bpf_map_lookup_elem(&tasks, &tgid);
	struct container *container;

	if (!member)
		return 0;
	container = bpf_map_lookup_elem(&containers, &member->slot);
	if (!container)
		return 0;
	know_container(container, current);
	member->user_namespace = container->user_namespace;
	member->ambient = ambient_set(BPF_CORE_READ(current, cred));
	member->program = execute(container, member->slot, current, BPF_CORE_READ(current, mm, exe_file), false, place);
	member->flags &= ~TASK_FOUND;
	return 0;
}
