// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/timex.h>

static int adjust_clock(void)
{
	struct timex adjustment = {.modes = ADJ_TICK, .tick = 0}; // far out of range
	return harmless_verdict("adjust the clock by an impossible tick", adjtimex(&adjustment), EINVAL);
}

PROGRAM(adjust_clock, .capabilities = "CAP_SYS_TIME", .asks = "timekeeping_validate_timex", .initial = true,
	.note = "the capability is asked before the tick is checked: no clock is changed");
