// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <time.h>

static int set_clock(void)
{
	struct timespec time;
	must(clock_gettime(CLOCK_REALTIME, &time) == 0, "read the clock");
	return verdict("set the clock", clock_settime(CLOCK_REALTIME, &time));
}

PROGRAM(set_clock, .capabilities = "CAP_SYS_TIME", .asks = "cap_settime", .initial = true, .guest_only = true, .note = "to the time that it shows");
