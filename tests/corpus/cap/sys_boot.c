// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int boot_nothing(void)
{
	return harmless_verdict("call reboot with a wrong magic number", syscall(SYS_reboot, 0, 0, 0, NULL), EINVAL);
}

PROGRAM(boot_nothing, .capabilities = "CAP_SYS_BOOT", .asks = "__do_sys_reboot", .note = "the capability is asked before the magic numbers are compared");
