/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * capset(2). The kernel checks only CAP_SETPCAP there, and compares sets for the other rules.
 */
#pragma once

/* The sets that the process passes to capset(2). */
struct capset_arguments {
	u64 effective, permitted, inheritable;
};

static __always_inline bool read_capset(const struct call *call, struct capset_arguments *sets)
{
	u32 version = 0, words[6] = {};

	if (bpf_probe_read_user(&version, sizeof(version), (void *)call->arguments[0]))
		return false;
	/* _LINUX_CAPABILITY_VERSION_1 has one word per set, and versions 2 and 3 have two. */
	if (version == 0x19980330) {
		if (bpf_probe_read_user(words, 12, (void *)call->arguments[1]))
			return false;
	} else if (bpf_probe_read_user(words, sizeof(words), (void *)call->arguments[1])) {
		return false;
	}
	sets->effective = (words[0] | (u64)words[3] << 32) & settings.valid_capabilities;
	sets->permitted = (words[1] | (u64)words[4] << 32) & settings.valid_capabilities;
	sets->inheritable = (words[2] | (u64)words[5] << 32) & settings.valid_capabilities;
	return true;
}

/* Counts a row of a map whose values are counts. Returns 0 if the map or the recording's share of it is full. */
static __always_inline int count_row(struct container *container, void *map, const void *key, enum table table, enum limit limit)
{
	u64 one = 1, *count = bpf_map_lookup_elem(map, key);

	if (!count && has_room(container, table, limit) && bpf_map_update_elem(map, key, &one, BPF_NOEXIST) == 0) {
		count_rows(container, table, 1);
		return 1;
	}
	if (!count)
		count = bpf_map_lookup_elem(map, key);
	if (!count)
		return 0;
	__sync_fetch_and_add(count, 1);
	return 1;
}

/* Not inlined, like the functions below: Linux 6.1 allows 512 bytes of stack for the frames of a whole call chain. */
static __noinline int count_capset(struct container *container, const struct task *task, u64 held, const struct capset_arguments *sets)
{
	struct capset_key key = {
		.slot = task->slot,
		.program = task->program,
		.held = held,
		.effective = sets->effective,
		.permitted = sets->permitted,
		.inheritable = sets->inheritable,
	};

	if (!count_row(container, &capsets, &key, TABLE_CAPSETS, LIMIT_CAPSETS))
		lose(container, LOSS_CAPSETS);
	return 0;
}

/* Runs at the end of cap_capset() and counts the sets. Returns true if the answer about CAP_SETPCAP decided. */
static __noinline bool look_at_capset(const struct cred *old, const kernel_cap_t *effective, const kernel_cap_t *inheritable,
				      const kernel_cap_t *permitted, int ret)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);
	struct container *container;
	struct capset_arguments sets;
	u64 held;

	if (!task || task->flags & TASK_PENDING)
		return false;
	container = bpf_map_lookup_elem(&containers, &task->slot);
	if (!container || (u64)BPF_CORE_READ(old, user_ns) != container->user_namespace)
		return false;
	held = read_set(__builtin_preserve_access_index(&old->cap_permitted));
	sets.effective = read_set(effective);
	sets.inheritable = read_set(inheritable);
	sets.permitted = read_set(permitted);
	if (!ret)
		count_capset(container, task, held, &sets);
	return sets.inheritable & ~(read_set(__builtin_preserve_access_index(&old->cap_inheritable)) | held);
}

#include "ambient.h"
#include "attributes.h"
#include "socket_filter.h"

/*
 * capset(2) makes its check before it tests anything else, and only the rule for inheritable bits depends on the answer
 * (security/commoncap.c, cap_capset()). This function repeats the other rules to know if the call will succeed.
 */
static __noinline bool capset_without_effect(struct container *container, const struct task *task, const struct cred *cred,
						  const struct call *call, int ret)
{
	struct capset_arguments sets;
	u64 inheritable = read_set(__builtin_preserve_access_index(&cred->cap_inheritable));
	u64 permitted = read_set(__builtin_preserve_access_index(&cred->cap_permitted));
	u64 bounding = read_set(__builtin_preserve_access_index(&cred->cap_bset));
	bool raises, own = (u64)BPF_CORE_READ(cred, user_ns) == container->user_namespace;

	if (!read_capset(call, &sets)) {
		lose(container, LOSS_ARGUMENTS);
		return false;
	}
	raises = sets.inheritable & ~(inheritable | permitted);
	/* In a user namespace that a program made itself, it has every capability anyway. */
	if (own && !(raises && ret) && !(sets.inheritable & ~(inheritable | bounding)) && !(sets.permitted & ~permitted) &&
	    !(sets.effective & ~sets.permitted))
		count_capset(container, task, permitted, &sets);
	return !raises;
}
