// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The kernel part of the eBPF recorder. One pinned program set serves the whole host, and each container is a map entry.
 *
 *   containers  recording slot -> what the programs know of its container, and what they lost
 *   tasks       thread group -> slot
 *   members     the number of rows in tasks: see members.h
 *   joins       mount namespace -> slot, for processes that `exec` adds to a container
 *   groups      control group of a service -> slot, for the programs that systemd executes in it
 *   checks      capability checks and their counts
 *   programs    executed files
 *   capsets     sets that processes passed to capset(2)
 *   devices     devices that processes opened or made
 *   sysctls     entries of /proc/sys that processes wrote
 *   ports       which ports below 1024 were bound, and which groups made ping sockets
 *   attributes  file capabilities that processes wrote
 *   refusals    task -> checks refused in its current system call, until that call returns (see system_call_exit)
 *   last_runs   the task that ran a program last on this processor: see standby.h
 *   symbols     addresses that user space wants names for (see name_symbols)
 *
 * User space writes only a slot and its first process, as PENDING. That process does the runtime's own work until it executes the container's
 * program, and the runtime's work must not count. hooks/src/ebpf/layout.rs repeats the layouts of keys and values. A change of a layout needs
 * a new version in the pin path.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define NULL ((void *)0)

#include "layout.h"
#include "maps.h"
#include "members.h"
#include "task.h"
#include "capset.h"
#include "arguments.h"
#include "effect.h"
#include "path.h"
#include "object.h"
#include "check.h"
#include "standby.h"

/* Linux 6.14 and later. The tracepoint sees every check, but not its options. */
SEC("tp_btf/cap_capable")
int tp_cap_capable(const u64 *ctx) /* cred, target, the namespace in which it is capable, capability, ret */
{
	struct task *found = find_member();

	/* Checks of all processes on the host reach this line. */
	if (!found)
		return 0;
	record_found(ctx, found, (struct question){ .place = PLACE_CHECK, .stack = ctx, .capability = ctx[3], .denied = (s32)ctx[4] != 0 });
	note_run(RUN_CHECK);
	return 0;
}

/* Sees the options, but not the checks inside security/commoncap.c, where the compiler inlines cap_capable(). */
SEC("fexit/cap_capable")
int fexit_cap_capable(const u64 *ctx) /* cred, target, capability, opts, ret */
{
	struct task *found = find_member();

	if (!found)
		return 0;
	record_found(ctx, found,
		     (struct question){
			     .place = PLACE_CHECK, .stack = ctx, .capability = ctx[2], .opts = ctx[3], .opts_known = true, .denied = (s32)ctx[4] != 0 });
	return 0;
}

SEC("kprobe/cap_capable")
int BPF_KPROBE(kprobe_cap_capable, const struct cred *cred, struct user_namespace *target, int capability, unsigned int opts)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct inflight call = { .cred = (u64)cred, .ns = (u64)target, .stack = PT_REGS_SP(ctx), .capability = capability, .opts = opts };
	struct task *task = find_member();

	if (!task)
		return 0;
	if (bpf_map_update_elem(&calls, &thread, &call, BPF_ANY)) {
		struct container *container = bpf_map_lookup_elem(&containers, &task->slot);
		if (container)
			lose(container, LOSS_INFLIGHT);
	}
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(kretprobe_cap_capable, int ret)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct inflight *call = bpf_map_lookup_elem(&calls, &thread), copy;

	if (!call)
		return 0;
	copy = *call;
	bpf_map_delete_elem(&calls, &thread);
	/* The probe has replaced the return address. The words above it are as they were at the call. */
	record(ctx, (const struct cred *)copy.cred, (struct user_namespace *)copy.ns,
	       (struct question){
		       .place = PLACE_CHECK,
		       .stack = (void *)(copy.stack + 8),
		       .capability = copy.capability,
		       .opts = copy.opts,
		       .opts_known = true,
		       .denied = ret != 0,
	       });
	return 0;
}

/* Complements fexit/cap_capable: the compiler inlines the check of cap_capset(). */
SEC("fexit/cap_capset")
int BPF_PROG(fexit_cap_capset, struct cred *new, const struct cred *old, const kernel_cap_t *effective,
	     const kernel_cap_t *inheritable, const kernel_cap_t *permitted, int ret)
{
	if (look_at_capset(old, effective, inheritable, permitted, ret))
		record(ctx, old, BPF_CORE_READ(old, user_ns),
		       (struct question){ .place = PLACE_CAPSET, .capability = CAP_SETPCAP, .opts_known = true, .denied = ret != 0 });
	return 0;
}

/* Does the same for PR_SET_SECUREBITS. */
SEC("fexit/cap_task_prctl")
int BPF_PROG(fexit_cap_task_prctl, int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5,
	     int ret)
{
	struct task_struct *current = (void *)bpf_get_current_task();

	if (option == 28 /* PR_SET_SECUREBITS */ && (ret == 0 || ret == -1))
		record(ctx, BPF_CORE_READ(current, cred), BPF_CORE_READ(current, cred, user_ns),
		       (struct question){ .place = PLACE_PRCTL, .capability = CAP_SETPCAP, .opts_known = true, .denied = ret != 0 });
	return 0;
}

#include "process.h"
#include "standing_by.h"
#include "results.h"
#include "symbols.h"
#include "cgroup.h"
