// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ptrace.h>

static int trace_undumpable(void)
{
	int ready[2];
	char byte;
	must(pipe2(ready, O_CLOEXEC) == 0, "create a pipe");
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || write(ready[1], "r", 1) != 1)
			_exit(BROKEN);
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1) == 1, "wait for the child");
	int status = verdict("trace a process that is not dumpable", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return status;
}

PROGRAM(trace_undumpable, .capabilities = "CAP_SYS_PTRACE", .asks = "__ptrace_may_access, ptrace_has_cap",
	.needs = "kernel.yama.ptrace_scope below 2", .note = "own child; a dumpable one would need nothing");
