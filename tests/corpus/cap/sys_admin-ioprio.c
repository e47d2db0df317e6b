// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#define IOPRIO_CLASS_SHIFT 13
#define IOPRIO_CLASS_RT 1
#define IOPRIO_WHO_PROCESS 1

static int real_time_io(void)
{
	return verdict("ask for real-time I/O", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_RT << IOPRIO_CLASS_SHIFT | 7));
}

PROGRAM(real_time_io, .capabilities = "CAP_SYS_ADMIN", .alternatives = "CAP_SYS_ADMIN:CAP_SYS_NICE", .asks = "ioprio_check_cap",
	.initial = true, .note = "CAP_SYS_NICE, the weaker one, is asked only where CAP_SYS_ADMIN is refused");
