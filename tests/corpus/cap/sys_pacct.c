// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int start_accounting(void)
{
	return harmless_verdict("start process accounting to a file that does not exist", syscall(SYS_acct, "/tmp/no-such-file"), ENOENT);
}

PROGRAM(start_accounting, .capabilities = "CAP_SYS_PACCT", .asks = "__do_sys_acct", .initial = true,
	.needs = "CONFIG_BSD_PROCESS_ACCT", .note = "the capability is asked before the file is opened");
