// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int raise_priority(void)
{
	struct rlimit none = {0, 0};
	must(setrlimit(RLIMIT_NICE, &none) == 0, "lower the nice limit");
	must(setpriority(PRIO_PROCESS, 0, 5) == 0, "lower the priority");
	return verdict("raise the priority", setpriority(PRIO_PROCESS, 0, 0));
}

PROGRAM(raise_priority, .capabilities = "CAP_SYS_NICE", .asks = "can_nice, set_one_prio", .initial = true,
	.note = "back from nice 5 to 0");
