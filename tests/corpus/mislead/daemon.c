// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// The first process stays, as it is the container's init and the container ends with it.
static int use_in_daemon(void)
{
	int result[2];
	unsigned char status = BROKEN;
	must(pipe2(result, O_CLOEXEC) == 0, "create a pipe");
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		must(setsid() >= 0, "create a session");
		pid = fork();
		must(pid >= 0, "fork again");
		if (pid != 0)
			_exit(SUCCEEDED);
		while (getppid() != 1) // orphaned only when its parent has ended
			usleep(1000);
		status = (unsigned char)verdict("give a file away", fchown(own_file(), OTHER_ID, (gid_t)-1));
		_exit(write(result[1], &status, 1) == 1 ? SUCCEEDED : BROKEN);
	}
	close(result[1]);
	must(child_status(pid) == SUCCEEDED, "wait for the daemon's parent");
	must(read(result[0], &status, 1) == 1, "hear from the daemon");
	return status;
}

PROGRAM(use_in_daemon, .capabilities = "CAP_CHOWN", .asks = "chown_ok", .needs = "being the first process of a pid namespace",
	.note = "used by an orphan of another session");
