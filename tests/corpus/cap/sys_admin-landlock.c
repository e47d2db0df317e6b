// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/landlock.h>

static int restrict_self(void)
{
	struct landlock_ruleset_attr attributes = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK};
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return skip("no_new_privs is set: Landlock needs no capability then");
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	if (ruleset < 0)
		return skip("the kernel has no Landlock");
	return verdict("restrict itself with Landlock without no_new_privs", syscall(SYS_landlock_restrict_self, ruleset, 0));
}

PROGRAM(restrict_self, .capabilities = "CAP_SYS_ADMIN", .asks = "__do_sys_landlock_restrict_self", .selinux_blind = true,
	.needs = "Landlock;no_new_privs off", .note = "asked without an audit record, yet enforced");
