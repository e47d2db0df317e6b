// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int clone_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWIPC | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		_exit(SUCCEEDED);
	int status = verdict("create a process in an IPC namespace of its own", pid);
	if (pid > 0)
		must(child_status((pid_t)pid) == SUCCEEDED, "wait for the child");
	return status;
}

PROGRAM(clone_namespace, .capabilities = "CAP_SYS_ADMIN", .asks = "copy_namespaces", .note = "as container runtimes and sandboxes do");
