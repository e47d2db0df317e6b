// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <pthread.h>

static void *execute(void *name)
{
	execute_again(name);
	return NULL;
}

static int execute_in_thread(void)
{
	pthread_t thread;
	must(pthread_create(&thread, NULL, execute, "chown") == 0, "create a thread");
	for (;;)
		pause();
	return BROKEN;
}

PROGRAM(execute_in_thread, .capabilities = "CAP_CHOWN", .asks = "chown_ok",
	.note = "execve from a thread that is not the leader: the process id stays, the thread id does not");
