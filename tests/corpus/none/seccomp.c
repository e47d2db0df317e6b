// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

static int filter(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {.len = 1, .filter = code};
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "set no_new_privs");
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "install a seccomp filter");
	return SUCCEEDED;
}

PROGRAM(filter, .also_asked = "CAP_SYS_ADMIN", .asks = "do_jit",
	.note = "with no_new_privs a filter needs nothing, though its translation asks CAP_SYS_ADMIN silently");
