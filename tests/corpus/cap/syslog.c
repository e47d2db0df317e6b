// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/klog.h>

#define SYSLOG_ACTION_SIZE_UNREAD 9

static int unread(void)
{
	return verdict("ask for the kernel log's unread size", klogctl(SYSLOG_ACTION_SIZE_UNREAD, NULL, 0));
}

PROGRAM(unread, .capabilities = "CAP_SYSLOG", .asks = "check_syslog_permissions",
	.initial = true, .note = "asks for a size and reads nothing away");
