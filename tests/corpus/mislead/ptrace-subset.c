// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ptrace.h>

static int trace_richer(void)
{
	uint64_t effective, permitted, inheritable;
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0)
		for (;;)
			pause();
	must(get_capabilities(&effective, &permitted, &inheritable) == 0, "read the capability sets");
	must(set_capabilities(effective & ~BIT(CAP_CHOWN), permitted & ~BIT(CAP_CHOWN), inheritable & ~BIT(CAP_CHOWN)) == 0, "drop CAP_CHOWN");
	int status = verdict("trace a child that holds more", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return status;
}

PROGRAM(trace_richer, .also_asked = "CAP_SETPCAP CAP_SYS_PTRACE", .asks = "cap_ptrace_access_check",
	.needs = "kernel.yama.ptrace_scope below 2",
	.note = "CAP_SYS_PTRACE is asked only because all capabilities were granted: without CAP_CHOWN parent and child are equal again");
