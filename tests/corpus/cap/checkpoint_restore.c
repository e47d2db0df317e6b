// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/sched.h>

static int choose_pid(void)
{
	pid_t wanted = 20000;
	long pid;
	do {
		struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
		pid = syscall(SYS_clone3, &arguments, sizeof arguments);
	} while (pid < 0 && errno == EEXIST && ++wanted < 20100);
	if (pid == 0)
		_exit(SUCCEEDED);
	int status = verdict("choose the process id of a child", pid);
	if (pid > 0)
		must(child_status((pid_t)pid) == SUCCEEDED, "wait for the child");
	return status;
}

PROGRAM(choose_pid, .capabilities = "CAP_CHECKPOINT_RESTORE", .alternatives = "CAP_CHECKPOINT_RESTORE:CAP_SYS_ADMIN",
	.asks = "alloc_pid, checkpoint_restore_ns_capable", .note = "as of criu");
