/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The credentials that overlayfs uses. It copies those of the process that mounts it, and later makes copies of the copy. All copies share
 * the group list and the session keyring. A runtime gives its container a new group list and a new keyring. This distinguishes mounts of the
 * container from the root file system, which the engine mounted.
 */
#pragma once

#define MOUNTERS 4 /* of a container; further ones count as the engine's, and as a loss */

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

/* Remembers a process of the container that is about to mount and has the capability; returns 0 if there is no room. */
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
