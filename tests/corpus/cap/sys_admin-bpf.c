// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/bpf.h>

static int next_program(void)
{
	union bpf_attr query = {.start_id = 0x7ffffffe}; // after the last program
	return harmless_verdict("ask for the next BPF program", syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &query, sizeof query), ENOENT);
}

PROGRAM(next_program, .capabilities = "CAP_SYS_ADMIN", .asks = "bpf_obj_get_next_id", .initial = true, .needs = "CONFIG_BPF_SYSCALL",
	.note = "a call of bpf(2) that CAP_BPF does not grant");
