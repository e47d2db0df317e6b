/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Containers that ran already when their recording began. User space knows their processes by number alone; what only the kernel knows is
 * looked up in each process itself, when it is seen for the first time.
 */
#pragma once

#define PID_NAMESPACES 4 /* how deep a container's processes are looked for in pid namespaces that it made */
#define ANCESTORS 32

/* The process with this number, out of the current task's pid namespaces and ancestors; 0 where the way to it is not known. */
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
	/* Where the pid namespace is the host's. */
	for (u32 i = 0; i < ANCESTORS && found; i++) {
		if ((u32)BPF_CORE_READ(found, tgid) == init)
			return (u64)found;
		found = BPF_CORE_READ(found, real_parent);
	}
	return 0;
}

/* What is known of a container as soon as its program runs, by the current task. One of its processes that leads to no first one speaks for it. */
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

/* The current task, a process that was found running, is seen for the first time. */
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
