// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int set_login_id(void)
{
	int fd = open("/proc/self/loginuid", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return skip("the kernel has no audit");
	// The first time needs nothing while the id is unset; the second needs the capability.
	if (pwrite(fd, "0", 1, 0) != 1)
		return verdict("set the login id", -1);
	return verdict("change the login id", pwrite(fd, "0", 1, 0));
}

PROGRAM(set_login_id, .capabilities = "CAP_AUDIT_CONTROL", .asks = "audit_set_loginuid_perm", .initial = true,
	.needs = "CONFIG_AUDITSYSCALL;loginuid_immutable off", .note = "of this process alone; audit's own socket refuses any pid namespace but the first");
