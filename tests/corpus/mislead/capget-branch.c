// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int branch(void)
{
	uint64_t effective, permitted, inheritable;
	must(get_capabilities(&effective, &permitted, &inheritable) == 0, "read the capability sets");
	if (effective & BIT(CAP_SYS_CHROOT))
		must(chroot("/") == 0, "change the root directory");
	return SUCCEEDED;
}

PROGRAM(branch, .also_asked = "CAP_SYS_CHROOT", .asks = "ksys_chroot",
	.note = "uses what it holds and does without otherwise: only a run without it can tell");
