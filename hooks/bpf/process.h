/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The processes that belong to a container, and the programs that they execute.
 */
#pragma once

/* Writes one component of the path from the file up to the container's root, or goes on to the parent mount. Returns 0 at the end. */
__noinline int climb(u32 place)
{
	struct program_scratch *scratch = bpf_map_lookup_elem(&program_scratch, &place);
	struct program *program;
	struct dentry *dentry, *parent;
	struct vfsmount *vfsmount;
	const unsigned char *name;
	u32 offset, length;

	if (!scratch)
		return 0;
	program = &scratch->program;
	dentry = (void *)scratch->dentry;
	vfsmount = (void *)scratch->mount;
	if (scratch->dentry == scratch->root_dentry && scratch->mount == scratch->root_mount) {
		program->flags &= ~PROGRAM_TRUNCATED;
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (dentry == BPF_CORE_READ(vfsmount, mnt_root) || dentry == parent) {
		struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		/*
		 * A mount namespace that the container made has its own mounts of the same tree. Its root has a parent mount that
		 * pivot_root(2) left there.
		 */
		bool same_tree = scratch->dentry == scratch->root_dentry;

		if (same_tree || above == mount) {
			if (!same_tree)
				program->flags |= PROGRAM_OUTSIDE;
			program->flags &= ~PROGRAM_TRUNCATED;
			return 0;
		}
		scratch->dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		scratch->mount = (u64)above + bpf_core_field_offset(struct mount, mnt);
		program->flags |= PROGRAM_OTHER_MOUNT;
		return 1;
	}
	name = BPF_CORE_READ(dentry, d_name.name);
	length = BPF_CORE_READ(dentry, d_name.len);
	offset = program->length;
	if (offset >= PATH || length >= PATH_NAME)
		return 0;
	/* When Linux 6.1 spills a register to the stack, its verifier forgets the bounds of the number. */
	barrier_var(offset);
	barrier_var(length);
	offset &= PATH - 1;
	length &= PATH_NAME - 1;
	if (bpf_probe_read_kernel(&program->path[offset], length, name))
		return 0;
	program->path[offset + length] = 0;
	program->length = offset + length + 1;
	scratch->dentry = (u64)parent;
	return 1;
}

/* Writes the path from the file up to the container's root into this scratch entry. */
__noinline int write_path(u32 place)
{
	struct program_scratch *scratch = bpf_map_lookup_elem(&program_scratch, &place);

	if (!scratch)
		return 0;
	scratch->program.flags = PROGRAM_TRUNCATED;
	scratch->program.length = 0;
	for (int i = 0; i < PATH_DEPTH; i++)
		if (!climb(place))
			break;
	return 0;
}

/* Stores the offset of the registers, which is the same for all tasks of this kernel: cgroup programs cannot call bpf_task_pt_regs(). */
static __always_inline void note_registers(struct container *container)
{
	container->registers = THREAD_SIZE - bpf_core_type_size(struct pt_regs);
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		struct task_struct *current = bpf_get_current_task_btf();

		*(volatile u64 *)&container->registers = bpf_task_pt_regs(current);
		container->registers = *(volatile u64 *)&container->registers - (u64)BPF_CORE_READ(current, stack);
	}
}

#include "execution.h"
#include "attach.h"

/*
 * Returns true if the task's root directory is the container's. The number of the mount namespace does not prove that: the kernel reuses it
 * as soon as the namespace is empty, and all processes of a container can leave the namespace in which they started.
 */
static __always_inline bool has_root_of(struct task_struct *task, const struct container *container)
{
	return (u64)BPF_CORE_READ(task, fs, root.dentry) == container->root_dentry &&
	       (u64)BPF_CORE_READ(task, fs, root.mnt) == container->root_mount;
}

/* Makes processes that `exec` puts into the task's mount namespace join the slot. Returns false if another container has it, or the map is full. */
static __always_inline bool register_join(struct task_struct *task, u32 mounts, u64 *slot)
{
	u64 *other = bpf_map_lookup_elem(&joins, &mounts);

	if (other && *other != *slot) {
		struct container *theirs = bpf_map_lookup_elem(&containers, other);

		if (theirs && has_root_of(task, theirs))
			return false;
	}
	return bpf_map_update_elem(&joins, &mounts, slot, BPF_ANY) == 0;
}

/* Returns true for files that are not the service's: systemd's executor, and the program that adds the control group to the map. */
static __always_inline bool is_managers(struct file *file)
{
	union {
		char text[16];
		u64 words[2];
	} name = {}, executor = { "systemd-executo" }, hook = { "capprof-hook" };

	bpf_probe_read_kernel_str(name.text, sizeof(name.text), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	return (name.words[0] == executor.words[0] && name.words[1] == executor.words[1]) ||
	       (name.words[0] == hook.words[0] && name.words[1] == hook.words[1]);
}

/* Returns the slot of the service in whose control group systemd executes the file, or NULL. */
static __always_inline u64 *service_of(struct file *file)
{
	u64 group = bpf_get_current_cgroup_id();
	u64 *slot = bpf_map_lookup_elem(&groups, &group);

	return slot && !is_managers(file) ? slot : NULL;
}

/* Adds a process to the container. */
static __always_inline void admit(struct container *container, u32 tgid, const struct task *task)
{
	if (!has_room(container, TABLE_TASKS, LIMIT_TASKS) || add_member(tgid, task))
		lose(container, LOSS_TASKS);
	else
		count_rows(container, TABLE_TASKS, 1);
}

/* The current task has executed a file. */
static __always_inline int executed(struct task_struct *task, struct file *file, u32 place)
{
	u32 tgid = task->tgid, mounts;
	struct task *member = bpf_map_lookup_elem(&tasks, &tgid), fresh = {};
	struct container *container;
	bool is_service;
	u64 *slot;

	if (member) {
		container = bpf_map_lookup_elem(&containers, &member->slot);
		if (!container)
			return 0;
		if (member->flags & TASK_PENDING) {
			mounts = mount_namespace(task);
			container->user_namespace = (u64)BPF_CORE_READ(task, cred, user_ns);
			member->user_namespace = container->user_namespace;
			container->mount_namespace = mounts;
			container->root_dentry = (u64)BPF_CORE_READ(task, fs, root.dentry);
			container->root_mount = (u64)BPF_CORE_READ(task, fs, root.mnt);
			container->init = tgid;
			note_registers(container);
			container->executed_ns = bpf_ktime_get_boot_ns();
			container->ambient = ambient_set(BPF_CORE_READ(task, cred));
			if (mounts != container->unjoinable[0] && mounts != container->unjoinable[1] &&
			    !register_join(task, mounts, &member->slot))
				lose(container, LOSS_JOIN);
			member->flags &= ~TASK_PENDING;
		}
		if (member->flags & TASK_FOUND) {
			know_container(container, task);
			member->user_namespace = container->user_namespace;
			member->flags &= ~TASK_FOUND;
		}
		look_at_memory_policy(member, task);
		member->program = execute(container, member->slot, task, file, true, place);
		return 0;
	}
	mounts = mount_namespace(task);
	slot = service_of(file);
	is_service = slot != NULL;
	if (!slot)
		slot = bpf_map_lookup_elem(&joins, &mounts);
	if (!slot)
		return 0;
	container = bpf_map_lookup_elem(&containers, slot);
	if (!container)
		return 0;
	/* The row of a container that ran before its recording stays empty until one of its processes is seen. */
	know_container(container, task);
	if (!is_service && !has_root_of(task, container))
		return 0;
	fresh.slot = *slot;
	fresh.flags = (is_service ? 0 : TASK_JOINED) | (container->results_wanted ? TASK_RESULTS : 0);
	fresh.user_namespace = container->user_namespace;
	/* The runtime's `exec` gave these capabilities; no program raised them. */
	fresh.ambient = ambient_set(BPF_CORE_READ(task, cred));
	fresh.program = execute(container, fresh.slot, task, file, true, place);
	admit(container, tgid, &fresh);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	executed(task, BPF_CORE_READ(bprm, file), PLACE_EXEC);
	note_run(RUN_EXEC);
	return 0;
}

/* The parent, which is the current task, has made a child. */
static __always_inline int forked(struct task_struct *parent, struct task_struct *child)
{
	u32 tgid = parent->tgid, child_tgid = child->tgid;
	struct task *member, fresh;
	struct container *container;

	if (tgid == child_tgid)
		return 0;
	member = bpf_map_lookup_elem(&tasks, &tgid);
	/* What the runtime forks before the container's program runs is the runtime's: its hooks, for example. */
	if (!member || member->flags & TASK_PENDING)
		return 0;
	fresh = *member;
	container = bpf_map_lookup_elem(&containers, &fresh.slot);
	if (container)
		admit(container, child_tgid, &fresh);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	return forked(parent, child);
}

/* The current task ends. */
static __always_inline int ended(struct task_struct *task)
{
	u32 tgid = task->tgid;
	struct task *member = bpf_map_lookup_elem(&tasks, &tgid);
	struct container *container;

	if (!member)
		return 0;
	container = bpf_map_lookup_elem(&containers, &member->slot);
	if (container && !(member->flags & TASK_PENDING)) {
		look_at_memory_policy(member, task);
		look_at_ambient(container, tgid, BPF_CORE_READ(task, cred));
	}
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	if (container && (container->init == tgid || member->flags & TASK_PENDING)) {
		u32 mounts = container->mount_namespace;
		u64 *slot = bpf_map_lookup_elem(&joins, &mounts);

		/* Numbers of namespaces are used again at once. */
		if (slot && *slot == member->slot)
			bpf_map_delete_elem(&joins, &mounts);
		container->ended = 1;
		if (container->init == tgid && !(member->flags & TASK_PENDING)) {
			/* kernel/exit.c, wait_task_zombie() */
			container->exit_status = BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT ?
							 BPF_CORE_READ(task, signal, group_exit_code) :
							 BPF_CORE_READ(task, group_leader, exit_code);
			container->exited = 1;
		}
	}
	remove_member(tgid);
	if (container)
		count_rows(container, TABLE_TASKS, -1);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	ended(task);
	note_run(RUN_EXIT);
	return 0;
}
