// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/bpf.h>

static int create_map(void)
{
	union bpf_attr map = {.map_type = BPF_MAP_TYPE_LRU_HASH, .key_size = 4, .value_size = 4, .max_entries = 1};
	return verdict("create a BPF map", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map));
}

PROGRAM(create_map, .capabilities = "CAP_BPF", .alternatives = "CAP_BPF:CAP_SYS_ADMIN", .asks = "map_create, bpf_token_capable", .initial = true,
	.needs = "CONFIG_BPF_SYSCALL;under SELinux: bpf { map_create }", .note = "of one entry; this type needs the capability whatever kernel.unprivileged_bpf_disabled says");
