// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/landlock.h>

static int restrict_with_no_new_privs(void)
{
	struct landlock_ruleset_attr attributes = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	if (ruleset < 0)
		return skip("the kernel has no Landlock");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "set no_new_privs");
	must(syscall(SYS_landlock_restrict_self, ruleset, 0) == 0, "restrict itself with Landlock");
	return SUCCEEDED;
}

PROGRAM(restrict_with_no_new_privs, .needs = "Landlock", .note = "with no_new_privs nothing is asked");
