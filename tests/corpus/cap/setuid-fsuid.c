// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/fsuid.h>

static int set_filesystem(void)
{
	setfsuid(OTHER_ID);
	return outcome("set the file system user id", setfsuid((uid_t)-1) == OTHER_ID);
}

PROGRAM(set_filesystem, .capabilities = "CAP_SETUID", .asks = "__sys_setfsuid", .note = "reports no error; file servers use it");
