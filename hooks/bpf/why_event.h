/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the kernel knows of the current task at an event.
 */
#pragma once

static __always_inline void read_map(const struct uid_gid_map *map, u32 *extents, struct why_extent *into)
{
	*extents = BPF_CORE_READ(map, nr_extents);
	if (*extents <= EXTENTS)
		bpf_probe_read_kernel(into, sizeof(*into) * EXTENTS, __builtin_preserve_access_index(&map->extent));
}

static __always_inline void describe_credentials(struct why_event *event, const struct cred *cred)
{
	const struct cred___why *more = (const void *)cred;
	struct group_info___why *groups = BPF_CORE_READ(more, group_info);
	struct user_namespace *ns = BPF_CORE_READ(cred, user_ns);

	event->uid = BPF_CORE_READ(cred, uid.val);
	event->gid = BPF_CORE_READ(cred, gid.val);
	event->suid = BPF_CORE_READ(cred, suid.val);
	event->sgid = BPF_CORE_READ(cred, sgid.val);
	event->euid = BPF_CORE_READ(cred, euid.val);
	event->egid = BPF_CORE_READ(cred, egid.val);
	event->fsuid = BPF_CORE_READ(more, fsuid.val);
	event->fsgid = BPF_CORE_READ(more, fsgid.val);
	event->effective = read_set(__builtin_preserve_access_index(&cred->cap_effective));
	event->permitted = read_set(__builtin_preserve_access_index(&cred->cap_permitted));
	event->inheritable = read_set(__builtin_preserve_access_index(&cred->cap_inheritable));
	event->bounding = read_set(__builtin_preserve_access_index(&cred->cap_bset));
	event->ambient = read_set(__builtin_preserve_access_index(&cred->cap_ambient));
	event->groups = BPF_CORE_READ(groups, ngroups);
	bpf_probe_read_kernel(event->group, sizeof(event->group), __builtin_preserve_access_index(&groups->gid));
	event->user_namespace = BPF_CORE_READ(ns, ns.inum);
	event->user_level = BPF_CORE_READ(ns, level);
	read_map(__builtin_preserve_access_index(&ns->uid_map), &event->extents_uid, event->uid_map);
	read_map(__builtin_preserve_access_index(&ns->gid_map), &event->extents_gid, event->gid_map);
}

static __always_inline void describe_task(struct why_event *event, u32 kind, u32 watched)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct task_struct___why *more = (void *)current;
	struct signal_struct___why *signal;
	struct nsproxy___why *namespaces;
	u64 thread = bpf_get_current_pid_tgid();

	event->kind = kind;
	event->tgid = thread >> 32;
	event->tid = thread;
	event->call = -1;
	event->result = 0;
	event->flags = 0;
	event->checks = 0;
	event->records = 0;
	event->hook = 0;
	event->base_length = 0;
	event->executable_mode = 0;
	event->path[0] = event->path2[0] = 0;
	event->time_ns = bpf_ktime_get_boot_ns();
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (BPF_CORE_READ(more, atomic_flags) & (1UL << PFA_NO_NEW_PRIVS))
		event->flags |= WHY_NO_NEW_PRIVILEGES;
	if (watched & WATCH_LANDLOCKED)
		event->flags |= WHY_LANDLOCKED;
	if (watched & WATCH_SETUID_IGNORED)
		event->flags |= WHY_SETUID_IGNORED;
	if (watched & WATCH_NOSUID)
		event->flags |= WHY_NOSUID;
	event->seccomp_mode = BPF_CORE_READ(more, seccomp.mode);
	event->filter = (u64)BPF_CORE_READ(more, seccomp.filter);
	namespaces = (void *)BPF_CORE_READ(current, nsproxy);
	event->network_namespace = BPF_CORE_READ(namespaces, net_ns, ns.inum);
	event->mount_namespace = BPF_CORE_READ(current, nsproxy, mnt_ns, ns.inum);
	signal = (void *)BPF_CORE_READ(current, signal);
	bpf_probe_read_kernel(event->limits, sizeof(event->limits), __builtin_preserve_access_index(&signal->rlim));
	describe_credentials(event, BPF_CORE_READ(current, cred));
}

/* Writes the path from the dentry up to the task's root directory into the event. */
__noinline int write_base(u32 place, u64 from_dentry, u64 from_mount)
{
	struct why_event *event = bpf_map_lookup_elem(&event_scratch, &place);
	struct task_struct *current = (void *)bpf_get_current_task();
	struct dentry *dentry = (void *)from_dentry;
	struct vfsmount *vfsmount = (void *)from_mount;
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	u64 root_dentry = (u64)BPF_CORE_READ(current, fs, root.dentry), root_mount = (u64)BPF_CORE_READ(current, fs, root.mnt);

	if (!event)
		return 0;
	event->base_length = 0;
	event->flags |= WHY_BASE_TRUNCATED | WHY_BASE_KNOWN;
	for (int i = 0; i < PATH_DEPTH; i++) {
		struct dentry *parent;
		u32 offset, length;

		if ((u64)dentry == root_dentry && (u64)vfsmount == root_mount) {
			event->flags &= ~WHY_BASE_TRUNCATED;
			return 0;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(vfsmount, mnt_root) || dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount) {
				event->flags |= WHY_BASE_OUTSIDE;
				event->flags &= ~WHY_BASE_TRUNCATED;
				return 0;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			vfsmount = (void *)mount + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		offset = event->base_length;
		if (offset >= WHY_BASE)
			return 0;
		length = BPF_CORE_READ(dentry, d_name.len);
		if (length >= PATH_NAME)
			return 0;
		if (bpf_probe_read_kernel(&event->base[offset], length, BPF_CORE_READ(dentry, d_name.name)))
			return 0;
		offset += length;
		if (offset >= WHY_BASE + PATH_NAME)
			return 0;
		event->base[offset] = 0;
		event->base_length = offset + 1;
		dentry = parent;
	}
	return 0;
}

/* Returns a kernel pointer as a number, which the verifier allows only after a store and a load. */
static __always_inline u64 number_of(struct why_event *event, const void *pointer)
{
	*(volatile u64 *)&event->instruction = (u64)pointer;
	return *(volatile u64 *)&event->instruction;
}

/* Writes the path of an open file, or that of the working directory, into the event. */
static __always_inline void write_descriptor(struct why_event *event, u32 place, s32 fd)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct task_struct___why *more = (void *)current;
	struct fdtable___why *table;
	struct inode___why *inode;
	struct file *file = NULL;

	if (fd == AT_FDCWD) {
		write_base(place, number_of(event, BPF_CORE_READ(more, fs, pwd.dentry)), number_of(event, BPF_CORE_READ(more, fs, pwd.mnt)));
		return;
	}
	table = (void *)BPF_CORE_READ(current, files, fdt);
	if (fd < 0 || (u32)fd >= BPF_CORE_READ(table, max_fds))
		return;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	if (!file)
		return;
	inode = (void *)BPF_CORE_READ(file, f_inode);
	event->executable_mode = BPF_CORE_READ(inode, i_mode);
	write_base(place, number_of(event, BPF_CORE_READ(file, f_path.dentry)), number_of(event, BPF_CORE_READ(file, f_path.mnt)));
}
