// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int kexec_nothing(void)
{
	return harmless_verdict("load a kernel with impossible flags", syscall(SYS_kexec_load, 0, 0, NULL, 0xffffUL), EINVAL);
}

PROGRAM(kexec_nothing, .capabilities = "CAP_SYS_BOOT", .asks = "kexec_load_permitted", .initial = true,
	.needs = "CONFIG_KEXEC;kernel.kexec_load_disabled=0;no lockdown", .note = "the capability is asked before the flags are checked");
