// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

static int install_filter(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {.len = 1, .filter = code};
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return skip("no_new_privs is set: a filter needs no capability then");
	return verdict("install a seccomp filter without no_new_privs",
		       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

PROGRAM(install_filter, .capabilities = "CAP_SYS_ADMIN", .asks = "seccomp_prepare_filter", .selinux_blind = true,
	.needs = "no_new_privs off", .note = "asked without an audit record, yet enforced");
