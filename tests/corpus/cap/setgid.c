// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int become_other_group(void)
{
	return verdict("set the group id", setgid(OTHER_ID));
}

PROGRAM(become_other_group, .capabilities = "CAP_SETGID", .asks = "__sys_setgid", .note = "to an id that is none of the process's own");
