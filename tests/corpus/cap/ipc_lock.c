// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mman.h>

static int lock_memory(void)
{
	struct rlimit none = {0, 0};
	static char page[4096];
	must(setrlimit(RLIMIT_MEMLOCK, &none) == 0, "lower the limit of locked memory");
	return verdict("lock a page", mlock(page, sizeof page));
}

PROGRAM(lock_memory, .capabilities = "CAP_IPC_LOCK", .asks = "can_do_mlock", .initial = true, .note = "with a limit of 0; below the limit nothing is asked");
