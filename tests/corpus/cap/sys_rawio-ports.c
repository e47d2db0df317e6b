// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int allow_port(void)
{
#if defined(SYS_ioperm)
	long result = syscall(SYS_ioperm, 0x80UL, 1UL, 1);
	if (result < 0 && errno == ENOSYS)
		return skip("the kernel has no I/O port permissions");
	return verdict("get permission for an I/O port", result);
#else
	return skip("the architecture has no I/O ports");
#endif
}

PROGRAM(allow_port, .capabilities = "CAP_SYS_RAWIO", .asks = "ksys_ioperm", .initial = true, .guest_only = true,
	.needs = "x86;no lockdown", .note = "port 0x80 (diagnostics), never written to; refused under lockdown whatever is held");
