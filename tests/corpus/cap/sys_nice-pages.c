// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#define MPOL_MF_MOVE_ALL 4

static int move_shared_pages(void)
{
	return verdict("move shared pages between nodes", syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, MPOL_MF_MOVE_ALL));
}

PROGRAM(move_shared_pages, .capabilities = "CAP_SYS_NICE", .asks = "kernel_move_pages", .initial = true, .needs = "CONFIG_NUMA", .note = "no page at all");
