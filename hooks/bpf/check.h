/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A capability check of a container's process: what is asked, and its row in the map of checks.
 */
#pragma once

/* What the kernel asked, and what it answered. */
struct question {
	enum place place;
	const void *stack; /* where return addresses begin; NULL where they are not known to lie at fixed distances */
	s32 capability;
	u32 opts;
	bool opts_known;
	bool denied;
};

/* Remembers the refused check that scratch->key is the row of, until the system call returns. */
static __noinline int remember_refusal(struct container *container, struct check_scratch *scratch)
{
	struct refusals *refused;
	u32 number;

	if (!container || !scratch || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return 0;
	refused = bpf_task_storage_get(&refusals, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!refused) {
		lose(container, LOSS_RESULTS);
		return 0;
	}
	number = refused->number;
	for (u32 i = 0; i < REFUSALS; i++) {
		if (i >= number)
			break;
		if (refused->of[i].key.slot == scratch->key.slot && refused->of[i].key.digest == scratch->key.digest) {
			refused->of[i].count++;
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

/* What the kind at hand is known by. */
static __always_inline u64 digest_of(const struct check_kind *kind)
{
	u64 digest = mix(1, kind->program);

	digest = mix(digest, (u64)(u32)kind->syscall << 32 | kind->flags);
	digest = mix(digest, (u64)kind->argument << 32 | kind->denied << 16 | kind->capability);
	return digest;
}

/* Traces the check's call path and counts it in the row of that, which scratch->key then names; 0 if there is no room. */
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
	fresh->frames = bpf_get_stack(ctx, fresh->stack, sizeof(fresh->stack), 0);
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
		if (bpf_map_update_elem(&checks, key, fresh, BPF_NOEXIST) == 0) {
			count_rows(container, TABLE_CHECKS, 1);
			return 1;
		}
		/* Another processor was faster, perhaps with the same path, or there is no room. */
		if (count_traced_path(scratch->place, now))
			return 1;
	}
	/* Whose work the kernel does under other credentials needs no telling apart. */
	name_row(scratch, 0);
	row = fresh->kind.flags & CHECK_OVERRIDDEN ? bpf_map_lookup_elem(&checks, key) : NULL;
	if (row && is_named(row, scratch)) {
		count_check(row, now);
		return 1;
	}
	lose(container, scratch->room ? LOSS_CHECKS : LOSS_PATHS);
	return 0;
}

/* Whether the credentials are copies of those with which the container mounted something. */
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

/* found.h */
int settle(u32 place);

/* Calls whose check needs more of the container than its user namespace. */
static __always_inline bool changes_container(s32 capability, const struct call *call)
{
	if (capability == CAP_SETPCAP || capability == CAP_SETFCAP)
		return true;
	return capability == CAP_SYS_ADMIN &&
	       (is_execve(call->number, call->compat) || call->number == SYS_mount || call->number == SYS_fsopen);
}

/* The part for processes that belong to a container. */
static __noinline int record_member(void *ctx, const struct cred *cred, struct user_namespace *target,
					  const struct question *question, struct task *task)
{
	u32 place = question->place, opts = question->opts;
	s32 capability = question->capability, ret = question->denied;
	bool opts_known = question->opts_known;
	struct container *container = NULL;
	struct call call = {};
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct check_kind *kind;
	u32 class, flags;

	if (!scratch)
		return 0;
	scratch->place = place;
	scratch->stack = value_of(scratch, question->stack);
	kind = &scratch->check.kind;

	read_current_call(&call, cred);
	flags = call.credentials;
	if (flags || task->flags & (TASK_FOUND | TASK_PENDING) || (u64)target != task->user_namespace || changes_container(capability, &call)) {
		container = bpf_map_lookup_elem(&containers, &task->slot);
		if (!container)
			return 0;
		if (task->flags & TASK_FOUND)
			settle(place);
		if (flags & CHECK_OVERRIDDEN && is_mounters(container, cred))
			flags |= CHECK_MOUNTER;
	}
	if (task->flags & TASK_PENDING) {
		/* Of the runtime's own work only the last step is the container's. */
		if (!is_execve(call.number, call.compat))
			return 0;
		flags |= CHECK_PRE_EXEC;
	}
	if (task->flags & TASK_JOINED)
		flags |= CHECK_JOINED;
	if (call.compat)
		flags |= CHECK_COMPAT;
	if (opts_known)
		flags |= opts & CAP_OPT_NOAUDIT ? CHECK_SILENT : CHECK_AUDITED;
	if (task->flags & TASK_PENDING) {
		/* Not armed yet, but at this point the runtime's process is in the container's namespaces. */
		struct task_struct *current = (void *)bpf_get_current_task();

		class = BPF_CORE_READ(current, real_cred, user_ns) == target ? NAMESPACE_OWN : NAMESPACE_INITIAL;
	} else if (!container || (u64)target == container->user_namespace) {
		class = NAMESPACE_OWN;
	} else {
		u64 own = (u64)BPF_CORE_READ(cred, user_ns), asked = value_of(scratch, target);

		class = classify_namespace(container->user_namespace, asked);
		if (ret == 0 && asked != own && granted_to_owner(own, BPF_CORE_READ(cred, euid.val), asked))
			flags |= CHECK_BY_OWNER;
		else if (class == NAMESPACE_NESTED && own == container->user_namespace)
			class = NAMESPACE_NESTED_OTHER;
	}
	flags |= class << CHECK_NAMESPACE;
	if (!call.compat) {
		if (capability == CAP_SETUID || capability == CAP_SETGID) {
			if (ids_without_effect(cred, &call, capability))
				flags |= CHECK_WITHOUT_EFFECT;
		} else if (capability == CAP_SETPCAP && call.number == SYS_capset) {
			if (container && capset_without_effect(container, task, cred, &call, ret))
				flags |= CHECK_WITHOUT_EFFECT;
		} else if (capability == CAP_FSETID) {
			if (mode_without_set_gid(&call))
				flags |= CHECK_WITHOUT_EFFECT;
		} else if (capability == CAP_SYS_ADMIN || capability == CAP_NET_ADMIN || capability == CAP_SYS_RESOURCE ||
			   capability == CAP_CHECKPOINT_RESTORE) {
			/* Files of /proc/sys ask whoever opens them; only a writer needs the answer, and root has it without. */
			if (opens_for_writing(&call))
				flags |= CHECK_OPEN_WRITE;
			if (effective_user(cred, &call) == 0)
				flags |= CHECK_ROOT;
		}
	}

	if (container && capability == CAP_SYS_ADMIN && !ret && class == NAMESPACE_OWN && !(flags & (CHECK_OVERRIDDEN | CHECK_OTHER)) &&
	    !call.compat && (call.number == SYS_mount || call.number == SYS_fsopen)) {
		struct mounter mounter = mounter_of(cred);

		remember_mounter(&container->mounters, mounter.groups, mounter.keyring);
	}

	scratch->key.slot = task->slot;
	kind->program = task->program;
	kind->flags = flags;
	kind->argument = deciding_argument(&call);
	if (capability == CAP_NET_ADMIN && call.number == SYS_sendmsg && !call.compat)
		kind->argument = socket_filter(place, call.arguments[1]);
	if (capability == CAP_SETFCAP && !ret && !call.compat)
		count_attribute(container, task->slot, &call, place);
	if (capability == CAP_SYS_ADMIN && is_execve(call.number, call.compat))
		look_at_ambient(container, bpf_get_current_pid_tgid() >> 32, cred);
	kind->syscall = call.number;
	kind->capability = capability;
	kind->denied = ret != 0;
	scratch->digest = digest_of(kind);
	if (!bpf_ksym_exists(bpf_rdonly_cast) && !read_window(scratch))
		scratch->stack = 0;
	if (!scratch->stack || !count_known_path(place)) {
		if (!container)
			container = bpf_map_lookup_elem(&containers, &task->slot);
		if (!count_by_trace(ctx, container, scratch))
			return 0;
	}
	if (ret && task->flags & TASK_RESULTS && call.number >= 0) {
		if (!container)
			container = bpf_map_lookup_elem(&containers, &task->slot);
		remember_refusal(container, scratch);
	}
	return 0;
}

/* A check that begins with the arguments of cap_capable(), by a process of this row. */
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
