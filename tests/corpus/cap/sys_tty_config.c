// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int hang_up(void)
{
	return verdict("hang up the terminal", (int)syscall(SYS_vhangup));
}

static int without_terminal(void)
{
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		must(setsid() >= 0, "leave the session"); // and with it any terminal
		_exit(hang_up());
	}
	return child_status(pid);
}

PROGRAM(without_terminal, .capabilities = "CAP_SYS_TTY_CONFIG", .asks = "__do_sys_vhangup", .initial = true, .note = "in a session without a terminal, as of getty");
