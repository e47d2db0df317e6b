// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/uio.h>

static int read_undumpable(void)
{
	int ready[2];
	char byte, copy;
	static char secret = 's';
	struct iovec local = {&copy, 1}, remote = {&secret, 1};
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
	int status = verdict("read the memory of a process that is not dumpable", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return status;
}

PROGRAM(read_undumpable, .capabilities = "CAP_SYS_PTRACE", .asks = "mm_access, ptrace_has_cap",
	.needs = "kernel.yama.ptrace_scope below 2", .note = "as of debuggers and profilers");
