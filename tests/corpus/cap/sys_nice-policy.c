// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int leave_idle(void)
{
	struct rlimit none = {0, 0};
	struct sched_param parameters = {.sched_priority = 0};
	must(setrlimit(RLIMIT_NICE, &none) == 0, "lower the nice limit");
	must(sched_setscheduler(0, SCHED_IDLE, &parameters) == 0, "become idle");
	return verdict("leave the idle policy", sched_setscheduler(0, SCHED_OTHER, &parameters));
}

PROGRAM(leave_idle, .capabilities = "CAP_SYS_NICE", .asks = "user_check_sched_setscheduler", .initial = true, .note = "back to the policy that it had");
