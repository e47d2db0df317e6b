// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ipc.h>
#include <sys/shm.h>

static int attach_forbidden(void)
{
	int id = shmget(IPC_PRIVATE, 4096, 0);
	must(id >= 0, "create a shared memory segment");
	void *memory = shmat(id, NULL, 0);
	int status = verdict("attach a shared memory segment of mode 0000", memory == (void *)-1 ? -1 : 0);
	must(shmctl(id, IPC_RMID, NULL) == 0, "remove the segment");
	return status;
}

PROGRAM(attach_forbidden, .capabilities = "CAP_IPC_OWNER", .asks = "ipcperms", .note = "a segment without any permission bit");
