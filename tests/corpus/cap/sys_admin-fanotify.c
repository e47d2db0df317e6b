// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/fanotify.h>

static int permission_events(void)
{
	return verdict("ask for permission events", fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY));
}

PROGRAM(permission_events, .capabilities = "CAP_SYS_ADMIN", .asks = "__do_sys_fanotify_init", .initial = true,
	.needs = "CONFIG_FANOTIFY_ACCESS_PERMISSIONS", .note = "as of virus scanners");
