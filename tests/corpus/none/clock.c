// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/timex.h>
#include <time.h>

static int read_clocks(void)
{
	struct timex state = {.modes = 0};
	struct timespec time;
	must(adjtimex(&state) >= 0, "read the clock's adjustment");
	must(clock_gettime(CLOCK_REALTIME, &time) == 0 && clock_gettime(CLOCK_BOOTTIME, &time) == 0, "read the clocks");
	must(nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL) == 0, "sleep");
	must(setpriority(PRIO_PROCESS, 0, 19) == 0, "lower the priority");
	return SUCCEEDED;
}

PROGRAM(read_clocks, .note = "as of time daemons started with an option to only look");
