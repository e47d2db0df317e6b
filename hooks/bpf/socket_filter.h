/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The filter of a request to list sockets (sock_diag(7), net/ipv4/inet_diag.c). The kernel checks CAP_NET_ADMIN for every filter, and
 * without the capability refuses only filters by mark.
 */
#pragma once

#define REQUEST 1024 /* bytes of the request that are read; a power of two */
#define PARTS 4 /* buffers of the message */
#define FILTER_STEPS 48

enum { SOCK_DIAG_BY_FAMILY = 20, INET_DIAG_REQ_BYTECODE = 1, INET_DIAG_BC_MARK_COND = 10 };
enum { FILTER_UNKNOWN, FILTER_WITHOUT_MARKS, FILTER_WITH_MARKS };

struct user_vector {
	u64 base, length;
};

/* Copies the message of sendmsg(2) into the scratch entry. Returns its length, or 0 if it is too long. */
static __always_inline u32 read_message(struct program *scratch, u64 header)
{
	struct user_vector parts[PARTS] = {};
	u64 vector = 0, number = 0;
	u32 length = 0;

	/* struct msghdr begins with msg_name and msg_namelen. */
	if (bpf_probe_read_user(&vector, sizeof(vector), (void *)(header + 16)) ||
	    bpf_probe_read_user(&number, sizeof(number), (void *)(header + 24)) || !number || number > PARTS)
		return 0;
	bpf_probe_read_user(parts, number == 1 ? sizeof(parts[0]) : number == 2 ? 2 * sizeof(parts[0]) :
			    number == 3 ? 3 * sizeof(parts[0]) : sizeof(parts), (void *)vector);
#pragma unroll
	for (u32 i = 0; i < PARTS; i++) {
		u32 size = parts[i].length;

		if (parts[i].length > PATH_NAME || length + size > REQUEST)
			return 0;
		barrier_var(size);
		barrier_var(length);
		if (size && bpf_probe_read_user(&scratch->path[length & (REQUEST - 1)], size & (PATH_NAME - 1), (void *)parts[i].base))
			return 0;
		length += size;
	}
	return length;
}

__noinline int socket_filter(u32 place, u64 header)
{
	u32 length, offset = 16 + 56; /* struct nlmsghdr, struct inet_diag_req_v2 */
	struct program_scratch *scratch = bpf_map_lookup_elem(&program_scratch, &place);
	const u8 *message;

	if (!scratch)
		return FILTER_UNKNOWN;
	length = read_message(&scratch->program, header);
	message = (const u8 *)scratch->program.path;
	if (length < offset + 4 || message[4] != SOCK_DIAG_BY_FAMILY || message[offset + 2] != INET_DIAG_REQ_BYTECODE)
		return FILTER_UNKNOWN;
	offset += 4;
	/* struct inet_diag_bc_op: code, the offset to add if the condition holds, and that if not. */
	for (u32 i = 0; i < FILTER_STEPS; i++) {
		u8 step;

		if (offset >= length)
			return FILTER_WITHOUT_MARKS;
		if (message[offset & (REQUEST - 1)] == INET_DIAG_BC_MARK_COND)
			return FILTER_WITH_MARKS;
		step = message[(offset + 1) & (REQUEST - 1)];
		if (step < 4)
			return FILTER_UNKNOWN;
		offset += step;
	}
	return FILTER_UNKNOWN;
}
