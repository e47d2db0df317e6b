// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int go_on(void)
{
	if (setresuid(OTHER_ID, OTHER_ID, OTHER_ID) != 0)
		perror("setuid-fallback: go on as the same user");
	return SUCCEEDED;
}

PROGRAM(go_on, .also_asked = "CAP_SETUID", .asks = "__sys_setresuid",
	.note = "works without, yet keeps its user then: a profile rightly names CAP_SETUID, only shrink can tell that the program does without");
