// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int set_memory_map(void)
{
	return harmless_verdict("change a field of the memory map", prctl(PR_SET_MM, PR_SET_MM_START_CODE, ~0UL, 0, 0), EINVAL);
}

PROGRAM(set_memory_map, .capabilities = "CAP_SYS_RESOURCE", .asks = "prctl_set_mm", .initial = true, .needs = "CONFIG_CHECKPOINT_RESTORE",
	.note = "to an impossible address");
