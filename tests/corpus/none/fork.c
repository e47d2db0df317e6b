// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int child(void)
{
	return SUCCEEDED;
}

static int fork_loop(void)
{
	for (int i = 0; i < 200; i++)
		if (in_child(child) != SUCCEEDED)
			return BROKEN;
	return SUCCEEDED;
}

PROGRAM(fork_loop, .asks = "cap_vm_enough_memory",
	.note = "each fork asks CAP_SYS_ADMIN silently for the overcommit reserve; the answer changes nothing here");
