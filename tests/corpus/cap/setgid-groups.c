// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <grp.h>

static int set_groups(void)
{
	return verdict("set the supplementary groups", setgroups(0, NULL));
}

PROGRAM(set_groups, .capabilities = "CAP_SETGID", .asks = "may_setgroups", .note = "asked even for dropping all of them");
