// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int set_effective(void)
{
	return verdict("set the effective user id", setresuid((uid_t)-1, OTHER_ID, (uid_t)-1));
}

PROGRAM(set_effective, .capabilities = "CAP_SETUID", .asks = "__sys_setresuid", .note = "the effective id alone, as servers do for one request");
