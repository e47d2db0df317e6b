// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/timerfd.h>

static int alarm_timer(void)
{
	return verdict("create a timer that wakes the machine", timerfd_create(CLOCK_BOOTTIME_ALARM, TFD_CLOEXEC));
}

PROGRAM(alarm_timer, .capabilities = "CAP_WAKE_ALARM", .asks = "__do_sys_timerfd_create", .initial = true, .note = "never armed");
