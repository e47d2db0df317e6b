// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int become_other(void)
{
	return verdict("set the user id", setuid(OTHER_ID));
}

PROGRAM(become_other, .capabilities = "CAP_SETUID", .asks = "__sys_setuid", .note = "to an id that is none of the process's own");
