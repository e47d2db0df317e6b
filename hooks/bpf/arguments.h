/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The argument of a system call that decides if the answer to its capability check mattered. It is part of a check's key and therefore
 * encoded in one number. hooks/src/ebpf/argument.rs decodes the numbers: change both together.
 */
#pragma once

#define ARGUMENT_CONGESTION (1U << 31) /* the rest: the first four characters of the algorithm's name */

/* The parts of struct perf_event_attr that matter (include/uapi/linux/perf_event.h). */
#define PERF_SAMPLE_TYPE 24 /* offset */
#define PERF_FLAGS 40 /* offset */
#define PERF_EXCLUDE_KERNEL (1ULL << 5)
#define PERF_NAMESPACES (1ULL << 28)
#define PERF_SAMPLE_PHYS_ADDR (1ULL << 19)

enum { IPPROTO_TCP = 6, TCP_CONGESTION = 13 };

/* Returns 1 if the event counts only the process itself in user space: the kernel checks, and allows that without a capability. */
static __always_inline u32 perf_event_argument(const struct call *call)
{
	u64 sample = 0, flags = 0;

	if (bpf_probe_read_user(&sample, sizeof(sample), (void *)(call->arguments[0] + PERF_SAMPLE_TYPE)) ||
	    bpf_probe_read_user(&flags, sizeof(flags), (void *)(call->arguments[0] + PERF_FLAGS)))
		return 0;
	return (s32)call->arguments[1] == 0 && flags & PERF_EXCLUDE_KERNEL && !(flags & PERF_NAMESPACES) &&
	       !(sample & PERF_SAMPLE_PHYS_ADDR);
}

/* Returns level and name of a socket option, or the congestion algorithm if the algorithm decides. */
static __always_inline u32 socket_option_argument(const struct call *call)
{
	u32 level = call->arguments[1], name = call->arguments[2], algorithm = 0;

	if (level == IPPROTO_TCP && name == TCP_CONGESTION && (u32)call->arguments[4] >= sizeof(algorithm) - 1) {
		bpf_probe_read_user(&algorithm, (u32)call->arguments[4] == 3 ? 3 : 4, (void *)call->arguments[3]);
		return ARGUMENT_CONGESTION | algorithm;
	}
	return (level & 0x7fff) << 16 | (name & 0xffff);
}

/* Returns the limits of the message queue that mq_open(2) makes: the number of messages and their size. 0 means the defaults. */
static __always_inline u32 message_queue_argument(const struct call *call)
{
	u64 sizes[2] = {}; /* mq_maxmsg and mq_msgsize, which follow mq_flags */

	if (!call->arguments[3] || bpf_probe_read_user(sizes, sizeof(sizes), (void *)(call->arguments[3] + sizeof(u64))))
		return 0;
	return (sizes[0] < 0x7fff ? sizes[0] : 0x7fff) << 16 | (sizes[1] < 0xffff ? sizes[1] : 0xffff);
}

/* Returns true if one of the call's arguments may decide. */
static __always_inline bool has_deciding_argument(const struct call *call)
{
	switch (call->number) {
	case SYS_setsockopt:
	case SYS_fanotify_init:
	case SYS_prctl:
	case SYS_perf_event_open:
	case SYS_mq_open:
	case SYS_sendmsg:
		return !call->compat;
	}
	return false;
}

/* Returns the deciding argument of the current system call. The caller has tested that there is one. */
__noinline u32 deciding_argument(u32 place)
{
	const struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);

	if (!scratch)
		return 0;
	switch (scratch->call.number) {
	case SYS_setsockopt:
		return socket_option_argument(&scratch->call);
	case SYS_fanotify_init:
	case SYS_prctl:
		return scratch->call.arguments[0];
	case SYS_perf_event_open:
		return perf_event_argument(&scratch->call);
	case SYS_mq_open:
		return message_queue_argument(&scratch->call);
	case SYS_sendmsg:
		return scratch->check.kind.capability == CAP_NET_ADMIN ? socket_filter(place, scratch->call.arguments[1]) : 0;
	}
	return 0;
}
