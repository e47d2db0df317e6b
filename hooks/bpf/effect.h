/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * If the answer to a check made a difference, and which user namespace the check was about.
 */
#pragma once

/* Returns true if the call would have done the same after a refused check (kernel/sys.c). */
static __noinline bool ids_without_effect(const struct cred *cred, const struct call *call, s32 capability)
{
	u32 real = capability == CAP_SETUID ? BPF_CORE_READ(cred, uid.val) : BPF_CORE_READ(cred, gid.val);
	u32 effective = capability == CAP_SETUID ? BPF_CORE_READ(cred, euid.val) : BPF_CORE_READ(cred, egid.val);
	u32 saved = capability == CAP_SETUID ? BPF_CORE_READ(cred, suid.val) : BPF_CORE_READ(cred, sgid.val);
	bool all = call->number == (capability == CAP_SETUID ? SYS_setresuid : SYS_setresgid);

	if (!all && call->number != (capability == CAP_SETUID ? SYS_setuid : SYS_setgid))
		return false;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		u32 id = call->arguments[i];
		u64 kernel_id;

		if (i > 0 && !all)
			break;
		if (all && id == (u32)-1)
			continue;
		kernel_id = capability == CAP_SETUID ? map_uid(cred, id) : map_gid(cred, id);
		if (kernel_id == (u64)-1)
			return false;
		/* With the capability, setuid(2) also sets the real and the saved id. */
		if (!all && (kernel_id != real || kernel_id != saved))
			return false;
		/* Without it, setresuid(2) accepts each of the three current ids. */
		if (all && kernel_id != real && kernel_id != effective && kernel_id != saved)
			return false;
	}
	return true;
}

/*
 * Returns true if the call sets a mode without the set-group-ID bit. The kernel makes the check if the process is not in the file's group,
 * and clears the bit without the capability. That matters only if the new mode has the bit (fs/attr.c, setattr_prepare()).
 */
static __always_inline bool mode_without_set_gid(const struct call *call)
{
	const u64 set_gid = 02000;

	if (call->number == SYS_chmod || call->number == SYS_fchmod)
		return !(call->arguments[1] & set_gid);
	if (call->number == SYS_fchmodat || call->number == SYS_fchmodat2)
		return !(call->arguments[2] & set_gid);
	return false;
}

static __always_inline bool opens_for_writing(const struct call *call)
{
	u64 flags = 0;

	if (call->number == SYS_openat)
		flags = call->arguments[2];
	else if (call->number == SYS_open)
		flags = call->arguments[1];
	else if (call->number == SYS_creat)
		flags = 1;
	else if (call->number == SYS_openat2)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[2]);
	return flags & 3; /* O_ACCMODE */
}

__noinline int classify_namespace(u64 own, u64 target)
{
	struct user_namespace *ns = (void *)target;

	if (!own)
		return NAMESPACE_UNKNOWN;
	if (!BPF_CORE_READ(ns, parent))
		return NAMESPACE_INITIAL;
	for (int i = 0; i < 32; i++) { /* kernel/user_namespace.c allows no more levels */
		ns = BPF_CORE_READ(ns, parent);
		if (!ns)
			break;
		if ((u64)ns == own)
			return NAMESPACE_NESTED;
	}
	return NAMESPACE_FOREIGN;
}

/* Returns the parent of `namespace`: 0 at the process's own namespace `own`, and -1 if `own` is the parent and this user owns `namespace`. */
__noinline u64 parent_unless_owned(u64 namespace, u64 own, u32 euid)
{
	struct user_namespace *ns = (void *)namespace;
	u64 parent;

	if (!namespace || namespace == own)
		return 0;
	parent = (u64)BPF_CORE_READ(ns, parent);
	return parent == own && BPF_CORE_READ(ns, owner.val) == euid ? -1 : parent;
}

/* Returns 1 if the user has all capabilities in `target` as the owner of it or of an ancestor (security/commoncap.c, cap_capable()). */
__noinline int granted_to_owner(u64 own, u32 euid, u64 target)
{
	u64 namespace = target;

	for (int i = 0; i < 32; i++) {
		namespace = parent_unless_owned(namespace, own, euid);
		if (!namespace)
			return 0;
		if (namespace == (u64)-1)
			return 1;
	}
	return 0;
}
