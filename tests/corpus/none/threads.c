// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <pthread.h>

static void *thread(void *argument)
{
	char stack[65536];
	memset(stack, 1, sizeof stack);
	__asm__ volatile("" : : "r"(stack) : "memory");
	return argument;
}

static int threads(void)
{
	for (int round = 0; round < 20; round++) {
		pthread_t all[16];
		for (int i = 0; i < 16; i++)
			must(pthread_create(&all[i], NULL, thread, NULL) == 0, "create a thread");
		for (int i = 0; i < 16; i++)
			must(pthread_join(all[i], NULL) == 0, "join a thread");
	}
	return SUCCEEDED;
}

PROGRAM(threads, .asks = "cap_vm_enough_memory", .note = "thread stacks are mappings");
