// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int init_module(void)
{
	return harmless_verdict("load an empty kernel module", syscall(SYS_init_module, "", 0, ""), ENOEXEC);
}

PROGRAM(init_module, .capabilities = "CAP_SYS_MODULE", .asks = "may_init_module", .initial = true,
	.needs = "CONFIG_MODULES;kernel.modules_disabled=0", .note = "an image of no bytes");
