// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <pthread.h>

static void *use(void *status)
{
	*(int *)status = verdict("give a file away", fchown(own_file(), OTHER_ID, (gid_t)-1));
	return NULL;
}

static int use_in_thread(void)
{
	pthread_t thread;
	int status = BROKEN;
	must(pthread_create(&thread, NULL, use, &status) == 0, "create a thread");
	must(pthread_join(thread, NULL) == 0, "wait for the thread");
	return status;
}

PROGRAM(use_in_thread, .capabilities = "CAP_CHOWN", .asks = "chown_ok", .note = "used in a thread that is not the leader");
