// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/swap.h>

static int swap_on(void)
{
	return harmless_verdict("swap to a file that does not exist", swapon("/tmp/no-such-file", 0), ENOENT);
}

PROGRAM(swap_on, .capabilities = "CAP_SYS_ADMIN", .asks = "__do_sys_swapon", .initial = true, .needs = "CONFIG_SWAP",
	.note = "the capability is asked before the file is opened");
