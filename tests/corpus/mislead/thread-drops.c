// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <pthread.h>

static void *drop_and_wait(void *barrier)
{
	must(set_capabilities(0, 0, 0) == 0, "drop every capability in one thread");
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier); // stays alive while the other thread uses its capability
	return NULL;
}

static int use_beside(void)
{
	pthread_barrier_t barrier;
	pthread_t thread;
	must(pthread_barrier_init(&barrier, NULL, 2) == 0, "create a barrier");
	must(pthread_create(&thread, NULL, drop_and_wait, &barrier) == 0, "create a thread");
	pthread_barrier_wait(&barrier);
	int status = verdict("give a file away in the other thread", fchown(own_file(), OTHER_ID, (gid_t)-1));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	return status;
}

PROGRAM(use_beside, .capabilities = "CAP_CHOWN", .also_asked = "CAP_SETPCAP", .asks = "chown_ok; cap_capset",
	.note = "capabilities belong to threads: one has dropped all, the other uses its own");
