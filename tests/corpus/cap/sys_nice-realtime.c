// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int real_time(void)
{
	char line[4096];
	FILE *groups = fopen("/proc/self/cgroup", "re");
	while (groups && fgets(line, sizeof line, groups))
		if (strstr(line, ":cpu:") || strstr(line, ":cpu,"))
			return skip("cgroup v1 gives a new group no real-time budget");
	struct rlimit none = {0, 0};
	struct sched_param parameters = {.sched_priority = 1};
	must(setrlimit(RLIMIT_RTPRIO, &none) == 0, "lower the limit of the real-time priority");
	// SCHED_RR for this short-lived process alone.
	return verdict("ask for real-time scheduling", sched_setscheduler(0, SCHED_RR, &parameters));
}

PROGRAM(real_time, .capabilities = "CAP_SYS_NICE", .asks = "user_check_sched_setscheduler", .initial = true,
	.needs = "on cgroup v1 with CONFIG_RT_GROUP_SCHED: a real-time budget", .note = "priority 1 for a process that ends at once");
