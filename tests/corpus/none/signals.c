// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int signals(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		must(pid >= 0, "fork");
		if (pid == 0)
			for (;;)
				pause();
		must(kill(pid, 0) == 0 && kill(pid, SIGKILL) == 0, "signal an own child");
		must(waitpid(pid, NULL, 0) == pid, "wait");
	}
	return SUCCEEDED;
}

PROGRAM(signals, .note = "to processes of the same user");
