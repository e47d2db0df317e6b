// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ipc.h>
#include <sys/shm.h>

static int lock_segment(void)
{
	struct rlimit none = {0, 0};
	must(setrlimit(RLIMIT_MEMLOCK, &none) == 0, "lower the limit of locked memory");
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	must(id >= 0, "create a shared memory segment");
	int result = shmctl(id, SHM_LOCK, NULL);
	if (result < 0 && errno == ENOMEM) // asked twice: of the IPC namespace, then of the first user namespace, which answers so
		errno = EPERM;
	int status = verdict("lock a shared memory segment", result);
	must(shmctl(id, IPC_RMID, NULL) == 0, "remove the segment");
	return status;
}

PROGRAM(lock_segment, .capabilities = "CAP_IPC_LOCK", .asks = "shmctl_do_lock, user_shm_lock", .initial = true, .note = "of the process's own, with a limit of 0");
