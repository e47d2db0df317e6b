/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the kernel knows of a program when a process executes it.
 */
#pragma once

#define MNT_NOSUID 0x01 /* include/linux/mount.h */
#define I_CTIME_QUERIED (1U << 31) /* include/linux/fs.h */

/* Stores the inode's change time. It tells the poststop hook if the file's attributes are still those of the execution. */
static __always_inline void note_change(struct program *program, struct inode *inode)
{
	struct inode___timespec *middle = (void *)inode;
	struct inode___public *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec)) {
		program->changed = BPF_CORE_READ(inode, i_ctime_sec);
		program->changed_ns = BPF_CORE_READ(inode, i_ctime_nsec) & ~I_CTIME_QUERIED;
	} else if (bpf_core_field_exists(middle->__i_ctime)) {
		program->changed = BPF_CORE_READ(middle, __i_ctime.tv_sec);
		program->changed_ns = BPF_CORE_READ(middle, __i_ctime.tv_nsec);
	} else {
		program->changed = BPF_CORE_READ(old, i_ctime.tv_sec);
		program->changed_ns = BPF_CORE_READ(old, i_ctime.tv_nsec);
	}
}

/* Returns how the kernel applied the file's capabilities (security/commoncap.c, cap_bprm_creds_from_file()). */
static __always_inline u32 execution_flags(const struct container *container, const struct cred *cred, struct file *file, u64 gained)
{
	u32 flags = 0;

	if ((u64)BPF_CORE_READ(cred, user_ns) != container->user_namespace)
		flags |= PROGRAM_NESTED;
	if (BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_NOSUID)
		flags |= PROGRAM_NO_FILE_CAPABILITIES;
	if (BPF_CORE_READ(cred, euid.val) != map_uid(cred, 0))
		flags |= PROGRAM_NOT_ROOT;
	if (gained && !(gained & ~read_set(__builtin_preserve_access_index(&cred->cap_effective))))
		flags |= PROGRAM_EFFECTIVE;
	return flags;
}

/* Counts an execution by the current task, or the program that it was found running (not `seen`). Returns the program's key. */
static __always_inline u64 execute(struct container *container, u64 slot, struct task_struct *task, struct file *file, bool seen,
				   u32 place)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct program_key key = { .slot = slot };
	struct program *program;
	u64 comm[2] = {}, digest = 1, gained;
	u32 uid = BPF_CORE_READ(cred, euid.val), flags;

	gained = read_set(__builtin_preserve_access_index(&cred->cap_permitted)) &
		 ~ambient_set(cred);
	/* An execve(2) as root gets its set independent of file capabilities. */
	if (uid == map_uid(cred, 0) || !seen)
		gained = 0;
	flags = execution_flags(container, cred, file, gained);

	bpf_get_current_comm(comm, sizeof(comm));
	digest = mix(digest, BPF_CORE_READ(file, f_inode, i_ino));
	digest = mix(digest, BPF_CORE_READ(file, f_inode, i_sb, s_dev));
	digest = mix(digest, (u64)BPF_CORE_READ(file, f_path.dentry));
	digest = mix(digest, (u64)flags << 32 | uid);
	digest = mix(digest, comm[0]);
	digest = mix(digest, comm[1]);
	key.program = digest | 1;

	program = bpf_map_lookup_elem(&programs, &key);
	if (!program) {
		struct program_scratch *scratch = bpf_map_lookup_elem(&program_scratch, &place);

		if (!scratch)
			return key.program;
		program = &scratch->program;
		program->count = 1;
		program->gained = gained;
		program->uid = uid;
		__builtin_memcpy(program->comm, comm, sizeof(comm));
		note_change(program, BPF_CORE_READ(file, f_inode));
		scratch->dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
		scratch->mount = (u64)BPF_CORE_READ(file, f_path.mnt);
		scratch->root_dentry = container->root_dentry;
		scratch->root_mount = container->root_mount;
		write_path(place);
		program->flags |= flags;
		if (has_room(container, TABLE_PROGRAMS, LIMIT_PROGRAMS) && bpf_map_update_elem(&programs, &key, program, BPF_NOEXIST) == 0) {
			count_rows(container, TABLE_PROGRAMS, 1);
			return key.program;
		}
		program = bpf_map_lookup_elem(&programs, &key);
	}
	if (program) {
		__sync_fetch_and_add(&program->count, 1);
		program->gained |= gained;
	} else {
		lose(container, LOSS_PROGRAMS);
	}
	return key.program;
}

/* Notes a memory policy of the task. set_mempolicy(2) needs no capability of the kernel, but docker's seccomp filter wants one. */
static __always_inline void look_at_memory_policy(const struct task *member, struct task_struct *task)
{
	struct program_key key = { .slot = member->slot, .program = member->program };
	struct program *program;

	if (!bpf_core_field_exists(task->mempolicy) || !BPF_CORE_READ(task, mempolicy))
		return;
	program = bpf_map_lookup_elem(&programs, &key);
	if (program)
		program->flags |= PROGRAM_MEMORY_POLICY;
}
