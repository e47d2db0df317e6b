/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which processes belong to containers. Their rows are in the map tasks. For a process of the host, a look at the counts is enough in most cases.
 */
#pragma once

static __always_inline struct members *counted_members(void)
{
	u32 only = 0;

	return bpf_map_lookup_elem(&members, &only);
}

/* Returns the row of the current process, or NULL if it belongs to no container. */
static __always_inline struct task *find_member(void)
{
	struct members *counted = counted_members();
	u32 tgid;

	if (!counted || !counted->all)
		return NULL;
	tgid = bpf_get_current_pid_tgid() >> 32;
	if (!counted->of[tgid & (MEMBERS - 1)])
		return NULL;
	return bpf_map_lookup_elem(&tasks, &tgid);
}

static __always_inline void count_members(u32 tgid, s32 more)
{
	struct members *counted = counted_members();

	if (!counted)
		return;
	__sync_fetch_and_add(&counted->all, more);
	__sync_fetch_and_add(&counted->of[tgid & (MEMBERS - 1)], more);
}

/* Adds a row. It replaces the row of an earlier process with the same number. Returns 0, or an error if there is no room. */
static __always_inline int add_member(u32 tgid, const struct task *task)
{
	count_members(tgid, 1);
	if (!bpf_map_update_elem(&tasks, &tgid, task, BPF_NOEXIST))
		return 0;
	count_members(tgid, -1);
	return bpf_map_update_elem(&tasks, &tgid, task, BPF_EXIST);
}

static __always_inline void remove_member(u32 tgid)
{
	if (!bpf_map_delete_elem(&tasks, &tgid))
		count_members(tgid, -1);
}
