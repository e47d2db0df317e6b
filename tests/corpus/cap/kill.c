// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// Signals a process whose user ids are all somebody else's. The process gets them from the set-uid bit of the prepared
// copy of this executable, for which the kernel asks no capability.
static int signal_other(void)
{
	int to[2], from[2];
	close(other_object(OTHER "/hold", O_RDONLY));
	must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "create pipes");
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(OTHER "/hold", "corpus", "--hold", (char *)NULL);
		_exit(BROKEN);
	}
	close(to[0]);
	close(from[1]);
	char byte;
	if (read(from[0], &byte, 1) != 1) {
		child_status(pid);
		return skip("the set-uid bit of " OTHER "/hold has no effect: no_new_privs, or mounted nosuid");
	}
	int status = verdict("signal another user's process", kill(pid, 0));
	close(to[1]); // ends it: it may be out of reach for a signal
	must(child_status(pid) == 0, "end the other process");
	return status;
}

PROGRAM(signal_other, .capabilities = "CAP_KILL", .asks = "kill_ok_by_cred, check_kill_permission", .needs = OTHER "/hold;no_new_privs off",
	.note = "signal 0 to a process of another user");
