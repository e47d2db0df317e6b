/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whose credentials overlayfs works with. It keeps a copy of those of the process that mounted it, and makes further copies of that. All
 * copies share group list and session keyring. A runtime gives its container both anew, so the copies of the container's processes are told from
 * those of the engine, which mounted the root file system.
 */
#pragma once

#define MOUNTERS 4 /* of a container; more are not told from the engine */

struct mounter {
	u64 groups; /* addresses */
	u64 keyring;
};

struct mounters {
	struct mounter of[MOUNTERS];
};

static __always_inline struct mounter mounter_of(const struct cred *cred)
{
	struct mounter mounter = {.groups = (u64)BPF_CORE_READ(cred, group_info)};

	if (bpf_core_field_exists(cred->session_keyring))
		mounter.keyring = (u64)BPF_CORE_READ(cred, session_keyring);
	return mounter;
}

/* Called for a process of the container that may mount, and is about to. */
static __noinline int remember_mounter(struct mounters *mounters, u64 groups, u64 keyring)
{
	if (!mounters)
		return 0;
	for (u32 i = 0; i < MOUNTERS; i++) {
		if (mounters->of[i].groups == groups && mounters->of[i].keyring == keyring)
			return 1;
		if (!mounters->of[i].groups) {
			mounters->of[i].keyring = keyring;
			mounters->of[i].groups = groups;
			return 1;
		}
	}
	return 0;
}
