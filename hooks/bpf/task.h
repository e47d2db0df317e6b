/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The current task: its system call, namespaces and ids.
 */
#pragma once

/*
 * The verifier examines a function that is not static once and not at every call, which halves the loading time. Such functions take only
 * numbers and look up their objects themselves: Linux 5.10 allows no pointers as their arguments, and Linux 6.1 does not accept such a
 * pointer as a map key.
 */

static __always_inline void lose(struct container *container, enum loss loss)
{
	__sync_fetch_and_add(&container->losses[loss], 1);
}

/*
 * Returns true if the recording may add a row to the table, and notes it where it may not: rows may be gone when the recording ends. Several
 * processors may each find room for the last row. Each table has a byte of its own, because Linux 5.10 has no atomic OR for two processors that
 * meet two limits at the same time.
 */
static __always_inline bool has_room(struct container *container, enum table table, enum limit limit)
{
	if ((s32)container->rows[table] < (s32)limit)
		return true;
	container->reached[table] = 1;
	return false;
}

static __always_inline void count_rows(struct container *container, enum table table, s32 more)
{
	__sync_fetch_and_add(&container->rows[table], more);
}

static __always_inline u64 mix(u64 digest, u64 word)
{
	digest = (digest ^ word) * 0x9e3779b97f4a7c15ULL;
	return digest ^ (digest >> 29);
}

static __always_inline u64 read_set(const void *set)
{
	u64 bits = 0;
	bpf_probe_read_kernel(&bits, sizeof(bits), set);
	return bits;
}

#define THREAD_SIZE (16 << 10) /* arch/x86/include/asm/page_64_types.h, arch/arm64/include/asm/memory.h */

/* Returns a task's registers on kernels without bpf_task_pt_regs(): they are at the top of its stack (asm/processor.h, task_pt_regs()). */
static __always_inline struct pt_regs *registers_on_stack(struct task_struct *task)
{
	return (void *)BPF_CORE_READ(task, stack) + THREAD_SIZE - bpf_core_type_size(struct pt_regs);
}

/* The registers of threads that the kernel made do not describe a system call. */
#define KERNEL_THREAD (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)

#if defined(__TARGET_ARCH_x86)
#define READ_CALL(read)                                                            \
	call->number = read(regs, orig_ax);                                        \
	call->compat = read(current, thread_info.status) & TS_COMPAT;              \
	call->arguments[0] = read(regs, di);                                       \
	call->arguments[1] = read(regs, si);                                       \
	call->arguments[2] = read(regs, dx);                                       \
	call->arguments[3] = read(regs, r10);                                      \
	call->arguments[4] = read(regs, r8);                                       \
	in_kernel_thread = read(current, flags) & KERNEL_THREAD
#else
#define READ_CALL(read)                                                            \
	call->number = read(regs, syscallno);                                      \
	call->compat = read(current, thread_info.flags) & (1UL << TIF_32BIT);      \
	call->arguments[0] = read(regs, orig_x0);                                  \
	call->arguments[1] = read(regs, regs[1]);                                  \
	call->arguments[2] = read(regs, regs[2]);                                  \
	call->arguments[3] = read(regs, regs[3]);                                  \
	call->arguments[4] = read(regs, regs[4]);                                  \
	in_kernel_thread = read(current, flags) & KERNEL_THREAD
#endif
#define READ_DIRECTLY(object, field) ((object)->field)

/* Reads the current task's system call from its saved registers. */
static __always_inline void read_current_call(struct call *call)
{
	bool in_kernel_thread;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		struct task_struct *current = bpf_get_current_task_btf();
		struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(current);

		READ_CALL(READ_DIRECTLY);
	} else {
		struct task_struct *current = (void *)bpf_get_current_task();
		struct pt_regs *regs = registers_on_stack(current);

		READ_CALL(BPF_CORE_READ);
	}
	if (in_kernel_thread) {
		call->number = -1;
		call->compat = false;
	}
}

static __always_inline bool is_execve(s32 number, bool compat)
{
	if (compat)
		return number == COMPAT_execve || number == COMPAT_execveat;
	return number == SYS_execve || number == SYS_execveat;
}

static __always_inline u32 mount_namespace(struct task_struct *task)
{
	return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

struct extents {
	struct {
		u32 first, lower_first, count;
	} of[EXTENTS];
};

/* Reads a map of ids. Returns the number of its extents, or 0 if it has more than EXTENTS. */
static __always_inline u32 read_extents(u64 address, struct extents *extents)
{
	const struct uid_gid_map *map = (void *)address;
	u32 length = BPF_CORE_READ(map, nr_extents);

	if (length > EXTENTS || bpf_probe_read_kernel(extents, sizeof(*extents), __builtin_preserve_access_index(&map->extent)))
		return 0;
	return length;
}

/*
 * Maps an id of a user namespace to the kernel's own, as map_id_down() does, or back, as map_id_up() does (kernel/user_namespace.c). Returns -1
 * if the map has no such id or more than EXTENTS extents.
 */
enum id_direction { ID_DOWN, ID_UP };

__noinline u64 map_id(u64 address, u32 id, enum id_direction direction)
{
	struct extents extents = {};
	u32 length = read_extents(address, &extents);

	for (u32 i = 0; i < EXTENTS; i++) {
		u32 inside = extents.of[i].first, kernel = extents.of[i].lower_first;
		u32 from = direction == ID_UP ? kernel : inside, to = direction == ID_UP ? inside : kernel;

		if (i < length && id >= from && id - from < extents.of[i].count)
			return to + (id - from);
	}
	return -1;
}

static __always_inline u64 map_uid(const struct cred *cred, u32 id)
{
	struct user_namespace *ns = BPF_CORE_READ(cred, user_ns);
	return map_id((u64)__builtin_preserve_access_index(&ns->uid_map), id, ID_DOWN);
}

static __always_inline u64 map_gid(const struct cred *cred, u32 id)
{
	struct user_namespace *ns = BPF_CORE_READ(cred, user_ns);
	return map_id((u64)__builtin_preserve_access_index(&ns->gid_map), id, ID_DOWN);
}
