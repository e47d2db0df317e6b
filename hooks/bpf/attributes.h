/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * File capabilities that the container writes itself. The container may execute a file and then remove it or change its capabilities. The
 * poststop hook could no longer read them.
 */
#pragma once

/* Writes the name of an open file without its directories. setcap(8) passes a descriptor. */
static __always_inline void name_of_descriptor(char *name, u32 descriptor)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct file **files = BPF_CORE_READ(current, files, fdt, fd), *file = NULL;

	/* The kernel has resolved the descriptor already, so it is valid. */
	if (!bpf_probe_read_kernel(&file, sizeof(file), files + descriptor) && file)
		bpf_probe_read_kernel_str(name, ATTRIBUTE_PATH, BPF_CORE_READ(file, f_path.dentry, d_name.name));
}

static __noinline int count_attribute(struct container *container, u64 slot, const struct call *call, u32 place)
{
	static const char wanted[] = "security.capability";
	char name[sizeof(wanted)] = {};
	u32 words[5] = {}; /* struct vfs_cap_data; revision 3 appends the root user's id */
	struct attribute_key *key = bpf_map_lookup_elem(&attribute_scratch, &place);

	if (!key || !container || (call->number != SYS_setxattr && call->number != SYS_lsetxattr && call->number != SYS_fsetxattr))
		return 0;
	if (bpf_probe_read_user_str(name, sizeof(name), (void *)call->arguments[1]) != sizeof(wanted))
		return 0;
	for (u32 i = 0; i < sizeof(wanted); i++)
		if (name[i] != wanted[i])
			return 0;
	if (bpf_probe_read_user(words, sizeof(words), (void *)call->arguments[2]))
		return 0;
	__builtin_memset(key, 0, sizeof(*key));
	key->slot = slot;
	key->effective = words[0] & 1;
	key->permitted = words[1] | (u64)words[3] << 32;
	key->inheritable = words[2] | (u64)words[4] << 32;
	if (call->number == SYS_fsetxattr)
		name_of_descriptor(key->path, call->arguments[0]);
	else
		bpf_probe_read_user_str(key->path, sizeof(key->path), (void *)call->arguments[0]);
	if (!count_row(container, &attributes, key, TABLE_ATTRIBUTES, LIMIT_ATTRIBUTES))
		lose(container, LOSS_ATTRIBUTES);
	return 1;
}
