// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// The same as kill.c where nothing was prepared: the other process gets its ids with CAP_SETUID.
static int signal_child(void)
{
	int ready[2], end[2];
	char byte = 0;
	must(pipe2(ready, O_CLOEXEC) == 0 && pipe2(end, O_CLOEXEC) == 0, "create pipes");
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		close(end[1]);
		byte = setresuid(OTHER_ID, OTHER_ID, OTHER_ID) == 0 ? 'r' : 'x';
		if (write(ready[1], &byte, 1) != 1 || read(end[0], &byte, 1) != 0)
			_exit(BROKEN);
		_exit(SUCCEEDED);
	}
	must(read(ready[0], &byte, 1) == 1, "wait for the child");
	int status;
	if (byte == 'r') {
		status = verdict("signal another user's process", kill(pid, 0));
	} else {
		errno = EPERM;
		status = verdict("set the child's user ids", -1);
	}
	close(end[1]);
	must(child_status(pid) == 0, "end the child");
	return status;
}

PROGRAM(signal_child, .capabilities = "CAP_KILL CAP_SETUID", .asks = "kill_ok_by_cred, check_kill_permission; __sys_setresuid",
	.note = "as a supervisor that starts its workers under another user and signals them");
