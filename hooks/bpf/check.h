/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Capability checks of a container's processes, and their rows in the map of checks.
 */
#pragma once

/* A capability check and its answer. */
struct question {
	enum place place;
	const void *stack; /* the start of the return addresses; NULL if their distances are not fixed */
	s32 capability;
	u32 opts;
	bool opts_known;
	bool denied;
};

/* Returns a number that differs between system calls with other arguments; 0 for execve(2), which changes the registers. */
static __always_inline u64 digest_of_call(const struct call *call)
{
	u64 digest = mix(call->compat, (u32)call->number);

	if (is_execve(call->number, call->compat))
		return 0;
	for (u32 i = 0; i < 5; i++)
		digest = mix(digest, call->arguments[i]);
	return digest;
}

/* Remembers the refused check with the row scratch->key until the system call returns. */
__noinline int remember_refusal(u32 place)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct container *container;
	struct refusals *refused;
	u32 number;
	u64 call;

	if (!scratch || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return 0;
	container = bpf_map_lookup_elem(&containers, &scratch->key.slot);
	if (!container)
		return 0;
	refused = bpf_task_storage_get(&refusals, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!refused) {
		lose(container, LOSS_RESULTS);
		return 0;
	}
	call = digest_of_call(&scratch->call);
	/* The kernel has skipped the programs at the end of an earlier system call, whose result is not known. */
	if (refused->number && refused->call != call) {
		lose(container, LOSS_RESULTS);
		refused->number = 0;
	}
	refused->call = call;
	number = refused->number;
	for (u32 i = 0; i < REFUSALS; i++) {
		if (i >= number)
			break;
		if (refused->of[i].key.slot == scratch->key.slot && refused->of[i].key.digest == scratch->key.digest) {
			refused->of[i].count++;
			/* The kernel asks twice in one system call, or it has skipped the programs at the end of an earlier call like this one. */
			if (settings.preempts)
				lose(container, LOSS_REPEATED);
			return 0;
		}
	}
	if (number >= REFUSALS) {
		lose(container, LOSS_RESULTS);
		return 0;
	}
	refused->of[number].key = scratch->key;
	refused->of[number].count = 1;
	refused->number = number + 1;
	return 0;
}

/* Returns the digest that stands for the kind in a key. */
static __always_inline u64 digest_of(const struct check_kind *kind)
{
	u64 digest = mix(1, kind->program);

	digest = mix(digest, (u64)(u32)kind->syscall << 32 | kind->flags);
	digest = mix(digest, (u64)kind->argument << 32 | kind->denied << 16 | kind->capability);
	return digest;
}

extern void bpf_preempt_disable(void) __ksym __weak; /* Linux 6.10 */
extern void bpf_preempt_enable(void) __ksym __weak;

/*
 * bpf_get_stack() into the frames of a check. The kernel takes a buffer of the processor for that (kernel/events/callchain.c,
 * get_callchain_entry()), and gives no other task of the processor a stack trace while one is preempted there.
 */
static __always_inline long get_stack(void *ctx, u64 *stack)
{
	long bytes;

	if (!settings.preempts || !bpf_ksym_exists(bpf_preempt_disable))
		return bpf_get_stack(ctx, stack, FRAMES * sizeof(*stack), 0);
	bpf_preempt_disable();
	bytes = bpf_get_stack(ctx, stack, FRAMES * sizeof(*stack), 0);
	bpf_preempt_enable();
	return bytes;
}

/* Traces the check's call path, sets scratch->key to the row of that path and counts the check there. Returns 0 if there is no room. */
static __noinline int count_by_trace(void *ctx, struct container *container, struct check_scratch *scratch)
{
	struct check *row, *fresh;
	struct check_key *key;
	u64 now = bpf_ktime_get_boot_ns();

	if (!container || !scratch)
		return 0;
	key = &scratch->key;
	fresh = &scratch->check;
	fresh->count = 1;
	fresh->first_ns = fresh->last_ns = now;
	fresh->tgid = bpf_get_current_pid_tgid() >> 32;
	fresh->depth = 0;
	bpf_get_current_comm(fresh->comm, sizeof(fresh->comm));
	fresh->frames = get_stack(ctx, fresh->stack);
	if (fresh->frames > 0) {
		fresh->frames /= sizeof(u64);
	} else {
		fresh->frames = 0;
		lose(container, LOSS_STACKS);
	}
	learn_path(scratch->place, read_window(scratch));
	if (count_traced_path(scratch->place, now))
		return 1;
	if (scratch->room && has_room(container, TABLE_CHECKS, LIMIT_CHECKS)) {
		name_row(scratch, scratch->room - 1);
		read_object(scratch->place);
		if (bpf_map_update_elem(&checks, key, fresh, BPF_NOEXIST) == 0) {
			count_rows(container, TABLE_CHECKS, 1);
			return 1;
		}
		/* Another processor may have added the row first, perhaps for the same path. Or the map is full. */
		if (count_traced_path(scratch->place, now))
			return 1;
	}
	/* The classification does not need the paths of checks under overridden credentials. */
	name_row(scratch, 0);
	row = fresh->kind.flags & CHECK_OVERRIDDEN ? bpf_map_lookup_elem(&checks, key) : NULL;
	if (row && is_named(row, scratch)) {
		count_check(row, now);
		return 1;
	}
	lose(container, scratch->room ? LOSS_CHECKS : LOSS_PATHS);
	return 0;
}

/* Returns true if the system call is about to mount an overlayfs. */
static __always_inline bool mounts_overlay(const struct call *call)
{
	static const char wanted[8] = "overlay";
	char type[sizeof(wanted)] = {};
	u64 name = call->number == SYS_mount ? call->arguments[2] : call->arguments[0];

	if (call->number != SYS_mount && call->number != SYS_fsopen)
		return false;
	return !bpf_probe_read_user(type, sizeof(type), (void *)name) && *(u64 *)type == *(const u64 *)wanted;
}

/* Returns true if the credentials are a copy of those with which the container mounted a file system. */
static __always_inline bool is_mounters(const struct container *container, const struct cred *cred)
{
	struct mounter mounter;

	if (!container->mounters.of[0].groups)
		return false;
	mounter = mounter_of(cred);
	for (u32 i = 0; i < MOUNTERS; i++)
		if (container->mounters.of[i].groups == mounter.groups && container->mounters.of[i].keyring == mounter.keyring)
			return true;
	return false;
}

/* attach.h */
int settle(u32 place);

/* Returns whose credentials the check is about: 0 for the task's own, CHECK_OVERRIDDEN or CHECK_OTHER. */
static __always_inline u32 credentials_of(u64 cred)
{
	struct task_struct *current = (void *)bpf_get_current_task();

	if (cred == word_of(__builtin_preserve_access_index(&current->real_cred)))
		return 0;
	return cred == word_of(__builtin_preserve_access_index(&current->cred)) ? CHECK_OVERRIDDEN : CHECK_OTHER;
}

/* Returns true for calls whose check needs more of the container's row than its user namespace. */
static __always_inline bool changes_container(s32 capability, const struct call *call)
{
	if (capability == CAP_SETPCAP || capability == CAP_SETFCAP)
		return true;
	return capability == CAP_SYS_ADMIN &&
	       (is_execve(call->number, call->compat) || call->number == SYS_mount || call->number == SYS_fsopen);
}

/* Returns the class of the checked user namespace, and CHECK_BY_OWNER if the process has all capabilities in it as its owner. */
static __always_inline u32 flags_of_namespaces(const struct container *container, const struct task *task, const struct check_scratch *scratch)
{
	const struct cred *cred = (void *)scratch->cred;
	u32 class, flags = 0;
	u64 own;

	if (task->flags & TASK_PENDING) {
		/* The recording begins only at the execve. Here the runtime's process is in the container's namespaces already. */
		struct task_struct *current = (void *)bpf_get_current_task();

		class = (u64)BPF_CORE_READ(current, real_cred, user_ns) == scratch->target ? NAMESPACE_OWN : NAMESPACE_INITIAL;
		return class << CHECK_NAMESPACE;
	}
	if (scratch->target == container->user_namespace)
		return NAMESPACE_OWN << CHECK_NAMESPACE;
	own = (u64)BPF_CORE_READ(cred, user_ns);
	class = classify_namespace(container->user_namespace, scratch->target);
	if (!scratch->check.kind.denied && scratch->target != own && granted_to_owner(own, BPF_CORE_READ(cred, euid.val), scratch->target))
		flags |= CHECK_BY_OWNER;
	else if (class == NAMESPACE_NESTED && own == container->user_namespace)
		class = NAMESPACE_NESTED_OTHER;
	return flags | class << CHECK_NAMESPACE;
}

/*
 * The flags of a check for which the container itself has to be asked, and what the check says of the container; negative if it does not
 * count.
 */
__noinline s64 look_at_container(u32 place)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	u32 tgid = bpf_get_current_pid_tgid() >> 32, flags;
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);
	struct container *container;
	const struct cred *cred;
	s32 capability, denied;

	if (!scratch || !task)
		return -1;
	container = bpf_map_lookup_elem(&containers, &task->slot);
	if (!container)
		return -1;
	cred = (void *)scratch->cred;
	capability = scratch->check.kind.capability;
	denied = scratch->check.kind.denied;
	flags = scratch->credentials;
	if (task->flags & TASK_FOUND)
		settle(place);
	if (flags & CHECK_OVERRIDDEN && is_mounters(container, cred))
		flags |= CHECK_MOUNTER;
	if (task->flags & TASK_PENDING) {
		/* Of the runtime's own work only the last step is the container's. */
		if (!is_execve(scratch->call.number, scratch->call.compat))
			return -1;
		flags |= CHECK_PRE_EXEC;
	}
	flags |= flags_of_namespaces(container, task, scratch);
	if (capability == CAP_SYS_ADMIN && is_execve(scratch->call.number, scratch->call.compat))
		look_at_ambient(container, tgid, cred);
	if (scratch->call.compat)
		return flags;
	if (capability == CAP_SETPCAP && scratch->call.number == SYS_capset && capset_without_effect(container, task, cred, &scratch->call, denied))
		flags |= CHECK_WITHOUT_EFFECT;
	if (capability == CAP_SETFCAP && !denied)
		count_attribute(container, task->slot, &scratch->call, place);
	if (capability == CAP_SYS_ADMIN && !denied && flags >> CHECK_NAMESPACE == NAMESPACE_OWN && !(flags & (CHECK_OVERRIDDEN | CHECK_OTHER)) &&
	    mounts_overlay(&scratch->call)) {
		struct mounter mounter = mounter_of(cred);

		if (!remember_mounter(&container->mounters, mounter.groups, mounter.keyring))
			lose(container, LOSS_MOUNTERS);
	}
	return flags;
}

/* Returns 1 if the kernel would set these ids without the capability. */
__noinline int sets_ids_without_effect(u32 place)
{
	const struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);

	return scratch && ids_without_effect((void *)scratch->cred, &scratch->call, scratch->check.kind.capability);
}

/* Returns the flags that follow from the call's arguments. */
static __always_inline u32 flags_of_arguments(const struct check_scratch *scratch, u32 place)
{
	const struct cred *cred = (void *)scratch->cred;
	u32 flags = 0;

	switch (scratch->check.kind.capability) {
	case CAP_SETUID:
	case CAP_SETGID:
		return sets_ids_without_effect(place) ? CHECK_WITHOUT_EFFECT : 0;
	case CAP_FSETID:
		return mode_without_set_gid(&scratch->call) ? CHECK_WITHOUT_EFFECT : 0;
	case CAP_SYS_ADMIN:
	case CAP_NET_ADMIN:
	case CAP_SYS_RESOURCE:
	case CAP_CHECKPOINT_RESTORE:
		/* The kernel makes this check for each open of a file in /proc/sys. Only a writer that is not root needs the answer. */
		if (opens_for_writing(&scratch->call))
			flags |= CHECK_OPEN_WRITE;
		if ((u32)word_of(__builtin_preserve_access_index(&cred->euid.val)) == 0)
			flags |= CHECK_ROOT;
	}
	return flags;
}

/* Records a check of a process that belongs to a container. */
static __noinline int record_member(void *ctx, const struct cred *cred, struct user_namespace *target,
				    const struct question *question, struct task *task)
{
	u32 place = question->place;
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct check_kind *kind;
	u32 flags;

	if (!scratch)
		return 0;
	scratch->place = place;
	scratch->stack = (u64)question->stack;
	/* The verifier does not let a kernel pointer be passed as a number. A pointer that was stored and loaded again is a number. */
	scratch->cred = (u64)cred;
	scratch->target = (u64)target;
	barrier();
	scratch->credentials = credentials_of(scratch->cred);
	read_current_call(&scratch->call);
	kind = &scratch->check.kind;
	kind->syscall = scratch->call.number;
	kind->capability = question->capability;
	kind->denied = question->denied;
	kind->argument = 0;
	scratch->key.slot = task->slot;

	flags = NAMESPACE_OWN << CHECK_NAMESPACE;
	if (scratch->credentials || task->flags & (TASK_FOUND | TASK_PENDING) || scratch->target != task->user_namespace ||
	    changes_container(kind->capability, &scratch->call)) {
		s64 special = look_at_container(place);

		if (special < 0)
			return 0;
		flags = special;
	}
	if (task->flags & TASK_JOINED)
		flags |= CHECK_JOINED;
	if (question->opts_known)
		flags |= question->opts & CAP_OPT_NOAUDIT ? CHECK_SILENT : CHECK_AUDITED;
	if (scratch->call.compat)
		flags |= CHECK_COMPAT;
	else
		flags |= flags_of_arguments(scratch, place);
	if (has_deciding_argument(&scratch->call))
		kind->argument = deciding_argument(place);
	kind->program = task->program;
	kind->flags = flags;
	scratch->digest = digest_of(kind);
	if (!bpf_ksym_exists(bpf_rdonly_cast) && !read_window(scratch))
		scratch->stack = 0;
	if (!scratch->stack || !count_known_path(place)) {
		struct container *container = bpf_map_lookup_elem(&containers, &task->slot);

		if (!count_by_trace(ctx, container, scratch))
			return 0;
	}
	if (kind->denied && task->flags & TASK_RESULTS && kind->syscall >= 0)
		remember_refusal(place);
	return 0;
}

/* Records a check of the process with this row. The context begins with the first two arguments of cap_capable(). */
static __always_inline void record_found(const u64 *ctx, struct task *found, struct question question)
{
	record_member((void *)ctx, (const struct cred *)ctx[0], (struct user_namespace *)ctx[1], &question, found);
}

static __always_inline void record(void *ctx, const struct cred *cred, struct user_namespace *target, struct question question)
{
	struct task *found = find_member();

	if (found)
		record_member(ctx, cred, target, &question, found);
}
