// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int execute(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		must(pid >= 0, "fork");
		if (pid == 0)
			execute_again("noop");
		must(child_status(pid) == SUCCEEDED, "execute");
	}
	return SUCCEEDED;
}

PROGRAM(execute, .note = "as a shell script that starts programs");
