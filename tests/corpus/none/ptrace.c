// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ptrace.h>

static int trace_child(void)
{
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0)
		for (;;)
			pause();
	must(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0, "trace an own child");
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "end it");
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? SUCCEEDED : BROKEN);
	must(child_status(pid) == SUCCEEDED, "be traced by the parent");
	return SUCCEEDED;
}

PROGRAM(trace_child, .needs = "kernel.yama.ptrace_scope below 2", .note = "same user, same capabilities: compared bit by bit, not asked");
