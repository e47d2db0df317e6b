// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int raise_priority(void)
{
	struct rlimit none = {0, 0};
	must(setrlimit(RLIMIT_NICE, &none) == 0, "lower the nice limit");
	int nice = getpriority(PRIO_PROCESS, 0);
	if (nice == 19)
		return skip("the priority is the lowest already");
	must(setpriority(PRIO_PROCESS, 0, nice + 1) == 0, "lower the priority");
	return verdict("raise the priority", setpriority(PRIO_PROCESS, 0, nice));
}

PROGRAM(raise_priority, .capabilities = "CAP_SYS_NICE", .asks = "can_nice, set_one_prio", .initial = true,
	.note = "back to the value that it had");
