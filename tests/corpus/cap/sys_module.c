// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int delete_module(void)
{
	return harmless_verdict("delete a kernel module that does not exist", syscall(SYS_delete_module, "corpus_no_such_module", O_NONBLOCK), ENOENT);
}

PROGRAM(delete_module, .capabilities = "CAP_SYS_MODULE", .asks = "__do_sys_delete_module", .initial = true,
	.needs = "CONFIG_MODULES;kernel.modules_disabled=0", .note = "the capability is asked before the name is read");
