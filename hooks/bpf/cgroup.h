/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Uses that are not capability checks: devices, entries of /proc/sys, ports and ping sockets.
 */
#pragma once

enum { SOCK_DGRAM = 2, IPPROTO_ICMP = 1, IPPROTO_ICMPV6 = 58 };

/* Returns true if the task is in access(2), which opens nothing. */
static __always_inline bool asks_for_access(struct task_struct *task, const struct container *container)
{
	struct pt_regs *regs = (void *)BPF_CORE_READ(task, stack) + container->registers;
	s32 number;

	if (!container->registers || BPF_CORE_READ(task, flags) & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER))
		return false;
#if defined(__TARGET_ARCH_x86)
	number = BPF_CORE_READ(regs, orig_ax);
	if (BPF_CORE_READ(task, thread_info.status) & TS_COMPAT)
#else
	number = BPF_CORE_READ(regs, syscallno);
	if (BPF_CORE_READ(task, thread_info.flags) & (1UL << TIF_32BIT))
#endif
		return number == COMPAT_access || number == COMPAT_faccessat || number == SYS_faccessat2;
	return number == SYS_access || number == SYS_faccessat || number == SYS_faccessat2;
}

/* Returns the current task's row and sets its container. Returns NULL if the task belongs to no container. */
static __always_inline struct task *current_member(struct task_struct *current, struct container **container)
{
	u32 tgid = BPF_CORE_READ(current, tgid);
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);

	if (!task || task->flags & TASK_PENDING)
		return NULL;
	*container = bpf_map_lookup_elem(&containers, &task->slot);
	return *container ? task : NULL;
}

/*
 * The kernel allows a use if every attached program allows it. These programs allow everything, so that the engine's programs decide. They
 * are attached to the root of the hierarchy because a runtime replaces the programs of the container's own control group.
 */

/* The kernel calls this when a process opens or makes a device node, mounts a block device, or calls access(2) on one. */
SEC("cgroup/dev")
int device_access(struct bpf_cgroup_dev_ctx *ctx)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct container *container;
	struct task *task = current_member(current, &container);
	struct device_key key = {};

	/* The engine's program has refused the use already. */
	if (!task || bpf_get_retval())
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	key.type = ctx->access_type & 0xffff;
	key.access = ctx->access_type >> 16;
	key.major = ctx->major;
	key.minor = ctx->minor;
	key.asked = asks_for_access(current, container);
	if (!count_row(container, &devices, &key, TABLE_DEVICES, LIMIT_DEVICES))
		__sync_fetch_and_add(&container->unlisted, 1);
	return 1;
}

SEC("cgroup/sysctl")
int sysctl_write(struct bpf_sysctl *ctx)
{
	struct container *container;
	struct task *task;
	struct sysctl_key key = {};
	struct sysctl row = {}, *known;

	if (!ctx->write)
		return 1;
	task = current_member((void *)bpf_get_current_task(), &container);
	if (!task || bpf_get_retval())
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	if (bpf_sysctl_get_name(ctx, key.name, sizeof(key.name), 0) < 0) {
		__sync_fetch_and_add(&container->unlisted, 1);
		return 1;
	}
	known = bpf_map_lookup_elem(&sysctls, &key);
	row.count = known ? known->count + 1 : 1;
	row.length = bpf_sysctl_get_new_value(ctx, row.value, sizeof(row.value));
	if ((!known && !has_room(container, TABLE_SYSCTLS, LIMIT_SYSCTLS)) || bpf_map_update_elem(&sysctls, &key, &row, BPF_ANY))
		__sync_fetch_and_add(&container->unlisted, 1);
	else if (!known)
		count_rows(container, TABLE_SYSCTLS, 1);
	return 1;
}

/*
 * Counts a port below 1024 that the process binds. docker sets net.ipv4.ip_unprivileged_port_start so that the kernel checks no capability
 * there. The same program fails under another engine without CAP_NET_BIND_SERVICE.
 */
static __always_inline int port_bound(struct bpf_sock_addr *ctx)
{
	struct container *container;
	struct task *task = current_member((void *)bpf_get_current_task(), &container);
	struct port_key key = {};

	if (!task)
		return 1;
	key.number = __builtin_bswap16(ctx->user_port);
	if (!key.number || key.number >= 1024)
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	if (!count_row(container, &ports, &key, TABLE_PORTS, LIMIT_PORTS))
		__sync_fetch_and_add(&container->unlisted, 1);
	return 1;
}

SEC("cgroup/bind4")
int port_bound4(struct bpf_sock_addr *ctx)
{
	return port_bound(ctx);
}

SEC("cgroup/bind6")
int port_bound6(struct bpf_sock_addr *ctx)
{
	return port_bound(ctx);
}

/* Returns the current task's effective group as the container numbers it, or -1 if the container has no such group. */
static __always_inline u32 group_in_container(const struct container *container, struct task_struct *current)
{
	struct user_namespace *ns = (void *)container->user_namespace;

	return map_id((u64)__builtin_preserve_access_index(&ns->gid_map), BPF_CORE_READ(current, cred, egid.val), ID_UP);
}

/*
 * Counts a ping socket, which is a datagram socket for ICMP (net/ipv4/ping.c, ping_init_sock()). The kernel checks no capability there, but
 * net.ipv4.ping_group_range must include a group of the process. docker includes all groups; the same program fails under another engine. The
 * kernel calls this after it has made the socket.
 */
SEC("cgroup/sock_create")
int ping_socket(struct bpf_sock *ctx)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct port_key key = { .kind = PORT_PING };
	struct container *container;
	struct task *task;

	if (ctx->type != SOCK_DGRAM || (ctx->protocol != IPPROTO_ICMP && ctx->protocol != IPPROTO_ICMPV6))
		return 1;
	task = current_member(current, &container);
	if (!task)
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	key.number = group_in_container(container, current);
	if (!count_row(container, &ports, &key, TABLE_PORTS, LIMIT_PORTS))
		__sync_fetch_and_add(&container->unlisted, 1);
	return 1;
}
